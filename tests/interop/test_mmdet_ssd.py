"""MMDetection's SSD becomes rdet's, and back."""

import pytest
import torch

from rdet.config import load_config
from rdet.errors import CheckpointError
from rdet.interop.origins import origin_of
from rdet.interop.ssd import from_ssd, is_ssd, to_ssd
from rdet.registry import MODELS

K = 3


@pytest.fixture(scope="module")
def states():
    """rdet's weights by the side of the images, each with a number of its own."""
    found = {}
    for side in (300, 512):
        cfg = load_config(f"configs/ssd/ssd{side}_vgg16_coco_mmdet.py", {"model.backbone.weights": None})
        with torch.device("meta"):
            model = MODELS.build(cfg.model, default_args={"num_classes": K}, where="model")
        state = {name: torch.zeros(value.shape) for name, value in model.state_dict().items()}
        for index, value in enumerate(state.values()):
            value.view(-1)[0] = index
        found[side] = state
    return found


@pytest.mark.parametrize("side", [300, 512])
def test_there_and_back(states, side):
    state = states[side]
    theirs = to_ssd(state)
    assert {name.split(".")[0] for name in theirs} == {"backbone", "neck", "bbox_head"}
    assert torch.equal(theirs["backbone.features.31.weight"], state["neck.fc.fc6.weight"])
    assert torch.equal(theirs["neck.extra_layers.1.1.conv.bias"], state["neck.extra_layers.1.2.bias"])
    assert torch.equal(theirs["bbox_head.cls_convs.4.0.weight"], state["bbox_head.conv_cls.4.weight"])
    assert is_ssd(state, "rdet")
    assert is_ssd(theirs, "mmdet")
    assert not is_ssd(state, "mmdet")
    assert not is_ssd(theirs, "rdet")
    assert origin_of(theirs) == "mmdet"
    converted = from_ssd({}, theirs, "a.pth")
    assert converted.num_classes == K
    assert converted.description == f"SSD{side} with VGG-16, 3 classes"
    assert set(converted.weights) == set(state)
    assert all(torch.equal(converted.weights[name], value) for name, value in state.items())
    resize = converted.cfg.val_dataloader.dataset.pipeline[1]
    assert (resize.type, tuple(resize.scale), resize.keep_ratio) == ("Resize", (side, side), False)


CONFIG = """
model = dict(
    data_preprocessor=dict(mean=[1.0, 2.0, 3.0], std=[1, 1, 1], bgr_to_rgb=True),
    bbox_head=dict(anchor_generator=dict(input_size=300, basesize_ratio_range=({smallest}, 0.9))),
    test_cfg=dict(nms_pre=500, nms=dict(type="nms", iou_threshold=0.4), score_thr=0.1, max_per_img=50))
"""


def test_what_its_config_says(states):
    theirs = to_ssd(states[300])
    cfg = from_ssd({"meta": {"cfg": CONFIG.format(smallest=0.15)}}, theirs, "a.pth").cfg.model
    assert cfg.data_preprocessor.mean == [1, 2, 3]
    found = cfg.postprocess
    assert (found.score_thr, found.topk_per_level, found.iou_threshold, found.max_per_img) == (0.1, 500, 0.4, 50)
    of_coco = "input_size=300, basesize_ratio_range=(0.15, 0.9)"
    for other, key in {
        "basesize_ratio_range=(0.2, 0.9)": "basesize_ratio_range",
        "basesize_ratio_range=(0.15, 0.8)": "basesize_ratio_range",
        "strides=[8, 16, 32, 64, 128, 256]": "strides",
        "ratios=[[2], [2, 3], [2, 3], [2, 3], [3], [2]]": "ratios",
        "min_sizes=[30]": "min_sizes",
    }.items():
        cfg = CONFIG.format(smallest=0.15).replace(of_coco, other)
        with pytest.raises(CheckpointError, match=rf"other default boxes than those of SSD300 for COCO \({key}\)"):
            from_ssd({"meta": {"cfg": cfg}}, theirs, "a.pth")
    coder = "bbox_head=dict(bbox_coder=dict(target_stds=[1.0, 1.0, 1.0, 1.0]), "
    cfg = CONFIG.format(smallest=0.15).replace("bbox_head=dict(", coder)
    with pytest.raises(CheckpointError, match=r"other target_stds than \[0\.1, 0\.1, 0\.2, 0\.2\]"):
        from_ssd({"meta": {"cfg": cfg}}, theirs, "a.pth")


def test_others_are_refused(states):
    theirs = to_ssd(states[300])
    with pytest.raises(CheckpointError, match=r"^SSD has no weight called neck\.x; it is no SSD300"):
        from_ssd({}, {**theirs, "neck.x": torch.zeros(1)}, "")
    five = {name: value for name, value in theirs.items() if not name.startswith(("bbox_head.cls_convs.5",))}
    with pytest.raises(CheckpointError, match="^it has 5 levels; it is no SSD300 or SSD512"):
        from_ssd({}, five, "")
    with pytest.raises(CheckpointError, match=r"1 are missing \(neck\.l2_norm\.weight\)"):
        from_ssd({}, {name: value for name, value in theirs.items() if "l2_norm" not in name}, "")
    with pytest.raises(CheckpointError, match=r"^SSD has no weight called neck\.x in mmdet"):
        to_ssd({"neck.x": torch.zeros(1)})
