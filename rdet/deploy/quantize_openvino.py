"""OpenVINO files of int8, by NNCF's quantisation after training."""

import contextlib
import io
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rdet.deploy.calibration import Calibration
from rdet.deploy.metadata import Metadata
from rdet.deploy.openvino_model import openvino_model, save_openvino
from rdet.deploy.packages import needed
from rdet.errors import ConfigError
from rdet.messages import in_one_line

_CONVOLUTIONS = ("Convolution", "GroupConvolution")


class OpenVinoQuantizer:
    """Makes the convolutions of a network int8, and what is between them.

    Weights are symmetric with a scale for each channel, maps are not symmetric, and biases are corrected for what
    rounding shifts on average (NNCF's fast bias correction). What decodes and suppresses stays in float.

    Args:
        model: An ONNX ``ModelProto`` in float32.
        data: For the calibration.
        folder: For files on the way, which it removes.

    Attributes:
        said: What made it.

    Raises:
        ConfigError: NNCF cannot do it.
        MissingModuleError: NNCF or OpenVINO is not there.
    """

    def __init__(self, model: Any, data: Calibration, folder: Path):
        self._openvino = needed("openvino", "an export to OpenVINO")
        nncf = needed("nncf", "an export in int8 to OpenVINO")
        self.said = {"by": f"nncf {nncf.__version__}"}
        self._float = openvino_model(model, folder)
        try:
            with _quiet():
                self._int8 = nncf.quantize(
                    self._float,
                    nncf.Dataset(data),
                    preset=nncf.QuantizationPreset.MIXED,
                    subset_size=len(data),
                    fast_bias_correction=True,
                    ignored_scope=nncf.IgnoredScope(names=_after_convolutions(self._float), validate=False),
                )
        except Exception as error:  # of no common kind
            raise ConfigError(
                f"NNCF {nncf.__version__} with OpenVINO {self._openvino.__version__} cannot make the detector int8 "
                f"({in_one_line(str(error))[:300]}); pip install -U nncf openvino, or take --format onnx"
            ) from error

    def write(self, in_float: Collection[str], metadata: Metadata, path: Path) -> list[Path]:
        """Write ``path`` and its weights, with the ONNX nodes ``in_float`` as they were."""
        model = self._int8.clone()
        self._restore(model, set(in_float))
        return save_openvino(model, metadata, path)

    def _restore(self, model: Any, in_float: set[str]) -> None:
        """Give convolutions their map, weights and bias in float; those who share a map keep its int8."""
        opset = self._openvino.opset13
        originals = {node.get_friendly_name(): node for node in self._float.get_ordered_ops()}
        weights: dict[str, Any] = {}  # shared by the levels of a head
        for node in model.get_ordered_ops():
            name = node.get_friendly_name()
            if node.get_type_name() not in _CONVOLUTIONS or name.partition("/")[0] not in in_float:
                continue
            source = node.input_value(0).get_node()
            if source.get_type_name() == "FakeQuantize":
                node.input(0).replace_source_output(source.input_value(0))
            constant = _constant(originals[name].input_value(1).get_node())
            key = constant.get_friendly_name()
            if key not in weights:
                shape = list(node.input_value(1).get_shape())
                weights[key] = opset.constant(np.array(constant.data).reshape(shape))
            node.input(1).replace_source_output(weights[key].output(0))
            bias, own_bias = _bias(originals[name]), _bias(node)
            if bias is not None and own_bias is not None:
                shape = list(own_bias.get_source_output().get_shape())
                values = np.array(_constant(bias.get_source_output().get_node()).data).reshape(shape)
                own_bias.replace_source_output(opset.constant(values).output(0))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF's bars and its line for each operation from the terminal."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _after_convolutions(model: Any) -> list[str]:
    """Name the operations whose results reach no convolution."""
    operations = model.get_ordered_ops()
    before: set[str] = set()
    rest = [node for node in operations if node.get_type_name() in _CONVOLUTIONS]
    while rest:
        node = rest.pop()
        if node.get_friendly_name() not in before:
            before.add(node.get_friendly_name())
            rest += [port.get_source_output().get_node() for port in node.inputs()]
    kinds = ("Result", "Constant", "Parameter")
    names = [node.get_friendly_name() for node in operations if node.get_type_name() not in kinds]
    return [name for name in names if name not in before]


def _constant(node: Any) -> Any:
    """Follow what reshapes a constant to the constant."""
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node


def _bias(node: Any) -> Any:
    """Return the port by which a bias is added to the result of a convolution, or None."""
    for port in node.output(0).get_target_inputs():
        addition = port.get_node()
        if addition.get_type_name() == "Add":
            other = addition.input(1 - port.get_index())
            source = other.get_source_output().get_node()
            if source.get_type_name() in ("Constant", "Reshape", "Convert") and not _has_inputs(source):
                return other
    return None


def _has_inputs(node: Any) -> bool:
    """Tell whether a chain of reshapes ends in anything but a constant."""
    while node.get_type_name() in ("Reshape", "Convert"):
        node = node.input_value(0).get_node()
    return node.get_type_name() != "Constant"
