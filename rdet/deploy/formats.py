"""Writers of exported files: a function for each format."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from rdet.deploy.metadata import KEY, LONGEST_SIDE, Metadata
from rdet.deploy.not_exported import not_exported
from rdet.deploy.packages import needed
from rdet.errors import ConfigError
from rdet.files import sha256_of

if TYPE_CHECKING:
    from rdet.deploy.int8 import Quantization


@dataclass(frozen=True)
class Job:
    """What is written.

    Attributes:
        network: A :class:`~rdet.deploy.tensor_detector.TensorDetector` on the CPU.
        inputs: Images and their sizes, an example.
        metadata: What the file shall say of itself.
        quantization: How its convolutions become int8; None: they do not.
    """

    network: nn.Module
    inputs: tuple[Tensor, Tensor]
    metadata: Metadata
    quantization: "Quantization | None" = None

    def dynamic_shapes(self) -> dict[str, dict[int, Any]] | None:
        """Return which sides of the inputs are free, as ``torch.export`` takes them; None: none."""
        images: dict[int, Any] = {}
        sizes: dict[int, Any] = {}
        if self.metadata.batch is None:
            images[0] = sizes[0] = torch.export.Dim("batch", min=1, max=4096)
        if self.metadata.size is None:
            divisor = self.metadata.divisor
            for axis, name in ((2, "height"), (3, "width")):
                side = torch.export.Dim(name, min=1, max=LONGEST_SIDE // divisor)
                images[axis] = side if divisor == 1 else divisor * side
        return {"images": images, "image_sizes": sizes} if images or sizes else None

    def program(self) -> torch.export.ExportedProgram:
        """Trace the network.

        Raises:
            ConfigError: A part of it cannot be traced.
        """
        try:
            with torch.no_grad(), _quiet():
                return torch.export.export(
                    self.network, self.inputs, dynamic_shapes=self.dynamic_shapes(), strict=False
                )
        except Exception as error:  # of any part of the model, or of torch
            raise not_exported(error, self.metadata) from error


def write_onnx(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.onnx``.

    torch's exporter on top of ``torch.export`` is taken, the default since torch 2.9: it has free sides that are
    checked, and its graph is that of the exported program. The older one, by tracing, is not maintained.
    """
    path = folder / f"{stem}.onnx"
    needed("onnx", "an export to ONNX").save_model(onnx_model(job), str(path))
    return [path]


def onnx_model(job: Job, halve: bool = True) -> Any:
    """Make the ModelProto of a job; its weights in the job's precision, or in float32 if not ``halve``.

    Raises:
        ConfigError: An operator of the network has no counterpart.
        MissingModuleError: onnx or onnxscript is not installed.
    """
    needed("onnxscript", "an export to ONNX")
    from rdet.deploy.onnx_suppression import translation

    program = job.program()
    try:
        with torch.no_grad(), _quiet():
            exported = torch.onnx.export(
                program,
                (),
                dynamo=True,
                opset_version=job.metadata.opset,
                custom_translation_table=translation(),
                input_names=["images", "image_sizes"],
                output_names=list(job.metadata.outputs),
                verbose=False,
            )
    except Exception as error:  # whatever an exporter meets
        raise not_exported(error, job.metadata) from error
    model = exported.model_proto
    found = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if found != job.metadata.opset:
        raise ConfigError(f"torch wrote opset {found} and not {job.metadata.opset}; take --opset {found}")
    _without_traces(model)
    if job.metadata.dtype == "float16" and halve:
        _halve_weights(model)
    describe(model, job.metadata)
    return model


def describe(model: Any, metadata: Metadata) -> None:
    """Have a ``ModelProto`` say of itself what ``metadata`` is, and nothing else."""
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, metadata.to_text()
    model.producer_name, model.producer_version = "rdet", metadata.rdet


def _without_traces(model: Any) -> None:
    """Remove what the exporter notes of the source code: half of a small model, and the paths of this machine."""
    for graph_or_function in (model.graph, *model.functions):
        for node in graph_or_function.node:
            del node.metadata_props[:]
            node.doc_string = ""
    del model.graph.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]


def _halve_weights(model: Any) -> None:
    """Keep the weights of convolutions and products in float16, cast when the file is loaded: half of its size.

    What is computed stays float32, so that no map overflows.

    Raises:
        ConfigError: A weight is beyond the largest float16.
    """
    onnx = needed("onnx", "an export to ONNX")
    used = {name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") for name in node.input}
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name not in used or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if not (abs(values) <= np.finfo(np.float16).max).all():
            raise ConfigError(f"the weight {tensor.name} has numbers beyond 65504, the largest float16; take float32")
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def write_openvino(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.xml`` and ``stem.bin``."""
    model = openvino_model(onnx_model(job, halve=False), folder)
    return save_openvino(model, job.metadata, folder / f"{stem}.xml")


def openvino_model(model: Any, folder: Path) -> Any:
    """Make OpenVINO's model of an ONNX ``ModelProto``: OpenVINO reads no operator of rdet, but ONNX's."""
    openvino = needed("openvino", "an export to OpenVINO")
    through = folder / "through.onnx"
    needed("onnx", "an export to OpenVINO").save_model(model, str(through))
    converted = openvino.convert_model(str(through))
    through.unlink()
    return converted


def save_openvino(model: Any, metadata: Metadata, path: Path) -> list[Path]:
    """Write OpenVINO's model as ``path``, which ends in ``.xml``, and its weights beside it."""
    for port, name in zip(model.outputs, metadata.outputs, strict=True):
        port.get_tensor().set_names({name})
    save = needed("openvino", "an export to OpenVINO").save_model
    weights = path.with_suffix(".bin")
    digest = None
    for _ in range(2):  # which weights belong to it is known once they are written
        model.set_rt_info(replace(metadata, weights_sha256=digest).to_text(), KEY.replace(".", "_"))
        save(model, str(path), compress_to_fp16=metadata.dtype == "float16")
        digest = sha256_of(weights)
    return [weights, path]


def write_program(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.pt2``, which torch and torchvision run."""
    program = job.program()
    program._example_inputs = None  # which would be pickled into the file
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(program, buffer, extra_files={KEY: job.metadata.to_text()})
    path = folder / f"{stem}.pt2"
    path.write_bytes(buffer.getvalue())
    return [path]


def write_torchscript(job: Job, folder: Path, stem: str) -> list[Path]:
    """Write ``stem.torchscript`` by tracing, for programs in C++; torch has given it up for ``torch.export``."""
    try:
        with torch.no_grad(), _quiet():
            traced = torch.jit.trace(job.network, job.inputs, check_trace=False)
    except Exception as error:  # of any part of the model, or of torch
        raise not_exported(error, job.metadata) from error
    buffer = io.BytesIO()  # of a full disk, torch's own writer ends the process
    with _quiet():
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters say of their progress and of what they will do away with from the terminal."""
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
