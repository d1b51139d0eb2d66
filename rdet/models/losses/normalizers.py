"""What the sum of a loss is divided by."""

import torch.distributed as dist
from torch import Tensor

from rdet.registry import MODELS


@MODELS.register_module()
class BatchNormalizer:
    """Divides by the positives of the whole batch, over all processes.

    Gradients of a distributed step, which are averages over the processes, then equal those of one
    process with the joint batch, however unevenly the objects are spread.
    """

    def __call__(self, num_pos: Tensor) -> Tensor:
        """(N,) positives of each image -> (N,) divisors of each image's loss."""
        total = num_pos.sum().float()
        processes = 1
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(total)
            processes = dist.get_world_size()
        return (total.clamp(min=1) / processes).expand(len(num_pos))


@MODELS.register_module()
class ImageNormalizer:
    """Divides by the positives of each image, then by the number of images (section 4.1; torchvision)."""

    def __call__(self, num_pos: Tensor) -> Tensor:
        """(N,) positives of each image -> (N,) divisors of each image's loss."""
        return num_pos.clamp(min=1).float() * len(num_pos)
