"""What the steps of a training log, kept on their device until somebody asks."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor


class StepValues(NamedTuple):
    """What one step logged.

    Attributes:
        iteration: Which step, counted from 1.
        means: Name -> mean over all processes; ``loss`` is the total.
        own: The same of this process.
        extra: What is the same in all processes, such as the norm of the gradients.
    """

    iteration: int
    means: dict[str, float]
    own: dict[str, float]
    extra: dict[str, float]


class PendingValues:
    """Values of the steps since somebody looked; to read them is the only wait for the device.

    To average the values of a step would hold up its backward pass until the slowest process is there. Here it begins
    after the step, whose gradients all processes have exchanged by then, and goes on beside the next.
    """

    def __init__(self) -> None:
        self._steps: list[_Pending] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, iteration: int, values: Mapping[str, Tensor], extra: Mapping[str, Tensor] | None = None) -> None:
        """Take the values of a step. All processes must call it after the same steps.

        Args:
            iteration: Which step, counted from 1.
            values: Name -> scalar of this process.
            extra: Name -> scalar that is the same in all processes.
        """
        extra = extra or {}
        found = [torch.as_tensor(value).detach() for value in values.values()]
        device = next((value.device for value in found if value.device.type != "cpu"), None)
        own = torch.stack([value.to(device, non_blocking=True) for value in found]) if found else torch.empty(0)
        means, work = own, None
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            means = own.clone()
            work = dist.all_reduce(means, async_op=True)
        self._steps.append(_Pending(iteration, [*values], own, means, work, {k: v.detach() for k, v in extra.items()}))

    def take(self) -> list[StepValues]:
        """Read what was added since the last call, in its order; nothing is kept."""
        steps, self._steps = self._steps, []
        if not steps:
            return []
        parts: list[Tensor] = []
        for step in steps:
            if step.work is not None:
                step.work.wait()
                step.means.div_(dist.get_world_size())
            parts += [step.means, step.own, *(value.reshape(1) for value in step.extra.values())]
        numbers = iter(torch.cat(parts).tolist())  # the one copy to the host
        return [
            StepValues(
                step.iteration,
                means={name: next(numbers) for name in step.names},
                own={name: next(numbers) for name in step.names},
                extra={name: next(numbers) for name in step.extra},
            )
            for step in steps
        ]


class _Pending(NamedTuple):
    iteration: int
    names: list[str]
    own: Tensor
    means: Tensor
    work: dist.Work | None
    extra: dict[str, Tensor]
