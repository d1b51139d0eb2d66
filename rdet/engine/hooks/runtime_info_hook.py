"""What each step logs, read from its device some steps at once."""

from mmengine.hooks import LoggerHook
from mmengine.hooks import RuntimeInfoHook as MMRuntimeInfoHook

from rdet.engine.distributed import cpu_only
from rdet.engine.step_values import PendingValues
from rdet.registry import HOOKS
from rdet.schema import Count

_STEPS_ON_A_GPU = 50


@HOOKS.register_module()
class RuntimeInfoHook(MMRuntimeInfoHook):
    """mmengine's hook, which keeps the losses on their device until they are needed.

    mmengine's reads each loss of each step, and a GPU is idle until the next step is sent to it. This one reads those
    of several steps at once: at each line of the log, before each checkpoint and evaluation, at the end, and whenever
    ``interval`` steps have gathered. The same numbers are logged. All hooks may have that done by
    ``runner.call_hook("look_at_steps")``, which all processes must do at the same step, and see what is new in a method
    ``after_look(runner, steps)``.

    Args:
        interval: The most steps that are read together; None: 1 on a CPU, where nothing waits, and 50 elsewhere.
    """

    def __init__(self, interval: Count | None = None):
        super().__init__()
        self._interval = interval
        self._pending = PendingValues()

    def before_train(self, runner) -> None:
        super().before_train(runner)
        self._most = self._interval or (1 if cpu_only() else _STEPS_ON_A_GPU)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Take what the step logs; read it if it is time."""
        clipped = getattr(runner.optim_wrapper, "take_clipped", dict)()
        self._pending.add(runner.iter + 1, outputs or {}, clipped)
        # Before the hook that takes the time: to wait is part of the step.
        line_is_due = any(
            isinstance(hook, LoggerHook) and self.every_n_inner_iters(batch_idx, hook.interval) for hook in runner.hooks
        )
        if line_is_due or len(self._pending) >= self._most:
            self.look_at_steps(runner)

    def look_at_steps(self, runner) -> None:
        """Read what the last steps logged, and tell the hooks."""
        if not len(self._pending):
            return
        steps = self._pending.take()
        for step in steps:
            for name, value in {**step.extra, **step.means}.items():
                runner.message_hub.update_scalar(f"train/{name}", value)
        runner.call_hook("after_look", steps=steps)

    def before_val(self, runner) -> None:
        self.look_at_steps(runner)
        super().before_val(runner)

    def after_train(self, runner) -> None:
        self.look_at_steps(runner)
        super().after_train(runner)
