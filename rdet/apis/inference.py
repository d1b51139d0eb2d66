"""Detection on images, from Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from rdet.apis.build import build_detector
from rdet.apis.infer.pictures import Picture, is_picture, record_of
from rdet.apis.infer.pipeline import inference_pipeline, prepared
from rdet.checkpoint import classes_in, load_weights_into, meta_in, origin_in, weights_in
from rdet.config import load_config, override
from rdet.errors import CheckpointError, ConfigError
from rdet.interop.convert import CHECKPOINT_SUFFIXES, open_checkpoint
from rdet.interop.saved_config import saved_config
from rdet.interop.zoo import check_name, is_name
from rdet.messages import in_one_line
from rdet.models.detectors.detector import Detector
from rdet.structures import DetDataSample


def init_detector(
    config: str | Path | Config | None = None,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    cfg_options: dict | None = None,
) -> Detector:
    """Build a detector that :func:`inference_detector` can use.

    ``init_detector("mmdet://atss_r50_fpn_1x_coco")``: a checkpoint may stand alone. What ``rdet export`` wrote does:
    ``init_detector("model.onnx")``.

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
    from rdet.deploy.loading import EXPORTED_SUFFIXES, is_exported, load_exported

    if checkpoint is None and (_is_checkpoint(config) or str(config).lower().endswith(EXPORTED_SUFFIXES)):
        config, checkpoint = None, config
    if is_exported(checkpoint):
        if config is not None or cfg_options:
            raise ConfigError(f"{checkpoint} is an exported file, which is as it is; leave the config and its keys out")
        return load_exported(checkpoint, device)
    _check_device(device)
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
        classes = _unnamed_classes(cfg, content, checkpoint)
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


def _unnamed_classes(cfg: Config, content: Mapping[str, Any], checkpoint: str | Path | None) -> Sequence[str]:
    """Return the classes where a checkpoint does not name them: of the config's data, else as many numbers."""
    data: Any = cfg.get("val_dataloader")
    for key in ("dataset", "metainfo", "classes"):
        data = data.get(key) if isinstance(data, dict) else None
    names = data if isinstance(data, list | tuple) else None
    count = cfg.model.get("num_classes") if names is None else len(names)
    own = saved_config(content, str(checkpoint))
    trained = None if own is None else own.get("model", {}).get("num_classes")
    if count is None and trained is None:
        raise ConfigError(
            f"neither the checkpoint{f' {checkpoint}' if checkpoint else ''} nor model.num_classes says how many "
            "classes there are; set model.num_classes"
        )
    if None not in (count, trained) and count != trained:
        raise CheckpointError(
            f"{checkpoint} is of {trained} classes, but the config says {count}; set model.num_classes to those of the "
            "checkpoint, or check that its file is whole"
        )
    return names or [str(index) for index in range(trained or count)]


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


def inference_detector(model: Detector, images: Picture | Sequence[Picture]) -> DetDataSample | list[DetDataSample]:
    """Detect objects in one image or several.

    Args:
        model: From :func:`init_detector`.
        images: A path or an address (``http://``, ``https://``); a BGR array (H, W, 3) uint8, as OpenCV reads it; an
            RGB tensor (3, H, W) uint8, as torchvision reads it; or a picture of Pillow, whose EXIF orientation is
            applied. Or a sequence of them, which runs in batches of one size.

    Returns:
        A sample with ``pred_instances`` in pixels of the original image, or a list of them.

    Raises:
        BadImageError: A file cannot be read as an image, or has more pixels than the pipeline's
            ``LoadImageFromFile`` takes.
        PipelineError: A transform failed at an image.
        ConfigError: An array or a tensor has another shape or other numbers, or an image is none of these.
    """
    single = is_picture(images)
    records = [record_of(image, index) for index, image in enumerate([images] if single else images)]
    if not records:
        return []
    pipeline = inference_pipeline(model.cfg)
    data = [prepared(record, pipeline) for record in records]
    with torch.no_grad():
        samples = model.test_step(pseudo_collate(data))
    return samples[0] if single else samples
