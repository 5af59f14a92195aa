#!/usr/bin/env python3
"""Mangles real captures with known answers, and checks that the answers stay the same.

    check.py [--corpus DIR] [--program FILE] [--limit N] [--at-least SHARE] [--verbose]
             [--judge FILE] [options of mangle.py]

DIR has `expected.jsonl` and the captures it names; it is no part of the project. Where it is not
there, nothing is checked, and a line says so. Judged are the TCP directions of the captures that
mangle.py can read.

Without --loss every direction must have the very bytes it had. With --loss, bytes must stand at the
offsets where they stood, and what is missing must be what no packet brought; directions whose numbers
do not tell where they begin (no SYN, or several) are left out. --judge compares with another program
as well: `FILE CAPTURE` prints a JSON line for each direction: source, port, destination, port, bytes,
SHA-256, and a list of gaps [offset, length].

Exits with 1 when fewer than --at-least of the directions are right, or the program fails.
"""

import argparse
import collections
import hashlib
import ipaddress
import json
import os
import re
import subprocess
import sys
import tempfile

import mangle

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
NAME = re.compile(r"^\d{14}-TCP-(.+)\.(\d+)-(.+?)\.(\d+)(?:_\d+)?\.(txt|json)$")

# What was measured; a few captures hold what loss or displacement makes undecidable.
SHARES = {"moved": 0.999, "no_syn": 0.999, "loss": 0.998}


def address(text):
    return str(ipaddress.ip_address(text.replace("_", ":")))


def run(program, capture, folder, *options):
    """Runs the program; what went wrong, if anything did."""
    command = [program, "-q", *options, "-r", capture, "-o", folder]
    environment = dict(os.environ, TZ="UTC")
    try:
        done = subprocess.run(command, capture_output=True, timeout=120, env=environment)
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode not in (0, 3):
        return f"exit status {done.returncode}: {done.stderr[-200:].decode(errors='replace')}"
    return None


def ends_of(name):
    """(source, port, destination, port) of an output file, and what kind it is."""
    match = NAME.match(name)
    if not match:
        return None, None
    source, source_port, target, target_port, kind = match.groups()
    return (address(source), int(source_port), address(target), int(target_port)), kind


class Direction:
    """One direction as the program told it: its bytes, and where they stand."""

    def __init__(self):
        self.pieces = []  # (offset, bytes)
        self.gaps = []  # (offset, length)
        self.end = 0

    def content(self):
        return b"".join(data for _, data in self.pieces)

    def digest(self):
        return hashlib.sha256(self.content()).hexdigest()


