"""Other projects' weights: pickles of arrays, exported graphs, checkpoints of MMDetection and torchvision."""

import io
import os
import pickle
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from fuzz import Case, Reader

from readers import tiny
from readers.checkpoints import hostile_pickle, parts_of
from readers.oddities import damaged, mutated, odd_value

_MMDET = {
    "backbone.conv1.weight": (4, 3, 7, 7),
    "backbone.layer1.0.conv2.weight": (4, 4, 3, 3),
    "neck.lateral_convs.0.conv.weight": (8, 4, 1, 1),
    "bbox_head.retina_cls.weight": (18, 8, 3, 3),
    "bbox_head.retina_reg.weight": (36, 8, 3, 3),
}
_DETECTRON2 = {
    "backbone.bottom_up.stem.conv1.weight": (4, 3, 7, 7),
    "backbone.bottom_up.res2.0.conv1.weight": (4, 4, 1, 1),
    "backbone.fpn_lateral3.weight": (8, 4, 1, 1),
    "head.cls_score.weight": (18, 8, 3, 3),
    "head.bbox_pred.weight": (36, 8, 3, 3),
    "pixel_mean": (3, 1, 1),
    "pixel_std": (3, 1, 1),
}
_TORCHVISION = {
    "backbone.body.conv1.weight": (4, 3, 7, 7),
    "backbone.fpn.inner_blocks.0.0.weight": (8, 4, 1, 1),
    "head.classification_head.cls_logits.weight": (18, 8, 3, 3),
}
_NANODET = {
    "model.backbone.stage2.0.branch2.0.weight": (58, 58, 3, 3),
    "model.fpn.lateral_convs.0.conv.weight": (96, 116, 1, 1),
    "model.head.gfl_cls.0.weight": (112, 96, 1, 1),
}


def _resnet() -> dict[str, tuple[int, ...]]:
    blocks = [f"backbone.layer{layer}.{block}" for layer in range(1, 5) for block in range(2)]
    return {f"{block}.conv{conv}.weight": (4, 4, 3, 3) for block in blocks for conv in (1, 2)}


def pickled(rng: Random) -> tuple[bytes, str, str]:
    content: dict[str, Any] = {
        "model": {name: np.zeros(shape, np.float32) for name, shape in _DETECTRON2.items()},
        "__author__": "x",
    }
    what = [mutated(rng, content) for _ in range(rng.choice([0, 1, 2]))]
    try:
        file = pickle.dumps(content, rng.choice([0, 1, 2, 3, 4, 5]))
    except (RecursionError, TypeError, NotImplementedError):
        file = b""
    if rng.random() < 0.4:
        file, how = damaged(rng, file)
        what.append(how)
    return file, "; ".join(what), "odd.pkl"


def hostile(rng: Random) -> tuple[bytes, str, str]:
    file, what = hostile_pickle(rng)
    if file[:2] == b"PK":
        file = next(part for name, part in parts_of(file).items() if name.endswith("data.pkl"))
    return file, what, "odd.pkl"


def saved(rng: Random) -> tuple[bytes, str, str]:
    shapes = rng.choice([{**_MMDET, **_resnet()}, _DETECTRON2, _TORCHVISION, _NANODET])
    content: dict[str, Any] = {
        "state_dict": {name: torch.zeros(shape) for name, shape in shapes.items()},
        "meta": {
            "CLASSES": rng.choice([("a", "b"), "a", None, [], [1, 2], odd_value(rng)]),
            "cfg": rng.choice(["model = dict()", "model = 3", "a = " + "[" * 300, "model = dict(bbox_head=[])", None]),
        },
    }
    what = [mutated(rng, content) for _ in range(rng.choice([0, 1, 1, 3]))]
    buffer = io.BytesIO()
    try:
        torch.save(content, buffer)
    except (RecursionError, TypeError, RuntimeError, pickle.PicklingError):
        buffer = io.BytesIO()
    return buffer.getvalue(), "; ".join(what), rng.choice(["odd.pth", "odd.pt", "odd.ckpt"])


def exported(rng: Random) -> tuple[bytes, str, str]:
    from onnx import TensorProto, helper

    convolutions = rng.choice([0, 1, 60, 65, 70])
    weight = helper.make_tensor("w", rng.choice([TensorProto.FLOAT, TensorProto.INT8]), [1, 1, 1, 1], [1])
    if rng.random() < 0.3:
        weight.dims[0] = rng.choice([10**12, -1, 0, 2**62])
    if rng.random() < 0.3:
        weight.external_data.add(key="location", value=rng.choice(["/etc/passwd", "../x", ""]))
    nodes = [
        helper.make_node(rng.choice(["Conv", "Conv", "LeakyRelu"]), ["x", "w", "w"], [f"y{i}"])
        for i in range(convolutions)
    ]
    graph = helper.make_graph(nodes, "g", [], [], [weight])
    file, what = helper.make_model(graph).SerializeToString(), f"{convolutions} nodes"
    if rng.random() < 0.5:
        file, what = damaged(rng, file)
    return file, what, "odd.onnx"


def make(rng: Random, folder: Path) -> Case:
    from rdet.interop.convert import convert_checkpoint

    tiny.checkpoint()  # made before the harness looks
    file, what, name = rng.choice([pickled, hostile, saved, saved, exported])(rng)
    path = folder / name
    path.write_bytes(file)
    os.chdir(folder)
    origin = rng.choice(["auto", "auto", "auto", "mmdet", "detectron2", "torchvision", "nanodet"])
    target = rng.choice(["rdet", "rdet", "mmdet"])
    return Case(
        lambda: convert_checkpoint(path, "out.pth", origin, target), (name,), f"{name} {origin} {target}: {what}"
    )


READERS = [Reader("converters", make, cases=60)]
