"""The table of released detectors."""

import re
from collections import Counter

import pytest
from torchvision.models import get_model_weights

from rdet.errors import ConfigError
from rdet.interop.zoo import RELEASES, is_name, release, release_of_file


def test_how_many_of_each():
    counts = Counter(re.match(r"\w+://[a-z]+", name)[0] for name in RELEASES)
    assert counts == {
        "mmdet://retinanet": 30,
        "mmdet://fcos": 14,
        "mmdet://atss": 4,
        "mmdet://gfl": 6,
        "mmdet://vfnet": 8,
        "mmdet://tood": 5,
        "mmdet://paa": 7,
        "mmdet://ddod": 1,
        "mmdet://ssd": 2,
        "mmdet://yolof": 1,
        "detectron2://retinanet": 3,
        "torchvision://retinanet": 2,
        "torchvision://fcos": 1,
        "nanodet://nanodet": 1,
        "mmdet://yolov": 6,
        "mmdet://yolox": 4,
        "mmdet://rtmdet": 5,
        "yolox://yolox": 6,
    }


@pytest.mark.parametrize("entry", RELEASES.values(), ids=lambda entry: entry.name)
def test_an_entry_is_consistent(entry):
    project, name = entry.name.split("://")
    digits, algorithm, host = {
        "mmdet": (8, "sha256", "https://download.openmmlab.com/mmdetection/v"),
        "detectron2": (6, "md5", "https://dl.fbaipublicfiles.com/detectron2/COCO-Detection/"),
        "torchvision": (8, "sha256", "https://download.pytorch.org/models/"),
        "nanodet": (64, "sha256", "https://raw.githubusercontent.com/"),
        "yolox": (64, "sha256", "https://github.com/Megvii-BaseDetection/YOLOX/releases/"),
    }[project]
    assert entry.address.startswith(host)
    assert re.fullmatch(rf"[0-9a-f]{{{digits}}}", entry.checksum)
    assert entry.algorithm == algorithm
    assert digits == 64 or re.search(rf"[-_]{entry.checksum}\.(pth|pkl)$", entry.address)
    assert 22 < entry.box_ap < 53
    assert release(entry.name) is entry
    assert release_of_file(entry.address.rpartition("/")[2]) is entry
    if project == "mmdet":  # family, depth and width are in both names
        folder = entry.address.split("/")[-2]
        assert name.split("_")[0] == folder.split("_")[0]
        size = re.search(r"(?:r|x)\d+|regnetx-[\d.]+[GM]F|(?:pvtv2-b|w)\d+|(?:yolox|yolov3|rtmdet)_\w+?_|ssd\d+", name)
        assert size[0] in folder
        assert ("caffe" in name) == ("caffe" in folder or folder == "atss_r50_fpn_dyhead_for_reproduction_1x_coco")
        assert (entry.style == "caffe") == ("caffe" in name or name.startswith("yolof"))
        assert release(f"mmdet://{folder}") is entry


@pytest.mark.parametrize("name", ["retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn"])
def test_torchvisions_addresses_and_ap_are_those_it_says(name):
    weights = get_model_weights(name).COCO_V1
    entry = release(f"torchvision://{name}")
    assert entry.address == weights.url
    assert entry.box_ap == weights.meta["_metrics"]["COCO-val2017"]["box_map"]


def test_names():
    assert is_name("mmdet://x")
    assert not is_name("mmdet/x.pth")
    assert not is_name("https://x.org/a.pth")
    assert release("detectron2://retinanet_R_50_FPN_3x").style == "caffe"
    with pytest.raises(ConfigError, match=r"is called 'mmdet://ats_r50_fpn_1x_coco'\. Did you mean 'mmdet://atss"):
        release("mmdet://ats_r50_fpn_1x_coco")
    with pytest.raises(ConfigError) as caught:
        release("mmdet://ats_r50_fpn_1x_coco")
    assert str(caught.value).count("mmdet://") == 4  # what was asked for, and the nearest three
