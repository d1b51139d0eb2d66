"""Ends a run that no longer gets better."""

import math
import operator

from mmengine.hooks import EarlyStoppingHook as MMEarlyStoppingHook

from rdet.registry import HOOKS
from rdet.schema import Count, NotNegative

_STATE = "early_stopping"


@HOOKS.register_module()
class EarlyStoppingHook(MMEarlyStoppingHook):
    """mmengine's early stopping, with which a resumed run goes on.

    What differs: the best score and how long ago it was are in the checkpoints; a score that only equals the best is no
    improvement; and ``min_delta`` is 0 by default, where mmengine's 0.1 is ten points of AP.

    Args:
        monitor: Name of the metric, such as ``coco/bbox_mAP``.
        rule: ``'greater'`` or ``'less'``, which is better; None: by the metric's name.
        min_delta: What a score must be better by to count.
        strict: Whether a metric that the evaluation does not give is an error.
        check_finite: Whether a score that is not finite ends the run.
        patience: How many evaluations without an improvement end the run.
        stopping_threshold: A score that ends the run when it is reached.
    """

    priority = "LOW"  # before the checkpoint of the evaluation is written

    def __init__(
        self,
        monitor: str,
        rule: str | None = None,
        min_delta: NotNegative = 0.0,
        strict: bool = False,
        check_finite: bool = True,
        patience: Count = 5,
        stopping_threshold: float | None = None,
    ):
        super().__init__(monitor, rule, min_delta, strict, check_finite, patience, stopping_threshold)

    def before_train(self, runner) -> None:
        """Take up what the checkpoint says; a run that had ended ends again."""
        state = runner.message_hub.runtime_info.get(_STATE)
        known = state.get(self.monitor) if isinstance(state, dict) else None
        if not isinstance(known, list | tuple) or [type(value) for value in known] != [float, int]:
            return
        self.best_score, self.wait_count = known
        if self.wait_count >= self.patience:
            runner.train_loop.stop_training = True
            runner.logger.info(f"{self.monitor} had not improved in {self.wait_count} evaluations: the run had ended")

    def _check_stop_condition(self, current_score: float) -> tuple[bool, str]:
        if self.check_finite and not math.isfinite(current_score):
            return True, f"{self.monitor} is {current_score}: the run ends; its best was {self.best_score:.4f}"
        if current_score == -1 and self.monitor.startswith("coco/"):  # val data without boxes say nothing of a run
            return False, ""
        is_better = operator.gt if self.rule == "greater" else operator.lt
        if is_better(current_score, self.best_score + self.min_delta):  # which is negative where less is better
            self.best_score, self.wait_count = current_score, 0
        else:
            self.wait_count += 1
        if self.stopping_threshold is not None and not is_better(self.stopping_threshold, current_score):
            return (
                True,
                f"{self.monitor} has reached {self.stopping_threshold} with {current_score:.4f}: the run ends",
            )
        if self.wait_count >= self.patience:
            return True, (
                f"{self.monitor} has not improved in {self.wait_count} evaluations: the run ends; its best was "
                f"{self.best_score:.4f}"
            )
        return False, ""

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Decide, and put what the decision rests on into the next checkpoint."""
        super().after_val_epoch(runner, metrics or {})
        state = dict(runner.message_hub.runtime_info.get(_STATE) or {})
        state[self.monitor] = [float(self.best_score), self.wait_count]
        runner.message_hub.update_info(_STATE, state)
