"""A warm-up and a cosine over the whole of a run, whose end may move."""

import math
from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from torch.optim import Optimizer

from rdet.errors import ConfigError
from rdet.registry import PARAM_SCHEDULERS
from rdet.schema import Count, Fraction, Natural

_LEAST = 0.01  # of the rate, where the warm-up begins


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Learning rate by the share of the run that is done: a line up to the whole rate, then half a cosine.

    Each step takes an equal part of what is left, so that :meth:`end_at` may move the end at any time: the rate goes on
    from where it is, and the last step before the new end has the lowest.

    Args:
        optimizer: Whose rate it sets.
        warmup: Share of the run in which the rate rises.
        final: Share of the rate that is left at the end.
        begin, end: First step, and the step before which it ends; that of the run, if it is not given.
        last_step: The last step that was made; -1 at the start.
        by_epoch: Whether steps are epochs.
        verbose: Whether each change is printed.

    Raises:
        ConfigError: The warm-up takes the whole run.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup: Fraction = 0.1,
        final: Fraction = 0.01,
        begin: Natural = 0,
        end: Count = 1,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ):
        if warmup >= 1:
            raise ConfigError(f"param_scheduler: WarmupCosineLR has warmup={warmup}, the whole run; lower it")
        self.warmup, self.final, self.progress = warmup, final, 0.0
        super().__init__(optimizer, begin=begin, end=end, last_step=last_step, by_epoch=by_epoch, verbose=verbose)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, begin: int = 0, end: int = 1, by_epoch: bool = True, epoch_length: int = 1, **kwargs: Any
    ) -> "WarmupCosineLR":
        """Build one that counts iterations of what is said in epochs, of ``epoch_length`` iterations each."""
        if not by_epoch:
            raise ConfigError("param_scheduler: convert_to_iter_based needs by_epoch=True")
        return cls(*args, begin=begin * epoch_length, end=end * epoch_length, by_epoch=False, **kwargs)

    def end_at(self, step: int) -> None:
        """Move the end of the run; the next steps share what is left."""
        self.end = max(step, self.begin + 1)

    def _get_value(self) -> list[float]:
        if self.last_step > 0:
            left = self.end - self.begin - self.last_step  # steps, this one among them
            self.progress += (1 - self.progress) / max(left, 1)
        return [base * self.factor(self.progress) for base in self.base_values]

    def factor(self, progress: float) -> float:
        """Return the share of the rate where a share of the run is done."""
        if progress < self.warmup:
            return _LEAST + (1 - _LEAST) * progress / self.warmup
        done = (progress - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
