"""ONNX files of int8, by ONNX Runtime's static quantisation."""

import contextlib
import copy
import io
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rdet.deploy.calibration import Calibration
from rdet.deploy.layer_groups import convolutions_before, up_to_convolutions
from rdet.deploy.metadata import Metadata
from rdet.deploy.onnx_model import describe
from rdet.deploy.packages import needed
from rdet.errors import ConfigError
from rdet.messages import in_one_line

# Operators between convolutions that ONNX Runtime computes in int8, so that maps stay int8 from one to the next.
_BETWEEN = ("Conv", "LeakyRelu", "Relu", "Clip", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "Split", "Transpose")


class OnnxQuantizer:
    """Makes the convolutions of an ONNX model int8, as pairs of QuantizeLinear and DequantizeLinear.

    Weights have a scale for each channel and are symmetric, maps one for all, from the least to the largest value that
    the images of the calibration give.

    Args:
        model: A ``ModelProto`` in float32.
        data: For the calibration.
        folder: For files on the way, which it removes.

    Attributes:
        said: What made it.
    """

    def __init__(self, model: Any, data: Calibration, folder: Path):
        self._tool = needed("onnxruntime.quantization", "an export in int8 to ONNX")
        self._onnx = needed("onnx", "an export to ONNX")
        self.said = {"by": f"onnxruntime {needed('onnxruntime', 'int8').__version__}"}
        self._model = model
        self._data = data
        self._folder = folder
        inside, self._before = up_to_convolutions(model), convolutions_before(model)
        names = [node.name for node in model.graph.node if node.name in inside and node.op_type in _BETWEEN]
        self._nodes = [name for name in names if self._before[name]]  # what normalises images stays in float
        self._ranges: Any = None

    def write(self, in_float: Collection[str], metadata: Metadata, path: Path) -> list[Path]:
        """Write ``path``, with the convolutions ``in_float`` and what is made of their maps left as they are."""
        nodes = [name for name in self._nodes if self._before[name].isdisjoint(in_float)]
        made = self._quantized(nodes) if nodes else copy.deepcopy(self._model)
        describe(made, metadata)
        self._onnx.save_model(made, str(path))
        return [path]

    def _quantized(self, nodes: list[str]) -> Any:
        """Make a model whose ``nodes`` are int8; there must be some, since none means all to ONNX Runtime."""
        cache = self._folder / "ranges.json"
        quantized = self._folder / "quantized.onnx"
        if self._ranges is not None:
            cache.write_text(self._ranges)
        try:
            with _quiet():
                self._tool.quantize_static(
                    copy.deepcopy(self._model),
                    str(quantized),
                    _reader(self._tool, self._data),
                    quant_format=self._tool.QuantFormat.QDQ,
                    op_types_to_quantize=list(_BETWEEN),
                    nodes_to_quantize=nodes,
                    per_channel=True,
                    activation_type=self._tool.QuantType.QUInt8,
                    weight_type=self._tool.QuantType.QInt8,
                    calibration_cache_path=str(cache),
                )
            self._ranges = cache.read_text()
            return self._onnx.load(str(quantized))
        except Exception as error:  # of no common kind
            raise ConfigError(
                f"ONNX Runtime cannot make the detector int8 ({in_one_line(str(error))[:300]}); take --format openvino"
            ) from error
        finally:
            for file in (cache, quantized):
                file.unlink(missing_ok=True)


def _reader(tool: Any, data: Calibration) -> Any:
    """Give batches to ONNX Runtime, which asks for the next one."""
    batches = iter(data)

    class Reader(tool.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> Any:
            return next(batches, None)

    return Reader()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep its advice about models that were not prepared from the terminal; exports are."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.root.setLevel(level)
