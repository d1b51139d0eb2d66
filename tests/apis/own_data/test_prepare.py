"""From a folder to a config that trains: every format, what is asked for, and errors."""

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rdet.apis.build import build_datasets, build_detector
from rdet.apis.own_data import BACKBONES, Wishes, prepare
from rdet.apis.own_data.pipeline import resized
from rdet.commands.train import parse_args
from rdet.config import changes, load_config
from rdet.config_files import find_config
from rdet.datasets.summary import classes_of
from rdet.errors import ConfigError, DatasetError

sys.path.append(str(Path(__file__).parents[2] / "datasets"))

from made_sets import BOXES, CLASSES, write_coco, write_csv, write_images, write_voc, write_yolo
from test_folders import LAYOUTS

NAME = "retinanet/r50_fpn_1x_coco"


@pytest.fixture
def prepared(tmp_path):
    """Prepares a training on a layout; returns its loaded config and what was said."""

    def make(layout, name: str = NAME, **wishes):
        (tmp_path / "my data").mkdir()
        layout(tmp_path / "my data")
        base = find_config(name)
        path, lines = prepare(str(base), str(tmp_path / "my data"), str(tmp_path / "run"), Wishes(**wishes))
        return load_config(path), lines

    return make


@pytest.mark.parametrize("layout", [row[0] for row in LAYOUTS], ids=[row[0].__name__ for row in LAYOUTS])
def test_every_layout_gives_data_to_train_and_validate_on(layout, prepared):
    cfg, lines = prepared(layout)
    datasets = build_datasets(cfg, ("train", "val"))
    assert classes_of(datasets["train"]) == classes_of(datasets["val"]) == CLASSES
    names = [
        {Path(dataset.get_data_info(i)["img_path"]).stem for i in range(len(dataset))} for dataset in datasets.values()
    ]
    assert not names[0] & names[1]
    assert names[0] | names[1] == set(BOXES)
    assert cfg.train_dataloader.batch_size == len(names[0])  # which are fewer than 4
    assert all("\n" not in line for line in lines)
    said = "no part to validate on: 3 images to train on, 1 to validate on, by a hash of their names"
    assert any(line.startswith(said) for line in lines) == (len(names[1]) == 1)


PARTS = {"train": ("a", "d"), "val": ("b",), "test": ("c", "b")}


def coco_parts(root):
    for split, names in PARTS.items():
        write_images(root / split, names)
        write_coco(root / f"{split}/_annotations.coco.json", names)


def yolo_parts(root):
    for split, names in PARTS.items():
        write_images(root / f"images/{split}", names)
        write_yolo(root / f"labels/{split}", names)
    places = "".join(f"{split}: images/{split}\n" for split in PARTS)
    (root / "data.yaml").write_text(f"{places}names: {list(CLASSES)}\n")


def voc_parts(root):
    write_images(root / "JPEGImages")
    write_voc(root / "Annotations")
    (root / "ImageSets/Main").mkdir(parents=True)
    for split, names in PARTS.items():
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))


def csv_parts(root):
    write_images(root / "images")
    for split, names in PARTS.items():
        write_csv(root / f"{split}.csv", names)


@pytest.mark.parametrize("layout", [coco_parts, yolo_parts, voc_parts, csv_parts])
@pytest.mark.parametrize("own_test_loader", [False, True])
def test_a_part_to_test_on(layout, own_test_loader, prepared, tmp_path):
    loader = '_base_ = "rdet::{}.py"\ntest_dataloader = dict(batch_size=2, num_workers=0, dataset=dict({}))\n'
    inner = 'type="CocoDataset", ann_file="x.json", pipeline=[dict(type="LoadImageFromFile")]'
    (tmp_path / "tested.py").write_text(loader.format(NAME, inner))
    cfg, _ = prepared(layout, str(tmp_path / "tested.py") if own_test_loader else NAME)
    datasets = build_datasets(cfg, ("train", "val", "test"))
    for split, names in PARTS.items():
        found = [Path(datasets[split].get_data_info(i)["img_path"]).stem for i in range(len(datasets[split]))]
        assert sorted(found) == sorted(names)
        assert classes_of(datasets[split]) == CLASSES
    assert cfg.test_dataloader.batch_size == 1 + own_test_loader
    assert "_delete_" not in str(cfg.to_dict())


