"""rdet's side of a comparison with MMDetection: a detector of a config with made weights, and what it computes."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from made_weights import made_weights
from mmengine.structures import InstanceData
from torch import Tensor

from rdet.apis.build import build_detector
from rdet.architecture import architecture_of
from rdet.config import load_config
from rdet.interop.mmdetection import FAMILIES, from_mmdetection, to_mmdetection
from rdet.structures import DetDataSample

ROOT = Path(__file__).resolve().parents[2]

Image = tuple[Tensor, Tensor, Tensor]  # (3, H, W) uint8 BGR, boxes (G, 4), labels (G,)

# All comparisons give the network the same input, also those with caffe backbones, whose own has another range.
INPUT = {
    "model.data_preprocessor.mean": [123.675, 116.28, 103.53],
    "model.data_preprocessor.std": [58.395, 57.12, 57.375],
    "model.data_preprocessor.bgr_to_rgb": True,
}


class NotInRdetError(Exception):
    """Says that a config of MMDetection needs what rdet does not have."""


@dataclass(frozen=True)
class Source:
    """What the name of one of MMDetection's configs says.

    Attributes:
        name: For example ``retinanet_r50_fpn_1x_coco``.
        family: One of :data:`~rdet.interop.mmdetection.FAMILIES`.
    """

    name: str
    family: str

    @classmethod
    def of(cls, text: str) -> "Source":
        """Read the name from a fixture's ``config``, which begins with it; folder and ``.py`` may be there or not.

        Raises:
            NotInRdetError: The detector has another backbone or neck than those of the families' configs, of which
                test_other_backbones.py is, or is of another family.
        """
        name = text.split()[0].rpartition("/")[2].removesuffix(".py")
        family = {each.lower(): each for each in FAMILIES}.get(name.partition("_")[0])
        family = "ATSS" if name.startswith("paa_") else family  # whose names of weights it has
        if family is None or re.search("dcn|dconv|_r2-|res2net|regnet|pvt|hrnet|dyhead", name):
            raise NotInRdetError(f"rdet does not have {name}")
        return cls(name, family)

    def detector(
        self,
        shapes: Mapping[str, Sequence[int]] | None = None,
        options: Mapping[str, Any] | None = None,
        **of_weights: Any,
    ):
        """Build rdet's detector with MMDetection's numbers and made weights.

        Args:
            shapes: MMDetection's name -> shape, which say depth, width and head. None: ResNet-50 and the usual head.
            options: Further overrides of the config.
            **of_weights: For :func:`made_weights`.
        """
        cfg = load_config(ROOT / self._path(shapes), {**self._options(shapes), **INPUT, **(options or {})})
        model = build_detector(cfg, tuple(str(label) for label in range(80)))
        if shapes is None:
            shapes = self.shapes(model)
        state, _ = from_mmdetection(made_weights(shapes, **of_weights))
        model.load_state_dict(state)
        return model

    def shapes(self, model) -> dict[str, tuple[int, ...]]:
        """MMDetection's name -> shape of a detector of rdet."""
        return {name: tuple(value.shape) for name, value in self.renamed(model.state_dict()).items()}

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give weights of rdet MMDetection's names."""
        return to_mmdetection(state, self.family)

    def losses(self, theirs: Mapping[str, float]) -> dict[str, float]:
        """Give MMDetection's losses rdet's names."""
        return renamed_losses(theirs, self.family)

    def _path(self, shapes: Mapping[str, Sequence[int]] | None) -> str:
        if self.family == "YOLOF":
            return "configs/yolof/r50_c5_1x_coco_mmdet.py"
        if self.name.startswith("paa_"):
            return "configs/paa/r50_fpn_1x_coco_mmdet.py"
        if "ghm" in self.name:
            return "configs/ghm/r50_fpn_1x_coco_mmdet.py"
        first = self.family == "FCOS" and not self._second_fcos(shapes)
        return f"configs/{self.family.lower()}/r50_fpn_{'iccv2019_' if first else ''}1x_coco_mmdet.py"

    def _second_fcos(self, shapes: Mapping[str, Sequence[int]] | None) -> bool:
        """FCOS's second head has a bias beside the normalisation."""
        return "normbbox" in self.name if shapes is None else "bbox_head.cls_convs.0.conv.bias" in shapes

    def _options(self, shapes: Mapping[str, Sequence[int]] | None) -> dict[str, Any]:
        caffe = "caffe" in self.name or self.family == "YOLOF"
        options = {
            "model.backbone.weights": None,
            "model.backbone.style": "caffe" if caffe else "pytorch",
            "model.backbone.norm_cfg": {"type": "BN", "requires_grad": not caffe},
        }
        if shapes is not None:
            with torch.device("meta"):
                architecture = architecture_of({name: torch.empty(tuple(shape)) for name, shape in shapes.items()})
            options |= architecture.options
        if self.family == "FCOS" and "center" in re.split("[-_]", self.name):
            options["model.assigner.center_sampling_radius"] = 1.5
        if "anchor-based" in self.name:
            options["model.bbox_head.type"] = "TOODAnchorHead"
        if "lsj" in self.name:  # there, all images are padded to one size, and that padding is background
            options["model.assigner.padding"] = "background"
        return options


def names_of(shapes: Mapping[str, Sequence[int]]) -> int:
    """CRC-32 of the sorted names and shapes of a state dict."""
    lines = sorted(f"{name} {list(shape)}" for name, shape in shapes.items())
    return zlib.crc32("\n".join(lines).encode())


