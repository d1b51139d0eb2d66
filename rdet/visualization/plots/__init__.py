"""Plots as matplotlib figures of plain numbers; ``save_plot`` writes them.

Letters in shapes: K classes, R points of recall, S thresholds of the score.
"""

from rdet.visualization.plots.bars import plot_bars
from rdet.visualization.plots.confusion_matrix import plot_confusion_matrix
from rdet.visualization.plots.curves import plot_curves
from rdet.visualization.plots.dots import plot_dots, plot_intervals
from rdet.visualization.plots.reliability import plot_reliability
from rdet.visualization.plots.save import save_plot
from rdet.visualization.plots.scatter import plot_scatter
from rdet.visualization.plots.series import plot_series

__all__ = [
    "plot_bars",
    "plot_confusion_matrix",
    "plot_curves",
    "plot_dots",
    "plot_intervals",
    "plot_reliability",
    "plot_scatter",
    "plot_series",
    "save_plot",
]
