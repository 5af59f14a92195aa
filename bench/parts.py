"""What run.py measures: captures, commands, and what their figures are compared with."""

from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from measure import Run


class Capture(NamedTuple):
    """A capture of `make-capture`."""

    kind: str
    option: str  # the one that makes it larger
    value: int

    def count(self, scale: float) -> int:
        return max(1, round(self.value * scale))

    def options(self, scale: float) -> List[str]:
        return [self.option, str(self.count(scale))]


class Command(NamedTuple):
    """A command line. In it, {program} and {bare} are the binaries, {CAPTURE} is a capture of the part,
    {out} a new folder, {of:KEY} the folder that another command filled in the same round, {list:KEY}
    the list of the files in it, for `bare write`."""

    key: str
    name: str
    words: str
    against: Optional[str] = None  # the key of whom the ratio compares with
    notes: Tuple[Callable[["Results", "Command"], str], ...] = ()
    once: bool = False  # only in the first timed round: what takes minutes


class Part(NamedTuple):
    """Captures and the commands that take turns on them."""

    name: str
    what: str
    room: float  # GB that captures and results need at once
    captures: Dict[str, Capture]
    commands: List[Command]


class Results:
    """What came out of a part; by key of the command or the capture."""

    def __init__(self, judged: bool):
        self.judged = judged
        self.medians: Dict[str, Run] = {}
        self.calls: Dict[str, int] = {}
        self.files: Dict[str, int] = {}
        self.packets: Dict[str, int] = {}
        self.connections: Dict[str, int] = {}

    def verdict(self, met: bool) -> str:
        return (": met" if met else ": MISSED") if self.judged else ""


def times(name: str, most: Optional[float] = None):
    """The ratio is to `name`, and may be `most`."""

    def note(results: Results, command: Command) -> str:
        if command.against not in results.medians:
            return ""
        ratio = results.medians[command.key].wall / results.medians[command.against].wall
        if most is None:
            return "× " + name
        return "× %s, at most %g%s" % (name, most, results.verdict(ratio <= most))

    return note


def above(most: Optional[float] = None):
    """Nanoseconds a packet above the command that it is compared with, which may be `most`."""

    def note(results: Results, command: Command) -> str:
        walls = [results.medians[key].wall for key in (command.key, command.against)]
        each = (walls[0] - walls[1]) * 1e9 / results.packets["web"]
        if most is None:
            return "%.1f ns a packet above it" % each
        return "%.1f ns a packet above it, at most %g%s" % (each, most, results.verdict(each <= most))

    return note


def each_packet(results: Results, command: Command) -> str:
    """Nanoseconds a packet."""
    wall = results.medians[command.key].wall
    return "%.1f ns a packet" % (wall * 1e9 / results.packets["web"])


def memory(most: float):
    """Peak memory in MB."""

    def note(results: Results, command: Command) -> str:
        peak = results.medians[command.key].memory
        return "at most %g MB%s" % (most, results.verdict(peak <= most))

    return note


def growth(results: Results, command: Command) -> str:
    """Peak memory against that on a tenth of the capture: 10 % and 16 bytes a connection are allowed."""
    small, large = (results.medians[key].memory for key in (command.against, command.key))
    allowed = small * 1.1 + 16 * results.connections["large"] / 1e6
    return "memory %.2f ×, at most %.1f MB%s" % (
        large / small, allowed, results.verdict(large <= allowed))  # fmt: skip


WEB = Capture("web", "--connections", 40_000)
LONG = Capture("long", "--body", 34_500_000)

# Without its report of the run, its scanners and its warnings: what makes it quickest without
# changing what it writes. It follows TCP alone and writes a file for each direction.
TCPFLOW = "tcpflow -q -S enable_report=NO -E tcpdemux -r {%s} -o {out}"
BARE_WRITE = "{bare} write {list:ours} {out}"
COPY = "cp -r {of:ours}/. {out}"

