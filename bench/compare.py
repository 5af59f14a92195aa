"""Compares two folders of files."""

import filecmp
import os
from typing import List, NamedTuple


class Difference(NamedTuple):
    """What two folders do not have in common; names of files."""

    same: int
    differing: List[str]
    only_first: List[str]
    only_second: List[str]

    def __bool__(self) -> bool:
        return bool(self.differing or self.only_first or self.only_second)

    def __str__(self) -> str:
        if not self:
            return "all %d files are the same" % self.same
        kinds = (
            ("differ", self.differing),
            ("are only in the first", self.only_first),
            ("are only in the second", self.only_second),
        )
        said = ("%d %s (%s)" % (len(names), kind, names[0]) for kind, names in kinds if names)
        return "%d files are the same; %s" % (self.same, ", ".join(said))


def compare(first: str, second: str) -> Difference:
    """Compares the files of two folders, name for name and byte for byte."""
    names, others = (set(os.listdir(folder)) for folder in (first, second))
    common = sorted(names & others)
    same, differing, failed = filecmp.cmpfiles(first, second, common, shallow=False)
    return Difference(len(same), differing + failed, sorted(names - others), sorted(others - names))