def same_layout(root):
    write_images(root)
    write_coco(root / "labels.json")


def test_what_is_asked_for(prepared):
    cfg, lines = prepared(same_layout, epochs=7, batch_size=2, image_size=96, backbone="resnet18")
    assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size) == (7, 2)
    assert "7 epochs of 2 iterations, 14 in all" in lines[-2]
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert next(step for step in loader.dataset.pipeline if step.type == "Resize").scale == (96, 96)
    assert (cfg.model.backbone.type, cfg.model.backbone.depth) == ("ResNet", 18)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", [NAME, "fcos/r50_fpn_1x_coco", "gfl/r50_fpn_1x_coco"])
def test_backbones_fit_the_detectors(name, backbone, prepared):
    cfg, _ = prepared(same_layout, name, backbone=backbone)
    cfg.model.backbone.weights = None
    model = build_detector(cfg, CLASSES)
    assert sum(p.numel() for p in model.backbone.parameters()) > 10**6


def test_classes_without_a_box_are_left_out_and_named(prepared):
    def layout(root):
        same_layout(root)
        path = root / "labels.json"
        path.write_text(
            path.read_text().replace('{"id": 1, "name": "cat"}', '{"id": 0, "name": "x"}, {"id": 1, "name": "cat"}')
        )

    cfg, lines = prepared(layout)
    assert cfg.train_dataloader.dataset.metainfo.classes == CLASSES
    assert "classes without a box are left out: x" in lines


def test_the_config_says_all_that_it_changes(prepared, tmp_path):
    cfg, _ = prepared(same_layout)
    path = tmp_path / "run/data/config.py"
    changed = {key.split(".")[0] for key, *_ in changes(path, cfg)}
    assert changed <= {
        *("data_root", "train_dataloader", "val_dataloader", "train_cfg", "param_scheduler", "default_hooks", "model"),
        *("optim_wrapper", "auto_scale_lr", "val_evaluator", "work_dir"),
    }
    text = path.read_text()
    assert '_base_ = "rdet::retinanet/r50_fpn_1x_coco.py"\n' in text
    assert f'data_root = "{tmp_path}/my data"\n' in text


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        ([{"type": "Resize", "scale": (1333, 800), "keep_ratio": True}], [{"scale": (96, 96)}]),
        ([{"type": "RandomChoiceResize", "scales": [(1333, 400), (1333, 800)]}], [{"scales": [(96, 48), (96, 96)]}]),
        ([{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}], [{}, {"scale": (96, 96)}, {}]),
    ],
)
def test_resized(pipeline, expected):
    found = resized(pipeline, 96)
    assert [{key: step[key] for key in ("scale", "scales") if key in step} for step in found] == expected
    assert all(step["keep_ratio"] for step in found if "Resize" in step["type"])
    assert resized(pipeline, None) == pipeline


def deep(root):
    write_images(root)
    write_coco(root / "labels.json")
    for i, path in enumerate(sorted(root.glob("*.png"))):
        ramp = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40) % 250
        cv2.imwrite(str(path), 7000 + 20 * ramp + np.uint16(i))


def test_images_of_16_bits_and_one_channel(prepared, tmp_path):
    cfg, _ = prepared(deep, value_range=(7000, 12000), channels=1, image_size=32, backbone="resnet18")
    datasets = build_datasets(cfg, ("train", "val"))
    item = next(item for item in map(datasets["train"].__getitem__, range(3)) if not item["data_samples"].flip)
    assert item["inputs"].shape == (1, 24, 32)
    assert len(item["inputs"].unique()) > 200  # of 250 in the file, where 8 bits of 16 would leave 20
    cfg.model.backbone.weights = None
    model = build_detector(cfg, CLASSES)
    assert (
        model(model.data_preprocessor({"inputs": [item["inputs"]], "data_samples": None})["inputs"]).logits.shape[0]
        == 1
    )
    assert "value_range=(7000, 12000), channels=1" in (tmp_path / "run/data/config.py").read_text()


