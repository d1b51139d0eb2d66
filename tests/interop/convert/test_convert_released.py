"""Released detectors by their names and addresses."""

import re
from pathlib import Path

import pytest
import torch
from mmdet_states import weights
from saved_states import small

from rdet.apis.inference import init_detector
from rdet.config import load_config
from rdet.errors import CheckpointError, ConfigError
from rdet.interop import zoo

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mmdt://atss_r50_fpn_1x_coco", "released detectors have no 'mmdt://'. Did you mean 'mmdet://'"),
        ("MMDET://atss_r50_fpn_1x_coco", "released detectors have no 'MMDET://'. Did you mean 'mmdet://'"),
        (
            "s3://a.pth",
            "released detectors have no 's3://'. Valid: detectron2://, mmdet://, nanodet://, torchvision://, yolox://.",
        ),
        ("atss_r50_fpn_1x_coco", "there is no file atss_r50_fpn_1x_coco. Did you mean 'mmdet://atss_r50_fpn_1x_coco'?"),
        ("fcos_resnet50_fpn", "there is no file fcos_resnet50_fpn. Did you mean 'torchvision://fcos_resnet50_fpn'?"),
    ],
)
def test_a_name_that_is_nearly_one_of_the_zoo(source, message):
    for arguments in ((source,), (None, source)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            init_detector(*arguments)


@pytest.fixture
def released(monkeypatch, tmp_path, save):
    """``mmdet://small_r18``: a release whose file is already in torch's folder."""
    from hashlib import sha256

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = save(weights(small("RetinaNet", classes=2)), "small.pth", CLASSES=("red", "blue"))
    digits = sha256(Path(path).read_bytes()).hexdigest()[:8]
    name = "mmdet://small_r18"
    entry = zoo.Release(name, f"http://127.0.0.1:1/small-{digits}.pth", "sha256", digits, 30.0)
    monkeypatch.setitem(zoo.RELEASES, name, entry)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    Path(path).rename(folder / f"small-{digits}.pth")
    return name


def test_a_detector_by_name(released):
    expected = weights(small("RetinaNet", classes=2))["bbox_head.retina_cls.bias"]
    for arguments in ((released,), (None, released)):
        model = init_detector(*arguments)
        assert model.classes == ("red", "blue")
        assert torch.equal(model.bbox_head.conv_cls.bias, expected)
    cfg = load_config(ROOT / "configs" / "retinanet" / "r18_fpn_1x_coco.py")
    options = {"model.neck.out_channels": 64, "model.bbox_head.feat_channels": 64}
    assert init_detector(cfg, released, cfg_options=options).cfg.model.loss_bbox.type == "SmoothL1Loss"


def test_the_address_of_a_release_is_checked_too(released):
    entry = zoo.release(released)
    assert init_detector(checkpoint=entry.address).classes == ("red", "blue")
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    (folder / entry.address.rpartition("/")[2]).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=f"its sha256 begins with 2d711642, not with {entry.checksum}"):
        init_detector(checkpoint=entry.address)


def test_training_starts_from_a_name(released, make_runner, tmp_path):
    """The tiny data set has the classes bright and red."""
    before = weights(small("RetinaNet", classes=2))
    runner = make_runner(
        load_from=released,
        model__backbone={"_delete_": True, "type": "ResNet", "depth": 18},
        model__neck={"_delete_": True, "type": "FPN", "out_channels": 64},
        model__bbox_head={"_delete_": True, "type": "RetinaHead", "feat_channels": 64},
        model__anchor_generator={"_delete_": True, "type": "AnchorGenerator"},
        train_cfg__max_iters=1,
    )
    drawn = runner.model.bbox_head.conv_cls.bias.detach().clone().unflatten(0, (9, 2))
    runner.load_or_resume()
    found = runner.model.bbox_head.conv_cls.bias.detach().unflatten(0, (9, 2))
    assert torch.equal(found[:, 0], drawn[:, 0])  # bright
    assert torch.equal(found[:, 1], before["bbox_head.retina_cls.bias"].unflatten(0, (9, 2))[:, 0])  # red
    own = runner.model.state_dict()
    assert torch.equal(own["backbone.layer4.1.conv2.weight"], before["backbone.layer4.1.conv2.weight"])
    assert torch.equal(own["neck.extra_convs.1.bias"], before["neck.fpn_convs.4.conv.bias"])
    assert (tmp_path / "run" / "converted" / "small_r18.pth").is_file()
