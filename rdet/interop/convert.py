"""Checkpoints of other projects as rdet's, and rdet's as MMDetection's."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor

from rdet.architecture import architecture_of
from rdet.checkpoint import classes_in, meta_in, weights_in
from rdet.class_rows import class_layers
from rdet.errors import CheckpointError, OutputError
from rdet.files import write_tensors
from rdet.interop.coco import UNUSED, default_classes
from rdet.interop.darknet import changes_of_cfg, write_darknet
from rdet.interop.download import fetch
from rdet.interop.mmdetection import to_mmdetection
from rdet.interop.origins import CONVERTERS, ORIGINS, origin_of
from rdet.interop.rtmdet import is_rtmdet, to_rtmdet
from rdet.interop.saved_config import saved_config
from rdet.interop.ssd import is_ssd, to_ssd
from rdet.interop.weight_files import read_weights
from rdet.interop.yolov3 import is_yolov3, to_yolov3
from rdet.interop.yolox import is_yolox, to_yolox
from rdet.interop.zoo import check_name, is_name, release, release_of_file
from rdet.messages import few

TARGETS = ("rdet", "mmdet", "yolox", "darknet")
CHECKPOINT_SUFFIXES = (".pth", ".pt", ".pkl", ".ckpt", ".onnx", ".weights")
_REMEDY = "; take another checkpoint"
# What a running normaliser keeps is none of them.
_PARTS_OF_MMDETECTION = ("backbone.", "neck.", "bbox_head.", "criterion.loss_")


def open_checkpoint(source: str | Path, origin: str = "auto", style: str | None = None) -> Mapping[str, Any]:
    """Read a checkpoint and, if it is another project's, convert it.

    Args:
        source: A path, an address, or the name of a released detector such as ``mmdet://atss_r50_fpn_1x_coco``,
            which is downloaded once.
        origin: One of :data:`ORIGINS`, or ``'auto'``: as the names of the weights say.
        style: ``'pytorch'`` or ``'caffe'``, the kind of backbone of MMDetection's and Detectron2's weights; None: as
            the checkpoint's own config or the file's name says.

    Returns:
        rdet's checkpoint; one that is none of the others' comes back as it is.

    Raises:
        CheckpointError: The file cannot be read, or not be converted.
        ConfigError: No released detector has such a name.
        MissingFileError, DownloadError: There is no such file, or it cannot be downloaded.
    """
    path = str(source)
    check_name(path)
    if is_name(path):
        named = release(path)
        path = str(fetch(named.address, named.algorithm, named.checksum))
        style = style or named.style
    elif path.startswith(("http://", "https://")):
        released = release_of_file(path.rpartition("/")[2])
        if released is not None and released.address == path:
            path = str(fetch(path, released.algorithm, released.checksum))
        elif path.endswith((".pkl", ".onnx", ".weights")):
            path = str(fetch(path, "sha256", ""))  # nobody says its checksum
    content, weights = read_weights(path)
    whose = origin_of(weights) if origin == "auto" else origin
    if whose is None:
        return content
    if style is None and (released := release_of_file(Path(path).name)):
        style = released.style
    try:
        converted = CONVERTERS[whose](content, weights, path, style)
    except CheckpointError as error:
        raise CheckpointError(f"{source} cannot be converted: {error}{_REMEDY}") from error
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # of shapes that are no weights'
        raise CheckpointError(
            f"{source} cannot be converted: its weights are not of {whose}'s shapes ({type(error).__name__}){_REMEDY}"
        ) from error
    converted.cfg.model.num_classes = converted.num_classes if converted.classes is None else None
    meta = {
        "dataset_meta": {"classes": converted.classes},
        "cfg": converted.cfg.pretty_text,
        "converted_from": f"{whose}: {source}",
        "description": converted.description,
    }
    return {"meta": meta, "state_dict": converted.weights}


def own_checkpoint(source: str | Path, folder: str | Path) -> str:
    """Convert a checkpoint that a run shall load, if it is another project's.

    Classes without objects, of which torchvision has eleven, are left out: a data set has none.

    Args:
        source: See :func:`open_checkpoint`.
        folder: The run's; the converted file goes into its ``converted/``.

    Returns:
        The path of rdet's checkpoint: ``source`` itself if it is one.
    """
    content = open_checkpoint(source)
    if "converted_from" not in meta_in(content):
        return str(source)
    path = Path(folder) / "converted" / f"{Path(source).stem}.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = _without_unused_classes(content)
    write_tensors(path, content)  # each process of a run writes the same
    return str(path)


def _without_unused_classes(content: Mapping[str, Any]) -> Mapping[str, Any]:
    classes, weights = classes_in(content) or (), weights_in(content)
    used = [row for row, name in enumerate(classes) if not name.startswith(UNUSED)]
    layers = class_layers(weights)
    if len(used) == len(classes) or any(not weights[name].ndim or len(weights[name]) % len(classes) for name in layers):
        return content
    for name in layers:
        weights[name] = weights[name].unflatten(0, (-1, len(classes)))[:, used].flatten(0, 1)  # (priors, classes, ...)
    meta = {**content["meta"], "dataset_meta": {"classes": tuple(classes[row] for row in used)}}
    return {"meta": meta, "state_dict": weights}


def convert_checkpoint(
    source: str | Path, out: str | Path, origin: str = "auto", target: str = "rdet", style: str | None = None
) -> str:
    """Write a checkpoint of another project as rdet's, or one of any as MMDetection's.

    Args:
        source, origin, style: See :func:`open_checkpoint`.
        out: Where the converted checkpoint goes.
        target: ``'rdet'``, ``'mmdet'``, of YOLOX alone ``'yolox'``, Megvii's, or of YOLOv3 ``'darknet'``.

    Returns:
        What it is, in one line.

    Raises:
        CheckpointError: It cannot be converted, or is rdet's already.
        OutputError: Nothing can be written to ``out``, or it is the source, or a name for another format.
    """
    _check_output(source, Path(out), target)
    content = open_checkpoint(source, origin, style)
    weights = weights_in(content)
    converted = "converted_from" in meta_in(content)
    if target == "rdet" and not converted:
        if architecture_of(weights) or class_layers(weights):
            known = architecture_of(weights) or is_yolox(weights, "rdet") or _to_mmdet_of_whole(weights)
            other = ", or convert it with --to mmdet" if known else ""
            raise CheckpointError(
                f"{source} is a checkpoint of rdet already: nothing to convert; use it as it is{other}"
            )
        reason = f"its weights are called {few(weights, 3)}"
        raise CheckpointError(f"{source} is not a checkpoint of {', '.join(ORIGINS)}: {reason}; give one of those")
    if target == "darknet":
        return _as_darknet(content, weights, source, out)
    if is_yolox(weights, "rdet") and target != "rdet":
        renamed = to_yolox(_of_network(weights), target)
        content = _with_classes(content, {"state_dict": renamed}) if target == "mmdet" else {"model": renamed}
    elif target == "mmdet" and (convert := _to_mmdet_of_whole(weights)) is not None:
        try:
            content = _with_classes(content, {"state_dict": convert(_of_network(weights))})
        except CheckpointError as error:
            raise CheckpointError(f"{source}: {error}{_REMEDY}") from error
    elif target == "mmdet":
        content = _as_mmdetection(content, weights, str(source))
    elif target == "yolox":
        raise CheckpointError(f"{source} is no YOLOX, the only detector that --to yolox writes{_REMEDY}")
    write_tensors(out, content)
    said = meta_in(content).get("description")
    return f"{said if isinstance(said, str) and said else architecture_of(weights_in(content))}, written to {out}"


def _as_darknet(content: Mapping[str, Any], weights: Mapping[str, Tensor], source: str | Path, out: str | Path) -> str:
    if not is_yolov3(weights, "rdet"):
        raise CheckpointError(f"{source} is no YOLOv3, the only detector that --to darknet writes{_REMEDY}")
    try:
        num_classes = write_darknet(_of_network(weights), out)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}{_REMEDY}") from error
    return (
        f"YOLOv3 with Darknet-53 in darknet's layout, written to {out}; its .cfg is darknet's yolov3.cfg"
        f"{changes_of_cfg(num_classes, _anchor_sizes(content, source))}"
    )


def _anchor_sizes(content: Mapping[str, Any], source: str | Path) -> Sequence[Any]:
    """Return the sizes of each level's anchors as the checkpoint's config has them; nothing without one."""
    try:
        cfg = saved_config(content, str(source))
    except CheckpointError:  # the weights are written as well without it
        return []
    sizes: Sequence[Any] = [] if cfg is None else cfg.get("model", {}).get("anchor_generator", {}).get("sizes", [])
    return sizes


def _check_output(source: str | Path, out: Path, target: str) -> None:
    """Raise OutputError before the work if a converted file cannot or must not be written to ``out``."""
    if (target == "darknet") != (out.suffix == ".weights") or out.suffix in (".onnx", ".pkl"):
        # By these it would be read as what it is not.
        ending = ".weights" if target == "darknet" else ".pth"
        raise OutputError(f"{out}: a converted checkpoint is no {out.suffix} file; let its name end in {ending}")
    if not out.parent.is_dir():
        raise OutputError(f"{out}: there is no folder {out.parent}; make it first")
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise OutputError(f"{out} is the source itself; give the converted checkpoint another name")


def _as_mmdetection(content: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    architecture = architecture_of(weights)
    if architecture is None:
        raise CheckpointError(f"{source} is none of the detectors that MMDetection has under rdet's names{_REMEDY}")
    classes = tuple(
        classes_in(content) or default_classes(architecture.num_classes) or map(str, range(architecture.num_classes))
    )
    family = architecture.family
    if " or " in family:  # the names are the same; the config knows
        family = _family_of_config(saved_config(content, source), source)
    weights = {name: value for name, value in weights.items() if name.startswith(_PARTS_OF_MMDETECTION)}
    return {
        "meta": {"dataset_meta": {"classes": classes}, "CLASSES": classes},
        "state_dict": to_mmdetection(weights, family),
    }


def _to_mmdet_of_whole(weights: Mapping[str, Any]) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None:
    """Find what makes them MMDetection's, of rdet's detectors whose names are those of one network."""
    if is_rtmdet(weights, "rdet"):
        return to_rtmdet
    if is_ssd(weights, "rdet"):
        return to_ssd
    return to_yolov3 if is_yolov3(weights, "rdet") else None


def _of_network(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if name.startswith(_PARTS_OF_MMDETECTION)}


def _with_classes(content: Mapping[str, Any], converted: dict[str, Any]) -> dict[str, Any]:
    """Give a file of MMDetection's the classes of rdet's."""
    classes = classes_in(content)
    return {"meta": {} if classes is None else {"dataset_meta": {"classes": classes}, "CLASSES": classes}, **converted}


def _family_of_config(cfg: Config | None, source: str) -> str:
    head = cfg.model.bbox_head.get("type") if cfg is not None else None
    families = {"FCOSHead": "FCOS", "ATSSHead": "ATSS"}
    if head not in families:
        raise CheckpointError(f"{source} carries no config that says whether it is FCOS or ATSS; convert one that does")
    return families[head]
