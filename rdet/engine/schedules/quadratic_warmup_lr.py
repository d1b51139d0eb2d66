"""A warm-up whose rate grows with the square of the step."""

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from torch.optim import Optimizer

from rdet.errors import ConfigError
from rdet.registry import PARAM_SCHEDULERS
from rdet.schema import Count, Natural


@PARAM_SCHEDULERS.register_module()
class QuadraticWarmupLR(LRSchedulerMixin, _ParamScheduler):
    """Learning rate of ((t + 1) / n)^2 of the whole at step t of n (YOLOX, Ge et al., 2021, as in its code).

    Args:
        optimizer: Whose rate it sets.
        begin, end: First step, and the step before which it ends.
        last_step: The last step that was made; -1 at the start.
        by_epoch: Whether steps are epochs.
        verbose: Whether each change is printed.

    Raises:
        ConfigError: It has no end, or no steps.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        begin: Natural = 0,
        end: Count = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ):
        if not begin < end < INF:
            raise ConfigError(f"param_scheduler: QuadraticWarmupLR has begin={begin} and end={end}; give a later end")
        self.total_iters = end - begin
        super().__init__(optimizer, begin=begin, end=end, last_step=last_step, by_epoch=by_epoch, verbose=verbose)

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> "QuadraticWarmupLR":
        """Build one that counts iterations of what is said in epochs, of ``epoch_length`` iterations each."""
        if not by_epoch or not epoch_length:
            raise ConfigError("param_scheduler: convert_to_iter_based needs by_epoch=True and the length of an epoch")
        end = end if end == INF else int(end * epoch_length)
        return cls(*args, begin=int(begin * epoch_length), end=end, by_epoch=False, **kwargs)

    def _get_value(self) -> list[float]:
        share = ((self.last_step + 1) / self.total_iters) ** 2
        return [base * share for base in self.base_values]
