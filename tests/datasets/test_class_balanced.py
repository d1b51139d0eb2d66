"""Repeat factors by hand, and how they become whole numbers."""

import math
import re

import numpy as np
import pytest

from rdet.datasets import CocoDataset, dataset_table
from rdet.datasets.repeat_factor_sampling import ClassBalancedDataset, class_repeat_factors, round_factors
from rdet.datasets.wrappers import RepeatDataset
from rdet.registry import DATASETS

# Eight images; 0 is in all but the last, 1 in four, 2 in two, 3 in one. The last is empty.
LABELS = [[0], [0, 1], [0, 1], [0, 1, 2], [0, 1], [0, 2], [0, 3], []]


class Labelled:
    """A data set of nothing but labels."""

    metainfo = {"classes": ("a", "b", "c", "d")}

    def full_init(self):
        pass

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, idx):
        return idx

    def get_data_info(self, idx):
        return {"sample_idx": idx}

    def get_cat_ids(self, idx):
        return LABELS[idx] * 2  # an image has several objects of a class


def test_factors_of_classes():
    assert class_repeat_factors(LABELS, 0.5) == {0: 1.0, 1: 1.0, 2: math.sqrt(2), 3: 2.0}
    assert class_repeat_factors([[], []], 0.5) == {}


def test_images_of_an_epoch():
    """Factors 1, 1, 1, 1.41, 1, 1.41, 2, 1; running sums end in .41 and .83, so the second is rounded up."""
    dataset = ClassBalancedDataset(Labelled(), 0.5)
    assert [dataset[i] for i in range(len(dataset))] == [0, 1, 2, 3, 4, 5, 5, 6, 6, 7]
    assert dataset.get_data_info(6) == {"sample_idx": 5}
    assert set(dataset.get_cat_ids(8)) == {0, 3}


def test_rare_enough_classes_change_nothing():
    assert len(ClassBalancedDataset(Labelled(), 0.125)) == 8


@pytest.mark.parametrize("seed", range(20))
def test_rounding(seed):
    rng = np.random.default_rng(seed)
    factors = np.where(rng.random(200) < 0.5, rng.integers(1, 4, 200), rng.uniform(1, 4, 200))
    counts = round_factors(factors.tolist())
    assert (np.abs(counts - factors) < 1).all()
    np.testing.assert_array_equal(counts[factors % 1 == 0], factors[factors % 1 == 0])
    assert (np.abs(np.cumsum(counts) - np.cumsum(factors)) <= 0.5 + 1e-9).all()


def test_rounding_by_hand():
    assert round_factors([1.4] * 5).tolist() == [1, 2, 1, 2, 1]
    assert round_factors([1.5, 1.5, 3.0]).tolist() == [2, 1, 3]
    assert round_factors([]).tolist() == []


def test_the_table_of_the_data_says_what_is_repeated():
    assert (
        "2 of 4 classes are in less than 0.5 of the images (d x 2.00, c x 1.41); 2 of 8 images are repeated, at most "
        "2 times, so that an epoch has 10"
    ) in ClassBalancedDataset(Labelled(), 0.5).note


def test_ignored_boxes_do_not_count(coco, write):
    """Of image 3, the crowd is the only cat; so cats are in one image of three, as dogs and foxes are."""
    dataset = ClassBalancedDataset(CocoDataset(**write(coco)), 1.0)
    # factors sqrt(3), sqrt(3), 1: the running sums 1.73, 3.46, 4.46 round to 2, 3, 4
    assert [dataset.get_data_info(i)["img_id"] for i in range(len(dataset))] == [7, 7, 3, 9]
    table = dataset_table({"train": RepeatDataset(dataset, 1)})
    assert "| train | 3 (4 an epoch) | 3 " in re.sub(" +", " ", table)
    assert table.endswith(f"train: {dataset.note}")


def test_nests_in_other_wrappers(coco, write):
    one = {"type": "CocoDataset", **write(coco)}
    repeated = {"type": "RepeatDataset", "times": 2, "dataset": one}
    both = {"type": "ConcatDataset", "datasets": [one, repeated]}
    dataset = DATASETS.build({"type": "ClassBalancedDataset", "oversample_thr": 0.01, "dataset": both})
    assert type(dataset) is ClassBalancedDataset
    assert [dataset.get_data_info(i)["img_id"] for i in range(9)] == [7, 3, 9] * 3
    assert [sorted(dataset.get_cat_ids(i)) for i in (1, 4, 7)] == [[1, 2]] * 3
    assert dataset[4]["img_id"] == 3
    outer = DATASETS.build(
        {
            "type": "RepeatDataset",
            "times": 2,
            "dataset": {"type": "ClassBalancedDataset", "oversample_thr": 1.0, "dataset": one},
        }
    )
    assert len(outer) == 8
    assert outer.metainfo["classes"] == ("cat", "dog", "fox")


@pytest.mark.parametrize("threshold", [0, -1, 1.5])
def test_wrong_threshold(threshold):
    with pytest.raises(ValueError, match="oversample_thr is a share of the images, above 0 and at most 1, got"):
        ClassBalancedDataset(Labelled(), threshold)
