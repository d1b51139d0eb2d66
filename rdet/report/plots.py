"""The plots of a page."""

from collections.abc import Sequence

from markupsafe import Markup

from rdet.analysis.detections.curves import precision_at_recall
from rdet.analysis.detections.diagnosis import Diagnosis
from rdet.analysis.detections.mistakes import TIDE_KINDS
from rdet.report.charts import chart
from rdet.report.figures import precision_recall_figure
from rdet.visualization.fonts import drawn_elsewhere
from rdet.visualization.plots import plot_bars, plot_confusion_matrix, plot_curves, plot_reliability
from rdet.visualization.plots.curves import mean_of


def plots(models: Sequence[Diagnosis]) -> dict[str, list[Markup]]:
    """Draw the plots: name of a plot -> one that shows all detectors, or one for each of them."""
    with drawn_elsewhere():  # whoever looks at the page has fonts
        return _plots(models)


def _plots(models: Sequence[Diagnosis]) -> dict[str, list[Markup]]:
    calibrated = {model.name: model.calibration for model in models if model.calibration}
    found = {
        "tide": [
            chart(
                plot_bars(
                    {m.name: {word: m.tide.cost[kind] for kind, word in TIDE_KINDS.items()} for m in models},
                    "AP at IoU 0.5 that mending it would add",
                ),
                "What each kind of mistake costs",
            )
        ],
        "confusion": [
            chart(
                plot_confusion_matrix(model.confusion.counts, model.confusion.classes),
                f"Which class {model.name} takes for which",
            )
            for model in models
        ],
        "reliability": [
            chart(
                plot_reliability({name: (one.scores, one.shares) for name, one in calibrated.items()}),
                "Share of detections that are right, by their score",
            )
        ]
        if calibrated
        else [],
    }
    if len(models) == 1:
        return {**found, **_curves_of_one(models[0])}
    return {**found, **_curves_of_several(models)}


def _curves_of_one(model: Diagnosis) -> dict[str, list[Markup]]:
    names = {i: row.name for i, row in enumerate(model.classes) if row.objects}
    best = {f"best: {model.best.threshold:.2f}": (model.best.threshold, model.best.f1)} if names else None
    pr = precision_recall_figure(model.evaluated, model.classes)
    f1 = plot_curves(
        model.curves.thresholds, {n: model.curves.f1[i] for i, n in names.items()}, None, ("threshold", "F1"), mark=best
    )
    return {"pr": [chart(pr, "Precision over recall")], "f1": [chart(f1, "F1 over the threshold of the score")]}


def _curves_of_several(models: Sequence[Diagnosis]) -> dict[str, list[Markup]]:
    recalls = precision_at_recall(models[0].evaluated)[0]
    precisions = {model.name: mean_of(precision_at_recall(model.evaluated)[1].T) for model in models}
    pr = plot_curves(recalls, {}, precisions)
    # Scores outside of 0..1 give thresholds of their own; one axis shows both where they agree.
    f1s = [
        plot_curves(
            model.curves.thresholds,
            {},
            {model.name: model.curves.mean_f1},
            ("threshold", "F1"),
            mark={f"best: {model.best.threshold:.2f}": (model.best.threshold, model.best.f1)},
        )
        for model in models
    ]
    if all((model.curves.thresholds == models[0].curves.thresholds).all() for model in models):
        f1s = [
            plot_curves(
                models[0].curves.thresholds,
                {},
                {model.name: model.curves.mean_f1 for model in models},
                ("threshold", "F1"),
                mark={f"best: {m.best.threshold:.2f}": (m.best.threshold, m.best.f1) for m in models},
            )
        ]
    return {
        "pr": [chart(pr, "Precision over recall, mean over the classes")],
        "f1": [chart(figure, "F1 over the threshold, mean over the classes") for figure in f1s],
    }
