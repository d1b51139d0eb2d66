"""One detector of a comparison, with what its trainings reached and what it costs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rdet.analysis.results_file import check_entries, read_results
from rdet.errors import ResultsError
from rdet.files import write_text

METRICS = {"AP": "coco/bbox_mAP", "AP50": "coco/bbox_mAP_50", "AP75": "coco/bbox_mAP_75"}
_COST = dict.fromkeys(("parameters", "flops", "step_ms", "latency_ms"), float)
_REMEDY = "name a results file of 'rdet compare'"


@dataclass
class Row:
    """A detector of a comparison.

    Attributes:
        name: What it is called: its config, or its swap.
        differs: Slots of the model and other keys in which it differs from the base.
        seeds: Seed -> ``AP``, ``AP50`` and ``AP75`` of 0..1, or ``failed`` -> why the training failed.
        cost: Numbers of :class:`rdet.analysis.cost.Cost`; None: not measured.
        config: The file that was trained.
        kept: What a swapped part has of the old one, ``key=value``.
        equal_weights: Share of the base's weights with which this detector begins too, of one seed and before
            pretrained weights are loaded; None: not known.
    """

    name: str
    differs: list[str]
    seeds: dict[int, dict[str, Any]] = field(default_factory=dict)
    cost: dict[str, float] | None = None
    config: str = ""
    kept: list[str] = field(default_factory=list)
    equal_weights: float | None = None

    def values(self, metric: str = "AP") -> dict[int, float]:
        """Return seed -> metric of the trainings that succeeded."""
        return {seed: result[metric] for seed, result in self.seeds.items() if "failed" not in result}

    @property
    def failures(self) -> dict[int, str]:
        """Seed -> why its training failed."""
        return {seed: result["failed"] for seed, result in self.seeds.items() if "failed" in result}

    def to_dict(self) -> dict[str, Any]:
        """Return what json has of it; what is not known is left out."""
        known = {"name": self.name, "differs": self.differs, "seeds": self.seeds}
        more = {key: getattr(self, key) for key in ("cost", "config", "kept", "equal_weights")}
        return {**known, **{key: value for key, value in more.items() if value not in (None, "", [])}}


def write_rows(path: Path, rows: Sequence[Row], more: Sequence[dict[str, Any]] = ()) -> None:
    """Write a results file.

    Args:
        path: A json file.
        rows: Of a comparison.
        more: Entries of each row that are computed from it, for other programs.
    """
    entries = [{**row.to_dict(), **extra} for row, extra in zip(rows, more or [{}] * len(rows), strict=True)]
    write_text(path, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[Row]:
    """Read a results file of this or a former version.

    Raises:
        ResultsError: It holds something else.
    """
    entries = read_results(path, [{"name": str, "differs": [str], "seeds": {str: {}}}], _REMEDY)
    if not entries:
        raise ResultsError(f"{path} has no rows; {_REMEDY}")
    return [_row(entry, f"{path}: [{number}]") for number, entry in enumerate(entries)]


def _row(entry: dict[str, Any], source: str) -> Row:
    seeds = {}
    for seed, result in entry["seeds"].items():
        if not seed.isdecimal() or len(seed) > 10:
            raise ResultsError(f"{source}.seeds has {seed[:20]!r}, which is no seed; {_REMEDY}")
        shape = {"failed": str} if "failed" in result else dict.fromkeys(METRICS, float)
        seeds[int(seed)] = check_entries(result, shape, f"{source}.seeds.{seed}", _REMEDY)
    row = Row(entry["name"], entry["differs"], dict(sorted(seeds.items())))
    optional = {"cost": _COST, "config": str, "kept": [str], "equal_weights": float}
    for key, shape in optional.items():
        if entry.get(key) is not None:
            setattr(row, key, check_entries(entry[key], shape, f"{source}.{key}", _REMEDY))
    return row
