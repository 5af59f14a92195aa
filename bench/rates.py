"""The search for the highest rate at which nothing is lost."""

from typing import Callable, NamedTuple, Optional

REACHED = 0.9  # of the rate that was asked: below it, the sender is at its limit


class Run(NamedTuple):
    """What a run at some rate showed."""

    rate: float  # what was reached
    whole: bool  # was nothing lost?
    result: object


class Steps(NamedTuple):
    """Which rates are tried."""

    lowest: float
    ratio: float  # of one rate to the one before
    halvings: int  # between the last rate without a loss and the first with one


def search(run: Callable[[Optional[float]], Run], steps: Steps) -> Optional[Run]:
    """The run with the highest rate of those that lost nothing. `run` is given the rate to ask for, or
    nothing for as fast as can be sent."""
    good, asked, rate = None, 0.0, steps.lowest
    while True:
        tried = run(rate)
        if not tried.whole:
            break
        good, asked = max((good or tried, tried), key=lambda each: each.rate), rate
        if tried.rate < REACHED * rate:
            top = run(None)
            return max((good, top), key=lambda each: (each.whole, each.rate))
        rate *= steps.ratio
    for _ in range(steps.halvings if good else 0):
        middle = (asked + rate) / 2
        tried = run(middle)
        if tried.whole:
            good, asked = max((good, tried), key=lambda each: each.rate), middle
        else:
            rate = middle
    return good
