"""Whether a network gave an image numbers, for images in which nothing is found."""

import torch
from torch import Tensor


class FiniteImages:
    """Tells of which images all numbers are finite.

    A GPU is told at once to say it, and read later: after the wait for the detections nobody waits again, however many
    images have none. On the host, where nothing is waited for, only images that are asked about are looked at.

    Args:
        numbers: (N, ...).
    """

    def __init__(self, numbers: Tensor):
        self._numbers = numbers
        self._finite: Tensor | None = None
        if numbers.is_cuda:
            extremes = torch.stack(numbers.detach().flatten(1).aminmax(dim=1), dim=1)  # NaN if any is
            self._finite = extremes.isfinite().all(dim=1).to("cpu", non_blocking=True)
            self._copied = torch.cuda.current_stream(numbers.device).record_event()

    def __getitem__(self, image: int) -> bool:
        if self._finite is None:
            return bool(self._numbers[image].isfinite().all())
        self._copied.synchronize()
        return bool(self._finite[image])
