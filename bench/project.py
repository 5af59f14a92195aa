"""The project's folders, its programs and the captures they make, for all that measures."""

import os
import re
import subprocess
import sys
from typing import List

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(PROJECT, "target"))
PROGRAM = os.path.join(TARGET, "release", "pcap2conn")
BARE = os.path.join(TARGET, "release", "bare")
MAKER = os.path.join(TARGET, "release", "make-capture")


def build() -> None:
    """Builds the program and what measures it."""
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--locked", "-p", "pcap2conn", "-p", "pcap2conn-bench"],
        cwd=PROJECT, check=True,
    )  # fmt: skip


def make_capture(kind: str, path: str, options: List[str]) -> int:
    """Makes a capture; how many packets it has."""
    words = [MAKER, kind, path, *options]
    made = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=True).stderr
    say(os.path.basename(made.strip()))
    return int(re.search(r" (\d+) packets", made).group(1))


def say(text: str) -> None:
    """Progress, apart from the result."""
    print(text, file=sys.stderr, flush=True)
