from typing import ClassVar

import pytest
import torch
from mmengine.structures import InstanceData
from torch.utils.data._utils.pin_memory import pin_memory

from rdet.models.detectors.data_preprocessor import DetDataPreprocessor
from rdet.structures import DetDataSample
from rdet.structures.ground_truth import GroundTruth


def image(height, width, value=(10, 20, 30)):
    return torch.tensor(value, dtype=torch.uint8).view(3, 1, 1).expand(3, height, width)


def preprocess(images, **options):
    defaults = {"mean": (1.0, 2.0, 3.0), "std": (2.0, 4.0, 8.0), "bgr_to_rgb": False, "pad_size_divisor": 1}
    return DetDataPreprocessor(**{**defaults, **options})({"inputs": images})["inputs"]


@pytest.mark.parametrize(
    ("bgr_to_rgb", "expected"),
    [(False, [4.5, 4.5, 3.375]), (True, [14.5, 4.5, 0.875])],  # mean and std are in the network's order
)
def test_normalisation(bgr_to_rgb, expected):
    batch = preprocess([image(2, 3)], bgr_to_rgb=bgr_to_rgb)
    assert batch.shape == (1, 3, 2, 3)
    assert batch.dtype == torch.float32
    assert torch.equal(batch, torch.tensor(expected).view(1, 3, 1, 1).expand_as(batch))


@pytest.mark.parametrize(
    ("sizes", "divisor", "shape"),
    [
        ([(5, 7)], 1, (5, 7)),
        ([(5, 7)], 4, (8, 8)),
        ([(64, 32)], 32, (64, 32)),
        ([(5, 40), (33, 7)], 32, (64, 64)),
        ([(5, 9), (6, 3), (1, 1)], 1, (6, 9)),
    ],
)
def test_padding_is_zero_and_at_the_right_and_the_bottom(sizes, divisor, shape):
    batch = preprocess([image(h, w) for h, w in sizes], pad_size_divisor=divisor)
    assert batch.shape == (len(sizes), 3, *shape)
    for padded, (height, width) in zip(batch, sizes, strict=True):
        assert (padded[0, :height, :width] == 4.5).all()
        assert not padded[:, height:].any()
        assert not padded[:, :, width:].any()


def test_defaults_are_imagenets():
    batch = DetDataPreprocessor()({"inputs": [image(32, 32, (103, 116, 124))]})["inputs"]
    expected = [(124 - 123.675) / 58.395, (116 - 116.28) / 57.12, (103 - 103.53) / 57.375]
    assert batch[0, :, 0, 0].tolist() == pytest.approx(expected, rel=1e-4)


def test_memory_format_and_samples():
    preprocessor = DetDataPreprocessor()
    data = preprocessor({"inputs": [image(8, 8)], "data_samples": None})
    assert data["inputs"].is_contiguous(memory_format=torch.channels_last)
    assert data["data_samples"] is None
    assert preprocessor({"inputs": [image(8, 8)]})["data_samples"] is None
    assert not preprocessor.state_dict()  # mean and std are of the config, not of the checkpoint


def test_samples_learn_the_size_of_each_image_padded_by_itself():
    metainfo = {"img_shape": (1, 1), "scale_factor": (1.0, 1.0)}
    samples = [DetDataSample(metainfo=metainfo), DetDataSample(metainfo=metainfo)]
    DetDataPreprocessor()({"inputs": [image(5, 40), image(33, 7)], "data_samples": samples})
    assert [sample.pad_shape for sample in samples] == [(32, 64), (64, 32)]


@pytest.mark.parametrize(
    ("size", "training", "shape"),
    [((96, 64), True, (64, 96)), ((96, 64), False, (32, 64)), ((1, 1), True, (32, 64)), (None, True, (32, 64))],
)
def test_a_batch_to_train_on_has_a_least_size(size, training, shape):
    data = {"inputs": [image(5, 40)]}
    batch = DetDataPreprocessor(train_size=size)(data, training)["inputs"]
    assert batch.shape == (1, 3, *shape)
    assert not batch[:, :, 5:].any()


class Recorded(torch.Tensor):
    """What a loader and a detector ask of a tensor on its way to a GPU, where there is none."""

    pinned = False
    pins: ClassVar[list] = []
    copies: ClassVar[list] = []

    def pin_memory(self, device=None):
        self.pins.append(tuple(self.shape))
        found = self.clone()
        found.pinned = True
        return found

    def is_pinned(self):
        return self.pinned

    def to(self, *args, **kwargs):
        self.copies.append((self.pinned, kwargs.get("non_blocking")))
        return super().to(*args, **kwargs)


def test_images_and_boxes_are_pinned_and_copied_without_a_wait(monkeypatch):
    monkeypatch.setattr(Recorded, "pins", [])
    monkeypatch.setattr(Recorded, "copies", [])
    boxes = torch.tensor([[1.0, 1, 20, 20], [5.0, 5, 30, 30]]).as_subclass(Recorded)
    labels = torch.tensor([0, 1]).as_subclass(Recorded)
    one = DetDataSample(metainfo={"img_shape": (32, 32)})
    one.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    one.ignored_instances = InstanceData(bboxes=boxes[:1])
    data = {"inputs": [image(32, 32).as_subclass(Recorded)], "data_samples": [one]}
    pinned = pin_memory(data)  # as the loader's thread does
    assert sorted(Recorded.pins) == [(1, 4), (2,), (2, 4), (3, 32, 32)]
    (sample,) = pinned["data_samples"]
    assert sample.gt_instances.bboxes.is_pinned()
    assert sample.img_shape == (32, 32)
    assert torch.equal(sample.gt_instances.bboxes, boxes)
    assert torch.equal(sample.gt_instances.labels, labels)

    truth = GroundTruth.of_samples([sample, sample])
    assert all(joined.is_pinned() for joined in (truth.boxes, truth.labels, truth.ignored))
    assert torch.equal(truth.boxes, torch.cat([boxes, boxes]))
    DetDataPreprocessor()(pinned, training=True)
    assert Recorded.copies == [(True, True)]
