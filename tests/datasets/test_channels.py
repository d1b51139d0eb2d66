"""Images of one, two and N channels: read, trained on, evaluated and detected in."""

import cv2
import numpy as np
import pytest
import torch
from channel_run import write_run
from torch import nn

from rdet.apis.build import build_runner
from rdet.apis.folder import detect_folder
from rdet.apis.inference import inference_detector, init_detector
from rdet.config import load_config
from rdet.datasets.arrays import as_picture
from rdet.datasets.images import image_size, read_image
from rdet.datasets.transforms import LoadImageFromFile, PackDetInputs, RandomFlip, Resize
from rdet.errors import BadImageError, ConfigError, PipelineError, RdetError
from rdet.models.backbones.channels import adapted
from rdet.models.backbones.weights import load_weights
from rdet.registry import MODELS


@pytest.mark.parametrize("channels", [1, 5])  # fewer and more than pictures have
def test_training_test_and_inference(channels, tmp_path):
    config = write_run(tmp_path, channels)
    cfg = load_config(config)
    cfg.work_dir = str(tmp_path / "run")
    cfg.experiment_name = f"train_{tmp_path.name}"
    runner = build_runner(cfg)
    before = runner.model.backbone.conv1.weight.detach().clone()
    runner.train()
    after = runner.model.backbone.conv1.weight
    assert after.shape[1] == channels
    assert not torch.equal(before, after)
    cfg.load_from = str(tmp_path / "run/iter_2.pth")
    cfg.experiment_name = f"test_{tmp_path.name}"
    assert "coco/bbox_mAP" in build_runner(cfg, "test").test()
    model = init_detector(config, cfg.load_from)
    found = inference_detector(model, tmp_path / "1.npy")
    array = inference_detector(model, np.load(tmp_path / "1.npy"))
    assert torch.equal(found.pred_instances.bboxes, array.pred_instances.bboxes)
    assert detect_folder(model, tmp_path / "1.npy", tmp_path / "out", 0.0)["images"][0]["height"] == 64
    assert cv2.imread(str(tmp_path / "out/1.npy.png")).shape == (64, 64, 3)


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_the_pipeline_keeps_the_channels(channels, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, channels), dtype=np.uint8)
    np.save(tmp_path / "a.npy", image)
    assert image_size(tmp_path / "a.npy") == (30, 40)

    def load():
        return LoadImageFromFile(channels=channels)({"img_path": tmp_path / "a.npy", "height": 30, "width": 40})

    assert np.array_equal(load()["img"], image)
    assert np.array_equal(RandomFlip(prob=1.0)(load())["img"], image[:, ::-1])
    assert PackDetInputs()(Resize((20, 15))(load()))["inputs"].shape == (channels, 15, 20)
    assert np.array_equal(PackDetInputs()(load())["inputs"].permute(1, 2, 0).numpy(), image)


def test_pictures(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    four = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    cv2.imwrite(str(tmp_path / "four.png"), four)
    assert np.array_equal(read_image(tmp_path / "grey.png", channels=1), grey[:, :, None])
    assert np.array_equal(read_image(tmp_path / "four.png", channels=4), four)
    assert read_image(tmp_path / "grey.png").shape == read_image(tmp_path / "four.png").shape == (30, 40, 3)
    message = r"grey\.png: the image has 1 channels, not the 2 that are asked for; set channels of LoadImageFromFile"
    with pytest.raises(BadImageError, match=message):
        read_image(tmp_path / "grey.png", channels=2)


def test_arrays_of_other_depths_are_scaled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[0, 4095], [2048, 0]]], dtype=np.uint16))
    assert read_image(tmp_path / "a.npy", channels=2, value_range=(0, 4095)).tolist() == [[[0, 255], [128, 0]]]
    with pytest.raises(BadImageError, match="the image has 16 bits a channel, with values from 0 to 4095"):
        read_image(tmp_path / "a.npy", channels=2)


def _header(shape, dtype="|u1"):
    text = str({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_header((20_000, 20_000, 5)), "the image has 20000x20000 pixels, more than 100000000; make it smaller"),
        (_header((30, 40, 2**40)), "not an array that is an image (an array (30, 40, 1099511627776) of uint8 has 0"),
        (_header((30, 40, 5)) + bytes(5999), "of uint8 has 5999 bytes of values"),
        (_header((30,)), "an array (30,) of uint8 is no image (H, W) or (H, W, N) of numbers"),
        (_header((30, 40), "|O"), "of object is no image"),
        (b"\x93NUMPY\x01\x00\x05\x00{", "not an array that is an image ("),
        (b"\x93NUMPY", "not an array that is an image ("),
    ],
)
def test_arrays_that_are_refused(data, message, tmp_path):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(BadImageError) as error:
        read_image(tmp_path / "a.npy", channels=5)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_another_size_than_stated(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((30, 40, 5), np.uint8))
    with pytest.raises(BadImageError, match="the image is 40x30 pixels, its annotations say 30x40") as error:
        read_image(tmp_path / "a.npy", (40, 30), channels=5)
    assert error.value.reason == "of another size"


