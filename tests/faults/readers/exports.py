"""Exported files: damaged ones, of other projects, and of another's making that say odd things of themselves."""

import functools
import importlib.util
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from fuzz import Case, Reader
from odd import damage, mutate, no_file, with_numbers

from rdet.apis.inference import inference_detector
from rdet.deploy.loading import load_exported
from rdet.deploy.metadata import KEY, Metadata
from rdet.errors import DatasetError, PipelineError
from readers.tiny import TEMPORARY

_NAMES = ("boxes", "scores", "labels", "counts")
_SAID = Metadata(
    rdet="1",
    torch="2",
    weights="x.pth",
    head="end2end",
    outputs=list(_NAMES),
    classes=["x", "y"],
    channels=3,
    input="uint8",
    dtype="float32",
    divisor=8,
    size=[16, 24],
    batch=1,
    pipeline=[{"type": "LoadImageFromFile"}, {"type": "FitWithin", "size": [24, 16]}, {"type": "PackDetInputs"}],
    postprocess={"type": "NMSPostprocess"},
    config="model = dict()",
    opset=18,
)
_PARTS = ("os.system", "builtins.eval", "subprocess.Popen", "Resize", "LoadImageFromFile", "x", "", "torch.load")
_HUGE = (2**14, 10**6, 2**31, 2**63, 10**30, 0, -1)


class _Network(torch.nn.Module):
    """Finds one box in every image."""

    def forward(self, images: torch.Tensor, image_sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        nothing = images.float().mean(dim=(1, 2, 3))[:, None] * 0
        boxes = nothing[..., None] + torch.tensor([1.0, 2.0, 3.0, 4.0])
        return boxes, nothing + 0.5, nothing.long(), image_sizes[:, 0] * 0 + 1


def _program(said: str | None) -> bytes:
    images, sizes = torch.zeros(1, 3, 16, 24, dtype=torch.uint8), torch.ones(1, 2, dtype=torch.long)
    program = torch.export.export(_Network(), (images, sizes))
    program._example_inputs = None
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={} if said is None else {KEY: said})
    return buffer.getvalue()


def _onnx(said: str | None) -> Any:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    found = {
        "boxes": np.array([[[1, 2, 3, 4]]], np.float32),
        "scores": np.array([[0.5]], np.float32),
        "labels": np.array([[0]]),
        "counts": np.array([1]),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value)) for name, value in found.items()
    ]
    graph = helper.make_graph(
        nodes,
        "x",
        [
            helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 3, 16, 24]),
            helper.make_tensor_value_info("image_sizes", TensorProto.INT64, [1, 2]),
        ],
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in found.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if said is not None:
        onnx.helper.set_model_props(model, {KEY: said})
    return model


def _openvino(said: str | None) -> dict[str, bytes]:
    import openvino

    with tempfile.TemporaryDirectory(dir=TEMPORARY) as folder:
        through = Path(folder) / "a.onnx"
        through.write_bytes(_onnx(None).SerializeToString())
        model = openvino.convert_model(str(through))
        if said is not None:
            model.set_rt_info(said, KEY.replace(".", "_"))
        openvino.save_model(model, str(Path(folder) / "a.xml"))
        return {end: (Path(folder) / f"a{end}").read_bytes() for end in (".xml", ".bin")}


_MAKERS: dict[str, Callable[[str | None], dict[str, bytes]]] = {".pt2": lambda said: {".pt2": _program(said)}}
if importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime"):
    _MAKERS[".onnx"] = lambda said: {".onnx": _onnx(said).SerializeToString()}
    if importlib.util.find_spec("openvino"):
        _MAKERS[".xml"] = _openvino


@functools.cache
def _whole(suffix: str, foreign: bool) -> dict[str, bytes]:
    """Make a file that can be used, but for one that says nothing of itself."""
    return _MAKERS[suffix](None if foreign else _SAID.to_text())


def _saying(suffix: str, said: str) -> dict[str, bytes]:
    """Make a file that says something else of itself."""
    if suffix != ".pt2":
        return _MAKERS[suffix](said)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_whole(".pt2", False)[".pt2"])) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, said.encode("utf-8", "surrogatepass") if name.endswith(KEY) else old.read(name))
    return {".pt2": buffer.getvalue()}


def _odd_words(rng: Random) -> str:
    """Say something else: any change, a part that runs things, or numbers without measure."""
    said = json.loads(_SAID.to_text())
    kind = rng.choice(("any", "any", "part", "huge", "outputs"))
    if kind == "any":
        return with_numbers(json.dumps(mutate(rng, said)))
    if kind == "part":
        said["pipeline"].insert(rng.randrange(4), {"type": rng.choice(_PARTS), "args": "touch ran", "size": [1, 1]})
    elif kind == "huge":
        name = rng.choice(("size", "batch", "divisor", "channels"))
        value = rng.choice(_HUGE)
        said[name] = [value, rng.choice((16, value))] if name == "size" else value
    else:
        said["head"] = rng.choice(("raw", "decoded", "x"))
        said["outputs"] = rng.choice((said["outputs"][::-1], said["outputs"][:3], ["logits", "deltas", "level_sizes"]))
    return json.dumps(said)


def case(rng: Random, folder: Path) -> Case:
    """A file that detects in an image of 12 x 16."""
    suffix = rng.choice(sorted(_MAKERS))
    kind = rng.choice(("words", "words", "words", "cut", "damaged", "damaged", "foreign", "other", "no file", "whole"))
    files = _whole(suffix, kind == "foreign")
    path = folder / f"a{suffix}"
    shown = f"{kind} {suffix}"
    if kind == "words":
        said = _odd_words(rng)
        shown += f" {said[:1500]}"
        try:
            files = _saying(suffix, said)
        except (UnicodeEncodeError, ValueError, RuntimeError, TypeError):  # what such a file cannot hold
            files = _saying(suffix, "{")
    for end, data in files.items():
        (folder / f"a{end}").write_bytes(data)
    data = files[suffix]
    if kind == "cut":
        path.write_bytes(data[: rng.randrange(len(data))])
    elif kind == "damaged":
        path.write_bytes(damage(rng, data))
    elif kind == "other":
        other = rng.choice(sorted(_MAKERS))
        path.write_bytes(_whole(other, False)[other] if other != suffix else rng.randbytes(100))
    elif kind == "no file":
        shown += f" {no_file(rng, path)}"
    image = np.full((12, 16, 3), 9, np.uint8)

    def read() -> None:
        model = load_exported(path, "cpu")
        try:
            found = inference_detector(model, image).pred_instances
        except (DatasetError, PipelineError) as error:  # which are of an image
            raise PipelineError(f"{path}: {error}") from error
        assert found.bboxes.shape == (len(found.labels), 4)

    return Case(read, (path.name,), shown)


READERS = [Reader("exports", case, cases=30, seconds=60.0)]
