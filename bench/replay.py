"""Sends a capture into a cable, by tcpreplay."""

import re
import subprocess
from typing import List, NamedTuple, Optional

from veth import INTERFACE, Cable, inside

ACTUAL = re.compile(r"^Actual: (\d+) packets \((\d+) bytes\) sent", re.M)
# The rate of both; the seconds that are printed beside the counts lack their zeros.
RATED = re.compile(r"^Rated: ([\d.]+) Bps, ([\d.]+) Mbps, ([\d.]+) pps", re.M)
FAILED = re.compile(r"^\s*(?:Failed packets|Truncated packets): +([1-9]\d*)", re.M)


class Sent(NamedTuple):
    """What was sent."""

    packets: int
    size: int  # bytes of the frames
    seconds: float

    @property
    def mbit(self) -> float:
        """Mbit/s."""
        return self.size * 8 / 1e6 / self.seconds


def read(said: str) -> Sent:
    """What tcpreplay says of itself at its end."""
    actual, rated = ACTUAL.search(said), RATED.search(said)
    if not actual or not rated or FAILED.search(said):
        raise RuntimeError("tcpreplay: " + said[-2000:])
    size = int(actual.group(2))
    return Sent(int(actual.group(1)), size, size / float(rated.group(1)))


def words(cable: Cable, capture: str, mbit: Optional[float], options: List[str]) -> List[str]:
    """The command line that sends a capture out of memory at so many Mbit/s, or as fast as it can."""
    rate = ["--topspeed"] if mbit is None else ["--mbps=%g" % mbit]
    return inside(cable.sender, [
        "tcpreplay", "--intf1=" + INTERFACE, "--preload-pcap", "--no-flow-stats", *rate, *options, capture,
    ])  # fmt: skip


def send(cable: Cable, capture: str, mbit: Optional[float], limit: float) -> Sent:
    """Sends a capture once, in at most so many seconds."""
    made = subprocess.run(
        words(cable, capture, mbit, []), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=limit,
    )  # fmt: skip
    return read(made.stdout)


def start(cable: Cable, capture: str, mbit: float, seconds: int) -> "Sending":
    """Sends a capture over and over for so many seconds, each time with other addresses."""
    return Sending(words(cable, capture, mbit, ["--loop=0", "--unique-ip", "--duration=%d" % seconds]))


class Sending(subprocess.Popen):
    """A sender at work. It ends with the context at the latest."""

    def __init__(self, command: List[str]):
        super().__init__(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)  # fmt: skip

    def __exit__(self, *error) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*error)
