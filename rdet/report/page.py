"""The page: all sections for one detector, or for two side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2

from rdet import __version__
from rdet.analysis.detections.comparison import Comparison
from rdet.analysis.detections.diagnosis import Diagnosis
from rdet.report.gallery import gallery
from rdet.report.plots import plots
from rdet.report.remarks import remarks

# Of COCO's numbers: what they are called, and what they are of.
METRICS = {
    "AP": "mean over IoU 0.50:0.95",
    "AP50": "IoU 0.50",
    "AP75": "IoU 0.75",
    "APs": "small, below 32² px",
    "APm": "medium",
    "APl": "large, from 96² px",
    "AR1": "recall, 1 detection",
    "AR10": "recall, 10 detections",
    "AR": "recall, {max_dets} detections",
    "ARs": "recall, small",
    "ARm": "recall, medium",
    "ARl": "recall, large",
}


@dataclass(frozen=True)
class PageOptions:
    """What the page shows.

    Attributes:
        title: Of the page.
        pictures: How many images are drawn; 0: none.
        facts: What else is known of each detector, such as its config and its speed: a dict of texts each.
        seed: Of the bootstrap, to say it.
    """

    title: str
    pictures: int = 24
    facts: Sequence[dict[str, str]] = ()


def report_page(diagnoses: Sequence[Diagnosis], comparison: Comparison | None, options: PageOptions) -> str:
    """Write the page.

    Args:
        diagnoses: One, or two of the same truth.
        comparison: Of two.
        options: What it shows.

    Returns:
        HTML with all that it needs in it.
    """
    truth = diagnoses[0].evaluated.truth
    return (
        _environment()
        .get_template("page.html")
        .render(
            options=options,
            models=diagnoses,
            truth=truth,
            objects=int(diagnoses[0].evaluated.objects.sum()),
            crowds=sum(a["iscrowd"] for a in truth.dataset["annotations"]),
            metrics=_metrics(diagnoses[0]),
            comparison=comparison,
            plots=plots(diagnoses),
            remarks=[remarks(diagnosis) for diagnosis in diagnoses],
            gallery=gallery(diagnoses, options.pictures),
            version=__version__,
        )
    )


def _metrics(diagnosis: Diagnosis) -> dict[str, tuple[str, str]]:
    """Return key -> name and meaning of the twelve numbers."""
    most = diagnosis.evaluated.max_dets
    found = {}
    for key in diagnosis.evaluated.metrics:
        short = "AR" if key == f"AR{most}" else key
        found[key] = (key, METRICS.get(short, "").format(max_dets=most))
    return found


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rdet.report"),
        autoescape=True,  # names of classes and files are text, whatever they hold
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(num=_num, signed=_signed, exact=_exact, percent=_percent)
    return environment


def _num(value: float | None, digits: int = 3) -> str:
    return "–" if _is_nothing(value) else f"{value:.{digits}f}"


def _signed(value: float | None, digits: int = 3) -> str:
    if _is_nothing(value):
        return "–"
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if _is_nothing(value) else f"{100 * value:.0f} %"


def _exact(value: float | None) -> str:
    """Return all digits, to sort by and to read in the hint of a cell."""
    return "" if _is_nothing(value) else repr(float(value))


def _is_nothing(value: Any) -> bool:
    return value is None or math.isnan(value)
