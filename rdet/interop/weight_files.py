"""Files of weights, whoever wrote them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdet.checkpoint import read_checkpoint, weights_in
from rdet.deploy.misnamed import why_no_checkpoint
from rdet.errors import CheckpointError
from rdet.interop.array_pickle import read_array_pickle
from rdet.interop.darknet import read_darknet
from rdet.interop.nanodet_onnx import read_nanodet_onnx
from rdet.interop.onnx_file import OnnxFile
from rdet.interop.yolox_onnx import is_yolox_onnx, read_yolox_onnx


def _checkpoint(path: str) -> Mapping[str, Any]:
    """Read a checkpoint; of an exported file that is none, say what it is."""
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        if said := why_no_checkpoint(path):
            raise CheckpointError(said) from error
        raise


def read_weights(path: str) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Read a file and its weights; Detectron2's pickles, exports of NanoDet and YOLOX, and darknet's files, too."""
    if path.lower().endswith(".onnx"):
        if Path(path).is_file() and (said := why_no_checkpoint(path)):
            raise CheckpointError(said)
        file = OnnxFile(path)
        return (read_yolox_onnx if is_yolox_onnx(file) else read_nanodet_onnx)(file)
    if path.lower().endswith(".weights"):
        return read_darknet(path)
    if not path.endswith(".pkl"):
        content = _checkpoint(path)
        return content, weights_in(content)
    content = read_array_pickle(path)
    content = content if isinstance(content, dict) else {}
    found = content.get("model", content)
    arrays = {
        name: value
        for name, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(name, str) and isinstance(value, np.ndarray) and value.dtype.kind in "iuf"
    }
    if not arrays:
        raise CheckpointError(f"{path} holds no arrays under 'model'; take another checkpoint")
    return content, {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
