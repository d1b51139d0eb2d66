"""Weights and images that two programs can make alike: from names, shapes and seeds alone.

Released weights need a network, and random ones differ between two implementations that draw in another order. Here
each tensor has a generator of its own, seeded with the CRC-32 of its name. The scales keep activations of a deep
network in range, so that losses are of ordinary size and scores are not all 0 or 1.
"""

import math
import re
import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_LAST_OF_CLASSES = re.compile(r"(retina|conv|atss|gfl|vfnet|tood)_cls|cls_score")
_LAST_OF_BOXES = re.compile(r"(retina|conv|atss|gfl|vfnet|tood)_reg|centerness|atss_iou|bbox_pred|object_pred")


def made_weights(
    shapes: Mapping[str, Sequence[int]], seed: int = 0, damped: Sequence[str] = ("bn3", "downsample")
) -> dict[str, Tensor]:
    """Make a state dict.

    Args:
        shapes: MMDetection's name -> shape.
        seed: Added to the seed of each tensor; 0 are the weights of the fixtures.
        damped: Parts of the names of those normalisations whose factor is small. They end residual branches, so sums
            over many blocks do not grow. Blocks of two convolutions end in ``bn2``.
    """
    return {
        name: _tensor(name, tuple(shape), torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed), damped)
        for name, shape in shapes.items()
    }


def _tensor(name: str, shape: tuple[int, ...], generator: torch.Generator, damped: Sequence[str]) -> Tensor:
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return torch.tensor(0)
    if kind == "project":  # GFL's constant
        return torch.linspace(0, shape[0] - 1, shape[0])
    if kind == "acc_sum":  # GHM's densities, which begin at 0
        return torch.zeros(shape)
    if kind == "edges":  # of their bins
        edges = torch.linspace(0, 1, shape[0])
        edges[-1] = 1e3 if "loss_bbox" in name else 1 + 1e-6
        return edges
    if kind == "scale":
        return torch.ones(shape)
    if kind == "running_mean":
        return torch.randn(shape, generator=generator) * 0.05
    if kind == "running_var":
        return torch.rand(shape, generator=generator) * 0.5 + 0.75
    if kind == "weight" and len(shape) == 4:
        return _convolution(name, torch.randn(shape, generator=generator))
    if kind == "weight":  # of a normalisation
        lowest = 0.3 if any(part in name for part in damped) else 0.9
        return torch.rand(shape, generator=generator) * 0.2 + lowest
    bias = torch.randn(shape, generator=generator) * 0.05
    if _LAST_OF_CLASSES.search(name):
        return bias - 4.0  # few objects
    return bias * 0.5 if "retina_reg" in name else bias


def _convolution(name: str, values: Tensor) -> Tensor:
    """(out, in, height, width): He's deviation times a gain; rows of the last layers sum to 0 over their input."""
    if _LAST_OF_CLASSES.search(name):
        gain = 2.2
    elif _LAST_OF_BOXES.search(name):
        gain = 0.05
    else:
        gain = {"neck": 0.6, "bbox_head": 0.9}.get(name.partition(".")[0], 1.0)
    if gain in (2.2, 0.05):
        values = values - values.mean(1, keepdim=True)
    return values * math.sqrt(2.0 / values[0].numel()) * gain


FIXTURE_IMAGES = ((256, 320, 6), (224, 288, 0), (256, 256, 23))


def made_images(
    sizes: Sequence[tuple[int, int, int]] = FIXTURE_IMAGES, seed: int = 7
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Make images of smooth noise with boxes.

    Args:
        sizes: Height, width and number of boxes of each image.
        seed: Of the one generator that draws all of them.

    Returns:
        For each image (3, H, W) uint8 BGR, boxes (G, 4) xyxy in eighths of a pixel, labels (G,) of 80 classes.
    """
    generator = torch.Generator().manual_seed(seed)
    return [_image(*size, generator) for size in sizes]


def _image(height: int, width: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise.float()[None], kernel_size=5, stride=1, padding=2)[0]
    image = ((smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255).round().to(torch.uint8)
    first = torch.rand(count, 2, generator=generator) * torch.tensor([width * 0.6, height * 0.6])
    extent = torch.rand(count, 2, generator=generator) * torch.tensor([width * 0.35, height * 0.35]) + 6
    boxes = (torch.cat([first, first + extent], dim=1) * 8).round() / 8
    return image, boxes, torch.randint(0, 80, (count,), generator=generator)
