import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from forked import Forked

from rdet.datasets import DatasetError, synthetic
from rdet.datasets.synthetic import CLASSES, SceneObject, draw_scene, make_synthetic_coco

TOOL = Path(__file__).parents[2] / "tools/make_quickstart.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("quickstart")
    return out, make_synthetic_coco(out, train=80, val=20, size=256, seed=0)


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_seed_same_bytes_other_seed_other_images(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_synthetic_coco(tmp_path / name, train=6, val=2, size=128, seed=seed)
    a, b, c = (files_of(tmp_path / name) for name in "abc")
    assert a == b
    assert len(a) == 6 + 2 + 2 + 1
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a)


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path):
    for name, train in (("few", 2), ("more", 5)):
        make_synthetic_coco(tmp_path / name, train=train, val=1, size=128, seed=0)
    few, more = files_of(tmp_path / "few"), files_of(tmp_path / "more")
    images = [name for name in few if name.endswith(".jpg")]
    assert len(images) == 3
    assert all(few[name] == more[name] for name in images)


def test_complete_data_set_is_left_alone(tmp_path):
    settings = {"train": 2, "val": 1, "size": 64, "seed": 0}
    assert make_synthetic_coco(tmp_path, **settings) is not None
    (tmp_path / "train/000001.jpg").write_bytes(b"touched")
    assert make_synthetic_coco(tmp_path, **settings) is None
    assert (tmp_path / "train/000001.jpg").read_bytes() == b"touched"
    assert make_synthetic_coco(tmp_path, **settings | {"seed": 1}) is not None
    assert (tmp_path / "train/000001.jpg").read_bytes() != b"touched"


def test_interrupted_run_is_not_taken_for_complete(tmp_path, monkeypatch):
    settings = {"train": 2, "val": 1, "size": 64, "seed": 0}
    make_synthetic_coco(tmp_path, **settings)
    interrupt(monkeypatch, tmp_path, settings | {"seed": 1})
    assert make_synthetic_coco(tmp_path, **settings) is not None


def test_interrupted_first_run_is_taken_up(tmp_path, monkeypatch):
    settings = {"train": 2, "val": 1, "size": 64, "seed": 0}
    interrupt(monkeypatch, tmp_path / "cut", settings)
    for name in ("cut", "whole"):
        assert make_synthetic_coco(tmp_path / name, **settings) is not None
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")
    assert make_synthetic_coco(tmp_path / "cut", **settings) is None


def interrupt(monkeypatch, out, settings):
    """Stops at the second image."""
    scenes = iter([synthetic.draw_scene(np.random.default_rng(0), 64)])
    with monkeypatch.context() as patch:
        patch.setattr("rdet.datasets.synthetic.draw_scene", lambda *args, **kwargs: next(scenes))
        with pytest.raises(StopIteration):
            make_synthetic_coco(out, **settings)


@pytest.mark.parametrize(
    "name", ["annotations/train.json", "settings.json"], ids=["a user's annotations", "other settings"]
)
@pytest.mark.parametrize("content", ['{"images": []}', "not JSON"])
def test_files_of_others_are_not_touched(tmp_path, name, content):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=re.escape(f"{tmp_path} holds files that are not of a generated data set")):
        make_synthetic_coco(tmp_path, train=2, val=1, size=64, seed=0)
    assert files_of(tmp_path) == {name: content.encode()}


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DatasetError, match="out is a file; name a new folder"):
        make_synthetic_coco(tmp_path / "out", train=2, val=1, size=64, seed=0)


@pytest.mark.parametrize(
    ("name", "value", "least"), [("train", 0, 1), ("val", -3, 1), ("size", 31, 32), ("seed", -1, 0)]
)
def test_numbers_that_are_too_small(tmp_path, name, value, least):
    settings = {"train": 1, "val": 1, "size": 32, "seed": 0}
    assert make_synthetic_coco(tmp_path / "least", **settings | {name: least}) is not None
    with pytest.raises(DatasetError, match=f"^{name} is {value}; it must be at least {least}$"):
        make_synthetic_coco(tmp_path / "less", **settings | {name: value})
    assert not (tmp_path / "less").exists()


