"""torchvision's detectors under rdet's runner, data and evaluation."""

import inspect
from typing import Any

import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torchvision.models import detection, get_model, list_models
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FrozenBatchNorm2d

from rdet.checkpoint import load_weights_into
from rdet.errors import ConfigError, NonFiniteDetectionError
from rdet.messages import nearest
from rdet.models.backbones.weights import load_weights, read_weights
from rdet.models.detectors.base_detector import BaseDetector, in_original_pixels
from rdet.models.detectors.small_maps import small_maps_explained
from rdet.models.postprocess.nms_postprocess import NMSPostprocess
from rdet.registry import MODELS
from rdet.schema import Count
from rdet.structures import DetDataSample

Cfg = dict[str, Any]

# What follows from the rest of the config, or belongs to the data.
_NOT_OPTIONS = {"self", "kwargs", "backbone", "num_classes", "min_size", "max_size", "size", "image_mean", "image_std"}


@MODELS.register_module()
class TorchvisionDetector(BaseDetector):
    """A detector of torchvision as it is: Faster R-CNN, RetinaNet, FCOS, SSD.

    It stands beside rdet's own detectors, to compare with: the upper half of Table 2 of the Focal Loss paper is of
    detectors in two stages. Network, losses and detections are torchvision's. Images come resized and normalised from
    rdet's pipeline; torchvision's own resizing is left out. Classes that torchvision counts from 1, since 0 is its
    background, are counted from 0.

    The steps of these detectors wait for a GPU, since torchvision's checks of boxes and its sampling do.

    Args:
        model_name: Name in ``torchvision.models.detection``.
        weights: Of a whole detector, ``torchvision://fasterrcnn_resnet50_fpn`` or a path, to start from; layers of
            another number of classes stay random, and the log names them.
        backbone_weights: Of its backbone, as :func:`~rdet.models.backbones.weights.load_weights` takes them.
        frozen: Beginnings of the names of layers that stay as they are, such as ``backbone.body.layer1``.
        freeze_norms: Whether batch normalisations of the backbone keep their statistics and weights, as torchvision has
            it where a ResNet starts from pretrained weights.
        options: Of torchvision's builder and class, such as ``box_score_thresh`` or ``rpn_pre_nms_top_n_test``.
        data_preprocessor: Images as loaded -> batch.
        num_classes: K, without a background.

    Raises:
        ConfigError: torchvision has no such detector or option, or no layer is called as ``frozen`` says.
    """

    def __init__(
        self,
        model_name: str,
        weights: str | None = None,
        backbone_weights: str | None = None,
        frozen: tuple[str, ...] = (),
        freeze_norms: bool = False,
        options: Cfg | None = None,
        data_preprocessor: Cfg | None = None,
        num_classes: Count | None = None,
    ):
        super().__init__(MODELS.build(data_preprocessor or {"type": "DetDataPreprocessor"}))
        if num_classes is None:
            raise ValueError("model.num_classes is not set, and no data set is there to take it from")
        self.weights, self.backbone_weights = weights, backbone_weights
        self.num_classes = num_classes
        self.detector, self._first_label = _build(model_name, num_classes, options or {})
        self.detector.transform = _AsGiven()
        # With which detections of slices and of augmented views are merged.
        rules: Any = getattr(self.detector, "roi_heads", self.detector)
        self.postprocess = NMSPostprocess(
            score_thr=0.0, iou_threshold=rules.nms_thresh, max_per_img=rules.detections_per_img
        )
        if freeze_norms:
            _freeze_norms(self.detector.get_submodule("backbone"))
        for start in frozen:
            _freeze(self.detector, start)

    def init_weights(self) -> None:
        """Load the weights that training starts from."""
        if self.backbone_weights is not None:
            backbone = self.detector.get_submodule("backbone")
            load_weights(getattr(backbone, "body", backbone), self.backbone_weights)
        if self.weights is not None:
            load_weights_into(self.detector, read_weights(self.weights), self.weights, strict=False)

    def forward(
        self, inputs: Tensor, data_samples: list[DetDataSample] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | list[dict[str, Tensor]] | list[DetDataSample]:
        """Run the detector on a batch.

        Args:
            inputs: (N, 3, H, W).
            data_samples: N samples; without them images are as large as the batch.
            mode: ``'tensor'`` returns what torchvision's detector does in the mode of evaluation, for each image a dict
                of ``boxes``, ``scores`` and ``labels``; ``'loss'`` a dict of scalars, in the mode of training;
                ``'predict'`` the samples with ``pred_instances`` in pixels of the original image.

        Raises:
            ValueError: There is no such ``mode``, or it needs samples and there are none.
        """
        if mode not in ("tensor", "loss", "predict"):
            raise ValueError(f"mode is {mode!r}; valid: 'tensor', 'loss', 'predict'")
        if data_samples is None:
            if mode != "tensor":
                raise ValueError(f"mode {mode!r} needs data_samples, one for each image")
            found: list[dict[str, Tensor]] = self.detector(
                _Batch(inputs, [(inputs.shape[2], inputs.shape[3])] * len(inputs))
            )
            return found
        batch = _Batch(inputs, [sample.img_shape for sample in data_samples])
        if mode == "loss":
            targets = [self._target(sample, inputs.device) for sample in data_samples]
            with small_maps_explained(inputs):
                losses = self.detector(batch, targets)
            return {name if "loss" in name else f"loss_{name}": value for name, value in losses.items()}
        found = self.detector(batch)
        return found if mode == "tensor" else self._predicted(found, data_samples, inputs.device)

    def _target(self, sample: DetDataSample, device: torch.device) -> dict[str, Tensor]:
        truth = sample.gt_instances
        boxes = truth.bboxes.to(device, torch.float32, non_blocking=True)
        return {"boxes": boxes, "labels": truth.labels.to(device, non_blocking=True) + self._first_label}

    def _predicted(
        self, found: list[dict[str, Tensor]], samples: list[DetDataSample], device: torch.device
    ) -> list[DetDataSample]:
        if not all(len(one["scores"]) for one in found):  # NaN exceeds no threshold
            broken = [name for name, value in self.detector.named_parameters() if not value.isfinite().all()]
            if broken:
                raise NonFiniteDetectionError(f"weights are not finite ({broken[0]}); take another checkpoint")
        for sample, one, factor in zip(samples, found, in_original_pixels(samples, device), strict=True):
            sample.pred_instances = InstanceData(
                bboxes=one["boxes"].float() / factor,
                scores=one["scores"].float(),
                labels=one["labels"] - self._first_label,
            )
        return samples


class _Batch(list[Tensor]):
    """Images (3, H_i, W_i) as torchvision's detectors loop over them, which are views of one padded batch."""

    def __init__(self, padded: Tensor, sizes: list[tuple[int, int]]):
        super().__init__(image[:, :height, :width] for image, (height, width) in zip(padded, sizes, strict=True))
        self.padded = padded


class _AsGiven(nn.Module):
    """What stands where torchvision resizes and normalises: the batch goes through as it is."""

    def forward(
        self, images: _Batch, targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[ImageList, list[dict[str, Tensor]] | None]:
        return ImageList(images.padded, [(image.shape[1], image.shape[2]) for image in images]), targets

    def postprocess(self, result: list[dict[str, Tensor]], *_: Any) -> list[dict[str, Tensor]]:
        return result


def _build(model_name: str, num_classes: int, options: Cfg) -> tuple[nn.Module, int]:
    """Build torchvision's detector without weights, and tell the number of its first class."""
    # Those of masks and keypoints learn from more than boxes.
    names = [name for name in list_models(detection) if not name.startswith(("mask", "keypoint"))]
    if model_name not in names:
        raise ConfigError(f"torchvision has no detector {model_name!r}. {nearest(model_name, names)}")
    first = 0 if model_name.startswith(("fcos", "retinanet")) else 1
    try:
        built = get_model(
            model_name, weights=None, weights_backbone=None, num_classes=num_classes + first, progress=False, **options
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"model.options: torchvision's {model_name} cannot be built with them ({error})") from error
    # torchvision ignores what it does not know.
    valid = set(inspect.signature(type(built).__init__).parameters) - _NOT_OPTIONS
    for key in options:
        if key not in valid:
            raise ConfigError(f"model.options: torchvision's {model_name} has no {key!r}. {nearest(key, valid)}")
    return built, first


def _freeze(network: nn.Module, start: str) -> None:
    """Stop training all parameters whose names begin so."""
    found = [value for name, value in network.named_parameters() if name.startswith(start)]
    if not found:
        names = [name for name, _ in network.named_modules() if name]
        raise ConfigError(f"model.frozen has {start!r}, with which no layer's name begins. {nearest(start, names)}")
    for value in found:
        value.requires_grad_(False)


def _freeze_norms(network: nn.Module) -> None:
    for name, child in list(network.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, FrozenBatchNorm2d(child.num_features, child.eps))
        else:
            _freeze_norms(child)
