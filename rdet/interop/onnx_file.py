"""Convolutions of an ONNX file, for converters of exported detectors. Nothing of a file is run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdet.errors import CheckpointError, MissingFileError, MissingModuleError
from rdet.messages import few


class OnnxFile:
    """An exported network of convolutions with their normalisation folded into them.

    Args:
        path: The file; it may not refer to others.

    Attributes:
        path: As given.
        graph: ONNX's graph.
        arrays: Name -> ONNX's tensor.
        convolutions: ONNX's nodes, in the order of the file.

    Raises:
        CheckpointError: It is no ONNX file, or has normalisation of its own.
        MissingFileError: There is no such file.
        MissingModuleError: The package onnx is not installed.
    """

    def __init__(self, path: str):
        if not Path(path).is_file():
            raise MissingFileError(f"no checkpoint at {path}; give the path of a file")
        try:
            import onnx
        except ImportError as error:
            raise MissingModuleError(f"{path} needs the package onnx; install it: pip install onnx") from error
        if not Path(path).stat().st_size:
            raise CheckpointError(f"{path} is empty; take another")
        try:
            graph = onnx.load(path, load_external_data=False).graph
        except Exception as error:  # protobuf's own errors are of no common kind
            raise CheckpointError(
                f"{path} cannot be read as an ONNX file ({type(error).__name__}); take another"
            ) from error
        self.path = path
        self.graph = graph
        self.arrays = {tensor.name: tensor for tensor in graph.initializer}
        self.convolutions = [node for node in graph.node if node.op_type == "Conv"]
        if any(node.op_type == "BatchNormalization" for node in graph.node):
            raise CheckpointError(f"{path} has batch normalisation of its own; export it with its folding, as usual")

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Width and height of the images, where the file says them."""
        given = [value for value in self.graph.input if value.name not in self.arrays]
        shape = [dim.dim_value for value in given[:1] for dim in value.type.tensor_type.shape.dim]
        return (shape[3], shape[2]) if len(shape) == 4 and shape[2] and shape[3] else None

    def weights(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Read the weight and the bias of each convolution, as float32.

        Args:
            names: Of the convolutions, as many as there are.

        Raises:
            CheckpointError: One is missing, damaged or not of floating point.
        """
        weights: dict[str, Tensor] = {}
        for name, node in zip(names, self.convolutions, strict=True):
            missing = [repr(key) for key in node.input[1:] if key not in self.arrays or self.arrays[key].external_data]
            if len(node.input) != 3 or not node.output or missing:
                raise CheckpointError(
                    f"{self.path}: a convolution has no weight and bias in the file ({few(missing) or 'bias'}); export "
                    "it with its weights in it, as initializers"
                )
            for kind, key in zip(("weight", "bias"), node.input[1:], strict=True):
                weights[f"{name}.{kind}"] = _tensor(self.arrays[key], self.path)
        return weights


def _tensor(tensor: Any, path: str) -> Tensor:
    """Read the numbers of an ONNX tensor as float32."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16):
        raise CheckpointError(f"{path}: the weight {tensor.name!r} is not of floating point; take an export that is")
    try:
        return torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    except Exception as error:  # sizes that contradict each other and others' paths: errors of no common kind
        raise CheckpointError(
            f"{path}: the weight {tensor.name!r} is damaged ({type(error).__name__}); take another"
        ) from error
