"""MultiImageMixDataset: what it draws, when it ends, and that both are functions of the seed and the iteration."""

import re
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from rdet.checkpoint import read_checkpoint
from rdet.datasets import CocoDataset, DatasetError, classes_of, dataset_table
from rdet.datasets.mix import MultiImageMixDataset
from rdet.datasets.transforms import MixTransform, Mosaic
from rdet.engine.sampling import Draw, SeededDataset, TrainStream
from rdet.registry import DATASETS, UnknownNameError

LOAD = [{"type": "LoadImageFromFile"}, {"type": "RandomFlip"}]
MIX = [
    {"type": "Mosaic", "img_scale": (40, 30)},
    {"type": "MixUp"},
    {"type": "CopyPaste"},
    {"type": "PhotoMetricDistortion"},
    {"type": "PackDetInputs"},
]


@pytest.fixture
def cfg(coco, write):
    """The config of three images of 40 x 30 in mosaics of 80 x 60."""
    inner = {"type": "CocoDataset", "pipeline": LOAD, **write(coco)}
    return {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": MIX}


def batches(cfg, workers: int, first: int = 0, count: int = 12, seed: int = 5) -> list[dict]:
    """Batches of two from iteration ``first`` on: two iterations an epoch."""
    dataset = SeededDataset(DATASETS.build(cfg))
    stream = TrainStream(len(dataset), 2)
    stream.start_at(first, seed)
    options = {"persistent_workers": True, "prefetch_factor": 4} if workers else {}
    loader = DataLoader(dataset, batch_sampler=stream, num_workers=workers, collate_fn=pseudo_collate, **options)
    return list(islice(loader, count))


def assert_same(one: list[dict], other: list[dict]) -> None:
    for a, b in zip(one, other, strict=True):
        for i in range(2):
            assert torch.equal(a["inputs"][i], b["inputs"][i])
            x, y = a["data_samples"][i], b["data_samples"][i]
            assert x.metainfo == y.metainfo
            for name in ("gt_instances", "ignored_instances"):
                assert torch.equal(x.get(name).bboxes, y.get(name).bboxes)
                assert torch.equal(x.get(name).labels, y.get(name).labels)


def sizes(found: list[dict]) -> list[list[tuple]]:
    return [[tuple(image.shape[1:]) for image in batch["inputs"]] for batch in found]


def test_from_a_config(cfg):
    dataset = DATASETS.build(cfg)
    assert len(dataset) == 3
    assert classes_of(dataset) == ("cat", "dog", "fox")
    assert dataset.get_data_info(1)["img_id"] == 3
    assert sorted(dataset.get_cat_ids(1)) == [1, 2]
    packed = dataset[1]
    assert packed["inputs"].shape == (3, 60, 80)
    assert packed["data_samples"].img_id == 3
    row = next(line for line in dataset_table({"train": dataset}).splitlines() if line.startswith("| train"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["train", "3", "3 (1 clipped)", "1", "1", "none"]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(cfg, workers):
    assert_same(batches(cfg, 0), batches(cfg, workers))


def test_any_iteration_can_be_the_first(cfg):
    whole = batches(cfg, 0)
    assert_same(whole[7:], batches(cfg, 2, first=7, count=5))


def test_other_seed_other_images(cfg):
    one, other = batches(cfg, 0, count=1), batches(cfg, 0, count=1, seed=6)
    assert not torch.equal(one[0]["inputs"][0], other[0]["inputs"][0])


@pytest.mark.parametrize("stop", [{"stop_iter": 6}, {"stop_epoch": 3}])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("first", [0, 5, 6])
def test_end_of_mixing_is_exact(cfg, stop, workers, first):
    found = batches({**cfg, **stop}, workers, first, count=12 - first)
    assert sizes(found) == [[(60, 80)] * 2] * (6 - first) + [[(30, 40)] * 2] * 6


def test_before_the_end_nothing_changes(cfg):
    assert_same(batches(cfg, 0, count=6), batches({**cfg, "stop_iter": 6}, 2, count=6))


def test_after_the_end_images_are_those_of_the_rest(cfg):
    rest = {**cfg, "pipeline": MIX[3:]}
    assert_same(batches({**cfg, "stop_epoch": 0}, 2, count=6), batches(rest, 0, count=6))


def test_chosen_transforms_end(cfg):
    only = {**cfg, "stop_iter": 0, "skip_type_keys": ["Mosaic", "PhotoMetricDistortion"]}
    assert_same(batches(only, 0, count=2), batches({**cfg, "pipeline": [*MIX[1:3], MIX[4]]}, 0, count=2))


def test_end_reaches_through_wrappers(cfg):
    repeated = {"type": "RepeatDataset", "times": 2, "dataset": {**cfg, "stop_iter": 2}}
    both = {"type": "ConcatDataset", "datasets": [repeated, {**cfg, "stop_iter": 3}]}
    for workers in (0, 2):
        found = sizes(batches(both, workers, count=8))
        assert found[:2] == [[(60, 80)] * 2] * 2
        assert found[3:] == [[(30, 40)] * 2] * 5


def test_wraps_a_wrapper(cfg):
    repeated = {"type": "RepeatDataset", "times": 2, "dataset": cfg["dataset"]}
    assert len(DATASETS.build({**cfg, "dataset": repeated})) == 6
    assert sizes(batches({**cfg, "dataset": repeated}, 0, count=1)) == [[(60, 80)] * 2]


class Collect(MixTransform):
    """Keeps the ids of what it draws."""

    def combine(self, results, draw):
        return {"ids": [results["img_id"], *(draw()["img_id"] for _ in range(50))]}


def test_draws_all_images_alike(cfg):
    dataset = DATASETS.build({**cfg, "pipeline": []})
    dataset = MultiImageMixDataset(dataset, [Collect()])
    ids = [dataset[1]["ids"] for _ in range(20)]
    assert {found[0] for found in ids} == {3}
    drawn = [i for found in ids for i in found[1:]]
    np.testing.assert_allclose([drawn.count(i) / 1000 for i in (7, 3, 9)], 1 / 3, atol=0.05)


def test_nobody_said_how_far_training_is(cfg):
    dataset = DATASETS.build({**cfg, "stop_epoch": 2})
    message = "stop_epoch is 2, but nobody said how far training is; call set_progress(iteration, epoch) first"
    with pytest.raises(DatasetError, match=re.escape(message)):
        dataset[0]
    with pytest.raises(DatasetError, match=re.escape(message)):
        SeededDataset(dataset)[0, 1]
    assert SeededDataset(dataset)[Draw(0, 1, 9, 2)]["inputs"].shape == (3, 30, 40)
    dataset.set_progress(9, 1)
    assert dataset[0]["inputs"].shape == (3, 60, 80)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stop_epoch": 1, "stop_iter": 2}, "set stop_epoch or stop_iter, not both"),
        ({"stop_iter": 1, "pipeline": MIX[3:]}, "stop_iter is set, but no transform of its pipeline joins images"),
        ({"skip_type_keys": ["Mosaic"]}, "skip_type_keys does nothing without stop_epoch or stop_iter"),
    ],
)
def test_wrong_arguments(cfg, options, message):
    with pytest.raises(ValueError, match=f"MultiImageMixDataset: {re.escape(message)}"):
        DATASETS.build({**cfg, **options})


@pytest.mark.parametrize(("end", "said"), [(1.5, r"1\.5 \(float\)"), (-1, "-1")])
def test_end_that_is_no_whole_number(cfg, end, said):
    message = rf"^MultiImageMixDataset\.stop_epoch is {said}; it must be a whole number of 0 or more or None$"
    with pytest.raises(ValueError, match=message):
        DATASETS.build({**cfg, "stop_epoch": end})


def test_unknown_transform_to_skip(cfg):
    with pytest.raises(UnknownNameError, match="skip_type_keys names 'Mosiac'.* Did you mean 'Mosaic'"):
        DATASETS.build({**cfg, "stop_iter": 1, "skip_type_keys": "Mosiac"})


@pytest.mark.parametrize("pipeline", [[], [LOAD[0], {"type": "PackDetInputs"}]])
def test_wrapped_pipeline_has_to_load_and_not_to_pack(cfg, pipeline):
    dataset = DATASETS.build({**cfg, "dataset": {**cfg["dataset"], "pipeline": pipeline}})
    with pytest.raises(DatasetError, match=r"the wrapped data set gives no 'img'; its pipeline has to load images"):
        dataset[0]


def test_mixing_in_the_pipeline_of_one_image(cfg):
    dataset = DATASETS.build({**cfg["dataset"], "pipeline": [LOAD[0], MIX[0]]})
    with pytest.raises(DatasetError, match="Mosaic joins several images; put it directly into the pipeline of a Multi"):
        dataset[0]


def test_failures_name_the_image(coco, write):
    inner = CocoDataset(**write(coco), pipeline=LOAD)

    def fail(results):
        raise KeyError("x")

    with pytest.raises(RuntimeError, match=r"img/3\.png: fail failed: KeyError: 'x'"):
        MultiImageMixDataset(inner, [Mosaic(20), fail])[1]
    with pytest.raises(DatasetError, match=r"img/3\.png: function returned None; make every transform return"):
        MultiImageMixDataset(inner, [type("function", (), {"__call__": lambda self, results: None})()])[1]


TRAINED = {
    "type": "MultiImageMixDataset",
    "stop_iter": 6,
    "dataset": {"type": "CocoDataset", "ann_file": "truth.json", "pipeline": LOAD},
    "pipeline": [
        {"type": "Mosaic", "img_scale": 48},
        {"type": "MixUp"},
        {"type": "CopyPaste"},
        {"type": "LargeScaleJitter", "scale": 64},
        {"type": "PackDetInputs"},
    ],
}


def test_resumed_run_ends_with_the_same_bits(make_runner, tmp_path):
    """Also that the wrapped data set takes the config's ``data_root``."""
    dataset = {"_delete_": True, **TRAINED}
    whole = {"train_dataloader__dataset": dataset, "train_cfg__max_iters": 10}
    make_runner(work_dir="whole", train_dataloader__num_workers=2, **whole).train()
    make_runner(work_dir="cut", **{**whole, "train_cfg__max_iters": 5}).train()
    make_runner(work_dir="cut", resume=True, train_dataloader__num_workers=0, **whole).train()
    one, other = (read_checkpoint(tmp_path / name / "iter_10.pth")["state_dict"] for name in ("whole", "cut"))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
