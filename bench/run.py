#!/usr/bin/env python3
"""Measures pcap2conn beside what Debian has and beside bare loops, and prints one table.

    run.py [PART...] [--rounds N] [--scale X] [--quick] [--scratch FOLDER] [--program FILE]

Parts (all of them, unless some are named):

{parts}

Each part makes its captures, seeded and so the same everywhere, in memory (tmpfs). A round runs every
command of the part once, in turn, so that a busy moment of the machine meets all of them; each writes
into a new folder. Folders are removed between the runs, outside every measurement. What counts is the
median of the rounds (at least five). A round before them is not timed: in it system calls and files
are counted. What takes minutes runs once, and says so.

The last column says what a row is compared with, and where there is a target whether it is met. With
--quick (a fiftieth, one round) or --scale below 1 nothing is judged.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Dict, List

from measure import Run, contents, count_calls, kind_of, measure, remove, room, table, version
from parts import PARTS, Command, Part, Results
from project import BARE, PROGRAM, build, make_capture, say

PLACE = re.compile(r"\{([a-z]+)(?::([a-z]+))?\}")


class Bench:
    """A run of this program."""

    def __init__(self, options, scratch: str):
        self.options = options
        self.scratch = scratch
        self.tools = {
            "program": os.path.abspath(options.program),
            "bare": BARE,
        }
        self.rows: List[Dict[str, str]] = []
        self.skipped: List[str] = []

    def part(self, part: Part) -> None:
        """Measures one part, if there is room for it."""
        need = part.room * self.options.scale
        have = room(self.scratch)
        if have < need:
            self.skipped.append("%s: needs %.1f GB in %s, there are %.1f" % (
                part.name, need, self.options.scratch, have))  # fmt: skip
            return
        commands = [c for c in part.commands if shutil.which(self.words(c, {})[0])]
        for missing in (c for c in part.commands if c not in commands):
            self.skipped.append("%s: %s is missing" % (part.name, self.words(missing, {})[0]))
        place = os.path.join(self.scratch, part.name)
        os.mkdir(place)
        results = Results(self.options.judged)
        results.packets, captures = self.captures(part, place)
        runs: Dict[str, List[Run]] = {command.key: [] for command in commands}
        for number in range(self.options.rounds + 1):
            say("%s: round %d of %d" % (part.name, number, self.options.rounds))
            self.round(part, commands, number, place, captures, runs, results)
        results.medians = {key: Run.median(figures) for key, figures in runs.items()}
        results.connections = {k: c.count(self.options.scale) for k, c in part.captures.items()}
        for command in commands:
            self.rows.append(row(part, command, runs[command.key], results))
        remove(place)

    def show(self) -> None:
        """Prints what was measured."""
        print(head(self.options))
        if self.rows:
            print(table(self.rows, left=("part", "command", "compared")))
        for line in self.skipped:
            print("\nnot measured: " + line)

    def captures(self, part: Part, place: str):
        """Makes the captures of a part; packets of each, and where it is."""
        packets, paths = {}, {}
        for key, capture in part.captures.items():
            paths[key] = os.path.join(place, key + ".pcap")
            packets[key] = make_capture(capture.kind, paths[key], capture.options(self.options.scale))
        return packets, paths

    def round(self, part, commands, number, place, captures, runs, results) -> None:
        """Every command once. The first round counts, the others measure."""
        folder = os.path.join(place, str(number))
        os.mkdir(folder)
        outputs: Dict[str, str] = {}
        commands = [command for command in commands if number == 1 or not command.once]
        for turn, command in enumerate(commands):
            outputs[command.key] = os.path.join(folder, command.key)
            os.mkdir(outputs[command.key])
            words = self.words(command, {"captures": captures, "outputs": outputs, "lists": place})
            log = os.path.join(place, "log")
            if number:
                runs[command.key].append(measure(words, log))
            elif self.options.calls:
                results.calls[command.key] = count_calls(words, log)
            else:
                measure(words, log)
            if not number:
                results.files[command.key] = contents(outputs[command.key])[0]
                self.list(command, commands, outputs[command.key], place)
            later = " ".join(c.words for c in commands[turn + 1 :])
            for key in [key for key in outputs if "{of:%s}" % key not in later]:
                remove(outputs.pop(key))
        remove(folder)

    def list(self, command: Command, commands: List[Command], output: str, place: str) -> None:
        """The list of a command's files, if another command wants it."""
        if any("{list:%s}" % command.key in other.words for other in commands):
            with open(os.path.join(place, command.key + ".list"), "wb") as stream:
                subprocess.run([self.tools["bare"], "list", output], stdout=stream, check=True)

    def words(self, command: Command, places) -> List[str]:
        """A command with the places filled in, as far as they are known."""

        def fill(match) -> str:
            what, key = match.group(1), match.group(2)
            if what in self.tools:
                return self.tools[what]
            if not places:
                return ""
            if what == "out":
                return places["outputs"][command.key]
            if what == "of":
                return places["outputs"][key]
            if what == "list":
                return os.path.join(places["lists"], key + ".list")
            return places["captures"][what]

        return [PLACE.sub(fill, word) for word in shlex.split(command.words)]


