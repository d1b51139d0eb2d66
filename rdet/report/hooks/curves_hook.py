"""Curves and confusions of a run's evaluation."""

import importlib.util

from rdet.registry import HOOKS
from rdet.report.hooks.picture_hook import PictureHook


@HOOKS.register_module()
class CurvesHook(PictureHook):
    """Draws ``pr_curves.png`` and ``confusion_matrix.png`` of the last evaluation, and of others if there is time.

    The confusions are at the threshold of the score with the best F1. Without hotcoco, which has the analyses, it says
    so once and draws nothing.
    """

    def before_train(self, runner) -> None:
        self._is_training = True
        if importlib.util.find_spec("hotcoco") is None:
            self._is_off = True
            runner.logger.info("pr_curves.png and confusion_matrix.png are not drawn without: pip install hotcoco")

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        if getattr(self, "_is_training", False) and (runner.iter >= runner.max_iters or self.has_time()):
            self._draw(runner)

    def _draw(self, runner) -> None:
        metric = next((one for one in runner.val_evaluator.metrics if getattr(one, "judged", None) is not None), None)
        if metric is not None:
            from rdet.report.hooks.evaluation_plots import draw_evaluation

            self.draw(runner, "", lambda folder: draw_evaluation(folder, *metric.judged, metric.max_dets))
