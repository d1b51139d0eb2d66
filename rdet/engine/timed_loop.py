"""A training that ends when its time is up."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from mmengine.dist import broadcast

from rdet.engine.hooks.checkpoint_hook import CheckpointHook
from rdet.engine.hooks.logger_hook import LoggerHook
from rdet.engine.loops import IterBasedTrainLoop
from rdet.engine.schedules.warmup_cosine_lr import WarmupCosineLR
from rdet.engine.time_budget import TimeBudget
from rdet.registry import LOOPS
from rdet.schema import Count, Positive

_STATE = "time_budget"
_UNKNOWN = 10**9  # iterations of a run without a plan
_KEPT = ("step", "evaluation", "evaluated", "progress")
_CLOCKS: dict[str, Callable[[], float]] = {"wall": time.monotonic, "processor": time.process_time}
_SHARE_OF_A_STEP = 0.5  # that images take without gradients, more rather than less


@LOOPS.register_module()
class TimedTrainLoop(IterBasedTrainLoop):
    """Iterations as many as fit into some minutes, evaluations and checkpoints among them.

    The first steps are measured; from then on the run has an end, which each twentieth of it and each evaluation
    correct. The rates of :class:`WarmupCosineLR` follow, and are lowest in the last step. A resumed run has the minutes
    that are left. Two runs seldom have the same number of steps, so their weights differ.

    An evaluation that would take their sum above a fifth of the time is left out, but not the last.

    Args:
        runner: Of the training.
        dataloader: Of its images.
        minutes: What the steps, evaluations and checkpoints take; to read the data and to build the network is before.
        evaluations: At most; a checkpoint is written where each would be.
        clock: ``'processor'`` counts the seconds of this process's threads, to compare on a machine that others use;
            loaders in other processes are not among them, so it needs ``num_workers=0``.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        minutes: Positive,
        evaluations: Count = 4,
        clock: Literal["wall", "processor"] = "wall",
    ):
        super().__init__(runner, dataloader, _UNKNOWN, val_interval=_UNKNOWN)
        self.budget = TimeBudget(60 * minutes, evaluations, _CLOCKS[clock])
        self._is_point = False  # whether the step is one after which the plan has a checkpoint and an evaluation

    def run(self) -> torch.nn.Module:
        self._take_up(self.runner.message_hub.runtime_info.get(_STATE))
        validation = self.runner.val_loop
        if validation is not None:
            images = len(validation.dataloader.dataset) / self.dataloader.batch_sampler.batch_size
            self.budget.steps_of_evaluation = _SHARE_OF_A_STEP * images / self.runner.world_size
        self.budget.begin(self._iter)
        return super().run()

    def run_iter(self, data_batch: Any) -> None:
        """Make a step, and look at the time where the plan says so."""
        if self.budget.is_due(self._iter):
            self._plan()
        self._is_point = self.budget.take_step(self._iter, self._max_iters)
        self._note()
        super().run_iter(data_batch)

    def validation_is_due(self) -> bool:
        """Write a checkpoint at each point of the plan, and tell whether it is evaluated."""
        if not self._is_point or self._iter == 0:
            return False
        hook = next((hook for hook in self.runner.hooks if isinstance(hook, CheckpointHook)), None)
        if hook is not None:
            hook.save_now(self.runner)
        last = self._iter >= self._max_iters
        return self.runner.val_loop is not None and (last or bool(self._agreed(self.budget.affords_evaluation())))

    def evaluate(self) -> None:
        """Evaluate, and take what that took into account."""
        begun = self.budget.clock()
        self.runner.val_loop.run()
        self.budget.note_evaluation(self.budget.clock() - begun, self._iter)

    def _plan(self) -> None:
        """Say after how many iterations the run ends."""
        self.runner.call_hook("look_at_steps")  # a device has made the steps then
        end = int(self._agreed(self.budget.plan(self._iter)))
        self.budget.follow(self._iter, end)
        if not end:
            return
        is_first, self._max_iters = self._max_iters == _UNKNOWN, end
        for schedule in _schedules(self.runner.param_schedulers):
            schedule.end_at(end)
        if is_first:
            for hook in self.runner.hooks:
                if isinstance(hook, LoggerHook):
                    hook.suit(self.runner)
        if is_first or self._is_point:
            minutes, step = self.budget.seconds / 60, self.budget.step or 0.0
            self.runner.logger.info(
                f"{self.budget.elapsed / 60:.1f} of {minutes:g} minutes are over: {step:.3g} s an iteration, about "
                f"{self._max_iters} iterations in all"
            )

    def _take_up(self, state: Any) -> None:
        """Go on where a checkpoint says that the run was."""
        if self._iter == 0 or not isinstance(state, Mapping):
            return
        known = {key: value for key, value in state.items() if isinstance(value, int | float) and value >= 0}
        for key in (*_KEPT, "spent"):
            setattr(self.budget, key, known.get(key, getattr(self.budget, key)))
        self._max_iters = max(self._iter, int(known.get("max_iters", _UNKNOWN)))

    def _agreed(self, number: float) -> float:
        """Return the first process's number, so that all do the same."""
        tensor = torch.tensor([float(number)], dtype=torch.float64)
        broadcast(tensor)
        return tensor.item()

    def _note(self) -> None:
        """Put what a resumed run goes on from where checkpoints take it from."""
        state = {key: getattr(self.budget, key) for key in _KEPT}
        self.runner.message_hub.update_info(
            _STATE, {**state, "spent": self.budget.elapsed, "max_iters": self._max_iters}
        )


def _schedules(found: Any) -> Iterator[WarmupCosineLR]:
    for part in found.values() if isinstance(found, dict) else [found]:
        yield from (schedule for schedule in part or () if isinstance(schedule, WarmupCosineLR))
