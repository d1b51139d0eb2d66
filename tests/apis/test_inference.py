"""Detection on single pictures and folders gives what evaluation gives."""

import json
import re
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.coco import COCO
from torchvision.io import ImageReadMode, read_image

from rdet.apis.folder import detect_folder
from rdet.apis.inference import inference_detector, init_detector
from rdet.checkpoint import read_checkpoint
from rdet.config import load_config
from rdet.errors import BadImageError, CheckpointError, ConfigError, NonFiniteDetectionError, RdetError
from rdet.evaluation.coco_results import write_results
from rdet.registry import UnknownNameError
from rdet.visualization.colors import class_color

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def trained(make_runner, tmp_path) -> str:
    make_runner(train_cfg__max_iters=5).train()
    return str(tmp_path / "run" / "iter_5.pth")


def test_inference_gives_what_evaluation_gives(config, trained, make_runner, tmp_path):
    out = tmp_path / "out.json"
    make_runner("test", load_from=trained, test_evaluator={"type": "CocoMetric", "outfile_prefix": str(out)}).test()
    written = [d for d in json.loads(out.read_text()) if d["image_id"] == 3]
    model = init_detector(config, trained)
    assert model.classes == ("bright", "red")
    found = inference_detector(model, tmp_path / "3.png").pred_instances
    boxes = torch.tensor([d["bbox"] for d in written], dtype=torch.float32)
    boxes[:, 2:] += boxes[:, :2]
    torch.testing.assert_close(found.bboxes, boxes, atol=1e-3, rtol=0)
    np.testing.assert_allclose(found.scores, [d["score"] for d in written], atol=1e-5)


def test_a_path_an_array_and_a_batch_give_the_same(config, trained, tmp_path):
    model = init_detector(config, trained)
    path = tmp_path / "5.png"
    one = inference_detector(model, str(path)).pred_instances
    array = inference_detector(model, cv2.imread(str(path))).pred_instances
    batch = inference_detector(model, [path, tmp_path / "6.png"])
    assert len(batch) == 2
    with Image.open(path) as opened:
        picture = inference_detector(model, opened).pred_instances
    tensor = inference_detector(model, read_image(str(path), ImageReadMode.RGB)).pred_instances
    for other in (array, batch[0].pred_instances, picture, tensor):
        torch.testing.assert_close(other.bboxes, one.bboxes, atol=1e-3, rtol=0)
        assert torch.equal(other.labels, one.labels)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"image 0 is an array \(8, 8\) of uint8; give BGR \(H, W, 3\) of uint8"),
        (np.zeros((8, 8, 3)), r"image 0 is an array \(8, 8, 3\) of float64"),
        (np.zeros((0, 8, 3), np.uint8), "image 0 is an array"),
        (torch.zeros(3, 8, 8), "image 0 is a tensor .* of torch.float32; give RGB"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"image 0 is a tensor \(1, 3, 8, 8\)"),
        (torch.zeros(3, 0, 8, dtype=torch.uint8), r"image 0 is a tensor \(3, 0, 8\)"),
        (Image.new("RGB", (0, 5)), "image 0 is a picture of Pillow of 0x5 pixels"),
        *((Image.new(mode, (8, 8)), f"of 8x8 pixels in mode {mode}; give one of") for mode in ("I;16", "I", "F")),
        ([b"bytes"], "image 0 is of type bytes; give a path"),
    ],
)
def test_an_image_of_another_kind_is_said(config, trained, image, message):
    with pytest.raises(ConfigError, match=message):
        inference_detector(init_detector(config, trained), image)


def test_a_picture_that_a_camera_turned_is_put_upright(config, trained, tmp_path):
    model = init_detector(config, trained)
    turned = Image.fromarray(cv2.imread(str(tmp_path / "5.png"))[:48, :, ::-1])
    turned.getexif()[0x0112] = 6
    assert inference_detector(model, turned).ori_shape == (64, 48)


def test_a_bad_image_of_a_folder_is_passed_over(config, trained, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "dir.jpg").mkdir()
    for name in ("a.png", "c.png"):
        cv2.imwrite(str(folder / name), np.full((40, 50, 3), 90, np.uint8))
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:60])
    words = ["infer.py", config, trained, str(folder), "--out-dir", str(tmp_path / "out"), "--score-thr", "0"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="1"):
        runpy.run_path(str(ROOT / "tools/infer.py"), run_name="__main__")
    said = capsys.readouterr()
    assert re.search(r"^\d+ detections in 2 images: ", said.out, re.MULTILINE)
    assert re.fullmatch(r"error: .*b\.png: .*; mend or replace it\n", said.err)
    written = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [image["file_name"] for image in written["images"]] == ["a.png", "c.png"]
    assert list(written["info"]["failed"]) == ["b.png"]
    with pytest.raises(BadImageError, match=r"b\.png"):  # of one image, the error itself
        detect_folder(init_detector(config, trained), folder / "b.png", tmp_path / "out")


