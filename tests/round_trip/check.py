#!/usr/bin/env python3
"""Plays both sides of real connections to each other, and compares what was said with the recordings.

    check.py [--corpus DIR] [--program FILE] [--limit N] [--only TEXT] [--dumps N] [--at-once N]
             [--endings] [--keep DIR] [--verbose]

DIR has captures; it is no part of the project. Where it is not there, nothing is checked, and a line
says so. In a network namespace of its own the program captures, while for each capture two others play
its TCP connections to each other over loopback, one the servers and one the clients. Then the program
reads what was captured there. Each connection must have the turns it had, which are the unbroken runs
of one side, with the same bytes, and the connections of a capture must come in their order. Every
--dumps-th capture is played again from the JSON lines that the program wrote of it.

Left out, and counted by reason: connections in which bytes are missing, captures without TCP or that
the program cannot read. Captures larger than LARGE are left out, too, and named. How connections ended is compared, too; with --endings it must be the same where a recording
has a FIN or RST.

Exits with 1 when anything differs, or the program fails. Linux, as root, with `unshare` and `ip`.
"""

import argparse
import collections
import concurrent.futures
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
CAPTURES = (".pcap", ".pcapng", ".cap", ".dmp")
LARGE = 32 << 20  # bytes of a capture
SHARE = 100  # connections that two processes play, one after the other
FIRST_PORT = 10_000  # below those that the kernel gives to clients
LIMIT = 120  # seconds a process may take
FINE = (0, 3)  # exit statuses; 3 is a capture that is cut or corrupt
SHOWN = 20  # differences that are printed
INSIDE = "PCAP2CONN_ROUND_TRIP_INSIDE"
PACE = ["--no-delay", "--linger", "0.2", "--wait", "bytes", "--timeout", "20"]
ENDED = ("FIN", "RST")
PORT = re.compile(r"-127\.0\.0\.1\.(\d+)(?:_\d+)?$")  # the server's, in a name


class Failure(Exception):
    """The program did not do what it had to."""


class Conversation(NamedTuple):
    """One connection as the program tells of it."""

    turns: List[Tuple[int, bytes]]  # side, and all it said before the other one did
    missing: int
    first: int  # its first packet
    ended: str

    @property
    def size(self) -> int:
        return sum(len(said) for _, said in self.turns)


# By the server's port, in the order of first packets.
Played = Dict[int, List[Conversation]]


class Job(NamedTuple):
    """Connections of a capture that are played one after the other."""

    capture: str
    source: List[str]  # what the program is given
    names: List[str]  # of the connections, in order
    port: int
    kind: str


def turns(lines) -> Tuple[List[Tuple[int, bytes]], int]:
    """The turns of JSON lines, and how many bytes are missing."""
    found: List[Tuple[int, bytearray]] = []
    missing = 0
    for line in lines:
        side, data = int(line["side"]), bytes.fromhex(line["data_hex"])
        if "missing" in line:
            missing += int(line["missing"])
        elif data:
            if not found or found[-1][0] != side:
                found.append((side, bytearray()))
            found[-1][1].extend(data)
    return [(side, bytes(said)) for side, said in found], missing


def conversations(folder: str) -> Dict[str, Conversation]:
    """All TCP connections of a folder of dumps and metadata, by name, in the order of first packets."""
    found = {}
    end = "-metadata.json"
    for name in os.listdir(folder):
        if not name.endswith(end):
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as stream:
            metadata = json.load(stream)
        if metadata["protocol"] != "TCP":
            continue
        name = name[: -len(end)]
        path, said, missing = os.path.join(folder, name + ".json"), [], 0
        if os.path.exists(path):  # it is not, where nothing was said
            with open(path, encoding="utf-8") as stream:
                said, missing = turns(map(json.loads, stream))
        first = int(metadata["first_packet"]["packet"])
        found[name] = Conversation(said, missing, first, metadata["ended"])
    return dict(sorted(found.items(), key=lambda each: each[1].first))