def directions(folder):
    """All directions of a folder of JSON lines, by their ends."""
    found = collections.defaultdict(list)
    for name in sorted(os.listdir(folder)):
        ends, kind = ends_of(name)
        if kind != "json":
            continue
        sides = [Direction(), Direction()]
        with open(os.path.join(folder, name), encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                side, offset = sides[int(line["side"])], int(line["offset"])
                missing = int(line.get("missing", 0))
                if missing:
                    side.gaps.append((offset, missing))
                else:
                    side.pieces.append((offset, bytes.fromhex(line["data_hex"])))
                side.end = offset + missing + int(line["size"])
        for ends, side in ((ends, sides[0]), (ends[2:] + ends[:2], sides[1])):
            if side.end:
                found[ends].append(side)
    return found


class Tally:
    """How many directions were judged, and how many were right."""

    def __init__(self, verbose):
        self.judged = self.right = self.failed = 0
        self.verbose = verbose
        self.judge = collections.Counter()

    def count(self, right, capture, what):
        self.judged += 1
        self.right += right
        if not right and self.verbose:
            print("wrong:", capture, *what)

    def share(self):
        return self.right / max(self.judged, 1)


def check_bytes(streams, found, capture, tally):
    """Every direction has the bytes that it had before."""
    left = {ends: [d.digest() for d in sides] for ends, sides in found.items()}
    for source, source_port, target, target_port, _, digest in streams:
        ends = (address(source), source_port, address(target), target_port)
        candidates = left.get(ends, [])
        right = digest in candidates
        if right:
            candidates.remove(digest)
        tally.count(right, capture, ends)


def only_once(streams):
    """Without SYNs, connections with the same ends cannot be told apart."""
    keys = collections.Counter(tuple(stream[:4]) for stream in streams)
    return [stream for stream in streams if keys[tuple(stream[:4])] == 1]


class Sent:
    """What the packets of a capture tell of one direction, by its SYN's number."""

    def __init__(self):
        self.isns = set()
        self.parts = []  # (sequence number of the first byte, length)
        self.fins = set()  # sequence numbers behind the last byte

    def known(self, length):
        """Which bytes of a direction of `length` bytes were captured, and whether its end was.

        1 where a byte was. A segment of a single byte may be a keep-alive probe, and counts for
        nothing behind a hole: 2 where only such a one brought it.
        """
        (isn,) = self.isns
        here = bytearray(length)
        for seq, size in sorted(self.parts, key=lambda part: part[1] > 1):
            offset = (seq - isn - 1) & 0xFFFFFFFF
            if offset < length:
                value = b"\1" if size > 1 else b"\2"
                here[offset : offset + size] = value * min(size, length - offset)
        return here, any((fin - isn - 1) & 0xFFFFFFFF == length for fin in self.fins)


def sent(packets):
    """What was captured of each direction."""
    found = collections.defaultdict(Sent)
    for packet in packets:
        segment = mangle.segment(packet.data)
        if segment is None:
            continue
        (source, source_port), (target, target_port) = segment.ends
        ends = (
            str(ipaddress.ip_address(source)), source_port,
            str(ipaddress.ip_address(target)), target_port,
        )
        syn, fin = segment.flags & mangle.SYN, segment.flags & mangle.FIN
        first = segment.seq + bool(syn)
        if syn:
            found[ends].isns.add(segment.seq)
        if segment.payload:
            found[ends].parts.append((first, len(segment.payload)))
        if fin:
            found[ends].fins.add(first + segment.length)
    return found


def holes(here):
    """(offset, length) of each unbroken run of bytes that no packet brought."""
    return [(hole.start(), hole.end() - hole.start()) for hole in re.finditer(b"\0+", here)]


def tells_the_truth(side, whole, here, ended):
    """Do a direction's bytes stand where they stood, and is missing what no packet brought?"""
    for offset, data in side.pieces:
        if whole[offset : offset + len(data)] != data:
            return False
        here[offset : offset + len(data)] = here[offset : offset + len(data)].replace(b"\2", b"\1")
    here = here.replace(b"\2", b"\0")
    last = len(whole) if ended else here.rfind(b"\1") + 1
    before = [gap for gap in side.gaps if gap[0] < last]
    # Behind the last byte captured, the peer's acknowledgements may tell more, its FIN's number too.
    return before == holes(here[:last]) and last <= side.end <= len(whole) + 1


def check_loss(streams, originals, found, packets, capture, tally):
    captured = sent(packets)
    for source, source_port, target, target_port, _, digest in only_once(streams):
        ends = (address(source), source_port, address(target), target_port)
        whole = [d.content() for d in originals.get(ends, []) if d.digest() == digest]
        if not whole or len(captured[ends].isns) != 1:
            continue
        here, ended = captured[ends].known(len(whole[0]))
        sides = found.get(ends, [])
        if not any(here):
            continue
        right = len(sides) == 1 and tells_the_truth(sides[0], whole[0], here, ended)
        tally.count(right, capture, (*ends, [side.gaps for side in sides]))


def check_judge(judge, path, found, capture, tally):
    """Compares with what another program makes of the mangled capture."""
    done = subprocess.run([sys.executable, judge, path], capture_output=True, timeout=600)
    left = collections.Counter(
        (*ends, side.digest(), tuple(side.gaps)) for ends, sides in found.items() for side in sides
    )
    for line in done.stdout.decode().splitlines():
        source, source_port, target, target_port, _, digest, gaps = json.loads(line)
        gaps = tuple(map(tuple, gaps))
        key = (address(source), source_port, address(target), target_port, digest, gaps)
        tally.judge["all"] += 1
        tally.judge["same"] += left[key] > 0
        if left[key] <= 0 and tally.verbose:
            print("judge differs:", capture, *key[:4], gaps)
        left[key] -= 1


def check_capture(capture, streams, options, tally):
    header, packets = mangle.read(os.path.join(options.corpus, capture))
    packets = mangle.mangle(packets, mangle.chosen(options))
    with tempfile.TemporaryDirectory() as folder:
        harder, after, before = (os.path.join(folder, n) for n in ("m.pcap", "after", "before"))
        mangle.write(harder, header, packets)
        wrong = run(options.program, harder, after, "-j")
        if wrong:
            tally.failed += 1
            print("failed:", capture, wrong)
            return
        found = directions(after)
        if options.judge:
            check_judge(options.judge, harder, found, capture, tally)
        if options.no_syn:
            streams = only_once(streams)
        if not options.loss:
            check_bytes(streams, found, capture, tally)
            return
        run(options.program, os.path.join(options.corpus, capture), before, "-j")
        check_loss(streams, directions(before), found, packets, capture, tally)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default=os.path.join(PROJECT, "..", "shared", "corpus"))
    program = os.path.join(PROJECT, "target", "release", "pcap2conn")
    parser.add_argument("--program", default=program)
    parser.add_argument("--limit", type=int, default=sys.maxsize, help="captures at most")
    parser.add_argument("--at-least", type=float, help="the share that must be right")
    parser.add_argument("--judge", help="another program to compare with")
    parser.add_argument("--verbose", action="store_true")
    mangle.add_options(parser)
    options = parser.parse_args()
    answers = os.path.join(options.corpus, "expected.jsonl")
    if not os.path.exists(answers):
        print("skipped: no captures with known answers at", os.path.relpath(options.corpus))
        return 0
    kind = "loss" if options.loss else "no_syn" if options.no_syn else "moved"
    at_least = SHARES[kind] if options.at_least is None else options.at_least
    tally, captures = Tally(options.verbose), 0
    with open(answers, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            streams = [stream[1:] for stream in line["streams"] if stream[0] == "TCP"]
            if not streams or captures >= options.limit:
                continue
            try:
                check_capture(line["file"], streams, options, tally)
                captures += 1
            except mangle.Unsuitable:
                continue
    share = f"{tally.right} of {tally.judged} directions = {100 * tally.share():.2f} %"
    if options.judge:
        share += f"; as the judge has it: {tally.judge['same']} of {tally.judge['all']}"
    print(f"{kind}, seed {options.seed}: {captures} captures, {tally.failed} failed, {share}")
    return 0 if tally.share() >= at_least and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(main())