def test_box_is_tight_around_the_mask():
    mask = np.zeros((10, 12), bool)
    mask[3:6, 4:9] = True
    mask[7, 2] = True
    assert SceneObject(1, mask, 0).annotation() == {"category_id": 2, "bbox": [2, 3, 7, 5], "area": 16, "iscrowd": 0}


@pytest.mark.parametrize("seed", range(8))
def test_masks_do_not_overlap(seed):
    image, objects = draw_scene(np.random.default_rng(seed), 128, crowd=seed == 0)
    assert image.shape == (128, 128, 3)
    assert image.dtype == np.uint8
    assert np.sum([o.mask for o in objects], axis=0).max() == 1
    assert [o.iscrowd for o in objects] == [int(seed == 0)] + [0] * (len(objects) - 1)


def test_no_object_hides_too_much_of_another(monkeypatch):
    painted = []
    paint = synthetic._paint
    monkeypatch.setattr(
        synthetic, "_paint", lambda rng, image, alpha: (painted.append(alpha > 0.5), paint(rng, image, alpha))
    )
    shares = []
    for seed in range(30):
        painted.clear()
        draw_scene(np.random.default_rng(seed), 128)
        hidden = np.zeros((128, 128), bool)
        for mask in reversed(painted):  # the front first
            shares.append((mask & ~hidden).sum() / mask.sum())
            hidden |= mask
    assert synthetic.MIN_VISIBLE <= min(shares) < 0.7


def test_boxes_lie_within_the_images(made):
    for coco in made[1].values():
        boxes = np.array([a["bbox"] for a in coco["annotations"]])
        assert boxes[:, :2].min() >= 0
        assert boxes[:, 2:].min() >= 1
        assert (boxes[:, :2] + boxes[:, 2:]).max() <= 256
        assert all(0 < a["area"] <= a["bbox"][2] * a["bbox"][3] for a in coco["annotations"])


def test_files_are_what_the_annotations_say(made):
    out, splits = made
    for name, coco in splits.items():
        assert json.loads((out / f"annotations/{name}.json").read_text()) == coco
        assert [c["name"] for c in coco["categories"]] == list(CLASSES)
        assert [a["id"] for a in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))
        for image in coco["images"]:
            assert cv2.imread(str(out / name / image["file_name"])).shape == (image["height"], image["width"], 3)


def test_sizes_classes_empty_images_and_crowds(made):
    coco = made[1]["train"]
    areas = np.array([a["area"] for a in coco["annotations"] if not a["iscrowd"]])
    small, large = (areas < 32**2).mean(), (areas > 96**2).mean()
    assert 0.25 < small < 0.55
    assert 0.02 < large < 0.2
    counts = np.bincount([a["category_id"] for a in coco["annotations"]], minlength=len(CLASSES) + 1)[1:]
    assert counts.min() > 0.1 * counts.sum()
    with_boxes = {a["image_id"] for a in coco["annotations"]}
    assert {i["id"] for i in coco["images"]} - with_boxes == {20, 40, 60, 80}
    assert [a["image_id"] for a in coco["annotations"] if a["iscrowd"]] == [11, 51]


def test_tool_says_in_one_line_what_it_made(tmp_path):
    words = [str(tmp_path / "new/data"), "--train", "20", "--val", "1", "--size", "64"]
    said = []
    for _ in range(2):
        tool = Forked(TOOL, words, tmp_path, apart=True)
        said.append(tool.communicate()[0])
        assert tool.returncode == 0
    first, second = said
    assert first.count("\n") == 1
    assert "20 train images" in first
    assert "disc, ring, box, triangle, star" in first
    assert second == f"{tmp_path / 'new/data'} is complete: nothing to do\n"


def test_tool_says_an_error_in_one_line(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    tool = Forked(TOOL, [str(folder)], tmp_path, apart=True)
    said, errors = tool.communicate()
    assert (tool.returncode, said, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("error: ")
    assert "holds files that are not of a generated" in errors
