"""How much two detectors differ, and how sure that is."""

from dataclasses import asdict, dataclass
from typing import Any

from rdet.analysis.detections.as_json import as_json
from rdet.analysis.detections.evaluated import Evaluated, known, need_hotcoco


@dataclass(frozen=True)
class Difference:
    """One number of two detectors.

    Attributes:
        first, second: Its values; nan where the truth has no object for it.
        difference: The second minus the first.
        interval: Where 95 % of the differences lie, if the images are drawn anew with replacement; None: not computed.
        better: Share of these in which the second is better; None: not computed.
    """

    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    better: float | None


@dataclass(frozen=True)
class Comparison:
    """Two detectors on the same images.

    Attributes:
        metrics: Each of COCO's twelve numbers.
        classes: Name of each class that has objects -> AP of the first, of the second, and the difference.
        samples: How often the images were drawn; 0: not at all.
    """

    metrics: dict[str, Difference]
    classes: dict[str, tuple[float, float, float]]
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as json has them: None in place of nan."""
        return as_json(asdict(self))


def compare_detections(first: Evaluated, second: Evaluated, samples: int = 300, seed: int = 0) -> Comparison:
    """Compare two detectors, with intervals from bootstrapping the images, the same for both.

    Args:
        first: The base.
        second: What it is compared with; of the same truth.
        samples: How often the images are drawn; 0: no intervals.
        seed: Of the drawing.
    """
    found = need_hotcoco().compare(first.evaluation, second.evaluation, n_bootstrap=samples, seed=seed, confidence=0.95)
    metrics = {}
    for key, value in first.metrics.items():
        other, interval = second.metrics[key], (found["ci"] or {}).get(key)
        # As the numbers above, and not the ones of the comparison, where a number without truth is -1 for both.
        metrics[key] = Difference(
            value,
            other,
            other - value,
            (interval["lower"], interval["upper"]) if interval and value == value else None,
            interval["prob_positive"] if interval and value == value else None,
        )
    classes = {
        row["cat_name"]: (row["ap_a"], row["ap_b"], row["delta"])
        for row in found["per_category"]
        if known(row["ap_a"]) == row["ap_a"]
    }
    return Comparison(metrics, classes, found["n_bootstrap"])
