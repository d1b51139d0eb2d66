"""ONNX's model of a network, as torch's exporter makes it."""

from typing import Any

import numpy as np
import torch

from rdet.deploy.job import Job, quiet
from rdet.deploy.metadata import KEY, Metadata
from rdet.deploy.not_exported import not_exported
from rdet.deploy.packages import needed
from rdet.errors import ConfigError


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
        with torch.no_grad(), quiet():
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