def difference(recorded: Conversation, captured: Conversation) -> Optional[str]:
    """Where two connections first differ in what was said."""
    if captured.missing:
        return f"{captured.missing} bytes were not captured"
    for number, (was, came) in enumerate(zip(recorded.turns, captured.turns), 1):
        if was != came:
            same = os.path.commonprefix([was[1], came[1]]) if was[0] == came[0] else b""
            return (
                f"turn {number}: recorded are {len(was[1])} bytes of side {was[0]}, played were "
                f"{len(came[1])} of side {came[0]}, the first {len(same)} the same"
            )
    if len(recorded.turns) != len(captured.turns):
        return f"recorded are {len(recorded.turns)} turns, played were {len(captured.turns)}"
    return None


def shares(names: List[str], most: int = SHARE) -> List[List[str]]:
    """Names in lists of at most so many."""
    return [names[at : at + most] for at in range(0, len(names), most)]


class Captures:
    """The captures, and what the program makes of them."""

    def __init__(self, options, place: str):
        self.options = options
        self.place = place
        self.left_out: collections.Counter = collections.Counter()
        self.unread: collections.Counter = collections.Counter()  # captures
        self.too_large: List[str] = []
        self.recorded: Dict[str, Dict[str, Conversation]] = {}
        self.jobs: List[Job] = []

    def take(self, paths: List[str]) -> None:
        """Reads all of them, and makes jobs of what can be played."""
        for path in paths:
            if os.path.getsize(path) > LARGE:
                self.too_large.append(os.path.relpath(path, self.options.corpus))
                continue
            self.take_one(path)

    def take_one(self, path: str) -> None:
        capture = os.path.relpath(path, self.options.corpus)
        folder = os.path.join(self.place, "recorded", str(len(self.recorded)))
        done = subprocess.run(
            [self.options.program, "-q", "--utc", "-j", "-m", "-r", path, "-o", folder],
            capture_output=True, timeout=LIMIT,
        )  # fmt: skip
        if done.returncode == 1 and not os.path.isdir(folder):
            self.unread["not read by the program"] += 1
            return
        if done.returncode not in FINE:
            raise Failure(f"{capture}: status {done.returncode}: {done.stderr[-300:]!r}")
        all_there = conversations(folder) if os.path.isdir(folder) else {}
        self.unread["without TCP"] += not all_there
        whole = {name: each for name, each in all_there.items() if not each.missing}
        self.left_out["bytes missing"] += len(all_there) - len(whole)
        if not whole:
            return
        self.recorded[capture] = whole
        for names in shares(list(whole)):
            self.add(capture, ["-r", path], names, "capture")
        with_data = [name for name, each in whole.items() if each.turns]
        if self.options.dumps and with_data and len(self.recorded) % self.options.dumps == 0:
            for names in shares(with_data):
                dumps = [os.path.join(folder, name + ".json") for name in names]
                self.add(capture, dumps, names, "dumps")

    def add(self, capture: str, source: List[str], names: List[str], kind: str) -> None:
        self.jobs.append(Job(capture, source, names, FIRST_PORT + len(self.jobs), kind))


class Capturing:
    """The program, while it records all that is said."""

    def __init__(self, program: str, place: str):
        self.program, self.place = program, place
        self.recording = os.path.join(place, "played.pcapng")
        self.summary = os.path.join(place, "summary.json")

    def __enter__(self) -> "Capturing":
        words = [self.program, "-q", "-i", "lo", "--dry-run", "--write-pcapng", self.recording]
        self.process = subprocess.Popen([*words, "--summary-json", self.summary])
        deadline = time.monotonic() + 20
        while not is_captured():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.process.kill()
                raise Failure("no capture began")
            time.sleep(0.02)
        return self

    def __exit__(self, *_) -> None:
        time.sleep(1.5)  # the kernel keeps a block that is not full for a while
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(LIMIT)
        with open(self.summary, encoding="utf-8") as stream:
            dropped = json.load(stream)["inputs"][0]["dropped"]
        if status or dropped["kernel"] or dropped["interface"]:
            raise Failure(f"the capture lost packets: status {status}, {dropped}")

    def read(self) -> Played:
        """What was said."""
        folder = os.path.join(self.place, "played")
        words = [self.program, "-q", "--utc", "-j", "-m", "-r", self.recording, "-o", folder]
        subprocess.run(words, check=True, timeout=LIMIT)
        found: Played = collections.defaultdict(list)
        for name, conversation in conversations(folder).items():
            found[int(PORT.search(name).group(1))].append(conversation)
        return found


