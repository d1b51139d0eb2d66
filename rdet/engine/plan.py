"""Whether what a run does at certain steps agrees with how many steps it has.

Each part is right by itself; together they may be a schedule that never sets in, or an average that never begins. Most
of that runs to the end without a word, and gives a detector that is worse for no visible reason.
"""

from collections.abc import Iterator

from mmengine.hooks import EMAHook
from mmengine.optim.scheduler import param_scheduler as schedules
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.runner import IterBasedTrainLoop, Runner

from rdet.engine.hooks.checkpoint_hook import CheckpointHook
from rdet.engine.schedules.quadratic_warmup_lr import QuadraticWarmupLR
from rdet.engine.schedules.warmup_cosine_lr import WarmupCosineLR
from rdet.errors import ConfigError

_WITHOUT_END = schedules.INF


def check_plan(runner: Runner) -> None:
    """Look at a run that is about to begin, all of whose parts are made.

    What has no effect is a warning: a run may be shortened to try something.

    Raises:
        ConfigError: A part would fail before the end.
    """
    if runner.iter >= runner.max_iters:
        runner.logger.info(
            f"the run is finished, its {runner.max_iters} iterations are done; a longer train_cfg goes on"
        )
        return
    for index, schedule in enumerate(runner.param_schedulers or ()):
        where = f"param_scheduler.{index} ({type(schedule).__name__})"
        for doubt in _doubts_about(schedule, runner):
            runner.logger.warning(f"{where} {doubt}")
    _check_averages(runner)
    _check_windows(runner)
    for doubt in _doubts_about_the_loop(runner):
        runner.logger.warning(doubt)


def _doubts_about(schedule: _ParamScheduler, runner: Runner) -> Iterator[str]:
    """Say what a schedule does not do in this run."""
    counts_iterations = isinstance(runner.train_loop, IterBasedTrainLoop)
    if getattr(schedule, "need_val_args", False):  # it follows the evaluation
        if runner.val_loop is None:
            yield "follows the evaluation, and the run has none: it does nothing; add val_dataloader and val_evaluator"
        return
    if schedule.by_epoch and counts_iterations:
        yield (
            "counts epochs, but the run counts iterations (train_cfg.by_epoch=False): it does nothing; set its "
            "by_epoch=False, and its steps in iterations"
        )
        return
    unit, length = ("epoch", runner.max_epochs) if schedule.by_epoch else ("iteration", runner.max_iters)
    if schedule.begin >= length:
        yield f"begins at {unit} {schedule.begin}, but the run has {length}: it does nothing; lower its begin"
        return
    if isinstance(schedule, schedules.MultiStepParamScheduler):
        late = [schedule.begin + step for step in schedule.milestones if schedule.begin + step >= length]
        if not schedule.milestones:
            yield "has no milestones: it does nothing; give some, or leave it out"
        elif late:
            yield f"has a milestone at {unit} {min(late)}, but the run has {length}: lower it, or leave it out"
        return
    steps = _steps_of(schedule)
    if steps is None:
        return
    end = schedule.begin + steps
    acts_until = min(schedule.end, length)
    if isinstance(schedule, schedules.OneCycleParamScheduler) and min(length, schedule.end - 1) > end:
        raise ConfigError(
            f"param_scheduler: the OneCycleLR has total_steps={steps} {unit}s, but the run has {length}; leave "
            "total_steps out, or set its end"
        )
    lowest = getattr(schedule, "eta_min", None)
    if lowest is not None and lowest > min(schedule.base_values):
        yield f"has eta_min={lowest:g}, above the {min(schedule.base_values):g} that it begins with: it rises; lower it"
    elif steps == 1 and isinstance(schedule, schedules.LinearParamScheduler) and schedule.start_factor != 1:
        yield f"has one {unit} and stays at its start_factor, {schedule.start_factor}; raise its end"
    elif end > length:
        yield f"goes on to {unit} {end}, but the run has {length}: it is cut off; shorten it"
    elif isinstance(schedule, schedules.CosineAnnealingParamScheduler) and end < acts_until:
        yield (
            f"reaches its lowest value after {steps} {unit}s and rises again until {unit} {acts_until}; leave T_max out"
        )


def _steps_of(schedule: _ParamScheduler) -> int | None:
    """Return how many steps the form of a schedule is spread over; None for one that has no end of its own."""
    if isinstance(schedule, schedules.CosineAnnealingParamScheduler):
        steps = schedule.T_max
    elif isinstance(schedule, schedules.OneCycleParamScheduler):
        steps = schedule.total_steps
    elif isinstance(schedule, schedules.CosineRestartParamScheduler):
        steps = schedule.cumulative_periods[-1]
    elif isinstance(
        schedule,
        schedules.ConstantParamScheduler
        | schedules.LinearParamScheduler
        | schedules.PolyParamScheduler
        | QuadraticWarmupLR
        | WarmupCosineLR,
    ):
        steps = schedule.end - schedule.begin
    else:
        return None
    return steps if schedule.begin + steps < _WITHOUT_END else None


def _check_averages(runner: Runner) -> None:
    """Raise ConfigError for averages that never begin, or of which there are two: the second averages the first."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    if len(hooks) > 1:
        raise ConfigError(
            f"custom_hooks has {len(hooks)} EMAHooks, which would exchange each other's weights; keep one"
        )
    for hook in hooks:
        for key, length in (("begin_epoch", runner.max_epochs), ("begin_iter", runner.max_iters)):
            if (begin := getattr(hook, key)) >= max(length, 1):
                raise ConfigError(f"the EMAHook's {key} is {begin}, but the run has {length}; lower it")


def _check_windows(runner: Runner) -> None:
    """Raise ConfigError for a mean over the epoch in the log of a run that counts iterations."""
    for index, entry in enumerate(runner.log_processor.custom_cfg):
        if entry.get("window_size") == "epoch" and isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ConfigError(
                f"log_processor.custom_cfg.{index}.window_size is 'epoch', but the run counts iterations; give a number"
            )


def _doubts_about_the_loop(runner: Runner) -> Iterator[str]:
    """Say what else a run is too short for."""
    loop = runner.train_loop
    by_epoch = not isinstance(loop, IterBasedTrainLoop)
    unit, length = ("epoch", runner.max_epochs) if by_epoch else ("iteration", runner.max_iters)
    if runner.val_loop is not None and loop.val_begin > length:
        yield f"train_cfg.val_begin is {loop.val_begin}, but the run has {length} {unit}s: none is evaluated; lower it"
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_begin >= length and hook.interval > 0:
            yield (
                f"default_hooks.checkpoint.save_begin is {hook.save_begin}, but the run has {length} {unit}s: no "
                f"checkpoint is written before the end{'' if hook.save_last else ', nor at it'}; lower it"
            )
    accumulated = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
    if accumulated > runner.max_iters:
        yield (
            f"optim_wrapper.accumulative_counts is {accumulated}, but the run has {runner.max_iters} iterations: it "
            "makes one step, at its end; lower it"
        )
    sampler = getattr(runner.train_dataloader, "batch_sampler", None)
    images, batch = getattr(sampler, "length", None), getattr(sampler, "batch_size", None)
    if images and batch and batch * runner.world_size > images:
        yield (
            f"a step takes {batch * runner.world_size} images, but the training set has {images}: it takes some twice; "
            "lower train_dataloader.batch_size"
        )