def test_what_was_found_before_an_interruption_is_written(config, trained, tmp_path, monkeypatch):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.full((40, 50, 3), 90, np.uint8))
    model = init_detector(config, trained)
    detect, first = model.test_step, iter([True])

    def interrupted(data):
        if next(first, False):
            return detect(data)
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "test_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        detect_folder(model, folder, tmp_path / "out", 0.0)
    written = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [image["file_name"] for image in written["images"]] == ["a.png"]


def test_folder_gives_pictures_and_a_coco_json(config, trained, tmp_path):
    folder = tmp_path / "pictures" / "sub"
    folder.mkdir(parents=True)
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(folder / name), np.full((40, 50, 3), 90, np.uint8))
    model = init_detector(config, trained)
    found = detect_folder(model, tmp_path / "pictures", tmp_path / "out", score_thr=0.0)
    assert found == json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [image["file_name"] for image in found["images"]] == ["sub/a.jpg", "sub/b.png"]
    assert cv2.imread(str(tmp_path / "out" / "sub" / "b.png")).shape == (40, 50, 3)
    coco = COCO(str(tmp_path / "out" / "detections.json"))
    assert len(coco.getAnnIds(imgIds=[2])) == sum(a["image_id"] == 2 for a in found["annotations"]) > 0
    assert all(a["score"] > 0.9 for a in detect_folder(model, folder / "a.jpg", tmp_path / "few", 0.9)["annotations"])


@pytest.mark.parametrize(("name", "message"), [("none", "no image or folder at"), ("empty", "no image in .*empty")])
def test_no_image_is_said(config, trained, tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=message):
        detect_folder(init_detector(config, trained), tmp_path / name, tmp_path / "out")


def test_class_count_must_come_from_somewhere(config):
    with pytest.raises(ValueError, match="neither the checkpoint nor model.num_classes says .*; set model.num_classes"):
        init_detector(config)
    assert init_detector(config, cfg_options={"model.num_classes": 3}).classes == ("0", "1", "2")


def test_pictures_of_a_test_run(trained, make_runner, tmp_path):
    make_runner(
        "test", load_from=trained, custom_hooks=[{"type": "DrawHook", "out_dir": str(tmp_path / "drawn")}]
    ).test()
    pictures = sorted(path.name for path in Path(tmp_path / "drawn").iterdir())
    assert pictures == sorted(f"{i}_{i}.png" for i in range(1, 14))
    drawn, plain = (cv2.imread(str(path)) for path in (tmp_path / "drawn" / "1_1.png", tmp_path / "1.png"))
    assert drawn.shape[1] >= 2 * plain.shape[1]
    left, right = (half[:, :, ::-1] for half in np.array_split(drawn, 2, axis=1))
    truth = json.loads((tmp_path / "truth.json").read_text())["annotations"][0]  # of the first image
    color = class_color(truth["category_id"] - 1)
    assert (left == color).all(-1).sum() > 4 * truth["bbox"][2]  # enlarged
    assert (left != right).any()


def test_data_root_of_the_config_reaches_wrapped_data_sets(make_runner, tmp_path):
    inner = {
        "type": "CocoDataset",
        "ann_file": "truth.json",
        "pipeline": [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}],
    }
    wrapped = {"type": "ConcatDataset", "datasets": [inner, {**inner, "data_root": str(tmp_path)}]}
    twice = {"_delete_": True, "type": "RepeatDataset", "times": 2, "dataset": wrapped}
    runner = make_runner(train_dataloader__dataset=twice, train_cfg__max_iters=2)
    assert len(runner._train_dataloader["dataset"]) == 4 * 13
    runner.train()
    assert len(runner.train_dataloader) == 26


def test_concatenated_data_sets_of_other_classes_are_said(make_runner):
    parts = [
        {"type": "CocoDataset", "ann_file": "truth.json", "metainfo": {"classes": classes}}
        for classes in (["bright", "red"], ["red", "bright"])
    ]
    wrapped = {"_delete_": True, "type": "ConcatDataset", "datasets": parts}
    with pytest.raises(ValueError, match=r"label 0 is 'bright' in datasets\.0 and 'red' in datasets\.1"):
        make_runner(train_dataloader__dataset=wrapped)


