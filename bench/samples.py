"""What a process holds while it runs, and how that grows."""

import os
import re
from typing import List, NamedTuple, Tuple

NAME = 9  # bytes for each name given away: 8, and room for an eighth more of them (crates/sink/src/used.rs)
NAMES = 1 << 19  # so many are known to each worker of a live capture at most (REMEMBERED, twice)
STATUS = re.compile(r"^(VmRSS|VmHWM|RssAnon|Threads):\s+(\d+)", re.M)
WARM_UP = 0.25  # of a run's connections, before which memory may grow


class Sample(NamedTuple):
    """A process at some time. Memory in bytes."""

    seconds: float
    packets: int  # that came to it by then
    resident: int
    peak: int
    own: int  # anonymous memory: without the kernel's ring, libraries and files
    threads: int
    descriptors: int


def held(pid: int) -> Tuple[int, int, int, int, int]:
    """The last five of a sample."""
    with open("/proc/%d/status" % pid) as status:
        memory = read_status(status.read())
    return (*memory, len(os.listdir("/proc/%d/fd" % pid)))


def read_status(status: str) -> Tuple[int, int, int, int]:
    """Resident, peak and own memory in bytes, and threads."""
    found = {name: int(number) for name, number in STATUS.findall(status)}
    resident, peak, own = (found[name] * 1024 for name in ("VmRSS", "VmHWM", "RssAnon"))
    return resident, peak, own, found["Threads"]


def slope(points: List[Tuple[float, float]]) -> float:
    """How much the second coordinate grows with the first: the line of least squares."""
    if len(points) < 2:
        return 0.0
    mean_x, mean_y = (sum(each) / len(points) for each in zip(*points))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


class Growth(NamedTuple):
    """How own memory grew after the warm-up."""

    each: float  # bytes a connection
    in_all: float  # bytes
    names: float  # of which so many are for names


def growth(samples: List[Sample], connections: int, workers: int) -> Growth:
    """How a process grew that told so many connections in all. They come with the packets."""
    scale = connections / samples[-1].packets
    points = [(sample.packets * scale, sample.own) for sample in samples]
    after = [point for point in points if point[0] >= WARM_UP * connections]
    each = slope(after)
    known = [min(count, NAMES * workers) for count, _ in (after[0], after[-1])]
    return Growth(each, each * (after[-1][0] - after[0][0]), NAME * (known[1] - known[0]))


def at(samples: List[Sample], part: float) -> Sample:
    """The sample at a part of the time."""
    return min(samples, key=lambda each: abs(each.seconds - part * samples[-1].seconds))