def training_step(
    model, images: Sequence[Image], epoch: int = 0, ignored: Sequence[Tensor] | None = None
) -> dict[str, float]:
    """Compute the losses of a batch and leave the gradients of their sum in the parameters.

    Args:
        model: A detector in float32 or float64; the latter gets the same normalised images.
        images: Of the batch.
        epoch: Counted from 0; TOOD assigns in another way in the first ones.
        ignored: For each image crowds (n, 4).
    """
    model.train()
    model.zero_grad()
    for module in model.modules():
        if hasattr(module, "set_epoch"):
            module.set_epoch(epoch)
    losses = model(*_batch(model, images, ignored), mode="loss")
    sum(losses.values()).backward()
    return {name: float(value.detach()) for name, value in losses.items()}


def gradient_norms(model, rename: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]) -> dict[str, float]:
    """Norm of each parameter's gradient, summed in float64, under MMDetection's names."""
    gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    # All names are renamed together: some say which network it is. What has no gradient is not a number.
    missing = {
        name: torch.full_like(value, torch.nan, dtype=torch.double) for name, value in model.state_dict().items()
    }
    renamed = rename({**missing, **gradients})
    constants = ("integral.project", ".edges")  # GFL's and GHM's, which come with the names
    return {
        name: float(each.double().norm())
        for name, each in renamed.items()
        if not name.endswith(constants) and not each.isnan().any()
    }


def detections(
    model, images: Sequence[Image], scale_factor: tuple[float, float] = (1.0, 1.0)
) -> list[dict[str, Tensor]]:
    """Detections of each image by itself: ``bboxes``, ``scores``, ``labels``."""
    model.eval()
    found = []
    for image in images:
        with torch.no_grad():
            (sample,) = model(*_batch(model, [image], None, scale_factor), mode="predict")
        found.append(dict(sample.pred_instances.items()))
    return found


def _batch(
    model, images: Sequence[Image], ignored: Sequence[Tensor] | None, scale_factor: tuple[float, float] = (1.0, 1.0)
) -> tuple[Tensor, list[DetDataSample]]:
    samples = []
    for index, (image, boxes, labels) in enumerate(images):
        size = tuple(image.shape[1:])
        sample = DetDataSample(metainfo={"img_shape": size, "ori_shape": size, "scale_factor": scale_factor})
        crowds = boxes.new_zeros(0, 4) if ignored is None else ignored[index]
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=crowds, labels=torch.zeros(len(crowds), dtype=torch.long))
        samples.append(sample)
    batch = model.data_preprocessor({"inputs": [image for image, *_ in images], "data_samples": samples}, True)
    return batch["inputs"].to(next(model.parameters()).dtype), batch["data_samples"]


# MMDetection's names of the losses.
_LOSSES = {"loss_centerness": "loss_quality", "loss_iou": "loss_quality"}
_LOSSES_OF_VFNET = {"loss_bbox": "loss_bbox_initial", "loss_bbox_rf": "loss_bbox"}


def renamed_losses(theirs: Mapping[str, float], family: str) -> dict[str, float]:
    """Give MMDetection's losses rdet's names."""
    names = {**_LOSSES, **(_LOSSES_OF_VFNET if family == "VFNet" else {})}
    return {names.get(name, name): value for name, value in theirs.items()}


def loss_errors(found: Mapping[str, float], expected: Mapping[str, float], family: str) -> dict[str, float]:
    """Relative error of each of MMDetection's losses, under rdet's names; the same losses must be there."""
    expected = renamed_losses(expected, family)
    return relative_errors(found if set(found) == set(expected) else {}, expected)


def relative_errors(found: Mapping[str, float], expected: Mapping[str, float]) -> dict[str, float]:
    """Error of each number relative to the expected one, or absolute if that is 0; infinite where it is missing."""
    return {
        name: abs(found[name] - value) / (abs(value) or 1.0) if name in found else float("inf")
        for name, value in expected.items()
    }


@dataclass
class Agreement:
    """How the detections of an image agree with others, as sets.

    Attributes:
        matched: Pairs of equal label within the tolerances.
        expected: Number of the others.
        found: Number of one's own.
        box_error: The largest of the pairs, in pixels.
        score_error: The largest of the pairs.
    """

    matched: int
    expected: int
    found: int
    box_error: float = 0.0
    score_error: float = 0.0

    @property
    def complete(self) -> bool:
        return self.matched == self.expected == self.found


def agreement(
    found: Mapping[str, Any], expected: Mapping[str, Any], pixels: float = 0.01, score: float = 1e-4
) -> Agreement:
    """Pair the detections of an image with those expected, one to one, each with the nearest that is left.

    Equal scores have no order, so order does not count.
    """
    boxes, scores, labels = (torch.as_tensor(found[key]) for key in ("bboxes", "scores", "labels"))
    boxes, scores = boxes.double().reshape(-1, 4), scores.double()
    theirs = [torch.as_tensor(expected[key]) for key in ("bboxes", "scores", "labels")]
    result = Agreement(0, len(theirs[2]), len(labels))
    free = torch.ones(len(labels), dtype=torch.bool)
    for box, value, label in zip(theirs[0].double().reshape(-1, 4), theirs[1].double(), theirs[2], strict=True):
        distances, differences = (boxes - box).abs().amax(1), (scores - value).abs()
        possible = free & (labels == label) & (distances <= pixels) & (differences <= score)
        if not possible.any():
            continue
        index = int(torch.where(possible, distances, torch.inf).argmin())
        free[index] = False
        result.matched += 1
        result.box_error = max(result.box_error, float(distances[index]))
        result.score_error = max(result.score_error, float(differences[index]))
    return result
