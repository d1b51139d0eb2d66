"""Whether an ONNX file is one that TensorRT reads. Nothing here runs TensorRT.

From the lists of onnx-tensorrt (docs/operators.md of its release 10), https://github.com/onnx/onnx-tensorrt
"""

import re
from typing import Any

from rdet.deploy.packages import needed
from rdet.errors import ConfigError

MOST_OF_TOPK = 3840
_OPERATORS = frozenset(
    re.findall(
        r"\w+",
        """
        Abs Acos Add And ArgMax ArgMin Asin Atan AveragePool BatchNormalization Cast CastLike Ceil Celu Clip Concat
        Constant ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Einsum Elu Equal Erf
        Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool
        Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Identity If ImageScaler
        InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop MatMul Max
        MaxPool Mean Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or Pad ParametricSoftplus Pow PRelu
        QuantizeLinear RandomNormal Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
        ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND
        Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan
        Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
        """,
    )
)
_REFUSED_TYPES = {"DOUBLE", "UINT16", "INT16", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128", "STRING"}


def check_tensorrt(model: Any) -> None:
    """Raise ConfigError unless TensorRT can read an ONNX model, as far as can be told without it.

    Args:
        model: A ``ModelProto``.

    Raises:
        ConfigError: It has an operator or a type that TensorRT lacks, or a TopK beyond its limit.
    """
    onnx = needed("onnx", "tensorrt-ready")
    known: dict[str, Any] = {tensor.name: tensor for tensor in model.graph.initializer}
    known |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    if lacking := sorted({node.op_type for node in model.graph.node} - _OPERATORS):
        raise ConfigError(
            f"TensorRT has no operator {', '.join(lacking)}; export with --format onnx for other runtimes"
        )
    for node in model.graph.node:
        if node.op_type != "TopK":
            continue
        if node.input[1] not in known:
            raise ConfigError("TensorRT needs the K of TopK as a constant; export with a fixed --size")
        count = int(onnx.numpy_helper.to_array(known[node.input[1]]).reshape(-1)[0])
        if count > MOST_OF_TOPK:
            raise ConfigError(
                f"TensorRT's TopK takes {MOST_OF_TOPK} at most, not {count}; lower model.postprocess.topk_per_level or "
                "max_per_img by --cfg-options"
            )
    values = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    kinds = {onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type) for value in values}
    kinds |= {onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in model.graph.initializer}
    if bad := sorted(kinds & _REFUSED_TYPES):
        raise ConfigError(f"TensorRT has no tensors of {', '.join(bad)}, which the detector's parts need")
