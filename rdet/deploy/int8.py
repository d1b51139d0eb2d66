"""Files whose convolutions are int8, and which of them stay in float so that little accuracy is lost."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rdet.deploy.formats import SUFFIXES
from rdet.deploy.job import Job
from rdet.deploy.layer_groups import groups_of
from rdet.deploy.onnx_model import onnx_model
from rdet.deploy.quantization import Limit
from rdet.deploy.quantize_onnx import OnnxQuantizer
from rdet.deploy.quantize_openvino import OpenVinoQuantizer
from rdet.errors import EvaluationError


def search(parts: Sequence[str], lost: Callable[[Sequence[str]], float], limit: Limit) -> list[str]:
    """Find parts of a network that stay in float so that little is lost: none, if all can be int8.

    Each part is tried in int8 by itself: where several of them lose much, a single one in float would help nothing, and
    tell nothing. Then the smallest number of them is looked for, by halves, that have to stay in float, those that lose
    most first.

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
    limit.say(f"{len(parts)} parts of the network are tried in int8, an evaluation each")
    alone: dict[str, float] = {}
    for part in parts:
        alone[part] = lost([other for other in parts if other != part])
        limit.say(f"{part} alone in int8: {alone[part]:.4f} lost ({len(alone)} of {len(parts)})")
    worst = sorted(parts, key=alone.__getitem__, reverse=True)
    too_few, enough = 0, len(worst)
    now = lost(worst)
    limit.say(f"all convolutions in float: {now:.4f} lost")
    if now > limit.most:
        raise EvaluationError(
            f"{now:.4f} is lost even with all convolutions in float, and {limit.most:g} may be; give a larger "
            "--max-drop, or more --calibration-images"
        )
    while enough - too_few > 1:
        number = (too_few + enough) // 2
        now = lost(worst[:number])
        limit.say(f"{', '.join(worst[:number])} in float: {now:.4f} lost")
        too_few, enough = (too_few, number) if now <= limit.most else (number, enough)
    return worst[:enough]


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
