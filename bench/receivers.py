"""Programs that capture from a cable: how they are run, and what they say of it."""

import json
import os
import re
import signal
import subprocess
import time
from typing import Callable, List, NamedTuple, Optional

from measure import run
from project import PROGRAM
from veth import INTERFACE, Cable, inside, wait_until_captured

# Without its scanners, which makes it quickest; its report says how many packets it saw.
TCPFLOW = ["tcpflow", "-q", "-E", "tcpdemux"]
REPORTED = re.compile(r"<total_(flows|packets)>(\d+)</")
DUMPED = re.compile(r"^(\d+) packets? (captured|dropped by kernel|dropped by interface)", re.M)
# Seconds without work, after which a program is done with what came. The kernel keeps packets of a block that
# is not full for as long as the program allows, which is a second for tcpdump.
IDLE = 1.3
FINE = (0, 3)  # exit statuses; 3 is pcap2conn's where packets were lost


class Seen(NamedTuple):
    """What a program made of the packets."""

    captured: int
    dropped: int
    connections: Optional[int]


class Ended(NamedTuple):
    """What a run of it left."""

    folder: str
    said: str


class Receiver(NamedTuple):
    """A program that captures."""

    name: str
    ring: str  # what is known of the kernel's buffer
    counted: str  # how drops are known
    words: Callable[[str, int], List[str]]  # from the folder for all it writes, and MiB of buffer
    seen: Callable[[Ended, int], Seen]  # also from the packets that it sees in the capture's file
    indirect: bool = False  # drops are what is missing of those


class Running:
    """A program while it captures."""

    def __init__(self, cable: Cable, words: List[str], log: str):
        self.log = log
        with open(log, "wb") as said:
            self.process = subprocess.Popen(
                inside(cable.receiver, words), stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def __enter__(self) -> "Running":
        try:
            wait_until_captured(self.process)
            self.check()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """What it said so far."""
        with open(self.log, errors="replace") as log:
            return log.read()

    def check(self) -> None:
        """Fails where it has ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError("status %d: %s\n%s" % (
                self.process.returncode, " ".join(self.process.args), self.said()[-2000:]))  # fmt: skip

    def settle(self, limit: float = 60) -> None:
        """Waits until it did nothing for a while."""
        deadline = time.monotonic() + limit
        before = -2
        while time.monotonic() < deadline and self.ticks() - before > 1:
            before = self.ticks()
            time.sleep(IDLE)

    def ticks(self) -> int:
        """The processor time it took so far; of its file in /proc, fields 14 and 15."""
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def end(self, limit: float = 120) -> float:
        """Ends it in good order; the seconds of processor time that it took."""
        os.kill(self.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                ended = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
                self.process.returncode = ended
                break
            time.sleep(0.02)
        if self.process.returncode not in FINE:
            words = " ".join(self.process.args)
            raise RuntimeError("status %s: %s\n%s" % (self.process.returncode, words, self.said()[-2000:]))
        return usage.ru_utime + usage.ru_stime


def ours(folder: str, buffer: int) -> List[str]:
    summary = os.path.join(folder, "summary.json")
    return [PROGRAM, "-q", "-i", INTERFACE, "-o", os.path.join(folder, "out"),
            "--buffer-size", str(buffer), "--summary-json", summary]  # fmt: skip


def seen_by_ours(ended: Ended, _) -> Seen:
    with open(os.path.join(ended.folder, "summary.json")) as stream:
        summary = json.load(stream)
    return read_summary(summary)


def read_summary(summary) -> Seen:
    """What the program's JSON summary says; several rings are several inputs."""
    rings = summary["inputs"]
    dropped = sum(sum(ring["dropped"].values()) for ring in rings)
    broken = [ring["status"] for ring in rings if ring["status"] != "complete" and not dropped]
    if broken:
        raise RuntimeError(broken[0])
    packets = sum(ring["packets"] for ring in rings)
    return Seen(packets, dropped, summary["connections"]["total"])


def tcpdump(folder: str, buffer: int) -> List[str]:
    return ["tcpdump", "-i", INTERFACE, "-B", str(buffer * 1024), "-Z", "root",
            "-w", os.path.join(folder, "dump.pcap")]  # fmt: skip


def seen_by_tcpdump(ended: Ended, _) -> Seen:
    return read_tcpdump(ended.said)


def read_tcpdump(said: str) -> Seen:
    """What tcpdump says at its end."""
    counts = {what: int(number) for number, what in DUMPED.findall(said)}
    dropped = counts["dropped by kernel"] + counts.get("dropped by interface", 0)
    return Seen(counts["captured"], dropped, None)


def tcpflow(folder: str, _) -> List[str]:
    return [*TCPFLOW, "-i", INTERFACE, "-o", os.path.join(folder, "out")]


def seen_by_tcpflow(ended: Ended, whole: int) -> Seen:
    with open(os.path.join(ended.folder, "out", "report.xml")) as stream:
        return read_report(stream.read(), whole)


def read_report(report: str, whole: int) -> Seen:
    """What tcpflow's report says; `whole` is what it says of the capture's file."""
    counts = {what: int(number) for what, number in REPORTED.findall(report)}
    return Seen(counts["packets"], max(0, whole - counts["packets"]), counts["flows"] // 2)


def packets_for_tcpflow(capture: str, folder: str) -> int:
    """How many of a capture's packets tcpflow counts: not the last acknowledgements."""
    out = os.path.join(folder, "out")
    run([*TCPFLOW, "-r", capture, "-o", out], os.path.join(folder, "log"))
    with open(os.path.join(out, "report.xml")) as stream:
        return read_report(stream.read(), 0).captured


RECEIVERS = {
    "pcap2conn": Receiver("pcap2conn", "as asked", "its summary, of the kernel", ours, seen_by_ours),
    "tcpdump": Receiver("tcpdump -w", "as asked", "its last lines, of the kernel", tcpdump, seen_by_tcpdump),
    "tcpflow": Receiver("tcpflow", "2 MiB, no option", "its report, against tcpflow -r", tcpflow,
                        seen_by_tcpflow, indirect=True),
}  # fmt: skip
