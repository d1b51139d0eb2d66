"""Detectron2's weights become rdet's."""

import pickle
import re

import numpy as np
import pytest
import torch
from mmdet_states import shapes, weights

from rdet.architecture import architecture_of
from rdet.errors import CheckpointError
from rdet.interop.convert import open_checkpoint
from rdet.interop.detectron2 import from_detectron2, pixel_statistics, ratio_major
from rdet.interop.mmdetection import from_mmdetection


def detectron2_state(depth=50, classes=4, width=48):
    """Detectron2's name -> tensor, and rdet's; the last layers are in the order of Detectron2's anchors in both."""
    ours, _ = from_mmdetection(weights(shapes("RetinaNet", depth, classes=classes, width=width)))
    ours = {name: value for name, value in ours.items() if not name.endswith("num_batches_tracked")}
    return {theirs_of(name): value for name, value in ours.items()}, ours


def theirs_of(name):
    for pattern, replacement in (
        (r"backbone\.conv1", "backbone.bottom_up.stem.conv1"),
        (r"backbone\.bn1", "backbone.bottom_up.stem.conv1.norm"),
        (r"\.downsample\.0", ".shortcut"),
        (r"\.downsample\.1", ".shortcut.norm"),
        (r"\.bn(\d)", r".conv\1.norm"),
        (r"neck\.extra_convs\.0", "backbone.top_block.p6"),
        (r"neck\.extra_convs\.1", "backbone.top_block.p7"),
        (r"bbox_head\.conv_cls", "head.cls_score"),
        (r"bbox_head\.conv_reg", "head.bbox_pred"),
    ):
        name = re.sub(pattern, replacement, name)
    name = re.sub(r"backbone\.layer(\d)", lambda m: f"backbone.bottom_up.res{int(m[1]) + 1}", name)
    name = re.sub(r"neck\.lateral_convs\.(\d)", lambda m: f"backbone.fpn_lateral{int(m[1]) + 3}", name)
    name = re.sub(r"neck\.fpn_convs\.(\d)", lambda m: f"backbone.fpn_output{int(m[1]) + 3}", name)
    name = re.sub(r"bbox_head\.cls_convs\.(\d)\.conv", lambda m: f"head.cls_subnet.{2 * int(m[1])}", name)
    return re.sub(r"bbox_head\.reg_convs\.(\d)\.conv", lambda m: f"head.bbox_subnet.{2 * int(m[1])}", name)


@pytest.mark.parametrize("depth", [18, 50])
def test_names_and_values(depth):
    theirs, ours = detectron2_state(depth)
    assert "backbone.bottom_up.res4.1.conv2.norm.running_var" in theirs
    theirs |= {"pixel_mean": torch.zeros(3, 1, 1), "anchor_generator.cell_anchors.0": torch.zeros(9, 4)}
    converted = from_detectron2(theirs)
    assert set(converted) == set(ours)
    last = ("bbox_head.conv_cls", "bbox_head.conv_reg")
    assert all(converted[name] is value for name, value in ours.items() if not name.startswith(last))
    found = architecture_of(converted)
    assert (found.family, found.num_classes, found.num_priors) == ("RetinaNet", 4, 9)
    assert found.options.get("model.backbone.depth", 50) == depth


@pytest.mark.parametrize("outputs", [1, 4])
def test_each_anchor_keeps_its_rows(outputs):
    """Row (size s, ratio r, output k) is there at (3 s + r) n + k, here at (3 r + s) n + k."""
    rows = torch.tensor([[s, r, k] for s in range(3) for r in range(3) for k in range(outputs)])
    expected = [[s, r, k] for r in range(3) for s in range(3) for k in range(outputs)]
    assert ratio_major(rows).tolist() == expected


def test_the_order_is_that_of_rdets_anchors():
    """Detectron2: for each size, for each ratio, a box of area size^2 and height / width = ratio."""
    from rdet.models.priors.anchor_generator import AnchorGenerator

    ours = AnchorGenerator(strides=[8])([(1, 1)])  # (9, 4)
    theirs = []
    for scale in range(3):
        for ratio in (0.5, 1.0, 2.0):
            width = (32 * 2 ** (scale / 3)) / ratio**0.5
            theirs.append([width, width * ratio])
    sizes = ours[:, 2:] - ours[:, :2]
    torch.testing.assert_close(ratio_major(torch.tensor(theirs)), sizes)


def test_other_anchors_are_an_error():
    with pytest.raises(CheckpointError, match="a last layer has 12 rows, which are not of 9 anchors a cell"):
        ratio_major(torch.zeros(12, 1))


@pytest.mark.parametrize("name", ["roi_heads.box_predictor.cls_score.weight", "head.ctrness.weight", "backbone.x"])
def test_a_foreign_name_is_an_error(name):
    with pytest.raises(CheckpointError, match=f"{re.escape(name)}: no weights of Detectron2's RetinaNet"):
        from_detectron2({name: torch.zeros(1)})
    assert from_detectron2({}) == {}


def test_pixel_statistics():
    state = {"pixel_mean": torch.tensor([103.53, 116.28, 123.675]).view(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)}
    assert pixel_statistics(state) == ([103.53, 116.28, 123.675], [1.0, 1.0, 1.0])
    assert pixel_statistics({}) is None


def test_a_file_without_arrays_is_an_error(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": {"a": 1}}))
    with pytest.raises(CheckpointError, match=r"a\.pkl holds no arrays under 'model'"):
        open_checkpoint(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([np.zeros(1)]))
    with pytest.raises(CheckpointError, match="holds no arrays"):
        open_checkpoint(tmp_path / "a.pkl")
