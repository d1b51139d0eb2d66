"""Writers of exported files: a function for each format."""

import io
from collections.abc import Callable
from pathlib import Path

import torch

from rdet.deploy.job import Job, quiet
from rdet.deploy.metadata import KEY
from rdet.deploy.not_exported import not_exported
from rdet.deploy.onnx_model import onnx_model
from rdet.deploy.openvino_model import openvino_model, save_openvino
from rdet.deploy.packages import needed


def write_onnx(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.onnx``.

    torch's exporter on top of ``torch.export`` is taken, the default since torch 2.9: it has free sides that are
    checked, and its graph is that of the exported program. The older one, by tracing, is not maintained.
    """
    path = folder / f"{stem}.onnx"
    needed("onnx", "an export to ONNX").save_model(onnx_model(job), str(path))
    return [path]


def write_openvino(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.xml`` and ``stem.bin``."""
    model = openvino_model(onnx_model(job, halve=False), folder)
    return save_openvino(model, job.metadata, folder / f"{stem}.xml")


def write_program(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.pt2``, which torch and torchvision run."""
    program = job.program()
    program._example_inputs = None  # which would be pickled into the file
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer, extra_files={KEY: job.metadata.to_text()})
    path = folder / f"{stem}.pt2"
    path.write_bytes(buffer.getvalue())
    return [path]


def write_torchscript(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.torchscript`` by tracing, for programs in C++; torch has given it up for ``torch.export``."""
    try:
        with torch.no_grad(), quiet():
            traced = torch.jit.trace(job.network, job.inputs, check_trace=False)
    except Exception as error:  # of any part of the model, or of torch
        raise not_exported(error, job.metadata) from error
    buffer = io.BytesIO()  # of a full disk, torch's own writer ends the process
    with quiet():
        torch.jit.save(traced, buffer, _extra_files={KEY: job.metadata.to_text()})
    path = folder / f"{stem}.torchscript"
    path.write_bytes(buffer.getvalue())
    return [path]


WRITERS: dict[str, Callable[[Job, Path, str], list[Path]]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "exported_program": write_program,
    "torchscript": write_torchscript,
    "tensorrt-ready": write_onnx,
}
# What their names end in.
SUFFIXES = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "exported_program": ".pt2",
    "torchscript": ".torchscript",
    "tensorrt-ready": ".onnx",
}
