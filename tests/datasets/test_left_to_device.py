"""A resizing that is left to the network's device: all but the pixels is as without, and who needs these is refused."""

import copy
import pickle

import cv2
import numpy as np
import pytest
from mmcv.transforms import TestTimeAug as Views
from transform_records import record

from rdet.datasets import CocoDataset
from rdet.datasets.mix import MultiImageMixDataset
from rdet.datasets.transforms import (
    FilterAnnotations,
    LoadImageFromFile,
    Mosaic,
    PackDetInputs,
    Pad,
    PhotoMetricDistortion,
    RandomChoiceResize,
    RandomCrop,
    RandomFlip,
    RandomResize,
    Resize,
)
from rdet.datasets.transforms.left_to_device import LeftToDevice
from rdet.datasets.transforms.order import check_order
from rdet.errors import ConfigError, PipelineError
from rdet.structures.unfinished_image import UnfinishedImage, finished

RESIZES = [
    lambda **where: Resize((240, 200), keep_ratio=True, **where),
    lambda **where: Resize((77, 55), **where),
    lambda **where: Resize((33, 33), keep_ratio=True, round_down=True, **where),
    lambda **where: RandomChoiceResize([(60, 45), (300, 30)], keep_ratio=True, **where),
    lambda **where: RandomResize((120, 90), ratio_range=(0.4, 2.0), keep_ratio=True, **where),
]
DIRECTIONS = ["horizontal", "vertical", "diagonal"]


def packed(steps, seed):
    np.random.seed(seed)
    results = record()
    for step in [*steps, FilterAnnotations((5, 5)), PackDetInputs()]:
        results = step(results)
    return results


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("flips_first", [False, True])
def test_all_but_the_pixels_is_as_on_the_host(resize, flips_first):
    for seed in range(4):
        flip = RandomFlip(0.9, DIRECTIONS)
        here, there = ([resize(), flip], [resize(on_device=True), flip])
        if flips_first:
            here, there = here[::-1], there[::-1]
        ours, theirs = packed(there, seed), packed(here, seed)
        image, sample = ours["inputs"], ours["data_samples"]
        assert isinstance(image, UnfinishedImage)
        assert image.pixels.shape == (3, 90, 120)
        assert image.shape == theirs["inputs"].shape
        assert sample.metainfo == theirs["data_samples"].metainfo
        assert image.shape[1:] == sample.img_shape
        for name in ("gt_instances", "ignored_instances"):
            assert sample.get(name).bboxes.equal(theirs["data_samples"].get(name).bboxes)
            assert sample.get(name).labels.equal(theirs["data_samples"].get(name).labels)
        assert (finished(image).int() - theirs["inputs"].int()).abs().max() <= 1


def test_two_flips_are_one():
    image = record()["img"]
    twice = LeftToDevice(image, (90, 120)).flip((0,)).flip((1,)).flip((0,))
    assert twice.flipped == (1,)
    assert pickle.loads(pickle.dumps(copy.deepcopy(twice))).flipped == (1,)  # as views of an image are copied


@pytest.mark.parametrize(
    "look",
    [
        lambda image: image.shape[:2],
        lambda image: image[2:],
        lambda image: image.astype(np.float32),
        lambda image: len(image),
        lambda image: np.asarray(image),
        lambda image: np.zeros((9, 9)) + image,
    ],
)
def test_who_asks_for_pixels_is_told_why_there_are_none(look):
    results = Resize((60, 45), on_device=True)(record())
    with pytest.raises(PipelineError, match="needs the pixels after a Resize with on_device=True.* put it before"):
        look(results["img"])


@pytest.mark.parametrize(
    "step",
    [RandomCrop((30, 30)), Pad(640), PhotoMetricDistortion(), Resize(30), Resize(30, on_device=True), cv2.flip],
)
def test_what_needs_pixels_may_not_follow(step):
    steps = [LoadImageFromFile(), Resize((60, 45), on_device=True), RandomFlip(), step, PackDetInputs()]
    name = getattr(step, "__name__", type(step).__name__)
    with pytest.raises(ConfigError, match=f"Resize with on_device=True leaves .* {name} after it .* put {name} before"):
        check_order(steps)
    check_order([steps[0], step, *steps[1:3], steps[4]] if not isinstance(step, Resize) else [])
    if step is not cv2.flip:
        with pytest.raises(PipelineError, match="on_device"):  # and where nobody checks the order
            step(steps[1](record()))


def test_the_end_has_to_pack():
    with pytest.raises(ConfigError, match="RandomResize with on_device=True .* only PackDetInputs hands on; end"):
        check_order([RandomResize([(60, 45), (61, 47)], on_device=True), RandomFlip()])


def test_views_of_an_image():
    both = [[Resize(30, on_device=True), Resize(60)], [RandomFlip(0.0), RandomFlip(1.0)], [PackDetInputs()]]
    views = Views(both)
    check_order([LoadImageFromFile(), views])
    found = views(record())["inputs"]
    assert [isinstance(image, UnfinishedImage) for image in found] == [True, True, False, False]
    assert found[1].flipped == (2,)
    assert (finished(found[1]) == finished(found[0]).flip(2)).all()
    with pytest.raises(ConfigError, match="RandomCrop after it"):
        check_order([LoadImageFromFile(), Views([*both[:1], [RandomCrop((9, 9))], *both[2:]])])


def test_data_sets_look_at_the_order(coco, write):
    load, resize, pack = LoadImageFromFile(), Resize(32, on_device=True), PackDetInputs()
    with pytest.raises(ConfigError, match="end the pipeline with it"):
        CocoDataset(**write(coco), pipeline=[load, resize])
    inner = CocoDataset(**write(coco), pipeline=[load])
    with pytest.raises(ConfigError, match="Mosaic after it"):
        MultiImageMixDataset(inner, [resize, Mosaic((32, 32)), pack])
    image = MultiImageMixDataset(inner, [Mosaic((32, 32)), Resize(48, on_device=True), pack])[0]["inputs"]
    assert image.pixels.shape[1:] != image.shape[1:] == (48, 48)
