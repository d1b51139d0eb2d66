"""What is shown is what the network gets, and which priors are trained on it."""

import copy
import json
import re
from collections import Counter

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from PIL import Image

from rdet.apis.browse import look_at_data
from rdet.apis.browse.data import dataset_to_browse
from rdet.apis.browse.priors import PriorMatcher
from rdet.apis.browse.run import Options, browse
from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.errors import BadImageError, ConfigError, DatasetError
from rdet.structures.ground_truth import GroundTruth

CLASSES = ("bright", "red")
SIM_OTA = {"type": "SimOTAAssigner"}


def looks(config, split="train", num=4, original=False, matcher=None, epoch=0, seed=3, **options):
    cfg = load_config(config, {key.replace("__", "."): value for key, value in options.items()})
    dataset, missing = dataset_to_browse(cfg, split, original)
    assert not missing
    return list(look_at_data(dataset, split, num, seed, epoch, 2, matcher and matcher(cfg)))


def matching(epoch=0):
    def make(cfg):
        torch.manual_seed(0)
        return PriorMatcher(build_detector(cfg, CLASSES), epoch)

    return make


@pytest.mark.parametrize("first", [0, 7])  # 7 iterations are an epoch of 13 images, 2 each
def test_images_are_the_first_that_a_training_gets(config, make_runner, first):
    runner, batches = make_runner(train_cfg__max_iters=first + 2), []

    class Keep(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            batches.append(copy.deepcopy(data_batch))

    runner.register_hook(Keep())
    runner.train()
    trained = batches[first:]
    shown = looks(config, epoch=first // 7)
    inputs = [image for batch in trained for image in batch["inputs"]]
    samples = [sample for batch in trained for sample in batch["data_samples"]]
    for look, image, sample in zip(shown, inputs, samples, strict=True):
        assert torch.equal(look.sample.inputs, image)
        assert (look.sample.boxes == sample.gt_instances.bboxes.numpy()).all()
        assert (look.sample.image[:, :, ::-1] == image.permute(1, 2, 0).numpy()).all()  # RGB is shown


def test_original_images_are_the_same_ones_as_they_are_in_their_files(config, tmp_path):
    plain, augmented = looks(config, original=True, num=8), looks(config, num=8)
    assert [look.name for look in plain] == [look.name for look in augmented]
    assert any((a.sample.image != b.sample.image).any() for a, b in zip(plain, augmented, strict=True))
    for look in plain:
        assert (look.sample.image == np.array(Image.open(tmp_path / look.name))).all()


def test_images_that_are_joined(config):
    inner = {
        "type": "CocoDataset",
        "ann_file": "truth.json",
        "pipeline": [{"type": "LoadImageFromFile"}],
    }
    mosaic = {
        "_delete_": True,
        "type": "MultiImageMixDataset",
        "dataset": inner,
        "pipeline": [{"type": "Mosaic", "img_scale": (96, 96), "prob": 1.0}, {"type": "PackDetInputs"}],
        "stop_epoch": 1,
    }
    mixed = looks(config, train_dataloader__dataset=mosaic)
    assert {look.sample.inputs.shape for look in mixed} == {(3, 192, 192)}
    for end in ({"epoch": 1}, {"original": True}):
        assert {tuple(k.sample.inputs.shape) for k in looks(config, train_dataloader__dataset=mosaic, **end)} == {
            (3, 64, 64)
        }


def test_all_images_to_evaluate_on_come_once(config):
    shown = looks(config, split="val", num=100)
    assert Counter(look.name for look in shown) == Counter(f"{i}.png" for i in range(1, 14))
    assert [look.name for look in shown] != [look.name for look in looks(config, split="val", num=100, seed=4)]


@pytest.mark.parametrize(
    ("assigner", "reads"),
    [
        ({"type": "MaxIoUAssigner", "min_pos_iou": 0.3}, False),
        ({"_delete_": True, "type": "ATSSAssigner"}, False),
        ({"_delete_": True, **SIM_OTA}, True),
        ({"_delete_": True, "type": "TaskAlignedAssigner"}, True),
    ],
)
def test_priors_are_those_of_the_detectors_own_path(config, assigner, reads):
    options = {"model__assigner": assigner, "model__anchor_generator__ratios": [1.0]}
    shown = looks(config, matcher=matching(), num=3, **options)
    cfg = load_config(config, {key.replace("__", "."): value for key, value in options.items()})
    torch.manual_seed(0)
    model = build_detector(cfg, CLASSES).eval()
    for look in shown:
        batch = model.data_preprocessor({"inputs": [look.sample.inputs], "data_samples": [look.sample.data]}, True)
        with torch.no_grad():
            predictions = model(batch["inputs"])
            priors = model.anchor_generator(predictions.level_sizes)
            matches = model.match(predictions, priors, GroundTruth.of_samples(batch["data_samples"])).without_repeats()
        positives = np.concatenate([level.positives for level in look.levels])
        assert (positives == priors[matches.prior].numpy()).all()
        assert (np.concatenate([level.objects for level in look.levels]) == matches.gt_index.numpy()).all()
        ignored = matches.ignored.nonzero()[:, 0] if matches.ignored.dtype == torch.bool else matches.ignored
        assert sum(len(level.ignored) for level in look.levels) == len(ignored)
        assert look.priors_of_objects().sum() == len(positives)
        assert [level.stride for level in look.levels] == list(model.anchor_generator.strides)
    matcher = matching()(cfg)
    matcher.levels(shown[0].sample)
    assert matcher.reads_predictions == reads


def test_the_assigner_is_that_of_the_epoch(config):
    cfg = load_config(config, {"model.initial": {"epochs": 2, "assigner": SIM_OTA}})
    names = [PriorMatcher(build_detector(cfg, CLASSES), epoch).assigner for epoch in (0, 1, 2)]
    assert names == ["SimOTAAssigner", "SimOTAAssigner", "MaxIoUAssigner"]


def test_a_network_that_cannot_run_without_numbers_runs_with_them(config, monkeypatch):
    matcher = matching()(load_config(config))
    network = type(matcher.model.backbone)
    forward = network.forward

    def asking(self, inputs):
        assert inputs.sum().item() == inputs.sum().item()  # which has no answer without numbers
        return forward(self, inputs)

    wanted = looks(config, matcher=matching(), num=1)[0]
    monkeypatch.setattr(network, "forward", asking)
    levels = matcher.levels(wanted.sample)
    assert all((a.positives == b.positives).all() for a, b in zip(levels, wanted.levels, strict=True))


def test_pictures_a_folder_and_a_page(config, tmp_path, capsys):
    cfg = load_config(config)
    out, folder, page = tmp_path / "all.png", tmp_path / "each", tmp_path / "page.html"
    options = Options("tiny", num=5, priors=True, out=str(out), out_dir=str(folder), html=str(page))
    assert browse(cfg, options) == []
    said = capsys.readouterr().out
    assert "5 of 13 images of train, as the network gets them, seed 3, as a training with this seed gets them" in said
    assert "priors as MaxIoUAssigner assigns them in epoch 1\n" in said
    assert re.search(r"stride 8: \d+ positive, \d+ ignored", said)
    assert len(list(folder.iterdir())) == 5
    first = out.read_bytes()
    browse(cfg, options)
    assert out.read_bytes() == first
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == text.count("data:image/jpeg;base64,") == 5
    assert "://" not in text
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text


def test_bad_images_are_listed_and_passed_over(config, tmp_path, capsys):
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:-40])
    cfg = load_config(config)
    [bad] = browse(cfg, Options("tiny", split="val", num=13, out=str(tmp_path / "all.png")))
    assert "2.png: the image file is truncated" in bad
    assert "error: " in capsys.readouterr().err
    (tmp_path / "3.png").unlink()
    bad = browse(cfg, Options("tiny", split="val", num=13, html=str(tmp_path / "page.html")))
    assert "1 of 13 image files are missing" in bad[0]
    assert "11 of 11 images of val" in capsys.readouterr().out
    text = (tmp_path / "page.html").read_text()
    assert text.count("<img") == 11
    assert "image files are missing" in text
    for path in (tmp_path / f"{i}.png" for i in range(1, 14)):
        path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match="none of the images of val can be shown; 13 are bad"):
        browse(cfg, Options("tiny", split="val"))


