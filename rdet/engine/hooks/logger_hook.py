"""When to log."""

from pathlib import Path
from typing import Literal

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook as MMLoggerHook

from rdet.engine.busy import BusyMachine
from rdet.engine.unmatched import Unmatched
from rdet.files import flush, writing
from rdet.registry import HOOKS
from rdet.schema import Count


@HOOKS.register_module()
class LoggerHook(MMLoggerHook):
    """mmengine's hook with an interval that suits the length of the run.

    What it logs goes on to the ``after_log(runner, step, values)`` of other hooks.

    Args:
        interval: Iterations between two lines. ``'auto'``: a quarter of an epoch, or a fortieth
            of a run that counts iterations, at most 50.
        log_metric_by_epoch: Whether the ``step`` of an evaluation in the log's json is the epoch; by default it is the
            iteration, as that of all other lines.
        **kwargs: Of mmengine's ``LoggerHook``.
    """

    def __init__(self, interval: Count | Literal["auto"] = "auto", log_metric_by_epoch: bool = False, **kwargs):
        self._auto = interval == "auto"
        super().__init__(interval=50 if self._auto else interval, log_metric_by_epoch=log_metric_by_epoch, **kwargs)

    def before_train(self, runner) -> None:
        self._unmatched, self._first = Unmatched(), runner.iter
        self._busy = BusyMachine(getattr(runner.train_dataloader, "num_workers", 0))
        self.suit(runner)

    def suit(self, runner) -> None:
        """Choose an interval that suits the length of the run, if it is ours to choose."""
        if self._auto:
            by_epoch = runner.log_processor.by_epoch
            self.interval = max(1, min(50, len(runner.train_dataloader) // 4 if by_epoch else runner.max_iters // 40))

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        # Unlike mmengine's, without the experiment's name after every epoch.
        if self.every_n_inner_iters(batch_idx, self.interval):
            runner.call_hook("look_at_steps")
            tag, line = runner.log_processor.get_log_after_iter(runner, batch_idx, "train")
            runner.logger.info(line)
            runner.visualizer.add_scalars(tag, step=runner.iter + 1, file_path=self.json_log_path)
            runner.call_hook("after_log", step=runner.iter + 1, values=tag)
            if not torch.cuda.is_available() and (doubt := self._busy.doubt()) is not None:
                runner.logger.warning(doubt)
            self._say_unmatched(runner, runner.iter + 1 - self._first)

    def after_train(self, runner) -> None:
        self._say_unmatched(runner, runner.iter - self._first, at_the_end=True)
        super().after_train(runner)

    def _say_unmatched(self, runner, steps: int, at_the_end: bool = False) -> None:
        if (doubt := self._unmatched.doubt(runner.message_hub, steps, at_the_end)) is not None:
            runner.logger.warning(doubt)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Log the metrics, and have them on the disk before a checkpoint says that this evaluation is done."""
        super().after_val_epoch(runner, metrics)
        runner.call_hook("after_log", step=runner.iter, values=metrics or {})
        if is_main_process():
            for path in Path(runner.log_dir).glob("vis_data/*.json"):
                flush(path)

    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        with writing(Path(runner.log_dir) / self.json_log_path):
            super().after_test_epoch(runner, metrics)
