#!/usr/bin/env python3
"""Replays captures at rising rates, and says what pcap2conn, tcpdump and tcpflow lose of them.

    load.py [PART...] [--quick] [--from MBIT] [--step X] [--fine N] [--rounds N] [--buffer-size MIB]

Parts (all of them, unless some are named):

    long     8 long flows: the highest rate at which tcpdump loses nothing, then pcap2conn at 0.8 of it
    web      short HTTP connections: the highest rate at which pcap2conn loses nothing, and tcpflow's
    verify   what pcap2conn writes while packets come, against what it writes of their recording

tcpreplay sends a capture that lies in memory into a cable between two network namespaces, and one program
at a time captures at the other end and writes to memory. Each capture is at least ten times as large as the
kernel's ring. Rates rise by --step until packets are lost --rounds times, or until the sender is at its
limit (asked: top); then the rate between is halved --fine times. Every run is a row.

Sender, kernel and program share this machine's cores: the kernel copies packets into the ring in the
sender's time, and a sender at its limit takes what the program does not. So the figures say how the programs
share a machine like this one, not what they could do with cores of their own.

Linux, as root, Debian packages tcpreplay, tcpdump, tcpflow and iproute2.
"""

import argparse
import os
import signal
import sys
import tempfile
from typing import Dict, List, NamedTuple, Optional

import rates
from compare import Difference, compare
from measure import kind_of, remove, room, run, table, version
from project import PROGRAM, build, make_capture, say
from receivers import RECEIVERS, Ended, Receiver, Running, Seen, ours, packets_for_tcpflow
from replay import Sent, send
from veth import Cable, hindrance

MIB = 1 << 20
RING_TIMES = 10  # so many times the ring is sent at least
LIMIT = 600  # seconds that sending may take
SHARE = 0.8  # of tcpdump's rate
PARTS = ("long", "web", "verify")


# Captures from which live capture and reading of the recording have to make the same, and the option with
# which they are so large.
VERIFIED = (
    ("web", "--connections", 40_000),
    ("messy", "--connections", 40_000),
    ("long", "--body", 10_000_000),
)
# What shows most: times, numbers of packets, how connections ended.
WRITTEN = ["--json", "--write-metadata"]
# Only live does time end a connection that lost its last packets, and its metadata says so.
PATIENT = ["--half-open-timeout", str(LIMIT), "--closing-timeout", str(LIMIT)]


class Result(NamedTuple):
    """One run."""

    part: str
    receiver: Receiver
    asked: Optional[float]  # Mbit/s; nothing where it was as fast as possible
    sent: Sent
    seen: Seen
    cpu: float

    @property
    def missed(self) -> int:
        """Packets that nobody accounts for."""
        return 0 if self.receiver.indirect else self.sent.packets - self.seen.captured - self.seen.dropped

    @property
    def whole(self) -> bool:
        """Was nothing lost?"""
        return self.seen.dropped == 0 and self.missed == 0

    @property
    def rate(self) -> float:
        """Connections a second."""
        return (self.seen.connections or 0) / self.sent.seconds

    def row(self) -> Dict[str, str]:
        """A line of the table."""
        none = self.seen.connections is None
        return {
            "part": self.part,
            "program": self.receiver.name,
            "asked Mbit/s": "top" if self.asked is None else "%.0f" % self.asked,
            "Mbit/s": "%.0f" % self.sent.mbit,
            "packets/s": "%.0f" % (self.sent.packets / self.sent.seconds),
            "sent": str(self.sent.packets),
            "captured": str(self.seen.captured),
            "dropped": str(self.seen.dropped),
            "elsewhere": str(self.missed),
            "drops by": self.receiver.counted,
            "connections": "-" if none else str(self.seen.connections),
            "connections/s": "-" if none else "%.0f" % self.rate,
            "CPU s": "%.2f" % self.cpu,
        }


class Capture(NamedTuple):
    """A capture to replay."""

    part: str
    path: str
    whole: int  # packets that tcpflow counts in it


