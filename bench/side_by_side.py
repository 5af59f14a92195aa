#!/usr/bin/env python3
"""Runs several commands in turn on one capture and prints what each of them took, as a table.

    side_by_side.py [--runs N] [--scratch FOLDER] CAPTURE NAME=COMMAND...

In COMMAND, {in} is the capture, {out} a new folder of that run, {of:NAME} the folder that NAME
filled in the same round. A round runs every command once, so that a busy moment of the machine
meets all of them. The first round warms up and is not counted. In memory (tmpfs) the folders of a
round are removed after it, outside every measurement; on a disk they stay until the end, because
removing many files there goes on in the background and would slow what is measured next.

Wall time is this program's clock around the process; user, system and peak memory are the
kernel's figures for it (peak memory by GNU time, so that this program's own size is no lower
limit). Each run's files are counted, so that it shows when two commands did not do the same work.
The ratio compares with the first command.

Linux, Python 3.8 or newer, Debian package time.
"""

import argparse
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Dict, List, NamedTuple

TIME = "/usr/bin/time"
LIMIT = 600  # seconds one run may take
PLACE = re.compile(r"\{(in|out|of:[^}]*)\}")


class Run(NamedTuple):
    wall: float  # seconds
    user: float
    system: float
    memory: int  # KiB
    files: int
    size: int  # bytes in the files


def contents(folder: str):
    """Number of files below a folder, and their bytes."""
    files = size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            files += 1
            size += os.lstat(os.path.join(place, name)).st_size
    return files, size


def measure(command: List[str], out: str, log: str) -> Run:
    """One run; ends this program when the command fails."""
    with open(log, "w+b") as said:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [TIME, "-q", "-f", "%M", "-o", log + ".memory", "timeout", str(LIMIT), *command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        if process.returncode:
            said.seek(0)
            text = said.read()[-2000:].decode("utf-8", "replace")
            sys.exit("status %d: %s\n%s" % (process.returncode, shlex.join(command), text))
    with open(log + ".memory") as stream:
        memory = int(stream.read().split()[-1])
    files, size = contents(out)
    return Run(wall, usage.ru_utime, usage.ru_stime, memory, files, size)


def round_of(commands: Dict[str, str], capture: str, place: str) -> Dict[str, Run]:
    """Every command once, each into its own new folder below `place`."""
    folders: Dict[str, str] = {}
    runs: Dict[str, Run] = {}
    for number, (name, command) in enumerate(commands.items()):
        folders[name] = os.path.join(place, "out-%d" % number)
        os.mkdir(folders[name])
        places = {"in": capture, "out": folders[name]}
        places.update(("of:" + other, folder) for other, folder in folders.items())
        words = [PLACE.sub(lambda match: places[match.group(1)], word) for word in shlex.split(command)]
        runs[name] = measure(words, folders[name], os.path.join(place, "log-%d" % number))
    return runs


def all_rounds(commands: Dict[str, str], capture: str, scratch: str, count: int) -> List[Dict[str, Run]]:
    """The counted rounds; see above for when their folders are removed."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", scratch], capture_output=True, text=True).stdout
    in_memory = kind.strip() in ("tmpfs", "ramfs")
    rounds = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for number in range(count + 1):
            place = os.path.join(folder, str(number))
            os.mkdir(place)
            rounds.append(round_of(commands, capture, place))
            if in_memory:
                shutil.rmtree(place)
    return rounds[1:]


def table(commands: Dict[str, str], rounds: List[Dict[str, Run]]) -> str:
    """Medians, the range of the wall time, and the ratio to the first command."""
    width = max(len(name) for name in commands)
    head = "%-*s  %23s  %8s  %8s  %9s  %8s  %12s  %6s" % (
        width, "", "wall s (min … max)", "user s", "system s", "memory MB", "files", "bytes", "ratio",
    )  # fmt: skip
    lines = [head, "-" * len(head)]
    first = None
    for name in commands:
        runs = [done[name] for done in rounds]
        middle = {field: statistics.median(getattr(run, field) for run in runs) for field in Run._fields}
        first = first or middle["wall"]
        lines.append(
            "%-*s  %7.3f (%5.3f … %5.3f)  %8.3f  %8.3f  %9.1f  %8d  %12d  %6.2f"
            % (
                width, name, middle["wall"], min(r.wall for r in runs), max(r.wall for r in runs),
                middle["user"], middle["system"], middle["memory"] * 1024 / 1e6,
                middle["files"], middle["size"], middle["wall"] / first,
            )  # fmt: skip
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures commands on one capture, side by side.")
    parser.add_argument("capture")
    parser.add_argument("command", nargs="+", metavar="NAME=COMMAND")
    parser.add_argument("--runs", type=int, default=5, help="counted rounds (default 5)")
    parser.add_argument("--scratch", default=None, help="folder for the outputs (default: the capture's)")
    options = parser.parse_args()
    if not os.access(TIME, os.X_OK):
        sys.exit("side_by_side.py: %s is missing (Debian package time)" % TIME)
    commands = dict(pair.split("=", 1) for pair in options.command if "=" in pair)
    if len(commands) != len(options.command):
        parser.error("each command needs a name of its own: NAME=COMMAND")
    scratch = options.scratch or os.path.dirname(os.path.abspath(options.capture))
    for name, command in commands.items():
        print("%s: %s" % (name, command))
    print("%d rounds on %d cores, medians\n" % (options.runs, os.cpu_count() or 0), flush=True)
    print(table(commands, all_rounds(commands, options.capture, scratch, options.runs)))


if __name__ == "__main__":
    main()