def test_what_deep_images_need_is_said(prepared):
    cfg, _ = prepared(deep)
    message = (
        r"0 of \d images kept \(left out \d images too deep\): .*\.png: the image has 16 bits a channel, with values "
        r"from 700\d to 119\d\d, .*; set value_range of LoadImageFromFile, as --value-range does with --data$"
    )
    with pytest.raises(DatasetError, match=message):
        build_datasets(cfg, ("train",))


def test_images_are_read_once_before_a_training(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr("rdet.datasets.bad_images.find_bad_images", lambda sizes, *_: read.append(len([*sizes])) or {})
    yolo_parts(tmp_path / "mine")
    path, _ = prepare(str(find_config(NAME)), str(tmp_path / "mine"), str(tmp_path / "run"), Wishes())
    assert read == []
    build_datasets(load_config(path), ("train", "val"))
    assert read == [len(PARTS["train"]), len(PARTS["val"])]


def test_no_box_to_learn(prepared):
    def layout(root):
        same_layout(root)
        content = json.loads((root / "labels.json").read_text())
        (root / "labels.json").write_text(json.dumps({**content, "annotations": []}))

    with pytest.raises(
        DatasetError, match=r"my data has no box to learn \(4 images, 2 classes\); write the boxes, or give"
    ):
        prepared(layout)


def test_a_schedule_that_follows_any_length_stays(prepared):
    cfg, lines = prepared(same_layout, name="small_data/nanodet_m", epochs=10)
    assert cfg.param_scheduler == [{"type": "WarmupCosineLR", "by_epoch": False}]
    assert cfg.train_cfg.max_epochs == 10
    assert lines[-2].startswith("10 epochs of 1 iterations, 10 in all; the rate as the config has it; evaluation and")


def test_minutes_take_the_place_of_epochs(prepared, tmp_path):
    cfg, lines = prepared(same_layout, minutes=1.5)
    assert cfg.train_cfg == {"by_epoch": False, "minutes": 1.5}
    assert cfg.param_scheduler == [{"type": "WarmupCosineLR", "by_epoch": False}]
    assert (cfg.default_hooks.checkpoint.interval, cfg.optim_wrapper.optimizer.type) == (-1, "AdamW")
    said = "1.5 minutes: as many iterations as fit, up to 4 evaluations and checkpoints among them"
    assert said in lines
    assert f"# {said}.\n" in (tmp_path / "run/data/config.py").read_text()


RECIPES = sorted((Path(__file__).parents[3] / "configs/small_data").glob("*.py"))


@pytest.mark.parametrize("recipe", RECIPES, ids=[path.stem for path in RECIPES])
def test_each_recipe_takes_any_data(recipe, prepared):
    """Of other classes, at other sizes, for a time; the images come square to train on, as --image-size says."""
    cfg, _ = prepared(same_layout, str(recipe), minutes=30, image_size=96)
    train, val = build_datasets(cfg, ("train", "val")).values()
    assert {train[i]["inputs"].shape for i in range(len(train))} == {(3, 96, 96)}
    assert max(val[0]["inputs"].shape) == 96
    assert cfg.optim_wrapper.optimizer.type == "AdamW"
    assert cfg.train_cfg.minutes == 30
    model = build_detector(cfg, CLASSES)
    assert model.eval()(torch.zeros(1, 3, 96, 96)).logits.shape[-1] == len(CLASSES)


def test_nothing_to_train_on(prepared):
    def layout(root):
        write_images(root)
        write_coco(root / "val.json")

    with pytest.raises(DatasetError, match="has a part val, but none to train on; name one train"):
        prepared(layout)


def test_a_config_that_joins_data_sets(prepared, tmp_path):
    (tmp_path / "joined.py").write_text(
        f'_base_ = "rdet::{NAME}.py"\n'
        "_part = dict(type='CocoDataset', ann_file='a.json')\n"
        "train_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[_part, _part]))\n"
    )
    with pytest.raises(ConfigError, match="the config joins 2 data sets; give one with a single data set for --data"):
        prepared(same_layout, str(tmp_path / "joined.py"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "3", "--minutes", "3", "--data", "."], "--epochs and --minutes both say how long; leave one out"),
        (["--minutes", "0"], "argument --minutes: '0' must be a number of minutes above 0"),
        (["--epochs", "3"], "--epochs is of a training with --data DIR; give that too"),
        (["--image-size", "3", "--data", "."], "argument --image-size: '3' must be a whole number of 32 to 10000"),
        (["--group-by", "(", "--data", "."], "argument --group-by: '(' must be a regular expression"),
        (["--value-range", "image"], "--value-range is of a training with --data DIR; give that too"),
        (["--value-range", "9,3", "--data", "."], "argument --value-range: '9,3' must be LOW,HIGH, such as 0,4095, or"),
        (["--channels", "0", "--data", "."], "argument --channels: '0' must be a whole number of 1 to 1000"),
        (["--backbone", "vgg", "--data", "."], "argument --backbone: invalid choice: 'vgg'"),
    ],
)
def test_options(words, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["rdet train", NAME, *words])
    with pytest.raises(SystemExit, match="2"):
        parse_args()
    assert message in capsys.readouterr().err


