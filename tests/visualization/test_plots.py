"""Plots: what their axes show, and what becomes of names that fonts do not have."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from rdet.visualization import fonts
from rdet.visualization.plots import (
    plot_bars,
    plot_confusion_matrix,
    plot_curves,
    plot_dots,
    plot_intervals,
    plot_reliability,
    plot_scatter,
    plot_series,
    save_plot,
)
from rdet.visualization.plots.confusion_matrix import MOST_CLASSES
from rdet.visualization.plots.curves import mean_of
from rdet.visualization.plots.style import ACCENT, MUTED


def test_of_many_classes_the_mean_alone_has_a_name():
    x = np.linspace(0, 1, 101)
    few = plot_curves(x, {f"c{i}": x for i in range(3)})
    many = plot_curves(x, {f"c{i}": x * i / 80 for i in range(80)})
    labels = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in (few, many)]
    assert labels == [["c0", "c1", "c2", "mean"], ["mean"]]
    np.testing.assert_allclose(many.axes[0].lines[-1].get_ydata(), x * 39.5 / 80)


def test_mean_is_over_the_curves_that_are_there():
    nan = np.nan
    np.testing.assert_array_equal(mean_of(np.array([[1, nan, nan], [3, 4, nan]])), [2, 4, nan])


def test_confusion_matrix_of_many_classes_shows_those_confused_most():
    counts = np.diag(np.full(81, 5))
    counts[70, 71] = 9
    names = [f"class {i}" for i in range(80)]
    axes = plot_confusion_matrix(counts, names).axes[0]
    shown = [text.get_text() for text in axes.get_yticklabels()]
    assert len(shown) == MOST_CLASSES + 1
    assert {"class 70", "class 71", "nothing there"} <= set(shown)
    assert "9" in {text.get_text() for text in axes.texts}


@pytest.mark.parametrize(
    "classes", [["x"], ["a name that is much too long to be read at once", "x"], [f"c{i}" for i in range(40)]]
)
def test_the_title_of_a_confusion_matrix_is_in_the_picture(classes):
    figure = plot_confusion_matrix(np.ones((len(classes) + 1,) * 2), classes, "detections of a score of 0.35 or more")
    figure.draw_without_rendering()
    (title,) = figure.texts
    box = title.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert ("; 24 of 40 classes" in title.get_text()) == (len(classes) == 40)


def test_letters_that_no_font_has_are_warned_of_in_one_line_and_formulas_are_text(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(fonts, "print_log", lambda message, *_: said.append(message))
    monkeypatch.setattr(fonts, "_warned", [])
    texts = {"a": {"\U00012000": 0.5, "$x^$": 0.1}}
    with fonts.drawn_elsewhere():
        plot_bars(texts)
    assert said == []
    figure = plot_bars(texts)
    plot_bars(texts)
    assert len(said) == 1
    assert said[0].startswith("no installed font has '\U00012000', which plots show as boxes; install fonts, on Debian")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_plot(tmp_path / "new" / "bars.png", figure)
    assert (tmp_path / "new" / "bars.png").stat().st_size > 1000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_bars({"a": {"Тромбоцит": 0.5}})


@pytest.mark.parametrize(
    "figure",
    [
        plot_curves(np.zeros(0), {}),
        plot_confusion_matrix(np.zeros((2, 2), int), ["one"]),
        plot_reliability({"a": (np.full(10, np.nan), np.full(10, np.nan))}),
        plot_bars({"a": {"x": 0.0}}),
        plot_series({}),
    ],
)
def test_nothing_to_show_is_no_error(figure: Figure, tmp_path):
    save_plot(tmp_path / "x.svg", figure)
    assert (tmp_path / "x.svg").read_text().count("<svg") == 1


def test_dots_and_intervals_have_a_line_for_each_name():
    figure = plot_dots({"base": [0.3, 0.5], "failed": [], "other $x$": [0.2]}, "AP")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["base", "failed", r"other \$x\$"]
    dots = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert dots == [[0.3, 0.5], [0.2]]
    assert axes.lines[2].get_xdata() == [0.4, 0.4]  # the base's mean, through all lines
    differences = {"a": (0.01, (0.0, 0.02), True), "b": (-0.02, (-0.03, -0.01), False), "c": (0.0, None, False)}
    (axes,) = plot_intervals(differences, "AP").axes
    colors = {line.get_color() for line in axes.lines if line.get_marker() == "o"}
    assert colors == {ACCENT, MUTED}


def test_an_interval_that_hides_the_others_is_cut():
    wide = {"a": (0.01, (0.005, 0.015), True), "b": (0.0, (-0.01, 0.01), False), "c": (0.02, (-9.0, 9.0), False)}
    low, high = plot_intervals(wide).axes[0].get_xlim()
    assert -0.1 < low < -0.01
    assert 0.02 < high < 0.1
    low, high = plot_intervals({"a": (0.01, (-0.03, 0.05), False)}).axes[0].get_xlim()
    assert low < -0.03 < 0.05 < high
    assert len(plot_intervals({}).axes) == 1


def test_points_have_colours_or_numbers():
    points = {f"x{i}": (100.0 + i / 1000, 0.1 * i) for i in range(10)}
    figure = plot_scatter(points, ("ms", "AP"))
    assert len(figure.legends[0].get_texts()) == 10
    low, high = figure.axes[0].get_xlim()
    assert high - low > 9  # clocks are not as exact as that
    many = plot_scatter({**points, "more": (1.0, 1.0)}, ("ms", "AP"))
    assert not many.legends
    assert [text.get_text() for text in many.axes[0].texts] == [str(i) for i in range(11)]
