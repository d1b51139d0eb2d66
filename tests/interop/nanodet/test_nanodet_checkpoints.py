"""NanoDet-m from its authors' checkpoints."""

import pytest
import torch
from nanodet_files import detector, of_the_project, raw

from rdet.apis.inference import init_detector
from rdet.errors import CheckpointError
from rdet.interop.convert import convert_checkpoint, open_checkpoint


@pytest.mark.parametrize("prefix", ["", "model.", "averaged"])
def test_checkpoints_of_the_project(tmp_path, prefix):
    model = detector()
    state = of_the_project(model)
    if prefix == "averaged":  # what is averaged is what counts
        state = {f"model.{name}": value + 1 for name, value in state.items()} | {
            f"avg_model.{name}": value for name, value in state.items()
        }
    else:
        state = {prefix + name: value for name, value in state.items()}
    torch.save({"state_dict": state, "epoch": 3, "iter": 4}, tmp_path / "nanodet_m_416.ckpt")
    convert_checkpoint(tmp_path / "nanodet_m_416.ckpt", tmp_path / "rdet.pth")
    converted = init_detector(checkpoint=tmp_path / "rdet.pth")
    images = torch.randn(2, 3, 64, 96)
    for found, expected in zip(raw(converted, images), raw(model, images), strict=True):
        assert torch.equal(found, expected)
    assert not converted.backbone.norm_eval
    assert converted.cfg.val_dataloader.dataset.pipeline[1].scale == (416, 416)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("nanodet_m.pth", 320),
        ("a_320.ckpt", 320),
        ("iter_13200.ckpt", None),
        ("model_best.ckpt", None),
        ("a416.pth", 416),
    ],
)
def test_the_size_of_images_is_guessed_with_a_warning(tmp_path, name, side, monkeypatch):
    said = []
    monkeypatch.setattr("rdet.interop.nanodet.print_log", lambda message, *_, **__: said.append(message))
    torch.save({"state_dict": of_the_project(detector())}, tmp_path / name)
    model = init_detector(checkpoint=tmp_path / name)
    assert model.cfg.val_dataloader.dataset.pipeline[1].scale == (side or 416,) * 2
    assert ["does not say for which size" in message for message in said] == [True] * (side is None)


def test_the_number_of_bins_is_the_checkpoints(tmp_path):
    """Not taken for more classes."""
    model = detector(**{"model.bbox_coder.reg_max": 10})
    state = of_the_project(model) | {"head.distribution_project.project": torch.arange(11.0)}
    torch.save({"state_dict": state}, tmp_path / "nanodet_m.pth")
    converted = init_detector(checkpoint=tmp_path / "nanodet_m.pth")
    assert (len(converted.classes), converted.bbox_coder.reg_max) == (5, 10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda state: state.pop("head.gfl_cls.1.bias"), r"2 are missing \(bbox_head\.conv_cls\.1\.bias"),
        (lambda state: state.pop("fpn.lateral_convs.0.conv.weight"), "no NanoDet-m of version 0"),
        (lambda state: state.pop("head.cls_convs.0.0.pointwise.weight"), "1 are missing"),
        (lambda state: state.update({"backbone.fc.weight": torch.zeros(2)}), "1 are unknown"),
        (
            lambda state: state.update(
                {"backbone.conv1.0.bias": torch.zeros(24)} | {"backbone.x.bias": torch.zeros(2)}
            ),
            "of its weights",
        ),
        (lambda state: state.update({name: torch.tensor(1.0) for name in state}), "too few for boxes"),
        (lambda state: state.update({name: value.int() for name, value in state.items()}), "no plain tensor"),
        (lambda state: state.update({name: value.to("meta") for name, value in state.items()}), "no detector needs"),
    ],
)
def test_incomplete_and_odd_checkpoints_are_one_line(tmp_path, make, message):
    state = of_the_project(detector())
    make(state)
    torch.save({"state_dict": state}, tmp_path / "nanodet_m.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_checkpoint(tmp_path / "nanodet_m.pth", tmp_path / "a.pth", "nanodet")
    assert "\n" not in str(caught.value)


def test_other_nanodets_are_one_line(tmp_path):
    state = of_the_project(detector())
    towers = {**state, "head.reg_convs.0.0.depthwise.weight": torch.zeros(1)}
    unknown = {**state, "fpn.downsamples.0.weight": torch.zeros(1)}
    plus = {name: value for name, value in state.items() if not name.startswith("backbone.stage2.0.branch2")}
    for weights, message in (
        (towers, "towers of their own"),
        (unknown, "no weight called 'fpn.downsamples.0.weight'"),
        (plus, "no NanoDet-m of version 0"),
    ):
        torch.save({"state_dict": weights}, tmp_path / "a.pth")
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(tmp_path / "a.pth")


def test_ones_own_is_no_nanodet_to_convert(tmp_path):
    torch.save({"state_dict": detector().state_dict()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="a checkpoint of rdet already: nothing to convert; use it as it is$"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth")


def test_a_class_layer_for_each_level_is_drawn_anew_by_names(tmp_path):
    """Rows of classes of the same name are kept, at each level."""
    from rdet.class_rows import with_rows_of_classes

    trained, wanted = ["a", "b", "c", "d", "e"], ["x", "d", "b"]
    old, new = detector(5).state_dict(), detector(3).state_dict()
    found = with_rows_of_classes(old, new, trained, wanted, "a.pth")
    for level in range(3):
        for kind in ("weight", "bias"):
            name = f"bbox_head.conv_cls.{level}.{kind}"
            assert torch.equal(found[name], torch.stack([new[name][0], old[name][3], old[name][1]]))
    assert all(found[name].shape == new[name].shape for name in new)
