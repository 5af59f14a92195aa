"""Runs commands, and says what each of them took.

Wall time is this program's clock around the process; user, system and peak memory are the kernel's
figures for it and its children (peak memory by GNU time, so that this program's own size is no lower
limit). System calls are counted by strace, in a run of its own that nothing else is taken from.

Linux, Python 3.8 or newer, Debian packages time and strace.
"""

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

TIME = "/usr/bin/time"
LIMIT = 1200  # seconds one run may take


class Run(NamedTuple):
    """What one run took."""

    wall: float  # seconds
    user: float
    system: float
    memory: float  # MB

    @classmethod
    def median(cls, runs: List["Run"]) -> "Run":
        """The median of each figure by itself."""
        return cls(*(statistics.median(figure) for figure in zip(*runs)))


def measure(command: List[str], log: str) -> Run:
    """One run, its output in the file `log`; ends this program when the command fails."""
    memory = log + ".memory"
    begin = time.perf_counter()
    usage = run([TIME, "-q", "-f", "%M", "-o", memory, *command], log)
    wall = time.perf_counter() - begin
    with open(memory) as stream:
        kib = int(stream.read().split()[-1])
    return Run(wall, usage.ru_utime, usage.ru_stime, kib * 1024 / 1e6)


def count_calls(command: List[str], log: str) -> int:
    """System calls of one run, of all its threads and children."""
    table = log + ".calls"
    run(["strace", "-f", "-c", "-U", "calls,name", "-o", table, *command], log)
    with open(table) as stream:
        for line in stream:
            words = line.split()
            if words[1:] == ["total"]:
                return int(words[0])
    sys.exit("strace gave no total for %s" % shlex.join(command))


def run(command: List[str], log: str):
    """Runs a command to its end; the kernel's figures for it and its children."""
    with open(log, "w+b") as said:
        process = subprocess.Popen(
            ["timeout", str(LIMIT), *command], stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # this program is ended; so is what it runs
            process.terminate()
            raise
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        if process.returncode:
            said.seek(0)
            text = said.read()[-2000:].decode("utf-8", "replace")
            sys.exit("status %d: %s\n%s" % (process.returncode, shlex.join(command), text))
    return usage


def contents(folder: str) -> Tuple[int, int]:
    """Number of files below a folder, and their bytes."""
    files = size = 0
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            more = contents(entry.path)
            files, size = files + more[0], size + more[1]
        else:
            files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
    return files, size


def remove(folder: str) -> None:
    """Removes a folder; rm does it several times as fast as Python."""
    subprocess.run(["rm", "-rf", "--", folder], check=True)


def room(folder: str) -> float:
    """GB that may be written into a folder: where that is memory, it has to be there."""
    free = shutil.disk_usage(folder).free / 1e9
    if kind_of(folder) not in ("tmpfs", "ramfs"):
        return free
    with open("/proc/meminfo") as stream:
        fields = dict(line.split(":", 1) for line in stream)
    return min(free, int(fields["MemAvailable"].split()[0]) * 1024 / 1e9)


def kind_of(folder: str) -> str:
    """The kind of file system a folder is on, as stat names it."""
    found = subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE, text=True)
    return found.stdout.strip()


def version(command: List[str]) -> Optional[str]:
    """The first line with a number that a program says of itself; nothing where it is missing."""
    if not shutil.which(command[0]):
        return None
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = (line for line in said.stdout.split("\n") if any(map(str.isdigit, line)))
    return next(lines, command[0]).rstrip(".")


def table(rows: List[Dict[str, str]], left: Tuple[str, ...]) -> str:
    """Rows as a Markdown table with aligned columns; all have the same keys. Those in `left` are text."""
    heads = list(rows[0])
    width = {head: max(len(head), *(len(row[head]) for row in rows)) for head in heads}

    def line(cells: Dict[str, str]) -> str:
        aligned = (
            cells[head].ljust(width[head]) if head in left else cells[head].rjust(width[head])
            for head in heads
        )
        return "| %s |" % " | ".join(aligned)

    ruler = "|%s|" % "|".join("-" * (width[h] + 1) + ("-" if h in left else ":") for h in heads)
    return "\n".join([line({head: head for head in heads}), ruler, *map(line, rows)])