def test_written_results_need_no_folder(tmp_path):
    path = tmp_path / "new" / "out.json"
    write_results(path, [1], {1: np.array([[1.0, 2, 3, 4, 0.5, 7]])})
    assert json.loads(path.read_text()) == [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}]


@pytest.mark.parametrize(("source", "out"), [(".", "."), (".", "found"), ("1.png", ".")])
def test_images_are_not_written_over(trained, config, tmp_path, source, out):
    model = init_detector(config, trained)
    before = (tmp_path / "1.png").read_bytes()
    with pytest.raises(ValueError, match="--out-dir .* lies in the folder of the images, .*; choose another one"):
        detect_folder(model, tmp_path / source, tmp_path / out)
    assert (tmp_path / "1.png").read_bytes() == before


def test_device_that_is_not_there_is_said(config, trained):
    with pytest.raises(ValueError, match="device 'tpu' cannot be used"):
        init_detector(config, trained, "tpu")


def test_options_change_a_config_object_too(config):
    cfg = load_config(config)
    model = init_detector(cfg, cfg_options={"model.num_classes": 3, "model.bbox_head.stacked_convs": 2})
    assert len(model.bbox_head.cls_convs) == 2
    assert cfg.model.bbox_head.stacked_convs == 1
    with pytest.raises(UnknownNameError, match=r"tiny.py: model.bbox_head: RetinaHead has no key 'stacked_conv'"):
        init_detector(cfg, cfg_options={"model.bbox_head.stacked_conv": 2})


def test_no_image_gives_no_detections(config):
    assert inference_detector(init_detector(config, cfg_options={"model.num_classes": 3}), []) == []


def test_pipeline_of_a_wrapped_data_set(config, trained, tmp_path):
    cfg = load_config(config)
    cfg.val_dataloader.dataset = {"type": "ConcatDataset", "datasets": [cfg.val_dataloader.dataset] * 2}
    assert inference_detector(init_detector(cfg, trained), tmp_path / "1.png").pred_instances is not None
    cfg.val_dataloader = None
    with pytest.raises(ValueError, match="neither a test_dataloader nor a val_dataloader"):
        inference_detector(init_detector(cfg, trained), tmp_path / "1.png")


@pytest.mark.parametrize(
    ("mode", "overrides", "message"),
    [
        ("train", {"train_dataloader": None}, "the config has no train_dataloader, which a train run needs"),
        ("train", {"optim_wrapper": {"_delete_": True, "type": "OptimWrapper"}}, "no optim_wrapper.optimizer"),
        ("train", {"default_hooks__checkpoint__save_best": "bbox_mAP"}, "save_best is 'bbox_mAP'. Did you mean 'coco/"),
        (
            "train",
            {"default_hooks__checkpoint__save_best": "bbox_mAP", "val_evaluator": [{"prefix": "mine"}]},
            "save_best is 'bbox_mAP'. Did you mean 'mine/bbox_mAP'",
        ),
        (
            "train",
            {"custom_hooks": [{"type": "EarlyStoppingHook", "monitor": "mAP", "rule": "greater"}]},
            r"custom_hooks\.0\.monitor is 'mAP'",
        ),
        ("train", {"param_scheduler": [{"type": "ReduceOnPlateauLR"}]}, r"param_scheduler\.0\.monitor is 'loss'"),
        (
            "train",
            {"default_hooks__checkpoint__save_best": "coco/bbox_mAP", "default_hooks__checkpoint__rule": "less"},
            "save_best is 'coco/bbox_mAP', of which more is better, but its rule is 'less'",
        ),
        (
            "train",
            {"val_dataloader__dataset__pipeline": [{"type": "LoadImageFromFile"}, {"type": "RandomFlip", "prob": 1.0}]},
            r"val_dataloader\.dataset\.pipeline\.1: RandomFlip moves objects, .*; leave it out",
        ),
        (
            "test",
            {"val_dataloader__dataset__pipeline": [{"type": "RandomCrop", "crop_size": (8, 8)}]},
            r"test_dataloader\.dataset\.pipeline\.0: RandomCrop moves objects",
        ),
        (
            "train",
            {"custom_hooks": [{"type": "EMAHook", "momentum": 1.0}]},
            "momentum is 1.0; it must be a number above 0 and below 1",
        ),
        ("train", {"val_evaluator": [{}, {}]}, "2 metrics with the prefix 'coco'.*; give each its own"),
        ("train", {"val_evaluator": []}, "val_evaluator is empty; leave it out"),
        ("train", {"load_from": ""}, "no checkpoint at ''; give the path"),
        (
            "train",
            {"model__anchor_generator__ratios": [1.0, 1]},
            r"model\.anchor_generator\.ratios is .*; give each once",
        ),
        (
            "train",
            {"optim_wrapper__clip_grad": {"clip_value": 1.0}},
            "optim_wrapper.clip_grad is {'clip_value': 1.0}; give max_norm and no clip_value, or another type",
        ),
        (
            "train",
            {"optim_wrapper__clip_grad": {"type": "value", "clip_value": 1.0, "max_norm": 3.0}},
            "give clip_value and no max_norm",
        ),
        (
            "train",
            {"activation_checkpointing": ["backbne"]},
            "activation_checkpointing has 'backbne'. Did you mean 'backbone'",
        ),
        (
            "train",
            {"optim_wrapper__paramwise_cfg": {"custom_keys": {"backbne": {"lr_mult": 0.1}}}},
            "custom_keys has 'backbne', which is in no parameter's name; parameters are called as backbone",
        ),
    ],
)
def test_what_would_fail_after_hours_fails_at_once(make_runner, mode, overrides, message):
    with pytest.raises(RdetError, match=message):
        make_runner(mode, **overrides)


