"""Training past images that cannot be read."""

import cv2
import numpy as np
import pytest
import torch
from made_sets import BOXES, CLASSES, write_coco, write_images, write_yolo

from rdet.datasets import CocoDataset, YoloDataset
from rdet.errors import BadImageError, ConfigError, DatasetError

LOAD = [{"type": "LoadImageFromFile"}, {"type": "RandomFlip", "prob": 0.5}, {"type": "PackDetInputs"}]


@pytest.fixture
def made(tmp_path):
    """Data of four images a, b, c, d, the second cut off and the third missing."""
    write_images(tmp_path)
    for i, name in enumerate(BOXES):
        noise = np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), noise)
    path = tmp_path / "b.png"
    path.write_bytes(path.read_bytes()[:500])
    (tmp_path / "c.png").unlink()
    write_coco(tmp_path / "boxes.json")
    return {"ann_file": "boxes.json", "data_root": str(tmp_path), "pipeline": LOAD}


def test_the_next_that_is_good_takes_the_place_and_each_is_said_once(made, log):
    dataset = CocoDataset(**made, on_bad_image="warn")
    for _ in range(3):
        paths = [dataset[i]["data_samples"].img_path[-5:] for i in range(4)]
        assert paths == ["a.png", "d.png", "d.png", "d.png"]
    said = [record.getMessage() for record in log.records if "taken in its place" in record.getMessage()]
    assert [message.partition(":")[0][-5:] for message in said] == ["b.png", "c.png"]
    assert said[0].endswith("b.png: the image file is truncated (500 bytes); the next image is taken in its place")
    assert dataset[1]["data_samples"].img_id == 4
    assert dataset[-1]["data_samples"].img_id == 4


def test_after_the_last_comes_the_first(made, tmp_path):
    (tmp_path / "d.png").unlink()
    assert CocoDataset(**made, on_bad_image="warn")[3]["data_samples"].img_id == 1


def test_workers_give_the_same_and_say_each_once(made, log):
    dataset = CocoDataset(**made, on_bad_image="warn")
    rows = torch.utils.data.Subset(dataset, [0, 1, 2, 3] * 8)
    expected = [rows[i]["data_samples"].img_id for i in range(32)]
    dataset = CocoDataset(**made, on_bad_image="warn")
    rows = torch.utils.data.Subset(dataset, [0, 1, 2, 3] * 8)
    said = log.text.count("taken in its place")
    for _ in range(2):  # whose workers are others
        loader = torch.utils.data.DataLoader(rows, num_workers=1, collate_fn=lambda r: r[0]["data_samples"].img_id)
        assert list(loader) == expected
    assert dataset.bad_images._said.tolist() == [False, True, True, False]  # by what the workers did
    assert dataset[2]["data_samples"].img_id == 4
    assert log.text.count("taken in its place") == said  # nothing again


def test_yolo(made, tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    (tmp_path / "train.txt").write_text("\n".join(f"{name}.png" for name in BOXES))
    dataset = YoloDataset("train.txt", data_root=tmp_path, pipeline=LOAD, on_bad_image="warn")
    assert [dataset[i]["data_samples"].img_id for i in range(4)] == [1, 4, 4, 4]


def test_what_is_no_image_still_ends_it(made, tmp_path):
    for name in "ad":
        (tmp_path / f"{name}.png").write_bytes(b"no image")
    dataset = CocoDataset(**made, on_bad_image="warn")
    with pytest.raises(DatasetError, match=r"boxes\.json: none of its 4 images can be read; "):
        dataset[0]


def test_an_error_of_another_kind_is_one(made):
    def broken(record):
        raise ZeroDivisionError

    dataset = CocoDataset(**{**made, "pipeline": [*LOAD[:1], broken]}, on_bad_image="warn")
    with pytest.raises(RuntimeError, match=r"a\.png: the pipeline failed: ZeroDivisionError"):
        dataset[0]


def test_it_is_for_training_alone(made):
    with pytest.raises(ConfigError, match="but with test_mode=True each image has"):
        CocoDataset(**made, on_bad_image="warn", test_mode=True)
    with pytest.raises(ConfigError, match="on_bad_image must be 'error', 'skip' or 'warn', got 'go on'"):
        CocoDataset(**made, on_bad_image="go on")
    with pytest.raises(BadImageError, match="1 of 4 image files are missing"):
        CocoDataset(**made)
