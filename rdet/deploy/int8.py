"""Files whose convolutions are int8, and which of them stay in float so that little accuracy is lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rdet.deploy.calibration import Calibration
from rdet.deploy.formats import SUFFIXES, Job, onnx_model
from rdet.deploy.layer_groups import groups_of
from rdet.deploy.quantize_onnx import OnnxQuantizer
from rdet.deploy.quantize_openvino import OpenVinoQuantizer
from rdet.errors import EvaluationError


@dataclass(frozen=True)
class Limit:
    """What a file of int8 may lose.

    Attributes:
        lost: Tells how much a file loses, such as AP from 0 to 1.
        most: That it may.
        say: Is told what the search finds.
    """

    lost: Callable[[Path], float]
    most: float
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Quantization:
    """How convolutions become int8.

    Attributes:
        data: Images that tell the ranges of the maps.
        limit: See :func:`search`; None: all convolutions become int8.
    """

    data: Calibration
    limit: Limit | None = None


def search(parts: Sequence[str], lost: Callable[[Sequence[str]], float], limit: Limit) -> list[str]:
    """Find parts of a network that stay in float so that little is lost: none, if all can be int8.

    Each part is tried in float by itself. Then they are left in float together, the one that helps most first, until
    what is lost is within the limit.

    Args:
        parts: Names.
        lost: What is lost with some of them in float.
        limit: ``most`` that may be lost.

    Raises:
        EvaluationError: Too much is lost even with all of them in float.
    """
    now = lost([])
    limit.say(f"all convolutions in int8: {now:.4f} lost, {limit.most:g} may be")
    if now <= limit.most:
        return []
    limit.say(f"{len(parts)} parts of the network are tried in float, an evaluation each: {', '.join(parts)}")
    alone = {}
    for part in parts:
        alone[part] = lost([part])
        limit.say(f"{part} in float: {alone[part]:.4f} lost")
    kept: list[str] = []
    for part in sorted(parts, key=alone.__getitem__):
        kept.append(part)
        now = alone[part] if len(kept) == 1 else lost(kept)
        limit.say(f"{', '.join(kept)} in float: {now:.4f} lost")
        if now <= limit.most:
            return kept
    raise EvaluationError(
        f"{now:.4f} is lost even with all convolutions in float, and {limit.most:g} may be; give a larger --max-drop, "
        "or more --calibration-images"
    )


def _write(kind: type[OnnxQuantizer] | type[OpenVinoQuantizer], suffix: str, job: Job, folder: Path, stem: str):
    """Write a file of int8; one of several, if what it loses is limited."""
    assert job.quantization is not None
    data, limit = job.quantization.data, job.quantization.limit
    model = onnx_model(job)
    groups = groups_of(model)
    quantizer = kind(model, data, folder)
    path = folder / f"{stem}{suffix}"

    def write(parts: Sequence[str]) -> list[Path]:
        said = {**quantizer.said, "calibration_images": data.number, "in_float": list(parts)}
        nodes = [node for part in parts for node in groups[part]]
        return quantizer.write(nodes, replace(job.metadata, quantization=said), path)

    if limit is None:
        return write([])
    return write(search(list(groups), lambda parts: limit.lost(write(parts)[-1]), limit))


# Writers as those of rdet/deploy/formats.py.
INT8_WRITERS: dict[str, Callable[[Job, Path, str], list[Path]]] = {
    "onnx": partial(_write, OnnxQuantizer, SUFFIXES["onnx"]),
    "openvino": partial(_write, OpenVinoQuantizer, SUFFIXES["openvino"]),
}