def test_results_that_cannot_be_written_stop_a_test_before_it_begins(make_runner, trained, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    evaluator = {"type": "CocoMetric", "outfile_prefix": str(tmp_path / "file" / "out.json")}
    runner = make_runner("test", test_evaluator=evaluator, load_from=trained)
    monkeypatch.setattr(runner.model, "test_step", lambda data: pytest.fail("it detects"))
    with pytest.raises(OSError, match="file"):
        runner.test()


def test_a_checkpoint_that_finds_no_numbers_is_named(make_runner, trained):
    """Finite weights may overflow on their way through the network."""
    runner = make_runner("test", load_from=trained)

    def detect(data):
        samples = data["data_samples"]
        for sample in samples:
            bboxes = torch.full((1, 4), torch.inf)
            sample.pred_instances = InstanceData(bboxes=bboxes, scores=torch.ones(1), labels=torch.zeros(1).long())
        return samples

    runner.model.test_step = detect
    with pytest.raises(NonFiniteDetectionError, match=f"^{re.escape(str(trained))}: image 1 has a detection whose box"):
        runner.test()
    runner = make_runner(train_cfg__max_iters=1, load_from=trained)
    runner.model.val_step = detect
    with pytest.raises(
        NonFiniteDetectionError, match=f"^iteration 1, begun from {re.escape(str(trained))}: image 1 has"
    ):
        runner.train()


def test_more_objects_than_may_be_found_are_said_first(make_runner, capsys):
    make_runner("test", model__postprocess__max_per_img=1)
    assert "test: an image has 2 objects, but model.postprocess.max_per_img is 1" in capsys.readouterr().out
    make_runner("test", model__postprocess__max_per_img=2)
    assert "max_per_img" not in capsys.readouterr().out


def test_classes_without_names_are_counted_by_the_config_or_the_weights(config, trained, tmp_path, monkeypatch):
    """Weights of other projects that are no 80 name no classes; how many they are, the converter has counted."""
    content = dict(read_checkpoint(trained))
    text = load_config(config, {"model.num_classes": 2}).pretty_text
    content["meta"] = {"cfg": text, "converted_from": "x"}
    monkeypatch.setattr("rdet.apis.inference.open_checkpoint", lambda source: content)
    assert init_detector(config, "x.weights").classes == ("0", "1")
    assert init_detector(None, "x.weights").classes == ("0", "1")
    named = {"val_dataloader.dataset.metainfo.classes": ["a", "b"]}
    assert init_detector(config, "x.weights", cfg_options=named).classes == ("a", "b")
    message = (
        "^x.weights is of 2 classes, but the config says 3; set model.num_classes .*, or check that its file is whole$"
    )
    with pytest.raises(CheckpointError, match=message):
        init_detector(config, "x.weights", cfg_options={"model.num_classes": 3})
    content["meta"] = {}
    with pytest.raises(ConfigError, match=r"neither the checkpoint x.weights nor model.num_classes says how many"):
        init_detector(config, "x.weights")
