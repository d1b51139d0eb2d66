"""Hooks by which a test has processes of a run differ, when imported by a config's ``custom_imports``."""

import os
import signal
import time
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from rdet.registry import HOOKS


@HOOKS.register_module()
class WriteWeights(Hook):
    """Writes the weights of each process beside the work dir when the training ends."""

    def after_train(self, runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        torch.save(model.state_dict(), Path(f"{runner.work_dir}.rank_{runner.rank}"))


@HOOKS.register_module()
class SaysBackend(Hook):
    """Says what joins the processes."""

    def before_train(self, runner) -> None:
        print(f"joined by {torch.distributed.get_backend()}")


@HOOKS.register_module()
class Dies(Hook):
    """Kills a process when it is somewhere: in a step, an evaluation, or while a checkpoint is written.

    A run that goes on after that, or that torchrun has started again, lives.
    """

    def __init__(self, rank: int, where: str, iteration: int, even_resumed: bool = False):
        self.rank, self.where, self.iteration, self.even_resumed = rank, where, iteration, even_resumed

    def _die(self, runner, where: str) -> None:
        again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" or (runner._resume and not self.even_resumed)
        if not again and (runner.rank, where) == (self.rank, self.where) and runner.iter >= self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._die(runner, "training")

    def before_val_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        self._die(runner, "evaluation")

    def before_save_checkpoint(self, runner, checkpoint) -> None:
        self._die(runner, "saving")

    def after_val_epoch(self, runner, metrics=None) -> None:
        self._die(runner, "after the evaluation")


@HOOKS.register_module()
class IsSlow(Hook):
    """Has a process wait before each step and each batch of an evaluation."""

    def __init__(self, rank: int, seconds: float):
        self.rank, self.seconds = rank, seconds

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        if runner.rank == self.rank:
            time.sleep(self.seconds)

    before_val_iter = before_train_iter


@HOOKS.register_module()
class LosesItsLoss(Hook):
    """Has the loss of a process be no number in one step."""

    def __init__(self, rank: int, iteration: int):
        self.rank, self.iteration = rank, iteration

    def before_train(self, runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        loss = model.loss

        def broken(*args):
            here = (runner.rank, runner.iter + 1) == (self.rank, self.iteration)
            return {name: value * float("nan") if here else value for name, value in loss(*args).items()}

        model.loss = broken
