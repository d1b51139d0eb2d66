"""The page: all sections for one detector, or for two side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from rdet import __version__
from rdet.analysis.detections.comparison import Comparison
from rdet.analysis.detections.diagnosis import Diagnosis
from rdet.report.gallery import gallery
from rdet.report.plots import plots
from rdet.report.remarks import remarks
from rdet.report.rendering import templates

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
        templates()
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