def is_captured() -> bool:
    """Does a packet socket of this namespace get packets? Until its ring is there, its protocol is 0."""
    with open("/proc/self/net/packet", encoding="ascii") as sockets:
        return any(line.split()[3] != "0000" for line in sockets.readlines()[1:])


def play(program: str, job: Job) -> Optional[str]:
    """Plays both sides; what went wrong."""
    chosen = [word for name in job.names for word in ("--connection", name)]
    words = [program, "replay", *job.source, *chosen, "--utc", "--tcp", "--no-store", *PACE]
    if job.kind == "dumps":
        words = [word for word in words if word not in chosen]
    with tempfile.TemporaryFile("w+") as server_report, tempfile.TemporaryFile("w+") as server_said:
        server = subprocess.Popen(
            [*words, "--listen", str(job.port), "--in-order", "--report", "json"],
            stdout=server_report, stderr=server_said,
        )  # fmt: skip
        try:
            wait_until_listening(job.port, server)
            client = subprocess.run(
                [*words, "--connect", str(job.port), "--at-once", "1", "--report", "json"],
                capture_output=True, text=True, timeout=LIMIT,
            )  # fmt: skip
            server.wait(LIMIT)
        except (subprocess.TimeoutExpired, Failure) as error:
            return f"{type(error).__name__}: {error}"[:300]
        finally:
            server.kill()
            server.wait()
        if client.returncode in FINE and server.returncode in FINE:
            return None
        server_report.seek(0)
        server_said.seek(0)
        said = unmatched(client.stdout, client.stderr, server_report.read(), server_said.read())
        return f"the client's status is {client.returncode}, the server's {server.returncode}: {said}"


def unmatched(*said: str) -> str:
    """Lines of reports that tell of something that did not go as recorded."""
    lines = [line for text in said for line in text.splitlines() if '"matched":true' not in line]
    lines = [line for line in lines if "listening on" not in line]
    return " | ".join(line[:300] for line in lines[:4])


def wait_until_listening(port: int, server: subprocess.Popen) -> None:
    """Waits until a socket of the namespace listens at a port."""
    wanted = f":{port:04X} 00000000:0000 0A"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with open("/proc/self/net/tcp", encoding="ascii") as sockets:
            if wanted in sockets.read():
                return
        time.sleep(0.01)
    raise Failure(f"nobody listens at port {port}, status {server.poll()}")


class Tally:
    """What was compared, and what came of it."""

    def __init__(self):
        self.wrong: List[str] = []
        self.judged: collections.Counter = collections.Counter()
        self.right: collections.Counter = collections.Counter()
        self.turns = self.bytes = self.silent = 0
        self.endings: collections.Counter = collections.Counter()  # recorded, played
        self.other_ends: List[str] = []

    def compare(self, job: Job, recorded: Dict[str, Conversation], played: List[Conversation]) -> None:
        """What was captured of a job against its recordings: one after the other was played."""
        if len(job.names) != len(played):
            self.wrong.append(
                f"{job.capture} ({job.kind}): {len(job.names)} connections are recorded, "
                f"{len(played)} were made"
            )
        for name, came in itertools.zip_longest(job.names, played[: len(job.names)]):
            self.judged[job.kind] += 1
            was = recorded[name]
            wrong = difference(was, came) if came else "it was not played"
            if wrong:
                self.wrong.append(f"{job.capture} ({job.kind}): {name}: {wrong}")
                continue
            self.right[job.kind] += 1
            self.turns += len(came.turns)
            self.bytes += came.size
            self.silent += not came.turns
            if job.kind == "capture" and was.ended in ENDED:
                self.endings[was.ended, came.ended] += 1
                if was.ended != came.ended:
                    ends = f"{was.ended} was recorded, {came.ended} played"
                    self.other_ends.append(f"{job.capture}: {name}: {ends}")

    def endings_text(self) -> str:
        """How many recorded ends were played, by kind."""
        texts = []
        for kind in ENDED:
            of_kind = sum(n for (was, _), n in self.endings.items() if was == kind)
            texts.append(f"{self.endings[kind, kind]} of {of_kind} {kind}")
        return " and ".join(texts)



