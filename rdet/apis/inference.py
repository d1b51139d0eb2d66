"""Detection on images, from Python."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from PIL import Image, ImageOps
from torch import Tensor

from rdet.apis.build import build_detector
from rdet.apis.data_cfg import check_test_pipeline, innermost, loader_cfg
from rdet.checkpoint import classes_in, load_weights_into, meta_in, origin_in, weights_in
from rdet.config import load_config, override
from rdet.datasets.transforms.failure import failed_at
from rdet.errors import CheckpointError, ConfigError, RdetError
from rdet.interop.convert import CHECKPOINT_SUFFIXES, open_checkpoint
from rdet.interop.saved_config import saved_config
from rdet.interop.zoo import check_name, is_name
from rdet.messages import in_one_line
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.registry import TRANSFORMS
from rdet.structures import DetDataSample


def init_detector(
    config: str | Path | Config | None = None,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    cfg_options: dict | None = None,
) -> OneStageDetector:
    """Build a detector that :func:`inference_detector` can use.

    ``init_detector("mmdet://atss_r50_fpn_1x_coco")``: a checkpoint may stand alone.

    Args:
        config: A config file, or what :func:`rdet.config.load_config` made of it. None: that of the checkpoint.
        checkpoint: Path or address of trained weights, or the name of a released detector
            (:mod:`rdet.interop.zoo`); it also says what the classes are called. Another project's is converted.
        device: Where the detector shall run.
        cfg_options: Overrides, dotted key -> value, of a config file or of a config.

    Returns:
        The detector in eval mode. Its ``cfg`` is the config, its ``classes`` the names.

    Raises:
        CheckpointError: The checkpoint does not fit, or cannot be converted.
        ConfigError: No released detector has that name; the checkpoint carries no config where none is given, or
            neither it nor the config says how many classes there are; or the device cannot be used.
    """
    _check_device(device)
    if checkpoint is None and _is_checkpoint(config):
        config, checkpoint = None, config
    if isinstance(config, str | Path):
        check_name(config)
    content = open_checkpoint(checkpoint) if checkpoint is not None else {}
    meta, classes = meta_in(content), classes_in(content)
    alone = config is None
    if config is None:
        if checkpoint is None:
            raise ConfigError("init_detector needs a config or a checkpoint; give one")
        config = saved_config(content, str(checkpoint))
        if config is None:
            raise ConfigError(f"{checkpoint} carries no config; give the one that it was trained with")
    cfg = override(config, cfg_options) if isinstance(config, Config) else load_config(config, cfg_options)
    if classes is None:
        count = cfg.model.get("num_classes")
        if count is None:
            raise ConfigError(
                f"neither the checkpoint{f' {checkpoint}' if checkpoint else ''} nor model.num_classes says how many "
                "classes there are; set model.num_classes"
            )
        classes = [str(index) for index in range(count)]
    model = build_detector(cfg, tuple(classes))
    if checkpoint is not None:
        try:
            load_weights_into(model, weights_in(content), str(checkpoint), converted_from=origin_in(content))
        except CheckpointError as error:
            if alone or not isinstance(meta.get("cfg"), str):
                raise
            raise CheckpointError(f"{error}, or leave the config out: the checkpoint carries its own") from error
    model.cfg = cfg
    model.classes = tuple(classes)
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise _unusable(device, error) from error


def _check_device(device: str) -> None:
    """Raise ConfigError before the work if there is no such device."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise _unusable(device, error) from error
    if torch.device(device).type == "meta":
        raise ConfigError("device 'meta' holds no numbers; give 'cpu' or 'cuda:0'")


def _unusable(device: str, error: Exception) -> ConfigError:
    reason = in_one_line(str(error).strip().partition("\n")[0])
    valid = ", ".join(["'cpu'", *(f"'cuda:{index}'" for index in range(torch.cuda.device_count()))])
    return ConfigError(f"device {device!r} cannot be used here ({reason}); valid: {valid}")


def _is_checkpoint(source) -> bool:
    return isinstance(source, str | Path) and (is_name(str(source)) or str(source).endswith(CHECKPOINT_SUFFIXES))


Picture: TypeAlias = str | Path | np.ndarray | Tensor | Image.Image


def inference_detector(
    model: OneStageDetector, images: Picture | Sequence[Picture]
) -> DetDataSample | list[DetDataSample]:
    """Detect objects in one image or several.

    Args:
        model: From :func:`init_detector`.
        images: A path; a BGR array (H, W, 3) uint8, as OpenCV reads it; an RGB tensor (3, H, W) uint8, as torchvision
            reads it; or a picture of Pillow, whose EXIF orientation is applied. Or a sequence of them, which runs in
            batches of one size.

    Returns:
        A sample with ``pred_instances`` in pixels of the original image, or a list of them.

    Raises:
        BadImageError: A file cannot be read as an image, or has more pixels than the pipeline's
            ``LoadImageFromFile`` takes.
        PipelineError: A transform failed at an image.
        ConfigError: An array or a tensor has another shape or other numbers, or an image is none of these.
    """
    single = isinstance(images, str | Path | np.ndarray | Tensor | Image.Image)
    records = [_record(image, index) for index, image in enumerate([images] if single else images)]
    if not records:
        return []
    pipeline = test_pipeline(model.cfg)
    data = []
    for record in records:
        data.append(_prepared(record, pipeline))
    with torch.no_grad():
        samples = model.test_step(pseudo_collate(data))
    return samples[0] if single else samples


def _prepared(record: dict, pipeline: list) -> dict:
    path = record.get("img_path")
    try:
        for transform in pipeline:
            record = transform(record)
    except RdetError:
        raise
    except Exception as error:
        raise failed_at(path, type(transform).__name__, error) from error
    return record


def test_pipeline(cfg: Config) -> list:
    """Build the transforms that a config applies to images in evaluation."""
    loader = loader_cfg(cfg, "test")
    if loader is None:
        raise ConfigError(
            "the config has neither a test_dataloader nor a val_dataloader, whose pipeline is used; add one"
        )
    dataset = next(innermost(loader.dataset))
    check_test_pipeline(dataset.pipeline, "the pipeline of the test data")
    return [TRANSFORMS.build(copy.deepcopy(transform), where="pipeline") for transform in dataset.pipeline]


def _record(image: Picture, index: int) -> dict:
    record: dict = {"img_id": index}
    if isinstance(image, str | Path):
        return record | {"img_path": str(image)}
    return record | {"img": _as_bgr(image, index)}


def _as_bgr(image: np.ndarray | Tensor | Image.Image, index: int) -> np.ndarray:
    """Return an image in memory as OpenCV has it."""
    if isinstance(image, Image.Image):
        return np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[:, :, ::-1])
    if isinstance(image, Tensor):
        if image.dtype != torch.uint8 or image.dim() != 3 or len(image) != 3:
            raise ConfigError(
                f"image {index} is a tensor {tuple(image.shape)} of {image.dtype}; give RGB (3, H, W) of torch.uint8"
            )
        return np.ascontiguousarray(image.detach().cpu().numpy().transpose(1, 2, 0)[:, :, ::-1])
    if not isinstance(image, np.ndarray):
        raise ConfigError(
            f"image {index} is of type {type(image).__name__}; give a path, an array, a tensor or a picture of Pillow"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
        raise ConfigError(f"image {index} is an array {image.shape} of {image.dtype}; give BGR (H, W, 3) of uint8")
    return image
