"""What the model gets."""

import cv2
import numpy as np
import pytest
import torch
from transform_records import record

from rdet.datasets import DatasetError
from rdet.datasets.transforms import LoadImageFromFile, PackDetInputs, RandomFlip


def test_pack():
    results = RandomFlip(1.0)(record()) | {"img_id": 5, "img_path": "a.jpg"}
    packed = PackDetInputs()(results)
    assert set(packed) == {"inputs", "data_samples"}
    inputs, sample = packed["inputs"], packed["data_samples"]
    assert inputs.dtype == torch.uint8
    assert inputs.is_contiguous()
    np.testing.assert_array_equal(inputs.numpy(), results["img"].transpose(2, 0, 1))
    assert sample.metainfo == {
        "img_id": 5,
        "img_path": "a.jpg",
        "ori_shape": (90, 120),
        "img_shape": (90, 120),
        "scale_factor": (1.0, 1.0),
        "flip": True,
        "flip_direction": "horizontal",
    }
    assert sample.gt_instances.bboxes.tolist() == [[60, 20, 110, 50], [0, 0, 120, 90]]
    assert sample.gt_instances.labels.tolist() == [0, 1]
    assert sample.ignored_instances.bboxes.tolist() == [[0, 70, 19.5, 90]]
    assert sample.ignored_instances.labels.tolist() == [2]
    assert sample.gt_instances.bboxes.dtype == torch.float32
    assert sample.gt_instances.labels.dtype == torch.int64


def test_pack_no_boxes():
    sample = PackDetInputs()(record([]))["data_samples"]
    for instances in (sample.gt_instances, sample.ignored_instances):
        assert instances.bboxes.shape == (0, 4)
        assert instances.bboxes.dtype == torch.float32
        assert instances.labels.dtype == torch.int64


def test_pack_a_lone_picture():
    sample = PackDetInputs()(LoadImageFromFile()({"img": np.zeros((3, 4, 3), np.uint8)}))["data_samples"]
    assert "gt_instances" not in sample
    assert sample.img_shape == (3, 4)


def test_pack_a_view():
    image = record()["img"]
    packed = PackDetInputs()(record() | {"img": image[::2, ::-1]})
    np.testing.assert_array_equal(packed["inputs"].numpy(), image[::2, ::-1].transpose(2, 0, 1))


def test_pack_chosen_keys():
    packed = PackDetInputs(meta_keys=["img_shape"])(record())
    assert packed["data_samples"].metainfo == {"img_shape": (90, 120)}


def test_pack_a_key_that_is_not_there():
    with pytest.raises(DatasetError, match=r"the record has no 'scale_facter' to pack. Did you mean 'scale_factor'"):
        PackDetInputs(meta_keys=("scale_facter",))(record())


def test_cv2_reads_what_pack_gets(tmp_path):
    """A file keeps its colours through loading and packing: planes are blue, green, red."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((2, 2, 3), (1, 2, 3), np.uint8))
    packed = PackDetInputs()(LoadImageFromFile()({"img_path": str(tmp_path / "a.png")}))
    assert packed["inputs"][:, 0, 0].tolist() == [1, 2, 3]