class Load:
    """A run of this program."""

    def __init__(self, options, scratch: str, cable: Cable):
        self.options = options
        self.scratch = scratch
        self.cable = cable
        self.results: List[Result] = []
        self.found: List[str] = []

    def long(self) -> None:
        """Long flows: tcpdump's highest rate, and pcap2conn near it."""
        capture = self.capture("long", "long", "--body", round(self.size() / 8 / 0.92))
        best = self.search(capture, RECEIVERS["tcpdump"])
        if best is None:
            self.found.append("long: tcpdump loses packets at the lowest rate")
            return
        rate = SHARE * best.sent.mbit
        tries = [self.once(capture, RECEIVERS["pcap2conn"], rate) for _ in range(self.options.rounds)]
        lost = sum(not result.whole for result in tries)
        verdict = "no run" if not lost else "%d runs" % lost
        self.found.append(
            "long: tcpdump loses nothing at %.0f Mbit/s (asked: %s); at %g of it, %.0f Mbit/s, "
            "pcap2conn loses packets in %s of %d" % (
                best.sent.mbit, best.row()["asked Mbit/s"], SHARE, rate, verdict, len(tries))
        )  # fmt: skip
        for name in ("pcap2conn", "tcpflow"):
            self.once(capture, RECEIVERS[name], best.asked)

    def web(self) -> None:
        """Short connections: the highest rates of pcap2conn and tcpflow."""
        capture = self.capture("web", "web", "--connections", round(self.size() / 7200))
        for name in ("pcap2conn", "tcpflow"):
            best = self.search(capture, RECEIVERS[name])
            self.found.append("web: %s: %s" % (name, (
                "%.0f connections a second without a loss, %.0f Mbit/s (asked: %s)" % (
                    best.rate, best.sent.mbit, best.row()["asked Mbit/s"])
                if best else "loses packets at the lowest rate")))  # fmt: skip

    def verify(self) -> None:
        """Live and from a recording: the same files?"""
        for kind, option, size in VERIFIED:
            path = os.path.join(self.scratch, "verify.pcap")
            make_capture(kind, path, [option, str(round(size * self.options.scale))])
            place = os.path.join(self.scratch, "verify")
            os.mkdir(place)
            try:
                difference = self.live_and_recorded(path, place)
            finally:
                remove(place)
                os.unlink(path)
            self.found.append("verify: %s at %g Mbit/s: %s" % (kind, self.options.lowest, difference))

    def live_and_recorded(self, path: str, place: str) -> Difference:
        """Captures and records, then reads the recording."""
        recording, log = (os.path.join(place, name) for name in ("recorded.pcapng", "log"))
        live = [*ours(place, self.options.buffer), *WRITTEN, *PATIENT, "--write-pcapng", recording]
        with Running(self.cable, live, log) as running:
            send(self.cable, path, self.options.lowest, LIMIT)
            running.settle()
            running.end()
        offline = os.path.join(place, "offline")
        run([PROGRAM, "-q", *WRITTEN, "-r", recording, "-o", offline], log)
        return compare(os.path.join(place, "out"), offline)

    def size(self) -> float:
        """Bytes that a capture has to have."""
        return RING_TIMES * self.options.buffer * MIB

    def capture(self, part: str, kind: str, option: str, value: int) -> Capture:
        """Makes a capture, the only one there is."""
        path = os.path.join(self.scratch, "replayed.pcap")
        make_capture(kind, path, [option, str(value)])
        place = self.place()
        try:
            return Capture(part, path, packets_for_tcpflow(path, place))
        finally:
            remove(place)

    def search(self, capture: Capture, receiver: Receiver) -> Optional[Result]:
        """The run with the highest rate of those that lost nothing."""

        def run(rate: Optional[float]) -> rates.Run:
            result = self.tries(capture, receiver, rate)
            return rates.Run(result.sent.mbit, result.whole, result)

        steps = rates.Steps(self.options.lowest, self.options.step, self.options.fine)
        best = rates.search(run, steps)
        return best and best.result

    def tries(self, capture: Capture, receiver: Receiver, rate: Optional[float]) -> Result:
        """Runs until one loses nothing, at most as often as was asked: others use this machine too."""
        for _ in range(self.options.rounds):
            result = self.once(capture, receiver, rate)
            if result.whole:
                break
        return result

    def once(self, capture: Capture, receiver: Receiver, rate: Optional[float]) -> Result:
        """One run."""
        place = self.place()
        words = receiver.words(place, self.options.buffer)
        with Running(self.cable, words, os.path.join(place, "log")) as running:
            sent = send(self.cable, capture.path, rate, LIMIT)
            running.settle()
            cpu = running.end()
        seen = receiver.seen(Ended(place, running.said()), capture.whole)
        remove(place)
        result = Result(capture.part, receiver, rate, sent, seen, cpu)
        self.results.append(result)
        say("%s: %s at %.0f Mbit/s: %d packets lost" % (
            capture.part, receiver.name, sent.mbit, seen.dropped + result.missed))  # fmt: skip
        return result

    def place(self) -> str:
        """A new folder for a run."""
        return tempfile.mkdtemp(dir=self.scratch)

    def show(self) -> None:
        """Prints what was measured."""
        print(head(self.options))
        if self.results:
            print(table([result.row() for result in self.results], left=("part", "program", "drops by")))
        for line in self.found:
            print("\n" + line)


