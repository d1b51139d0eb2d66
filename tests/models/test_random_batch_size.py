"""Batches whose size changes with the iteration."""

import pytest
import torch
from mmengine.structures import InstanceData

from rdet.models.detectors.data_preprocessor import DetDataPreprocessor
from rdet.models.detectors.random_batch_size import RandomBatchSize
from rdet.structures import DetDataSample


def batch():
    sample = DetDataSample(metainfo={"img_shape": (64, 96), "scale_factor": (1.0, 1.0)})
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[8.0, 16, 32, 64]]), labels=torch.tensor([0]))
    sample.ignored_instances = InstanceData(bboxes=torch.tensor([[0.0, 0, 96, 64]]))
    return {"inputs": [torch.full((3, 64, 96), 9, dtype=torch.uint8)], "data_samples": [sample]}


def sizes(iterations, seed, **options):
    preprocessor = DetDataPreprocessor((0.0,) * 3, (1.0,) * 3, batch_resize=RandomBatchSize((64, 160), **options))
    found = []
    for iteration in iterations:
        preprocessor.batch_resize.set_iteration(iteration, seed)
        found.append(tuple(preprocessor(batch(), training=True)["inputs"].shape[2:]))
    return found


def test_a_size_for_every_few_iterations_by_seed_and_iteration():
    found = sizes(range(60), 0)
    assert all(len(set(found[start : start + 10])) == 1 for start in range(0, 60, 10))
    assert len(set(found)) > 2
    assert set(found) <= {(64, 96), (96, 128), (128, 192), (160, 224)}  # of 2 : 3, whole steps of 32
    assert sizes([37, 12], 0) == [found[37], found[12]]
    assert sizes(range(60), 1) != found


def test_boxes_and_sizes_go_with_the_batch():
    preprocessor = DetDataPreprocessor((0.0,) * 3, (1.0,) * 3, batch_resize=RandomBatchSize((128, 128)))
    data = batch()
    assert preprocessor(data, training=True)["inputs"].shape[2:] == (64, 96)  # nobody said the iteration
    preprocessor.batch_resize.set_iteration(0, 0)
    assert preprocessor(batch(), training=False)["inputs"].shape[2:] == (64, 96)
    out = preprocessor(data, training=True)
    (sample,) = out["data_samples"]
    assert out["inputs"].shape == (1, 3, 128, 192)
    assert (out["inputs"] == 9).all()
    assert sample.gt_instances.bboxes.tolist() == [[16, 32, 64, 128]]
    assert sample.ignored_instances.bboxes.tolist() == [[0, 0, 192, 128]]
    assert sample.img_shape == sample.pad_shape == (128, 192)


def test_no_size():
    with pytest.raises(ValueError, match=r"batch_resize\.sides is \(33, 63\); no multiple of 32 lies between them"):
        RandomBatchSize((33, 63))
