"""Weights of YOLOv3 from darknet's files, and back."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from rdet.errors import CheckpointError, MissingFileError
from rdet.files import read_regular, why_unreadable, write_whole
from rdet.interop.converted import Converted
from rdet.interop.yolov3 import from_yolov3, to_yolov3

PREFIX = "darknet."
_ANCHORS = "10,13,16,30,33,23,30,61,62,45,59,119,116,90,156,198,373,326"  # of its yolov3.cfg
_COCO = 80  # classes of its yolov3.cfg
_BLOCKS = (1, 2, 8, 8, 4)
_PRIORS = 3  # at each cell
_MOST_CLASSES = 2000  # by the size of a file, YOLOv4 could be a YOLOv3 of more
# In the order of a file; of a convolution without normalisation, its bias and its weight.
_NORM = ("bn.bias", "bn.weight", "bn.running_mean", "bn.running_var")
_VERSION = (0, 2, 5)


class _Layer(NamedTuple):
    """A convolution: MMDetection's name, its shape, and whether normalisation follows it."""

    name: str
    shape: tuple[int, int, int, int]
    norm: bool

    def arrays(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name its arrays, in the order of a file, with their shapes."""
        names = [f"{self.name}.{end}" for end in _NORM] if self.norm else [f"{self.name}.bias"]
        yield from ((name, self.shape[:1]) for name in names)
        yield f"{self.name}{'.conv' if self.norm else ''}.weight", self.shape


def is_darknet(weights: Mapping[str, Any]) -> bool:
    """Tell whether weights were read from a file of darknet."""
    return bool(weights) and all(name.startswith(PREFIX) for name in weights)


def read_darknet(path: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a file of darknet, which has numbers alone: that it is of a YOLOv3, and of how many classes, its size tells.

    Args:
        path: The file.

    Returns:
        Nothing that a config could say, and the weights under MMDetection's names, after :data:`PREFIX`.

    Raises:
        CheckpointError: It cannot be read, or is not of a YOLOv3 of three levels.
        MissingFileError: There is no such file.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError as error:
        raise MissingFileError(f"no checkpoint at {path}; give the path of a file") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({why_unreadable(error)}); take another checkpoint") from error
    major, minor = (int.from_bytes(content[start : start + 4], "little", signed=True) for start in (0, 4))
    # The number of images seen, before the weights, was once of four bytes.
    header = 20 if major * 10 + minor >= 2 else 16
    body = content[header:]
    fixed, of_class = _count(0), _count(1) - _count(0)
    num_classes, rest = divmod(len(body) - 4 * fixed, 4 * of_class)
    if rest or not 1 <= num_classes <= _MOST_CLASSES:
        raise CheckpointError(
            f"{path} has {len(content)} bytes, which no YOLOv3 of Darknet-53 and {_PRIORS} anchors a level has; other "
            "networks of darknet are not read: take another"
        )
    if num_classes != _COCO:
        said = f"{path} is of {num_classes} classes by its size; if its .cfg has others, the file is not whole"
        print_log(said, "current", level=30)
    numbers = np.frombuffer(body, dtype="<f4")
    weights: dict[str, Tensor] = {}
    start = 0
    for layer in _layers(num_classes):
        for name, shape in layer.arrays():
            end = start + int(np.prod(shape))
            weights[PREFIX + name] = torch.from_numpy(numbers[start:end].astype(np.float32).reshape(shape))
            start = end
    return {}, weights


def from_darknet(content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str, style: str | None) -> Converted:
    """Convert what :func:`read_darknet` reads; see :func:`~rdet.interop.yolov3.from_yolov3`."""
    return from_yolov3(content, {name.removeprefix(PREFIX): value for name, value in weights.items()}, path)


def write_darknet(state: Mapping[str, Tensor], path: str | Path) -> int:
    """Write the weights of rdet's YOLOv3 with Darknet-53 as a file of darknet.

    Args:
        state: rdet's name -> tensor, of the network alone.
        path: The file.

    Returns:
        The number of classes.

    Raises:
        CheckpointError: They are of another network.
        OutputError: It cannot be written.
    """
    found = to_yolov3(state)
    num_classes = len(found["bbox_head.convs_pred.0.bias"]) // _PRIORS - 5
    arrays = [each for layer in _layers(num_classes) for each in layer.arrays()]
    if any(name not in found or tuple(found[name].shape) != shape for name, shape in arrays):
        raise CheckpointError("it is no YOLOv3 with Darknet-53, the only detector that --to darknet writes")

    def write(part: Path) -> None:
        with open(part, "wb") as file:
            file.write(np.array(_VERSION, dtype="<i4").tobytes() + np.array(0, dtype="<i8").tobytes())
            for name, _ in arrays:
                file.write(found[name].detach().cpu().numpy().astype("<f4").tobytes())

    write_whole(path, write)
    return num_classes


def changes_of_cfg(num_classes: int, sizes: Sequence[Any]) -> str:
    """Say what darknet's yolov3.cfg must have otherwise for a detector: nothing for COCO's classes and anchors.

    Args:
        num_classes: Of the detector.
        sizes: Of the anchors of each level, (width, height) each; nothing if they are not known.
    """
    changes = []
    if num_classes != _COCO:
        changes.append(f"classes={num_classes} in each [yolo] and filters={_PRIORS * (5 + num_classes)} before it")
    anchors = ",".join(f"{number:g}" for level in sizes for size in level for number in size)
    if anchors not in ("", _ANCHORS):
        changes.append(f"anchors={anchors} in each [yolo]")
    return f", with {', and '.join(changes)}" if changes else ""


def _layers(num_classes: int) -> Iterator[_Layer]:
    """Name the convolutions as darknet runs them."""
    yield _Layer("backbone.conv1", (32, 3, 3, 3), True)
    width = 32
    for stage, blocks in enumerate(_BLOCKS, start=1):
        yield _Layer(f"backbone.conv_res_block{stage}.conv", (2 * width, width, 3, 3), True)
        for block in range(blocks):
            name = f"backbone.conv_res_block{stage}.res{block}"
            yield _Layer(f"{name}.conv1", (width, 2 * width, 1, 1), True)
            yield _Layer(f"{name}.conv2", (2 * width, width, 3, 3), True)
        width *= 2
    below = width  # 1024
    for level, middle in enumerate((512, 256, 128)):
        if level:
            yield _Layer(f"neck.conv{level}", (middle, 2 * middle, 1, 1), True)
            below = 3 * middle  # beside the backbone's map of twice as many
        for conv in range(5):
            shape = (2 * middle, middle, 3, 3) if conv % 2 else (middle, 2 * middle if conv else below, 1, 1)
            yield _Layer(f"neck.detect{level + 1}.conv{conv + 1}", shape, True)
        yield _Layer(f"bbox_head.convs_bridge.{level}", (2 * middle, middle, 3, 3), True)
        yield _Layer(f"bbox_head.convs_pred.{level}", (_PRIORS * (5 + num_classes), 2 * middle, 1, 1), False)


def _count(num_classes: int) -> int:
    """Count the numbers of a file."""
    return sum(int(np.prod(shape)) for layer in _layers(num_classes) for _, shape in layer.arrays())