def head(options) -> str:
    """What was measured, with what and where."""
    names = ([name, "--version"] for name in (PROGRAM, "tcpdump", "tcpflow", "tcpreplay"))
    rings = ", ".join("%s %s" % (each.name, each.ring) for each in RECEIVERS.values())
    return (
        "%s\n%d cores that sender, kernel and program share, Linux %s, files on %s\n"
        "kernel's ring: %d MiB asked (%s); each run sends at least %d times that\n" % (
            ", ".join(filter(None, map(version, names))), len(os.sched_getaffinity(0)), os.uname().release,
            kind_of(options.scratch), options.buffer, rings, RING_TIMES)
    )  # fmt: skip


def arguments():
    """What was typed, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a ring of 16 MiB, few rates: does it run?")
    parser.add_argument("--from", dest="lowest", type=float, default=500, help="first rate (default 500)")
    parser.add_argument("--step", type=float, default=1.5, help="ratio of rates (default 1.5)")
    parser.add_argument("--fine", type=int, default=2, help="halvings at the end (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="runs before a loss counts (default 3)")
    parser.add_argument("--buffer-size", dest="buffer", type=int, default=64, help="MiB (default 64)")
    parser.add_argument("--scratch", default="/dev/shm", help="where all files go (default /dev/shm)")
    options = parser.parse_args()
    options.scale = 1.0
    if options.quick:
        options.buffer, options.step, options.fine, options.rounds, options.scale = 16, 4, 0, 1, 0.1
    if options.lowest <= 0 or options.step <= 1 or options.rounds < 1 or options.buffer < 1:
        parser.error("rates, rounds and the ring are more than 0, and rates rise")
    for name in options.part:
        if name not in PARTS:
            parser.error("no part %s; there are %s" % (name, ", ".join(PARTS)))
    return options


def main() -> None:
    options = arguments()
    tools = {"tcpreplay": "tcpreplay", "tcpdump": "tcpdump", "tcpflow": "tcpflow"}
    reason = hindrance(tools)
    # The capture, tcpreplay's copy of it, and what tcpflow makes of it.
    need, have = 4.5 * RING_TIMES * options.buffer * MIB / 1e9, room(options.scratch)
    if not reason and have < need:
        reason = "needs %.1f GB in %s, there are %.1f" % (need, options.scratch, have)
    if reason:
        print("skipped: " + reason)
        return
    build()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    folder = tempfile.TemporaryDirectory(dir=options.scratch, prefix="pcap2conn-load.")
    with folder as scratch, Cable() as cable:
        load = Load(options, scratch, cable)
        try:
            for part in PARTS:
                if not options.part or part in options.part:
                    getattr(load, part)()
        finally:  # what was measured is not to be lost
            load.show()


if __name__ == "__main__":
    main()
