"""From a detector to a file, which takes its name only once it has been compared with the detector."""

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from mmengine.config import Config

from rdet import __version__
from rdet.apis.data_cfg import name_of
from rdet.apis.infer.pipeline import steps_of
from rdet.deploy.calibration import Calibration
from rdet.deploy.exported_detector import ExportedDetector
from rdet.deploy.formats import SUFFIXES, WRITERS
from rdet.deploy.int8 import INT8_WRITERS
from rdet.deploy.job import Job
from rdet.deploy.metadata import Metadata
from rdet.deploy.not_exported import not_exported
from rdet.deploy.packages import check_packages, needed
from rdet.deploy.quantization import Limit, Quantization
from rdet.deploy.same_padding import fix_same_padding
from rdet.deploy.target import folder_beside, target_of
from rdet.deploy.tensor_detector import Head, TensorDetector, output_names
from rdet.deploy.tensorrt import MOST_OF_TOPK, check_tensorrt
from rdet.errors import ConfigError
from rdet.files import flush, writing
from rdet.messages import nearest
from rdet.models.backbones.folding import forget_folded
from rdet.models.detectors.data_preprocessor import DetDataPreprocessor
from rdet.models.detectors.one_stage_detector import OneStageDetector

FORMATS = tuple(WRITERS)
OPSETS = (18, 23)  # what torch's exporter writes
LONGEST_EXAMPLE = 2048  # pixels


@dataclass(frozen=True)
class ExportOptions:
    """What file to make.

    Attributes:
        format: One of :data:`FORMATS`.
        head: See :class:`~rdet.deploy.tensor_detector.TensorDetector`.
        size: Height and width of the network's input; None: free.
        batch: Images of a batch; None: free.
        opset: Of ONNX.
        dtype: ``'float32'``; of ONNX and OpenVINO also ``'float16'``, of the weights, or ``'int8'``, of convolutions.
        input: ``'uint8'`` or ``'float32'``; None: as the format has it.
        weights: What the file says its checkpoint is.
        calibration_images: Images of the training set that tell the ranges of int8.
        seed: Which images.
    """

    format: str = "onnx"
    head: Head = "end2end"
    size: tuple[int, int] | None = None
    batch: int | None = None
    opset: int = 18
    dtype: Literal["float32", "float16", "int8"] = "float32"
    input: Literal["uint8", "float32"] | None = None
    weights: str = ""
    calibration_images: int = 300
    seed: int = 0


def export_detector(
    model: OneStageDetector,
    out: str | Path,
    options: ExportOptions | None = None,
    check: Callable[[Path], None] | None = None,
    limit: Limit | None = None,
) -> Path:
    """Write a detector as a file of another runtime.

    Args:
        model: From :func:`~rdet.apis.inference.init_detector`; it stays as it is.
        out: Path of the file; the format's ending is added where it is missing.
        options: What file; None: ONNX with all sides free.
        check: Given the file before it has its name, may raise: then nothing is left of it.
        limit: What a file of int8 may lose; layers are left in float until it keeps to it. None: all become int8.

    Returns:
        The path of the file.

    Raises:
        ConfigError: The options do not go together, or the detector cannot be exported so.
        MissingModuleError: A package of the extra ``deploy`` is not installed.
        OutputError: The file cannot be written.
    """
    options = options or ExportOptions()
    if options.format not in WRITERS:
        raise ConfigError(f"no format is called {options.format!r}. {nearest(options.format, WRITERS)}")
    _check(options, model)
    out = target_of(Path(out), options.format, options.weights)
    check_packages(options.format, options.dtype)
    suffix = SUFFIXES[options.format]
    write = WRITERS[options.format] if options.dtype != "int8" else INT8_WRITERS[options.format]
    job = _job(model, options, limit)
    with writing(out), folder_beside(out) as folder:
        files = write(job, folder, out.name.removesuffix(suffix))
        if options.format == "tensorrt-ready":
            check_tensorrt(needed("onnx", "tensorrt-ready").load(str(files[0])))
        if check is not None:
            check(files[-1])
        for file in files:
            flush(file)
        if len(files) > 1:  # of a pair, nobody may see the new half beside the old one
            out.unlink(missing_ok=True)
        for file in files:
            os.replace(file, out.parent / file.name)
    return out


