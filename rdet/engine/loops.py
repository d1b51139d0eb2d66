"""Training loops that continue at any iteration."""

from contextlib import AbstractContextManager, nullcontext

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import loops

from rdet.engine.hooks.checkpoint_hook import EVALUATED
from rdet.engine.plan import check_plan
from rdet.engine.sampling import mix_seed
from rdet.out_of_memory import out_of_memory_explained
from rdet.registry import LOOPS
from rdet.schema import Count, Natural


@LOOPS.register_module()
class EpochBasedTrainLoop(loops.EpochBasedTrainLoop):
    """mmengine's epochs over a :class:`~rdet.engine.sampling.TrainStream`, resumed within an epoch too."""

    def __init__(
        self,
        runner,
        dataloader,
        max_epochs: Count,
        val_begin: Natural = 1,
        val_interval: Count = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ):
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval, dynamic_intervals)

    def run(self) -> torch.nn.Module:
        check_plan(self.runner)
        self.runner.call_hook("before_train")
        if self._iter == self._epoch * len(self.dataloader):
            _evaluate_what_was_not(self, self._epoch, self._max_epochs)
        stream = _open_stream(self)
        while self._epoch < self._max_epochs and not self.stop_training:
            self._run_epoch(stream)
            self._decide_current_val_interval()
            if _validation_is_due(self, self._epoch, self._max_epochs):
                self.runner.val_loop.run()
        self.runner.call_hook("after_train")
        return self.runner.model

    def _run_epoch(self, stream) -> None:
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        _set_epoch(self.runner.model, self._epoch)
        length = len(self.dataloader)
        for index in range(self._iter - self._epoch * length, length):
            batch = next(stream)
            with self.runner.interruption.after_this(), _memory_explained(self, batch):
                _begin_iteration(self)
                self.run_iter(index, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1


@LOOPS.register_module()
class IterBasedTrainLoop(loops.IterBasedTrainLoop):
    """mmengine's iterations over a :class:`~rdet.engine.sampling.TrainStream`, resumed without replaying it."""

    def __init__(
        self,
        runner,
        dataloader,
        max_iters: Count,
        val_begin: Natural = 1,
        val_interval: Count = 1000,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ):
        super().__init__(runner, dataloader, max_iters, val_begin, val_interval, dynamic_intervals)

    def run(self) -> torch.nn.Module:
        check_plan(self.runner)
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        _evaluate_what_was_not(self, self._iter, self._max_iters)
        stream = _open_stream(self)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            _set_epoch(self.runner.model, self._iter // len(self.dataloader.batch_sampler))
            batch = next(stream)
            with self.runner.interruption.after_this(), _memory_explained(self, batch):
                _begin_iteration(self)
                self.run_iter(batch)
            self._decide_current_val_interval()
            if self.validation_is_due():
                self.evaluate()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def validation_is_due(self) -> bool:
        """Tell whether an evaluation follows the iterations so far."""
        return _validation_is_due(self, self._iter, self._max_iters)

    def evaluate(self) -> None:
        """Evaluate."""
        self.runner.val_loop.run()


@LOOPS.register_module()
class ValLoop(loops.ValLoop):
    """mmengine's evaluation in a training, in mixed precision where the optimizer's wrapper says so."""

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch) -> None:
        in_precision = getattr(self.runner.optim_wrapper, "validation_context", nullcontext)
        self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=data_batch)
        with in_precision():
            outputs = self.runner.model.val_step(data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook("after_val_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)


def _set_epoch(model: torch.nn.Module, epoch: int) -> None:
    """Tell the parts that change with the epochs which one it is, counted from 0."""
    for module in model.modules():
        if hasattr(module, "set_epoch"):
            module.set_epoch(epoch)


def _open_stream(loop):
    """Return the batches from the loop's iteration on."""
    loop.dataloader.batch_sampler.start_at(loop.iter, loop.runner.seed)
    return iter(loop.dataloader)


def _evaluate_what_was_not(loop, done: int, last: int) -> None:
    """Evaluate first where a resumed run was cut off between its checkpoint and the end of that evaluation."""
    evaluated = loop.runner.message_hub.runtime_info.get(EVALUATED)
    if loop.iter > 0 and evaluated != loop.iter and _validation_is_due(loop, done, last):
        loop.runner.val_loop.run()


def _begin_iteration(loop) -> None:
    """Seed an iteration, and tell the parts of the model that change with it which one it is."""
    _seed_iteration(loop)
    runner = loop.runner
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    for module in model.modules():
        if hasattr(module, "set_iteration"):
            module.set_iteration(loop.iter, runner.seed)


def _memory_explained(loop, batch) -> AbstractContextManager[None]:
    """Say of a step for which there is no memory what may be lowered."""
    remedy = (
        "lower train_dataloader.batch_size (optim_wrapper.accumulative_counts keeps the total batch) or the size of "
        "the images (Resize in the pipeline), or train with --amp or activation_checkpointing"
    )
    return out_of_memory_explained(batch, f"this is iteration {loop.iter + 1}; {remedy}")


def _seed_iteration(loop) -> None:
    """Make what is random in the model, such as dropout, a function of seed, process and iteration."""
    torch.manual_seed(mix_seed(loop.runner.seed, loop.runner.rank, loop.iter))


def _validation_is_due(loop, done: int, last: int) -> bool:
    if loop.runner.val_loop is None:
        return False
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)