def check(options, place: str) -> int:
    captures, tally = Captures(options, place), Tally()
    captures.take(all_captures(options))
    with Capturing(options.program, place) as capturing:
        with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
            results = list(pool.map(lambda job: play(options.program, job), captures.jobs))
    played = capturing.read()
    for job, wrong in zip(captures.jobs, results):
        if wrong:
            tally.wrong.append(f"{job.capture} ({job.kind}): {wrong}")
        tally.compare(job, captures.recorded[job.capture], played[job.port])
    for line in tally.wrong if options.verbose else tally.wrong[:SHOWN]:
        print("differs:", line)
    if len(tally.wrong) > SHOWN and not options.verbose:
        print(f"and {len(tally.wrong) - SHOWN} more; --verbose prints all")
    if options.verbose:
        for line in tally.other_ends:
            print("ends otherwise:", line)
    print(summary(captures, tally))
    good = not tally.wrong and tally.judged and not (options.endings and tally.other_ends)
    print("round trip:", "passed" if good else "FAILED")
    return 0 if good else 1


def summary(captures: Captures, tally: Tally) -> str:
    kinds = [
        f"{tally.right[kind]} of {tally.judged[kind]} connections of "
        f"{len({job.capture for job in captures.jobs if job.kind == kind})} captures, {how},"
        for kind, how in (("capture", "played from captures"), ("dumps", "played from dumps"))
        if tally.judged[kind]
    ]
    left = [f"{number} connections ({why})" for why, number in captures.left_out.items()]
    left += [f"{number} captures ({why})" for why, number in captures.unread.items() if number]
    left += [f"{name} (larger than {LARGE >> 20} MiB)" for name in captures.too_large]
    return (
        f"round trip: {' and '.join(kinds)} have the same turns and bytes: {tally.turns} turns, "
        f"{tally.bytes} bytes, {tally.silent} connections without any; ended as recorded: "
        f"{tally.endings_text()}; excluded: {', '.join(left) or 'nothing'}"
    )


def all_captures(options) -> List[str]:
    """The captures of the corpus, in an order that is always the same."""
    found = []
    for folder, folders, names in os.walk(options.corpus):
        folders.sort()
        found += [os.path.join(folder, name) for name in sorted(names) if name.endswith(CAPTURES)]
    return [path for path in found if options.only in path][: options.limit]


def hindrance(options) -> Optional[str]:
    """Why nothing can be checked."""
    if not os.path.exists(os.path.join(options.corpus, "expected.jsonl")):
        return "no captures at " + os.path.relpath(options.corpus)
    missing = [tool for tool in ("unshare", "ip") if not shutil.which(tool)]
    if missing:
        return "missing: " + ", ".join(missing)
    tried = subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True)
    if tried.returncode:
        return "no network namespace: " + tried.stderr.decode(errors="replace").strip()
    return None


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", default=os.path.join(PROJECT, "..", "shared", "corpus"))
    program = os.path.join(PROJECT, "target", "release", "pcap2conn")
    parser.add_argument("--program", default=program)
    parser.add_argument("--limit", type=int, default=sys.maxsize, help="captures at most")
    parser.add_argument("--only", default="", metavar="TEXT", help="captures with this in their path")
    parser.add_argument("--dumps", type=int, default=3, metavar="N", help="0 is none (default 3)")
    parser.add_argument("--at-once", type=int, default=16, metavar="N", help="(default 16)")
    parser.add_argument("--endings", action="store_true", help="ends must be as recorded, too")
    parser.add_argument("--keep", metavar="DIR", help="a new folder for all that is written")
    parser.add_argument("--verbose", action="store_true", help="print every difference, and other ends")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if INSIDE not in os.environ:
        reason = hindrance(options)
        if reason:
            print("round trip: skipped:", reason)
            return 0
        os.environ[INSIDE] = "yes"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    try:
        if options.keep:
            os.mkdir(options.keep)
            return check(options, options.keep)
        with tempfile.TemporaryDirectory(prefix="pcap2conn-round-trip.") as place:
            return check(options, place)
    except Failure as error:
        print("round trip: FAILED:", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
