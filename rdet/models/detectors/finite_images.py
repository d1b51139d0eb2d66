"""Whether a network gave an image numbers, for images in which nothing is found."""

import torch
from torch import Tensor


def extremes_of(numbers: Tensor) -> Tensor:
    """Find the least and the largest number of each image, NaN if any is: (N, ...) -> (N, 2)."""
    return torch.stack(numbers.flatten(1).aminmax(dim=1), dim=1)


class FiniteImages:
    """Tells of which images all numbers are finite.

    A GPU is told at once to say it, and read later: after the wait for the detections nobody waits again, however many
    images have none. On the host, where nothing is waited for, only images that are asked about are looked at.

    Args:
        numbers: (N, ...), all or the extremes of each image.
    """

    def __init__(self, numbers: Tensor):
        self._numbers = numbers
        self._copied: torch.cuda.Event | None = None
        if numbers.is_cuda:
            extremes = numbers if numbers.shape[1:] == (2,) else extremes_of(numbers)
            self._numbers = extremes.to("cpu", non_blocking=True)
            self._copied = torch.cuda.current_stream(numbers.device).record_event()

    def __getitem__(self, image: int) -> bool:
        if self._copied is not None:
            self._copied.synchronize()
        return bool(self._numbers[image].isfinite().all())
