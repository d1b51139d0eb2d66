"""The tool that converts checkpoints."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from forked import Forked
from mmdet_states import weights
from saved_states import small

from rdet.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[3]


def run_tool(*words, cwd):
    process = Forked(ROOT / "tools" / words[0], [*map(str, words[1:])], cwd, apart=True)
    said, errors = process.communicate()
    return process.returncode, said, errors


def test_the_tool_converts_there_and_back_and_infer_needs_no_config(save, tmp_path):
    state = weights(small("ATSS", classes=3))
    source = save(state, dataset_meta={"classes": ("a", "b", "c")})
    code, out, _ = run_tool("convert_checkpoint.py", source, "rdet.pth", cwd=tmp_path)
    assert (code, out.splitlines()[-1]) == (
        0,
        "ATSS with ResNet-18, group normalisation in the head, 3 classes, written to rdet.pth",
    )
    converted = read_checkpoint(tmp_path / "rdet.pth")
    assert converted["meta"]["dataset_meta"]["classes"] == ("a", "b", "c")
    code, out, _ = run_tool("convert_checkpoint.py", "rdet.pth", "back.pth", "--to", "mmdet", cwd=tmp_path)
    assert code == 0
    assert out.splitlines()[-1].startswith("ATSS with ResNet-18")
    back = read_checkpoint(tmp_path / "back.pth")
    assert back["meta"] == {"dataset_meta": {"classes": ("a", "b", "c")}, "CLASSES": ("a", "b", "c")}
    assert set(back["state_dict"]) == set(state)
    assert all(torch.equal(back["state_dict"][name], value) for name, value in state.items())

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 48, 3), np.uint8))
    options = ["val_dataloader.dataset.pipeline.1.scale=(64,64)"]
    code, out, error = run_tool(
        "infer.py", "rdet.pth", "--out-dir", "out", "a.png", "--cfg-options", *options, cwd=tmp_path
    )
    assert code == 0, error
    assert "detections in 1 images: out" in out
    found = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [category["name"] for category in found["categories"]] == ["a", "b", "c"]


def test_the_tool_says_in_one_line_what_is_wrong(save, tmp_path):
    source = save({"a.b": torch.zeros(1)})
    code, _, error = run_tool("convert_checkpoint.py", source, "out.pth", cwd=tmp_path)
    assert (code, error.splitlines()) == (
        1,
        [
            f"error: {source} is not a checkpoint of mmdet, detectron2, torchvision, nanodet, yolox, darknet: its "
            "weights are called a.b; give one of those"
        ],
    )
    assert not (tmp_path / "out.pth").exists()
    code, _, error = run_tool("convert_checkpoint.py", "mmdet://atss_r50", "out.pth", cwd=tmp_path)
    assert code == 1
    assert error.startswith("error: no released detector is called 'mmdet://atss_r50'. Did you mean ")
    assert len(error.splitlines()) == 1
