"""A promise of rdet, and what many cases of it came to."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What cases of a promise came to.

    Attributes:
        failures: Of the cases that broke it: the case's number, a colon and why, in a line or more.
        counts: How the cases ended, for the report: ``{"resumed": 17}``.
        figures: What was measured: ``{"MB for a step": 310.0}``.
    """

    failures: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def count(self, how: str) -> None:
        self.counts[how] = self.counts.get(how, 0) + 1

    @contextmanager
    def trying(self, case: int) -> Iterator[None]:
        """Makes an error of the harness in one case a failure of that case; the others are tried all the same."""
        try:
            yield
        except Exception:
            self.failures.append(f"{case}: it cannot be tried: {traceback.format_exc()}")

    def add(self, other: "Outcome") -> None:
        """Takes in what other cases of the same promise came to."""
        self.failures += other.failures
        for how, number in other.counts.items():
            self.counts[how] = self.counts.get(how, 0) + number
        self.figures |= other.figures


@dataclass(frozen=True)
class Promise:
    """Something that rdet promises.

    Attributes:
        name: As the command line and the table call it.
        sentence: What is promised.
        check: Tries cases; they are drawn from the seed and their numbers, so that each can be repeated alone.
        short: How many cases the test suite tries; 0: none, for it takes long.
        long: How many ``make trust`` tries.
        divides: Whether its cases may be shared among processes.
    """

    name: str
    sentence: str
    check: Callable[[int, range], Outcome]
    short: int
    long: int
    divides: bool = True
