"""The operators of an ONNX file that stand for ``rdet::suppress``."""

from typing import Any

# Below every score, and above what stands where there is no box, -1.
_LEAST = -0.5


def translation() -> dict[Any, Any]:
    """Return what ``torch.onnx.export`` takes as ``custom_translation_table``."""
    import torch
    from onnxscript import opset18 as op  # the operators used here are the same in later opsets

    def suppress(boxes, scores, groups, num_groups: int, iou_threshold: float, most: int):
        """Mark what ``NonMaxSuppression`` selects: (N, C, 4), (N, C), (N, C) -> (N, C) bool.

        Each group is one of its classes, in which other groups' boxes score less than the least score: so boxes stay
        where they are, and a batch is not flattened.
        """
        of_groups = op.Unsqueeze(scores, op.Constant(value_ints=[1]))  # (N, 1, C)
        if num_groups > 1:
            # -1 everywhere, made of what is known only when it runs: a constant of this size would be in the file.
            nothing = op.Sub(op.Cast(op.Less(of_groups, op.Constant(value_float=-2.0)), to=1), 1.0)
            nothing = op.Expand(nothing, op.Constant(value_ints=[1, num_groups, 1]))  # (N, G, C)
            own = op.Unsqueeze(groups, op.Constant(value_ints=[1]))
            of_groups = op.ScatterElements(nothing, own, of_groups, axis=1)
        selected = op.NonMaxSuppression(
            boxes,
            of_groups,
            op.Constant(value_ints=[most]),
            op.Constant(value_floats=[float(iou_threshold)]),
            op.Constant(value_floats=[_LEAST]),
        )  # (S, 3): image, group, box
        places = op.Gather(selected, op.Constant(value_ints=[0, 2]), axis=1)
        nothing = op.Mul(scores, op.Constant(value_float=0.0))
        ones = op.Add(op.Mul(op.Cast(op.Gather(places, op.Constant(value_int=0), axis=1), to=1), 0.0), 1.0)
        return op.Greater(op.ScatterND(nothing, places, ones), op.Constant(value_float=0.5))

    return {torch.ops.rdet.suppress.default: suppress}
