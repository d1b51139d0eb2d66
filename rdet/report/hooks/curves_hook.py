"""Curves and confusions of a run's evaluation."""

import importlib.util
from pathlib import Path

from rdet.registry import HOOKS
from rdet.report.hooks.picture_hook import PictureHook


@HOOKS.register_module()
class CurvesHook(PictureHook):
    """Draws ``pr_curves.png`` and ``confusion_matrix.png`` of the last evaluation, and of others if there is time.

    The confusions are at the threshold of the score with the best F1. Without hotcoco, which has the analyses, it says
    so once and draws nothing.
    """

    def before_train(self, runner) -> None:
        self._undrawn = None  # what the last evaluation judged, as long as it is not drawn
        if importlib.util.find_spec("hotcoco") is None:
            self._is_off = True
            runner.logger.info("pr_curves.png and confusion_matrix.png are not drawn without: pip install hotcoco")

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        if not hasattr(self, "_undrawn") or self._is_off:  # an evaluation without a training
            return
        metrics_used = getattr(runner.val_evaluator, "metrics", ())  # an evaluator of the user's may have none
        judging = (one for one in metrics_used if getattr(one, "judged", None) is not None)
        self._undrawn = next(judging, None)
        if self.has_time():
            self._draw(runner)

    def after_train(self, runner) -> None:
        """Draw those of the last evaluation, which is known to be the last only now."""
        self._draw(runner)

    def _draw(self, runner) -> None:
        metric, self._undrawn = self._undrawn, None
        if metric is not None:
            self.draw(runner, "pr_curves.png", lambda path: _draw_evaluation(path.parent, metric))


def _draw_evaluation(folder: Path, metric) -> None:
    from rdet.report.hooks.evaluation_plots import draw_evaluation

    draw_evaluation(folder, *metric.judged, metric.max_dets)
