"""A detector of MMDetection with made weights, and what it computes."""

import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from made_weights import made_weights
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import Tensor

from oracle import mmcv_ops

mmcv_ops.install()

import mmdet  # noqa: E402  it imports mmcv.ops
from mmdet.registry import MODELS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402

CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"

Image = tuple[Tensor, Tensor, Tensor]  # (3, H, W) uint8 BGR, boxes (G, 4), labels (G,)

# The same for all detectors, as on rdet's side (parity.py).
_INPUT = {
    "type": "DetDataPreprocessor",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "bgr_to_rgb": True,
    "pad_size_divisor": 32,
}


class Oracle:
    """A detector of MMDetection 3.

    Args:
        config: Of its repository, without ``.py``: ``"gfl/gfl_r50_fpn_1x_coco"``.
        options: Dotted key -> value, overrides of the config.
        **of_weights: For :func:`made_weights`.

    Attributes:
        shapes: Name -> shape of its state dict.
    """

    def __init__(self, config: str, options: Mapping[str, Any] | None = None, **of_weights: Any):
        register_all_modules(init_default_scope=False)
        cfg = Config.fromfile(CONFIGS / f"{config}.py", import_custom_modules=False)
        cfg.merge_from_dict(dict(options or {}))
        cfg.model.data_preprocessor = dict(_INPUT)
        with DefaultScope.overwrite_default_scope("mmdet"):
            self.model = MODELS.build(_without_pretrained(cfg.model))
        self.shapes = {name: tuple(value.shape) for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(made_weights(self.shapes, **of_weights))

    def training_step(
        self, images: Sequence[Image], epoch: int = 0, ignored: Sequence[Tensor] | None = None
    ) -> dict[str, float]:
        """Compute the losses of a batch and leave the gradients of their sum in the parameters.

        Args:
            images: Of the batch.
            epoch: Counted from 0; TOOD's head reads it from the run's messages.
            ignored: For each image crowds (n, 4).
        """
        MessageHub.get_current_instance().update_info("epoch", epoch)
        self.model.train()
        self.model.zero_grad()
        raw = self.model.loss(*self._batch(images, ignored, (1.0, 1.0), True))
        losses = {name: sum(value) if isinstance(value, list | tuple) else value for name, value in raw.items()}
        sum(losses.values()).sum().backward()
        return {name: float(value.detach()) for name, value in losses.items()}

    def forward_training(self, images: Sequence[Image]) -> None:
        """Show a batch to the network, by which its normalisation learns statistics."""
        self.model.train()(self._batch(images, None, (1.0, 1.0), True)[0], mode="tensor")

    def gradient_norms(self) -> dict[str, float]:
        """Norm of each parameter's gradient, summed in float64: torch's sum in float32 is off by up to 1e-4."""
        gradients = {name: each.grad for name, each in self.model.named_parameters() if each.grad is not None}
        return {name: float(gradient.double().norm()) for name, gradient in gradients.items()}

    def detections(
        self, images: Sequence[Image], scale_factor: tuple[float, float] = (1.0, 1.0)
    ) -> list[dict[str, Tensor]]:
        """Detections of each image by itself: ``bboxes``, ``scores``, ``labels``."""
        self.model.eval()
        with torch.no_grad():
            samples = [self.model.predict(*self._batch([image], None, scale_factor, False))[0] for image in images]
        return [dict(sample.pred_instances.items()) for sample in samples]

    def _batch(
        self,
        images: Sequence[Image],
        ignored: Sequence[Tensor] | None,
        scale_factor: tuple[float, float],
        training: bool,
    ) -> tuple[Tensor, list[DetDataSample]]:
        samples = []
        kind = next(self.model.parameters()).dtype
        for index, (image, boxes, labels) in enumerate(images):
            size = tuple(image.shape[1:])
            sample = DetDataSample(metainfo={"img_shape": size, "ori_shape": size, "scale_factor": scale_factor})
            crowds = boxes.new_zeros(0, 4) if ignored is None else ignored[index]
            sample.gt_instances = InstanceData(bboxes=boxes.to(kind), labels=labels.clone())
            sample.ignored_instances = InstanceData(bboxes=crowds.to(kind), labels=labels.new_zeros(len(crowds)))
            samples.append(sample)
        data = {"inputs": [image.clone() for image, *_ in images], "data_samples": samples}
        data = self.model.data_preprocessor(data, training)
        return data["inputs"].to(kind), data["data_samples"]


class DoubleOracle(Oracle):
    """A detector of MMDetection 3 that is built and computes in float64, with weights drawn in float32.

    Anchors of float32 would part boxes that overlap several of them equally.
    """

    def __init__(self, *args: Any, **options: Any):
        drawn = Oracle(*args, **options).model.state_dict()
        with computing_in_float64():
            super().__init__(*args, **options)
        self.model.double().load_state_dict(drawn)

    def training_step(self, *args: Any, **options: Any) -> dict[str, float]:
        with computing_in_float64():
            return super().training_step(*args, **options)

    def detections(self, *args: Any, **options: Any) -> list[dict[str, Tensor]]:
        with computing_in_float64():
            return super().detections(*args, **options)


class _Torch64(types.ModuleType):
    """torch, whose float32 is float64."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@contextmanager
def computing_in_float64() -> Iterator[None]:
    """Let everything that is computed in here be float64, whatever asks for float32, in rdet too.

    Small constants such as the eps of a mean stay those of float32.
    """
    from mmdet.models.task_modules.assigners import dynamic_soft_label_assigner, sim_ota_assigner
    from mmdet.models.task_modules.prior_generators import AnchorGenerator, MlvlPointGenerator

    by_name = (dynamic_soft_label_assigner, sim_ota_assigner)  # they make tensors of torch.float32
    generators = (AnchorGenerator, MlvlPointGenerator)
    methods = [getattr(each, name) for each in generators for name in ("grid_priors", "single_level_grid_priors")]
    defaults = [method.__defaults__ for method in methods]
    kind, name_of_kind, cast = torch.get_default_dtype(), torch.float, torch.Tensor.float
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float, torch.float = torch.Tensor.double, torch.float64
    for module in by_name:
        module.torch = _Torch64("torch")
    for method in methods:
        method.__defaults__ = tuple(torch.float64 if d is torch.float32 else d for d in method.__defaults__)
    try:
        yield
    finally:
        torch.set_default_dtype(kind)
        torch.Tensor.float, torch.float = cast, name_of_kind
        for module in by_name:
            module.torch = torch
        for method, of_method in zip(methods, defaults, strict=True):
            method.__defaults__ = of_method


def _without_pretrained(cfg: Any) -> Any:
    """Remove what would load weights."""
    if isinstance(cfg, dict):
        for key in {"init_cfg", "pretrained"} & set(cfg):
            del cfg[key]
    for value in cfg.values() if isinstance(cfg, dict) else cfg if isinstance(cfg, list | tuple) else ():
        _without_pretrained(value)
    return cfg