def test_two_commands_lead_to_pictures(config, command, tmp_path):
    (tmp_path / "mine").mkdir()
    voc_parts(tmp_path / "mine")
    quick = ["--cfg-options", "log_level=ERROR", "train_dataloader.num_workers=0", "val_dataloader.num_workers=0"]
    run = "work_dirs/tiny_mine"
    commands = [
        ["train.py", config, "--data", "mine", "--epochs", "1", *quick],
        ["test.py", f"{run}/data/config.py", f"{run}/epoch_1.pth", "--cfg-options", "test_dataloader.num_workers=0"],
        ["infer.py", f"{run}/data/config.py", f"{run}/epoch_1.pth", "mine/JPEGImages", "--out-dir", "out"],
    ]
    for words in commands:
        process = command(*words)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
    pictures = {path.name for path in (tmp_path / "out").iterdir()}
    assert pictures == {"detections.json", *(f"{name}.png" for name in BOXES)}


def test_the_command_trains(config, command, tmp_path):
    (tmp_path / "mine").mkdir()
    same_layout(tmp_path / "mine")
    words = ["--data", "mine", "--epochs", "2", "--cfg-options", "log_level=ERROR", "train_dataloader.num_workers=0"]
    process = command("train.py", config, *words)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert f"{Path('mine')}: COCO json: all 4 images (labels.json)" in output.splitlines()
    assert (tmp_path / "work_dirs/tiny_mine/data/config.py").is_file()
    assert (tmp_path / "work_dirs/tiny_mine/epoch_2.pth").is_file()
    folder = tmp_path / "work_dirs/tiny_mine/data"
    lists = [json.loads((folder / f"{split}.json").read_text()) for split in ("train", "val")]
    assert sorted(lists[0] + lists[1]) == ["a.png", "b.png", "c.png", "d.png"]
    nothing = command("train.py", config, "--data", "nothing")
    output, _ = nothing.communicate(timeout=200)
    assert (nothing.returncode, output) == (1, "error: nothing is not there; give the folder of a data set\n")


def test_images_of_any_name_are_divided(tmp_path):
    """Names with spaces at their ends, line breaks, or bytes that are no UTF-8 are found in the list again."""
    names = [" a.png", "b .png", "c\n.png", "d\u2028.png", os.fsdecode(b"\xff.png"), "e.png", "f.png ", "\x85g.png"]
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / "plain.png"), np.zeros((30, 40, 3), np.uint8))
        (tmp_path / "plain.png").rename(mine / name)
    truth = {
        "images": [{"id": i, "file_name": name, "width": 40, "height": 30} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 0} for i in range(len(names))
        ],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (mine / "truth.json").write_text(json.dumps(truth))
    path, _ = prepare(str(find_config(NAME)), str(mine), str(tmp_path / "run"), Wishes())
    datasets = build_datasets(load_config(path), ("train", "val"))
    found = [datasets[split].get_data_info(i)["img_id"] for split in datasets for i in range(len(datasets[split]))]
    assert sorted(found) == list(range(len(names)))


def test_a_detector_that_is_not_made_of_parts_takes_data_too(prepared):
    cfg, _ = prepared(LAYOUTS[0][0], name="peers/faster_rcnn_r50_fpn_1x_coco", batch_size=2)
    assert (cfg.model.type, "bbox_head" in cfg.model) == ("TorchvisionDetector", False)
    assert cfg.train_dataloader.batch_size == 2
