#!/usr/bin/env python3
"""Has pcap2conn capture short connections for long, with small limits, and looks whether it grows.

    soak.py [PART...] [--seconds N] [--max-growth MIB] [--max-descriptors N]

Parts (all of them, unless some are named):

    tcp      short HTTP connections
    dns      questions and answers, a packet each

tcpreplay sends a capture over and over, each time with other addresses, into a cable between two network
namespaces. The program captures at the other end with limits so small that it reaches them, and writes to
memory, where it removes its oldest files. Every second its memory, descriptors and threads are looked at.
Growth is the line of least squares through its own (anonymous) memory over the last three quarters of the
connections. It fails, with status 1, when the program grows there by --max-growth more than the names take
that it has to know, or has more than --max-descriptors open.

Linux, as root, Debian packages tcpreplay and iproute2.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from typing import Dict, List, NamedTuple

import replay
from measure import kind_of, remove, room, table, version
from project import PROGRAM, build, make_capture, say
from receivers import Ended, Running, Seen, ours, seen_by_ours
from replay import Sent
from samples import NAME, NAMES, WARM_UP, Growth, Sample, at, growth, held
from veth import Cable, hindrance

MIB = 1 << 20
BUFFER = 16  # MiB of the kernel's ring
OPEN = 64  # output files
# What it has open besides: the ring, its timer and wake-ups, the output's folder, standard streams.
DESCRIPTORS = OPEN + 32
WORKERS = 2
LIMITS = ["--workers", str(WORKERS), "--max-buffered", "4", "--max-lingering", "256", "-f", str(OPEN),
          "--write-buffer", "4", "--max-disk", "256", "--when-full", "drop-oldest"]  # fmt: skip
ROOM = 4.0  # GB


class Part(NamedTuple):
    """What is sent."""

    name: str
    kind: str
    options: List[str]  # of the capture
    connections: int  # --max-connections
    mbit: float


class Soaked(NamedTuple):
    """What came out of a part."""

    part: Part
    sent: Sent
    seen: Seen
    samples: List[Sample]

    @property
    def growth(self) -> Growth:
        """How it grew."""
        return growth(self.samples, self.seen.connections, WORKERS)

    @property
    def descriptors(self) -> int:
        """Most that were open."""
        return max(sample.descriptors for sample in self.samples)

    def row(self) -> Dict[str, str]:
        """A line of the table."""
        last, grown = self.samples[-1], self.growth
        row = {
            "part": self.part.name,
            "connections": str(self.seen.connections),
            "a second": "%.0f" % (self.seen.connections / self.sent.seconds),
            "packets": str(self.sent.packets),
            "GB": "%.1f" % (self.sent.size / 1e9),
            "dropped": str(self.seen.dropped),
        }
        for part in (0.1, 0.5, 1):
            row["own MB, %.0f %%" % (part * 100)] = "%.2f" % (at(self.samples, part).own / 1e6)
        return {
            **row,
            "resident MB": "%.1f" % (last.resident / 1e6),
            "peak MB": "%.1f" % (last.peak / 1e6),
            "bytes a connection": "%.2f" % grown.each,
            "grown MiB": "%.2f" % (grown.in_all / MIB),
            "names MiB": "%.2f" % (grown.names / MIB),
            "threads": str(max(sample.threads for sample in self.samples)),
            "descriptors": str(self.descriptors),
        }

    def faults(self, options) -> List[str]:
        """What is wrong with it."""
        faults = []
        grown = (self.growth.in_all - self.growth.names) / MIB
        if grown > options.growth:
            faults.append("grew by %.2f MiB beside names, at most %g" % (grown, options.growth))
        if self.descriptors > options.descriptors:
            faults.append("had %d descriptors open, at most %d" % (self.descriptors, options.descriptors))
        return ["%s: %s" % (self.part.name, fault) for fault in faults]


PARTS = [
    # Fewer at once than may be held, so that few are ended early and get the same name again.
    Part("tcp", "web", ["--connections", "50000", "--at-once", "100"], 256, 1000),
    # Answers come after up to 1000 other questions.
    Part("dns", "dns", ["--pairs", "100000"], 4096, 50),
]


def soak(part: Part, options, cable: Cable, scratch: str) -> Soaked:
    """Sends one part for the time that was asked for."""
    place = os.path.join(scratch, part.name)
    os.mkdir(place)
    capture = os.path.join(place, "replayed.pcap")
    make_capture(part.kind, capture, part.options)
    words = [*ours(place, BUFFER), *LIMITS, "--max-connections", str(part.connections)]
    with Running(cable, words, os.path.join(place, "log")) as running:
        with replay.start(cable, capture, options.mbit or part.mbit, options.seconds) as sender:
            samples = watch(running, sender, cable)
            said = sender.communicate()[0]
        running.settle()
        running.end()
    seen = seen_by_ours(Ended(place, running.said()), 0)
    remove(place)
    return Soaked(part, replay.read(said), seen, samples)


def watch(running: Running, sender: replay.Sending, cable: Cable) -> List[Sample]:
    """Looks at a program every second, as long as something is sent."""
    begin, before = time.monotonic(), cable.arrived().packets
    samples: List[Sample] = []
    while sender.poll() is None:
        running.check()
        now, packets = time.monotonic() - begin, cable.arrived().packets - before
        samples.append(Sample(now, packets, *held(running.process.pid)))
        if len(samples) % 10 == 0:
            say("%3.0f s: %9d packets, %.2f MB of its own" % (now, packets, samples[-1].own / 1e6))
        time.sleep(max(0, len(samples) - (time.monotonic() - begin)))
    return samples


def head(options) -> str:
    """What was measured, with what and where."""
    most = ", ".join("%s %d" % (part.name, part.connections) for part in PARTS)
    return (
        "%s, %s\n%s --buffer-size %d --max-connections as %s\n"
        "%d s each; %d cores that sender, kernel and program share, Linux %s, files on %s\n"
        "after %g of the connections at most %g MiB more, and %d bytes for each of the first %d names; "
        "at most %d descriptors\n" % (
            version([PROGRAM, "--version"]), version(["tcpreplay", "--version"]), " ".join(LIMITS), BUFFER,
            most, options.seconds, len(os.sched_getaffinity(0)), os.uname().release,
            kind_of(options.scratch), WARM_UP, options.growth, NAME, NAMES * WORKERS, options.descriptors)
    )  # fmt: skip


def arguments():
    """What was typed, checked."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=120, help="of each part (default 120)")
    parser.add_argument("--mbit", type=float, help="Mbit/s (default 1000 for tcp, 50 for dns)")
    parser.add_argument("--max-growth", dest="growth", type=float, default=4, help="MiB (default 4)")
    parser.add_argument("--max-descriptors", dest="descriptors", type=int, default=DESCRIPTORS,
                        help="default %d" % DESCRIPTORS)  # fmt: skip
    parser.add_argument("--scratch", default="/dev/shm", help="where all files go (default /dev/shm)")
    options = parser.parse_args()
    if options.seconds < 10:
        parser.error("at least 10 seconds: a slope through fewer samples says little")
    for name in options.part:
        if name not in names:
            parser.error("no part %s; there are %s" % (name, ", ".join(names)))
    return options


def main() -> None:
    options = arguments()
    reason = hindrance({"tcpreplay": "tcpreplay"})
    have = room(options.scratch)
    if not reason and have < ROOM:
        reason = "needs %.1f GB in %s, there are %.1f" % (ROOM, options.scratch, have)
    if reason:
        print("skipped: " + reason)
        return
    build()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    wanted = [part for part in PARTS if not options.part or part.name in options.part]
    folder = tempfile.TemporaryDirectory(dir=options.scratch, prefix="pcap2conn-soak.")
    with folder as scratch, Cable() as cable:
        results = [soak(part, options, cable, scratch) for part in wanted]
    print(head(options))
    print(table([result.row() for result in results], left=("part",)))
    faults = [fault for result in results for fault in result.faults(options)]
    for fault in faults:
        print("\n" + fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