def _check(options: ExportOptions, model: OneStageDetector) -> None:
    if isinstance(model, ExportedDetector):
        raise ConfigError(f"{model.path} is exported already; give the checkpoint that it was made of")
    if not isinstance(model, OneStageDetector):
        raise ConfigError(
            f"{type(model).__name__} cannot be exported, only a one-stage detector of rdet's parts; take one of "
            "configs/ but configs/peers"
        )
    if not isinstance(model.data_preprocessor, DetDataPreprocessor):
        raise ConfigError(
            f"model.data_preprocessor is {type(model.data_preprocessor).__name__}; an export needs DetDataPreprocessor"
        )
    rule = model.postprocess
    if not OPSETS[0] <= options.opset <= OPSETS[1]:
        raise ConfigError(f"opset {options.opset} is not written; give {OPSETS[0]} to {OPSETS[1]}")
    if options.dtype == "int8" and options.format not in INT8_WRITERS:
        raise ConfigError(f"--dtype int8 is of --format {' or '.join(INT8_WRITERS)}, not of {options.format}")
    if options.dtype == "float16" and options.format in ("exported_program", "torchscript"):
        raise ConfigError(f"--dtype float16 is of weights in ONNX and OpenVINO; {options.format} keeps float32")
    if options.size is not None:
        divisor = model.data_preprocessor.pad_size_divisor
        if any(side % divisor for side in options.size):
            height, width = (-(-side // divisor) * divisor for side in options.size)
            raise ConfigError(
                f"--size {options.size[1]}x{options.size[0]} is no multiple of {divisor}, which the network needs; "
                f"take {width}x{height}"
            )
    if options.format != "tensorrt-ready":
        return
    if options.size is None:
        raise ConfigError("tensorrt-ready needs --size WIDTHxHEIGHT: priors of a free size are made of shapes")
    if options.input == "uint8":
        raise ConfigError("tensorrt-ready takes float32 images; leave out --input uint8")
    for name in ("topk_per_level", "max_per_img"):
        if getattr(rule, name) > MOST_OF_TOPK and options.head != "raw":
            raise ConfigError(
                f"model.postprocess.{name} is {getattr(rule, name)}, and TensorRT's TopK takes {MOST_OF_TOPK} at most; "
                f"set --cfg-options model.postprocess.{name}={MOST_OF_TOPK}"
            )


def _job(model: OneStageDetector, options: ExportOptions, limit: Limit | None = None) -> Job:
    """Copy the detector, make it ready, and say what it is."""
    network = copy.deepcopy(model).cpu().eval()
    network.on_predictions = None
    network.optimize_for_inference()
    forget_folded(network)
    ready = network.data_preprocessor
    fix_same_padding(network.backbone, ready.pad_size_divisor)
    cfg: Config = model.cfg
    # What runs the file need not know how to finish an image.
    pipeline = [{key: _plain(step[key]) for key in step if key != "on_device"} for step in steps_of(cfg)]
    divisor = ready.pad_size_divisor
    if options.size is not None:
        height, width = options.size
        last = next((i for i, step in enumerate(pipeline) if name_of(step) == "PackDetInputs"), len(pipeline))
        pipeline.insert(last, {"type": "FitWithin", "size": [width, height]})
    kind = options.input or ("float32" if options.format == "tensorrt-ready" else "uint8")
    is_onnx = options.format in ("onnx", "openvino", "tensorrt-ready")
    tensors = TensorDetector(network, options.head, one_operator=is_onnx).eval()
    # An example of no special number: sides and batches of 1, and sides that are equal, would be taken for fixed ones.
    height, width = options.size or (divisor * -(-160 // divisor), divisor * (-(-160 // divisor) + 1))
    number = options.batch or 2
    image = torch.zeros(1, len(ready.mean), height, width, dtype=getattr(torch, kind))
    metadata = Metadata(
        rdet=__version__,
        torch=torch.__version__,
        weights=options.weights,
        head=options.head,
        outputs=output_names(options.head, has_quality=False),
        classes=list(model.classes),
        channels=image.shape[1],
        input=kind,
        dtype=options.dtype,
        divisor=divisor,
        size=None if options.size is None else list(options.size),
        batch=options.batch,
        pipeline=pipeline,
        postprocess=_plain(dict(cfg.model.postprocess)),
        config=cfg.pretty_text,
        opset=options.opset if is_onnx else None,
    )
    try:
        with torch.no_grad():
            seen = network(tensors.normalized(image, torch.tensor([image.shape[2:]])))
            # So would be levels of one cell, as SSD has them on small images.
            while options.size is None and min(map(min, seen.level_sizes)) < 2 and max(image.shape) < LONGEST_EXAMPLE:
                image = image.repeat(1, 1, 2, 2)
                seen = network(tensors.normalized(image, torch.tensor([image.shape[2:]])))
    except RuntimeError as error:  # of a network that takes no images of the example's size
        raise not_exported(error, metadata) from error
    images, sizes = image.repeat(number, 1, 1, 1), torch.tensor([image.shape[2:]] * number)
    metadata = replace(metadata, outputs=output_names(options.head, seen.quality_logits is not None))
    if options.dtype != "int8":
        return Job(tensors, (images, sizes), metadata)
    data = Calibration(cfg, metadata, options.calibration_images, options.seed)
    return Job(tensors, (images, sizes), metadata, Quantization(data, limit))


def _plain(value: object) -> object:
    """Return a value of a config as JSON has it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
