"""The plots of a run: which panels there are, whatever was logged."""

import numpy as np
import pytest

from rdet.visualization.plots.labels import plot_labels
from rdet.visualization.plots.training import plot_training


def titles(figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_a_training_is_plotted_over_its_iterations():
    rows = [
        {"epoch": 0.5, "iter": 10, "loss": 2.0, "loss_cls": 1.0, "lr": 0.01, "time": 1.0, "memory": 5.0},
        {"iter": 20, "loss": 1.0, "loss_cls": float("nan"), "lr": 0.02, "coco/bbox_mAP": 0.1, "coco/bbox_mAP_s": -1.0},
        {"iter": 30, "loss": None, "coco/bbox_mAP": 0.3, "coco/bbox_mAP_50": 0.5, "coco/bbox_mAP_s": -1.0},
    ]
    figure = plot_training(rows)
    assert titles(figure) == ["loss", "loss_cls", "learning rate", "AP"]  # none for sizes that are not there
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[10, 2.0], [20, 1.0]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[10, 1.0]]
    assert [text.get_text() for text in figure.axes[3].texts] == ["best 0.300"]
    figure.canvas.draw()


def test_losses_of_the_evaluation_are_in_the_panels_of_the_training():
    rows = [
        {"iter": 10, "loss": 2.0, "loss_cls": 1.0},
        {"iter": 20, "loss": 1.0, "loss_cls": 0.5, "coco/bbox_mAP": 0.1, "val/loss": 1.5, "val/loss_cls": 0.7},
    ]
    figure = plot_training(rows)
    assert titles(figure) == ["loss", "loss_cls", "AP"]
    training, evaluation = figure.axes[0].lines
    assert training.get_xydata().tolist() == [[10, 2.0], [20, 1.0]]
    assert evaluation.get_xydata().tolist() == [[20, 1.5]]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["training", "evaluation"]
    assert not figure.axes[0].texts  # a best is of metrics


@pytest.mark.parametrize("rows", [[], [{"iter": 1.0}], [{"iter": 1.0, "other/score": 0.5}]])
def test_little_that_was_logged_is_plotted_too(rows):
    plot_training(rows).canvas.draw()


@pytest.mark.parametrize("classes", [1, 80])
@pytest.mark.parametrize("boxes", [0, 1, 500])
def test_labels_of_any_number_are_plotted(classes, boxes):
    rng = np.random.default_rng(0)
    counts = {split: {f"class {i}": boxes for i in range(classes)} for split in ("train", "val")}
    sizes = {"train": rng.random((boxes, 2)) * 100, "val": np.zeros((boxes, 2))}
    figure = plot_labels(counts, sizes, {split: rng.random((boxes, 2)) for split in counts})
    assert len(figure.axes) == 4
    assert len(figure.axes[0].get_yticks()) == min(classes, 24)
    figure.canvas.draw()
