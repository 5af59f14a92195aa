#!/usr/bin/env python3
"""Has two of pcap2conn play recorded connections to each other over loopback, and prints one table.

    play.py [PART...] [--rounds N] [--quick] [--bulk MB] [--scratch FOLDER]

Parts (all of them, unless some are named):

    100, 1000, 4000    so many short HTTP connections, all of them at once
    stored             1000 of them, what was said being stored on both sides
    bulk               one connection in which the client sends --bulk MB, and then the server as many
    socat              as many MB there and then back, without looking at them

One process is the server of all connections, the other one their client. Every play has to match. Captures,
seeded and so the same everywhere, and all that is written lie in memory. The medians of the rounds count.
Reading is what both take to read the capture, by itself (--list): rates are for the time after that. Client
and server share this machine's cores.

Linux, Debian packages time and socat.
"""

import argparse
import concurrent.futures
import os
import random
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from typing import Dict, List, NamedTuple, Optional

from measure import Run, kind_of, measure, remove, room, table, version
from project import PROGRAM, build, make_capture, say

LIMIT = "300"  # seconds a process may take
SEGMENT = 60_000  # bytes
WEB = [100, 1000, 4000]
PARTS = [*map(str, WEB), "stored", "bulk", "socat"]
PLAY = ["--tcp", "--quiet", "--no-delay", "--wait", "bytes", "--linger", "2", "--max-memory", "8192"]


class Part(NamedTuple):
    """What is played."""

    name: str
    capture: str
    connections: int
    megabytes: float  # both ways
    options: List[str]  # of the client and the server; {out} is a new folder


class Round(NamedTuple):
    """What one run of it took."""

    client: Run
    server: Run
    reading: float  # seconds


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def listens(port: int) -> bool:
    """Does somebody listen there?"""
    with open("/proc/self/net/tcp", encoding="ascii") as sockets:
        return ":%04X 00000000:0000 0A" % port in sockets.read()


def both(server: List[str], client: List[str], port: int, place: str):
    """Runs a server, and when it listens a client; what each took."""
    server, client = (["timeout", LIMIT, *words] for words in (server, client))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        serving = pool.submit(measure, server, os.path.join(place, "server.log"))
        while not listens(port):
            if serving.done():
                serving.result()
                sys.exit("the server ended before there was a client")
            time.sleep(0.01)
        client_run = measure(client, os.path.join(place, "client.log"))
        return client_run, serving.result()


def play(part: Part, place: str) -> Round:
    """One round of the program."""
    port = free_port()
    words = []
    for side in ("server", "client"):
        out = os.path.join(place, side)
        options = [option.replace("{out}", out) for option in part.options]
        words.append([PROGRAM, "replay", "-r", part.capture, *PLAY, *options])
    listing = [PROGRAM, "replay", "-r", part.capture, "--tcp", "--list", "--max-memory", "8192"]
    reading = measure(listing, os.path.join(place, "list.log"))
    client, server = both(
        [*words[0], "--listen", str(port)],
        [*words[1], "--connect", str(port), "--at-once", str(part.connections)],
        port, place,
    )  # fmt: skip
    return Round(client, server, reading.wall)


def socat(part: Part, place: str) -> Round:
    """The same bytes there and back by socat, one way after the other."""
    port, size = free_port(), str(int(part.megabytes / 2 * 1e6))
    source = ["head", "-c", size, "/dev/zero"]
    runs = []
    for there in (True, False):
        sender = "exec %s | socat -u -b65536 - %s" if there else "exec socat -u -b65536 %s - | cat >/dev/null"
        listener = "TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr" % port
        other = "socat -u -b65536 %s - | cat >/dev/null" if there else "%s | socat -u -b65536 - %s"
        words = " ".join(source)
        client = sender % ((words, "TCP:127.0.0.1:%d" % port) if there else ("TCP:127.0.0.1:%d" % port))
        server = other % (listener if there else (words, listener))
        runs.append(both(["sh", "-c", server], ["sh", "-c", client], port, place))
    client, server = (Run(*map(sum, zip(*sides))) for sides in zip(*runs))
    peak = [max(run.memory for run in sides) for sides in zip(*runs)]
    return Round(client._replace(memory=peak[0]), server._replace(memory=peak[1]), 0)


