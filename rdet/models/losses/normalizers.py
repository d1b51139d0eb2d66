"""Normalizers: the divisors of the sum of a loss."""

from abc import ABC, abstractmethod

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rdet.processes import adds_up
from rdet.registry import MODELS
from rdet.schema import Fraction, Natural, Positive


class Normalizer(ABC):
    """Base of rules for the divisors of a loss.

    Attributes:
        keeps_state: Whether two uses in a step would disturb each other; the detector refuses parts that need two.
    """

    keeps_state = False

    @abstractmethod
    def __call__(self, num_pos: Tensor) -> Tensor:
        """Turn the number of positives of each image (N,) into the divisor of each image's loss (N,)."""

    def of_mass(self, mass: Tensor) -> Tensor:
        """Turn the sum of the weights of each image's positives (N,) into the divisor of each image's loss (N,).

        By default a mass is taken as a count is.
        """
        return self(mass)

    def parts_of_image(self, num_pos: Tensor) -> tuple[Tensor, Tensor]:
        """Say what the loss of one image, which was divided as a batch of its own, is in that of many.

        Their loss is the sum of share x loss over the sum of the counts; by default the mean over the images.

        Args:
            num_pos: () its positives.

        Returns:
            Share and count of the image, () each.
        """
        return torch.ones_like(num_pos), torch.ones_like(num_pos)


@MODELS.register_module()
class BatchNormalizer(Normalizer):
    """The positives of the whole batch, over all processes.

    Gradients of a distributed step, which are averages over the processes, then equal those of one
    process with the joint batch, however unevenly the objects are spread.

    Args:
        min_count_per_image: Smallest count of an image; MMDetection's RetinaNet, ATSS and GFL have 1. That of the
            batch is 1.
        min_mass: Smallest sum of the weights of a batch.
    """

    def __init__(self, min_count_per_image: Natural = 0, min_mass: Positive = 1.0):
        if min_count_per_image < 0 or min_mass <= 0:
            raise ValueError(
                f"min_count_per_image is {min_count_per_image} and min_mass is {min_mass}; the first must "
                "not be negative, the second must be positive"
            )
        self.min_count_per_image = min_count_per_image
        self.min_mass = min_mass

    def __call__(self, num_pos: Tensor) -> Tensor:
        return self._divisors(num_pos.clamp(min=self.min_count_per_image), 1.0)

    def of_mass(self, mass: Tensor) -> Tensor:
        return self._divisors(mass, self.min_mass)

    def parts_of_image(self, num_pos: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the division of one image, to divide by the positives of all."""
        count = num_pos.clamp(min=self.min_count_per_image)
        return count.clamp(min=1.0), count

    def _divisors(self, amount: Tensor, smallest: float) -> Tensor:
        total, processes = _over_all_processes(amount)
        return (total.clamp(min=smallest) / processes).expand(len(amount))


@MODELS.register_module()
class ImageNormalizer(Normalizer):
    """The positives of each image, times the number of images (Focal Loss paper, section 4.1; torchvision)."""

    def __call__(self, num_pos: Tensor) -> Tensor:
        """Turn the number of positives of each image (N,) into the divisor of each image's loss (N,)."""
        return num_pos.clamp(min=1).float() * len(num_pos)


@MODELS.register_module()
class NoNormalizer(Normalizer):
    """No division, for losses that are divided already, as GHM's are."""

    def __call__(self, num_pos: Tensor) -> Tensor:
        """Return ones (N,)."""
        return torch.ones_like(num_pos, dtype=torch.float32)


@MODELS.register_module()
class EMANormalizer(nn.Module, Normalizer):
    """A running mean of the positives of the batches, as in Detectron2's RetinaNet.

    Batches with few positives then weigh less than with :class:`BatchNormalizer`. The mean is of all
    processes' positives, each step moves it before it is used, and checkpoints keep it. It is one
    mean: a detector whose parts weigh positives differently needs another normalizer.

    Args:
        momentum: What stays of the mean in a step.
        initial: The mean at the start, positives of one process's batch.
    """

    keeps_state = True
    mean: Tensor

    def __init__(self, momentum: Fraction = 0.9, initial: Positive = 100.0):
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"normalizer.momentum is {momentum}; it must lie in [0, 1)")
        if initial <= 0:
            raise ValueError(f"normalizer.initial is {initial}; it must be positive")
        self.momentum = momentum
        self.register_buffer("mean", torch.tensor(float(initial)))

    def forward(self, num_pos: Tensor) -> Tensor:
        """Turn the number of positives of each image (N,) into the divisor of each image's loss (N,)."""
        if self.training:
            total, processes = _over_all_processes(num_pos)
            self.mean.lerp_(total.clamp(min=1) / processes, 1 - self.momentum)
        return self.mean.expand(len(num_pos)).clone()

    def parts_of_image(self, num_pos: Tensor) -> tuple[Tensor, Tensor]:
        """Divide by the positives of all images, whose mean of a batch is what a training divides by."""
        return self.mean.clone(), num_pos


def _over_all_processes(num_pos: Tensor) -> tuple[Tensor, int]:
    """Sum ``num_pos`` over all processes, and count the processes."""
    total = num_pos.sum().float()
    if not adds_up():
        return total, 1
    dist.all_reduce(total)
    return total, dist.get_world_size()
