"""Whether a network gave an image numbers, for images in which nothing is found."""

import torch
from torch import Tensor

from rdet.models.kernels.usable import usable


def finite_if_all(numbers: Tensor) -> Tensor:
    """Make a few numbers of each image that are finite if all of it are: (N, ...) -> (N, few)."""
    if usable(numbers):
        from rdet.models.kernels.finite import zero_or_nan

        return zero_or_nan(numbers)[:, None]
    return torch.stack(numbers.flatten(1).aminmax(dim=1), dim=1)


class FiniteImages:
    """Tells of which images all numbers are finite.

    A GPU is told at once to say it, and read later: after the wait for the detections nobody waits again, however many
    images have none. On the host, where nothing is waited for, only images that are asked about are looked at.

    Args:
        numbers: (N, A, K), all of each image, or what :func:`finite_if_all` made of them.
    """

    def __init__(self, numbers: Tensor):
        self._numbers = numbers
        self._copied: torch.cuda.Event | None = None
        if numbers.is_cuda:
            few = numbers if numbers.dim() == 2 else finite_if_all(numbers)
            self._numbers = few.to("cpu", non_blocking=True)
            self._copied = torch.cuda.current_stream(numbers.device).record_event()

    def __getitem__(self, image: int) -> bool:
        if self._copied is not None:
            self._copied.synchronize()
        return bool(self._numbers[image].isfinite().all())
