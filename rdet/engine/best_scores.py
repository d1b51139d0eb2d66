"""Which weights of a run were best, by each metric of its evaluation."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rdet.errors import ConfigError
from rdet.messages import nearest


class BestScores:
    """The best score by each metric, and the file of the weights that have it.

    Args:
        metrics: By which weights are the best; ``['auto']``: the first metric of the evaluation.
        rule: ``'greater'`` or ``'less'``, which is better; None: ``'less'`` for metrics with ``loss`` in their name.

    Attributes:
        known: Score and name of the file, ``""`` if it is not in the work dir, of each metric.
    """

    def __init__(self, metrics: list[str], rule: str | None):
        self.metrics = metrics
        self.rule = rule
        self.known: dict[str, tuple[float, str]] = {}

    @property
    def names(self) -> set[str]:
        """Names of the files."""
        return {name for _, name in self.known.values()}

    @property
    def first(self) -> str:
        """The file that is best by the first metric that has a score; ``""`` if there is none."""
        found = [metric for metric in self.metrics if metric in self.known] or list(self.known)
        return self.known[found[0]][1] if found else ""

    def state(self) -> dict[str, list[float | str]]:
        """Return what :meth:`restore` takes."""
        return {metric: list(best) for metric, best in self.known.items()}

    def restore(self, found: Any) -> None:
        """Take over the state of a checkpoint; what is no state is left out."""
        items = found.items() if isinstance(found, dict) else ()
        self.known = {
            str(metric): (float(value[0]), "".join(names_of_files(value[1:])))
            for metric, value in items
            if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], int | float)
        }

    def judged(self, found: Mapping[str, float]) -> list[str]:
        """Return by which metrics of an evaluation weights are judged.

        Raises:
            ConfigError: The evaluation does not give one of them.
        """
        if self.metrics == ["auto"]:
            return list(found)[:1]
        for metric in self.metrics:
            if metric not in found:
                raise ConfigError(
                    f"default_hooks.checkpoint.save_best is {metric!r}, which the evaluation does not give. "
                    f"{nearest(metric, list(found))}"
                )
        return self.metrics

    def beaten_by(self, metric: str, score: float) -> bool:
        """Tell whether a score is better than the best so far; NaN never is."""
        before, _ = self.known.get(metric, (math.nan, ""))
        less = self.rule == "less" or (self.rule is None and "loss" in metric.lower())
        return not math.isnan(score) and (math.isnan(before) or (score < before if less else score > before))


def names_of_files(found: Any) -> list[str]:
    """Read names of checkpoints; no paths, which could lead out of the work dir."""
    names = found if isinstance(found, list | tuple) else ()
    return [name for name in names if isinstance(name, str) and name.endswith(".pth") and name == Path(name).name]
