"""MultiImageMixDataset that draws from the images of the batch."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from rdet.config import load_config
from rdet.datasets import CocoDataset
from rdet.datasets.mix import MultiImageMixDataset
from rdet.engine.sampling import Draw, SeededDataset, TrainStream
from rdet.errors import ConfigError
from rdet.registry import DATASETS

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def cfg(coco, write):
    """Mosaics, blended with other mosaics, as RTMDet has them."""
    load = [{"type": "LoadImageFromFile"}, {"type": "RandomFlip"}]
    mosaics = {
        "type": "MultiImageMixDataset",
        "draw_from": "batch",
        "dataset": {"type": "CocoDataset", "pipeline": load, **write(coco)},
        "pipeline": [{"type": "Mosaic", "img_scale": (40, 30)}, {"type": "RandomFlip"}],
    }
    mixed = [{"type": "MixUp", "ratio_range": (1.0, 1.0)}, {"type": "PackDetInputs"}]
    return {"type": "MultiImageMixDataset", "draw_from": "batch", "dataset": mosaics, "pipeline": mixed}


def images(cfg, workers=0, first=0, count=6):
    dataset = SeededDataset(DATASETS.build(cfg))
    stream = TrainStream(len(dataset), 2)
    stream.start_at(first, 5)
    loader = DataLoader(dataset, batch_sampler=stream, num_workers=workers, collate_fn=pseudo_collate)
    return [image for batch in islice(loader, count) for image in batch["inputs"]]


def test_workers_and_a_resume_change_nothing(cfg):
    whole = images(cfg)
    assert len({image.sum().item() for image in whole}) > len(whole) / 2
    for found, expected in ((images(cfg, workers=2), whole), (images(cfg, workers=1, first=4, count=2), whole[8:])):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_each_image_is_loaded_once_a_batch(cfg, monkeypatch):
    dataset, loaded = DATASETS.build(cfg), Counter()
    load = CocoDataset.__getitem__
    monkeypatch.setattr(CocoDataset, "__getitem__", lambda self, idx: loaded.update([idx]) or load(self, idx))
    seeded = SeededDataset(dataset)
    seeded.__getitems__([(0, 1), (2, 2)])
    assert loaded == {0: 1, 2: 1}
    seeded.__getitems__([(0, 1), (2, 2)])  # kept no longer than the batch
    assert loaded == {0: 2, 2: 2}
    for seed in range(5):  # without a batch, from all
        seeded[(0, seed)]
    assert loaded[1] > 0


@pytest.mark.parametrize("size", ["tiny", "l"])
def test_rtmdets_images_before_and_after_the_mosaics(coco, write, size):
    cfg = load_config(CONFIGS / f"rtmdet/rtmdet_{size}_640_coco.py").train_dataloader.dataset
    cfg.dataset.dataset.update(write(coco))
    seeded = SeededDataset(DATASETS.build(cfg))
    for epoch in (279, 280):
        draws = [Draw(index, 7 + index, epoch, epoch) for index in range(3)]
        sizes, counts = zip(
            *((x["inputs"].shape, len(x["data_samples"].gt_instances)) for x in seeded.__getitems__(draws)),
            strict=True,
        )
        assert set(sizes) == {(3, 640, 640)}
        assert sum(counts) > 3 if epoch == 279 else sum(counts) <= 3


def test_elsewhere_images_of_all():
    with pytest.raises(ConfigError, match="draw_from is 'cache'; valid: 'all', 'batch'"):
        MultiImageMixDataset([], [], draw_from="cache")
