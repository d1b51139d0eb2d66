"""The numbers that trainings logged: curves over time, and how long an iteration takes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, pstdev

import numpy as np

from rdet.errors import MissingFileError, ResultsError, UnknownNameError
from rdet.messages import nearest


@dataclass(frozen=True)
class TrainLog:
    """What one run logged.

    Attributes:
        path: The file.
        lines: One dict of numbers for each line.
    """

    path: Path
    lines: Sequence[dict[str, float]]

    def series(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps at which a number was logged, and the number: (n,) float64 each.

        Args:
            key: As it is logged, ``loss_cls``; ``bbox_mAP`` stands for ``coco/bbox_mAP``, too.

        Raises:
            UnknownNameError: There is no such number; the message names the nearest.
        """
        name = next((found for found in self.keys() if found == key or found.split("/")[-1] == key), None)
        if name is None:
            raise UnknownNameError(f"{self.path} has no {key!r}. {nearest(key, self.keys())}")
        pairs = [(line["step"], line[name]) for line in self.lines if name in line and "step" in line]
        return np.array([step for step, _ in pairs], dtype=float), np.array([value for _, value in pairs], dtype=float)

    def keys(self) -> list[str]:
        """Return the names of all numbers, in the order in which they came."""
        return list(dict.fromkeys(key for line in self.lines for key in line if key != "step"))

    def iteration_times(self, outliers: bool = False) -> np.ndarray:
        """Return the seconds of a training iteration at each line, (n,).

        Args:
            outliers: Include the first line, in which caches fill and workers start.
        """
        times = [line["time"] for line in self.lines if "time" in line and "loss" in line]
        return np.array(times if outliers or len(times) < 2 else times[1:], dtype=float)

    def time_summary(self, outliers: bool = False) -> str:
        """Say how long the iterations took, in one line.

        Raises:
            ResultsError: No iteration was logged.
        """
        times = self.iteration_times(outliers).tolist()
        if not times:
            raise ResultsError(f"{self.path} has no time of a training iteration; give the log of a training")
        return (
            f"{self.path}: mean {mean(times):.4f} s an iteration, median {median(times):.4f}, "
            f"fastest {min(times):.4f}, slowest {max(times):.4f}, standard deviation {pstdev(times):.4f} "
            f"({len(times)} lines)"
        )


def read_log(path: Path) -> TrainLog:
    """Read the log of a run.

    Args:
        path: ``scalars.json``, or a work dir, whose newest log with a line is taken.

    Raises:
        MissingFileError: There is no log.
        ResultsError: It has no numbers.
    """
    files = sorted(path.glob("**/scalars.json"), reverse=True) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise MissingFileError(f"{path} has no log of a training (vis_data/scalars.json); give a work dir or the file")
    for file in files:
        if lines := _lines(file):
            return TrainLog(file, lines)
    raise ResultsError(f"{files[0]} has no line of numbers; give the log of a training, vis_data/scalars.json")


def _lines(path: Path) -> list[dict[str, float]]:
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
        except ValueError:  # what a killed run wrote last has no end
            continue
        if isinstance(values, dict):
            found.append({k: v for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)})
    return [line for line in found if line]
