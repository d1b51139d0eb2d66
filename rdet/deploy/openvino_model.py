"""OpenVINO's model of a network, made of ONNX's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rdet.deploy.metadata import KEY, Metadata
from rdet.deploy.packages import needed
from rdet.files import sha256_of


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