def write_bulk(path: str, size: int) -> None:
    """A capture of one connection: the client sends so many bytes, and then the server."""
    ends = (b"\x0a\0\0\1", 40000), (b"\x0a\0\0\2", 9)
    sent, clock = [1, 1], [0]
    body = random.Random(1).randbytes(1 << 20)

    def packet(side: int, flags: int, data: bytes = b"") -> bytes:
        (source, source_port), (target, target_port) = ends[side], ends[1 - side]
        ack = sent[1 - side] & 0xFFFFFFFF if flags & 0x10 else 0
        first = (sent[side] - (flags & 2 > 0)) & 0xFFFFFFFF
        tcp = struct.pack(">HHIIBBHHH", source_port, target_port, first, ack, 0x50, flags, 65535, 0, 0)
        whole = 40 + len(data)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, whole, 0, 0, 64, 6, 0, source, target)
        sent[side] += len(data) + (flags & 1)
        clock[0] += 1
        head = struct.pack("<IIII", clock[0] // 1_000_000, clock[0] % 1_000_000, whole, whole)
        return head + ip + tcp + data

    with open(path, "wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101))
        for side, flags in ((0, 2), (1, 0x12), (0, 0x10)):
            stream.write(packet(side, flags))
        for side in (0, 1):
            left = size
            while left:
                at = random.Random(left).randrange(len(body) - SEGMENT)
                data = body[at : at + min(SEGMENT, left)]
                stream.write(packet(side, 0x18, data))
                left -= len(data)
            stream.write(packet(1 - side, 0x10))
        for side in (0, 1, 0):
            stream.write(packet(side, 0x10 if sent[1] > size + 1 else 0x11))


def make_part(name: str, options, scratch: str) -> Part:
    """Makes the capture of a part."""
    path = os.path.join(scratch, name + ".pcap")
    if name in ("bulk", "socat"):
        size = options.bulk * 1_000_000
        if name == "bulk":
            write_bulk(path, size)
        return Part(name, path, 1, 2 * size / 1e6, ["--no-store"])
    connections = 1000 if name == "stored" else int(name)
    make_capture("web", path, ["--connections", str(connections)])
    kept = ["-o", "{out}"] if name == "stored" else ["--no-store"]
    return Part(name, path, connections, connections * 6287 / 1e6, kept)


def measure_part(name: str, options, scratch: str) -> Dict[str, str]:
    """All rounds of a part; a row of the table."""
    part = make_part(name, options, scratch)
    rounds = []
    for number in range(options.rounds + 1):  # the first one is for the caches
        say("%s: round %d of %d" % (name, number, options.rounds))
        place = os.path.join(scratch, "round")
        os.mkdir(place)
        rounds.append((socat if name == "socat" else play)(part, place))
        remove(place)
    if os.path.exists(part.capture):
        os.unlink(part.capture)
    return row(part, rounds[1:])


def row(part: Part, rounds: List[Round]) -> Dict[str, str]:
    """A line of the table."""
    client, server = (Run.median([getattr(each, side) for each in rounds]) for side in ("client", "server"))
    reading = sorted(each.reading for each in rounds)[len(rounds) // 2]
    walls = [each.client.wall for each in rounds]
    playing = max(client.wall - reading, 1e-3)
    return {
        "part": part.name,
        "connections": str(part.connections),
        "wall s": "%.3f" % client.wall,
        "min … max": "%.3f … %.3f" % (min(walls), max(walls)),
        "reading s": "%.3f" % reading,
        "client CPU s": "%.3f + %.3f" % (client.user, client.system),
        "server CPU s": "%.3f + %.3f" % (server.user, server.system),
        "client MB": "%.1f" % client.memory,
        "server MB": "%.1f" % server.memory,
        "connections/s": "%.0f" % (part.connections / playing) if part.connections > 1 else "-",
        "MB/s": "%.0f" % (part.megabytes / playing),
    }


def arguments():
    """What was typed, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default 5)")
    parser.add_argument("--quick", action="store_true", help="one round, --bulk 20: does it run?")
    parser.add_argument("--bulk", type=int, default=1000, metavar="MB", help="(default 1000)")
    parser.add_argument("--scratch", default="/dev/shm", help="where all files go (default /dev/shm)")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.bulk = 1, 20
    if options.rounds < 1 or not 1 <= options.bulk <= 2000:
        parser.error("at least one round, and from 1 to 2000 MB")
    for name in options.part:
        if name not in PARTS:
            parser.error("no part %s; there are %s" % (name, ", ".join(PARTS)))
    return options


def unmeasurable(name: str, options) -> Optional[str]:
    """Why a part cannot be measured."""
    if name == "socat" and not shutil.which("socat"):
        return "socat is missing"
    # The capture, and its bytes in both processes as they are read.
    need, have = (2 * options.bulk * 4 / 1e3 if name == "bulk" else 0.3), room(options.scratch)
    return "needs %.1f GB, there are %.1f" % (need, have) if have < need else None


def main() -> None:
    options = arguments()
    build()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    rows, skipped = [], []
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="pcap2conn-play.") as scratch:
        for name in [name for name in PARTS if not options.part or name in options.part]:
            reason = unmeasurable(name, options)
            if reason:
                skipped.append("not measured: %s: %s" % (name, reason))
            else:
                rows.append(measure_part(name, options, scratch))
    print("%s\n%d rounds, medians; %d cores, Linux %s, files on %s; CPU is user + system\n" % (
        version([PROGRAM, "--version"]), options.rounds, len(os.sched_getaffinity(0)), os.uname().release,
        kind_of(options.scratch)))  # fmt: skip
    if rows:
        print(table(rows, left=("part",)))
    for line in skipped:
        print("\n" + line)


if __name__ == "__main__":
    main()
