"""Names in annotations stay within the data set."""

import os
import re

import pytest

from rdet.datasets import CocoDataset, DatasetError, VocDataset
from rdet.datasets.paths import paths_within


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.png", "{root}/img/a.png"),
        ("sub/a.png", "{root}/img/sub/a.png"),
        ("a..b.png", "{root}/img/a..b.png"),
        ("sub/../a.png", "{root}/img/a.png"),
        ("../other/a.png", "{root}/other/a.png"),  # another folder of the same data set
        ("{root}/img/a.png", "{root}/img/a.png"),
        ("{real}/img/a.png", "{real}/img/a.png"),  # the data root is a link
    ],
)
def test_within(tmp_path, name, path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    places = {"root": tmp_path / "root", "real": tmp_path / "real"}
    root = str(places["root"])
    assert paths_within([name.format(**places)], f"{root}/img/", root, "ann.json") == [path.format(**places)]


OUTSIDE = ["../../a.png", "sub/../../../a.png", "/etc/a.png", "{root}x/a.png", "{root}/../a.png", "../..", "/"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside(tmp_path, name):
    root = f"{tmp_path}/root"
    names = ["a.png", name.format(root=root)]
    message = (
        f"ann.json: 1 of 2 files lie outside of the data set's folder, {root}: {names[1]!r}; correct the names, or set "
        "allow_outside=True"
    )
    with pytest.raises(DatasetError, match=f"^{re.escape(message)}"):
        paths_within(names, f"{root}/img", root, "ann.json")
    assert paths_within(names, f"{root}/img", root, "ann.json", True)[1] == os.path.join(root, "img", names[1])


def test_images_that_lie_beside_the_data_root_are_a_root_of_their_own(tmp_path):
    folder = str(tmp_path / "images")
    assert paths_within(["sub/../a.png"], folder, str(tmp_path / "annotations"), "x") == [f"{folder}/a.png"]
    with pytest.raises(DatasetError, match="outside of the data set's folder, .*images:"):
        paths_within(["../annotations/a.png"], folder, str(tmp_path / "annotations"), "x")


def test_without_a_data_root_the_working_directory_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths_within(["a.png", f"{tmp_path}/b.png"], "", "", "x") == ["a.png", f"{tmp_path}/b.png"]
    with pytest.raises(DatasetError, match="1 of 1 files lie outside"):
        paths_within(["../a.png"], "", "", "x")


def test_data_sets(coco, write, voc):
    coco["images"][0]["file_name"] = "../../7.png"
    kwargs = write(coco, images=False)
    with pytest.raises(DatasetError, match=r"ann\.json: 1 of 3 files lie outside"):
        CocoDataset(**kwargs)
    assert CocoDataset(**kwargs, allow_outside=True).get_data_info(0)["img_path"].endswith("/img/../../7.png")
    (voc / "ImageSets/Main/train.txt").write_text("a\n../../b\n")
    with pytest.raises(DatasetError, match=r"train\.txt: 1 of 2 files lie outside"):
        VocDataset("ImageSets/Main/train.txt", data_root=voc)