def test_a_picture_to_look_at():
    image = np.arange(10, dtype=np.uint8).reshape(1, 2, 5)
    assert as_picture(image).tolist() == [[[0, 1, 2], [5, 6, 7]]]
    assert as_picture(image[:, :, :2]).tolist() == [[[0, 0, 0], [5, 5, 5]]]


@pytest.mark.parametrize("name", ["PhotoMetricDistortion", "LargeScaleJitter"])
def test_what_needs_three_channels_says_so(name, tmp_path):
    step = {"type": name, **({"scale": (64, 64)} if name == "LargeScaleJitter" else {})}
    cfg = load_config(write_run(tmp_path, 5, step))
    cfg.work_dir = str(tmp_path / "run")
    cfg.experiment_name = tmp_path.name
    with pytest.raises(RdetError, match=rf"{name} takes images of 3 channels, not of 5; leave it out of the pipeline"):
        build_runner(cfg).train()


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [
        ({"type": "ResNet", "depth": 18}, 1),
        ({"type": "ResNet", "depth": 18}, 2),
        ({"type": "TimmBackbone", "model_name": "tf_efficientnet_lite0"}, 5),
        ({"type": "TorchvisionBackbone", "model_name": "mobilenet_v3_small"}, 1),
        ({"type": "TorchvisionBackbone", "model_name": "mobilenet_v3_small"}, 5),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else value,
)
def test_backbones_and_their_weights(backbone, channels, tmp_path):
    whole = MODELS.build(dict(backbone), where="backbone").eval()
    torch.save(getattr(whole, "net", whole).state_dict(), tmp_path / "weights.pth")
    other = MODELS.build({**backbone, "in_channels": channels, "weights": str(tmp_path / "weights.pth")}, where="b")
    other.init_weights()
    other.eval()
    x = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        maps, expected = other(x.expand(1, channels, 64, 64)), whole(x.expand(1, 3, 64, 64))
    assert [m.shape for m in maps] == [m.shape for m in expected]
    if channels == 1 and backbone["type"] != "TimmBackbone":  # whose padding rounds otherwise
        for one, three in zip(maps, expected, strict=True):  # the sum is what three equal channels give
            torch.testing.assert_close(one, three, rtol=1e-3, atol=1e-4)


def test_the_rule_for_weights():
    weight = torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1, 1)
    assert adapted(weight, 1).flatten().tolist() == [7]
    assert adapted(weight, 2).flatten().tolist() == [1.5, 3]
    torch.testing.assert_close(adapted(weight, 5).flatten(), torch.tensor([1.0, 2, 4, 1, 2]) * 0.6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mean": [0, 0], "std": [1, 1]}, "bgr_to_rgb is of 3 channels, but mean has 2 values; set bgr_to_rgb=False"),
        ({"mean": [0, 0], "std": [1], "bgr_to_rgb": False}, "mean has 2 values and std 1; write one for each channel"),
    ],
)
def test_values_that_do_not_fit(given, message):
    with pytest.raises(ConfigError, match=message):
        MODELS.build({"type": "DetDataPreprocessor", **given}, where="model.data_preprocessor")


def test_images_and_mean_that_do_not_fit():
    made = MODELS.build({"type": "DetDataPreprocessor"}, where="p")
    with pytest.raises(PipelineError, match=r"an image has 5 channels, but data_preprocessor\.mean 3 values; set mean"):
        made({"inputs": [torch.zeros(5, 8, 8)]})


@pytest.mark.parametrize("channels", [1, 5])
def test_weights_that_go_by_their_order_are_adapted_too(channels, tmp_path):
    """Those of packages have names of their own."""
    backbone = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4))
    stored = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()
    torch.save({f"_net_{name}": value for name, value in stored.items()}, tmp_path / "weights.pth")
    load_weights(backbone, str(tmp_path / "weights.pth"))
    assert torch.equal(backbone[0].weight, adapted(stored["0.weight"], channels))
    assert torch.equal(backbone[0].bias, stored["0.bias"])