def test_images_of_five_channels_and_regions_to_ignore(config, tmp_path):
    truth = json.loads((tmp_path / "truth.json").read_text())
    truth["annotations"][0]["iscrowd"] = 1
    for image in truth["images"]:
        picture = cv2.imread(str(tmp_path / image["file_name"]))
        image["file_name"] = image["file_name"].replace(".png", ".npy")
        np.save(tmp_path / image["file_name"], np.concatenate([picture, picture[:, :, :2]], axis=2))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    pipeline = [{"type": "LoadImageFromFile", "channels": 5}, {"type": "PackDetInputs"}]
    shown = looks(config, num=13, train_dataloader__dataset__pipeline=pipeline)
    first = next(look for look in shown if look.name == "1.npy")
    assert "1 ignored" in first.caption
    assert first.picture(CLASSES, 300).shape[2] == 3


def test_a_checkpoint_of_other_classes_is_refused(config, make_runner, tmp_path):
    path = tmp_path / "weights.pth"
    model = build_detector(load_config(config), ("a", "b"))
    torch.save({"state_dict": model.state_dict(), "meta": {"dataset_meta": {"classes": ("a", "b")}}}, path)
    with pytest.raises(ConfigError, match="is of the classes a, b, the data of bright, red"):
        browse(load_config(config), Options("tiny", priors=True, checkpoint=str(path)))


def test_data_that_are_all_bad_end_soon():
    class Bad(list):
        metainfo = {"classes": CLASSES}

        def __getitem__(self, index):
            raise BadImageError(f"{index}.png: missing", "missing")

    found = list(look_at_data(Bad(range(1000)), "train", 16, 0, 0, 2, None))
    assert len(found) == 50
    assert all(isinstance(reason, str) for reason in found)