def row(part: Part, command: Command, runs: List[Run], results: Results) -> Dict[str, str]:
    """A line of the table."""
    median = results.medians[command.key]
    walls = [run.wall for run in runs]
    against = results.medians.get(command.against)
    notes = [note(results, command) for note in command.notes]
    return {
        "part": part.name,
        "command": command.name,
        "wall s": "%.3f" % median.wall,
        "min … max": "%.3f … %.3f" % (min(walls), max(walls)),
        "user s": "%.3f" % median.user,
        "system s": "%.3f" % median.system,
        "memory MB": "%.1f" % median.memory,
        "system calls": str(results.calls.get(command.key, "-")),
        "files": str(results.files.get(command.key, "-")),
        "ratio": "%.2f" % (median.wall / against.wall) if against else "",
        "compared": "; ".join(notes),
    }


def arguments():
    """What was typed, checked."""
    names = [part.name for part in PARTS]
    listed = "\n".join("    %-8s %s" % (part.name, part.what) for part in PARTS)
    parser = argparse.ArgumentParser(
        description=__doc__.replace("{parts}", listed),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the captures (default 1)")
    parser.add_argument("--quick", action="store_true", help="--scale 0.02 --rounds 1: does it run?")
    parser.add_argument("--no-calls", dest="calls", action="store_false", help="without strace")
    parser.add_argument("--scratch", default="/dev/shm", help="where all files go (default /dev/shm)")
    parser.add_argument("--program", default=PROGRAM)
    options = parser.parse_args()
    if options.quick:
        options.scale, options.rounds = 0.02, 1
    elif options.rounds < 5:
        parser.error("at least 5 rounds: a median of fewer says little")
    if not 0 < options.scale <= 10:
        parser.error("--scale from above 0 to 10")
    for name in options.part:
        if name not in names:
            parser.error("no part %s; there are %s" % (name, ", ".join(names)))
    options.judged = options.scale >= 1 and options.rounds >= 5
    return options


def head(options) -> str:
    """What was measured, with what and where."""
    versions = [
        version([options.program, "--version"]),
        *(version([name, "--version"]) for name in ("tcpflow", "tshark", "cp")),
    ]
    return "%s\n%d rounds, medians; %d cores, Linux %s, files on %s; captures %g × their full size\n" % (
        ", ".join(filter(None, versions)), options.rounds, len(os.sched_getaffinity(0)),
        os.uname().release, kind_of(options.scratch), options.scale,
    )  # fmt: skip


def main() -> None:
    options = arguments()
    if not os.access("/usr/bin/time", os.X_OK):
        sys.exit("run.py: /usr/bin/time is missing (Debian package time)")
    if options.calls and not shutil.which("strace"):
        options.calls = False
        say("strace is missing (Debian package strace): system calls are not counted")
    build()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with tempfile.TemporaryDirectory(dir=options.scratch, prefix="pcap2conn-bench.") as scratch:
        bench = Bench(options, scratch)
        try:
            for part in PARTS:
                if not options.part or part.name in options.part:
                    bench.part(part)
        finally:  # hours of work are not to end without what was measured
            bench.show()


if __name__ == "__main__":
    main()