PARTS = [
    Part(
        "dry", "web mix of 2.1 GB, nothing written", 2.2,
        {"web": Capture("web", "--connections", 280_000)},
        [
            Command("bare", "bare walk over the records", "{bare} walk {web}", notes=(each_packet,)),
            Command("follow", "bare following, nothing put in order", "{bare} follow {web}", "bare",
                    (times("bare walk"), above())),
            Command("one", "pcap2conn --dry-run --workers 1",
                    "{program} -q --dry-run --workers 1 -r {web}", "bare", (times("bare walk"), above(60))),
            Command("two", "pcap2conn --dry-run --workers 2",
                    "{program} -q --dry-run --workers 2 -r {web}", "one", (times("one worker", 1),)),
        ],
    ),
    Part(
        "web", "40 000 short HTTP connections, 300 MB, a file each", 2.5,
        {"web": WEB},
        [
            Command("ours", "pcap2conn", "{program} -q -r {web} -o {out}", "copy", (times("cp -r", 0.5),)),
            Command("copy", "cp -r of the result", COPY),
            Command("bare", "bare open-write-close of the result", BARE_WRITE, "copy", (times("cp -r"),)),
            Command("sides", "pcap2conn -s, a file for each side", "{program} -q -s -r {web} -o {out}",
                    "tcpflow", (times("tcpflow"),)),
            Command("tcpflow", "tcpflow, a file for each side", TCPFLOW % "web", "copy", (times("cp -r"),)),
        ],
    ),
    Part(
        "messy", "the same with loss, reordering, repetitions and overlap, beside the clean one", 2.5,
        {"web": WEB, "messy": Capture("messy", "--connections", 40_000)},
        [
            Command("clean", "pcap2conn, clean", "{program} -q -r {web} -o {out}"),
            Command("messy", "pcap2conn, messy", "{program} -q -r {messy} -o {out}",
                    "clean", (times("clean", 1.2),)),
            Command("tcpflow", "tcpflow, messy", TCPFLOW % "messy", "clean", (times("clean"),)),
        ],
    ),
    Part(
        "long", "8 long flows, 300 MB", 1.5,
        {"long": LONG},
        [
            Command("copy", "cp of the input", "cp {long} {out}"),
            Command("ours", "pcap2conn", "{program} -q -r {long} -o {out}", "copy", (times("cp", 1.2),)),
            Command("tcpflow", "tcpflow", TCPFLOW % "long", "copy", (times("cp"),)),
            # It took 100 s for 34 MB, and 1.5 s for 7 MB.
            Command("tshark", "tshark -z follow, one of the flows, one run",
                    "tshark -q -r {long} -z follow,tcp,raw,0", "copy", (times("cp"),), once=True),
        ],
    ),
    Part(
        "json", "the same as JSON lines", 2.8,
        {"long": LONG},
        [
            Command("ours", "pcap2conn -j", "{program} -q -j -r {long} -o {out}",
                    "copy", (times("cp -r", 1.2),)),
            Command("copy", "cp -r of the result", COPY),
        ],
    ),
    Part(
        "dns", "1.35 million DNS questions with answers, a file each", 8.0,
        {"dns": Capture("dns", "--pairs", 1_350_000)},
        [
            Command("ours", "pcap2conn", "{program} -q -r {dns} -o {out}",
                    "bare", (times("bare loop", 0.75), memory(300))),
            Command("bare", "bare open-write-close of the result", BARE_WRITE),
        ],
    ),
    Part(
        "alive", "100 000 TCP connections open at once", 2.0,
        {"alive": Capture("alive", "--connections", 100_000)},
        [
            Command("ours", "pcap2conn", "{program} -q -r {alive} -o {out}", "copy", (times("cp -r"),)),
            Command("copy", "cp -r of the result", COPY),
            Command("tcpflow", "tcpflow, a file for each side", TCPFLOW % "alive", "copy", (times("cp -r"),)),
        ],
    ),
    Part(
        "memory", "peak memory on 3 GB of web mix against 300 MB", 8.0,
        {"small": WEB, "large": Capture("web", "--connections", 400_000)},
        [
            Command("small", "pcap2conn, 300 MB", "{program} -q -r {small} -o {out}"),
            Command("large", "pcap2conn, 3 GB", "{program} -q -r {large} -o {out}", "small", (growth,)),
        ],
    ),
]
