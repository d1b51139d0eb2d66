"""The forward of tensors alone gives what predict gives."""

import pytest
import torch
from exported_families import FAMILIES, batch, copied, detector
from mmengine.structures import InstanceData
from torchvision.ops import nms

from rdet.deploy.compare import Difference, add_image
from rdet.deploy.edges import Edges
from rdet.deploy.suppression import stays_by_nms
from rdet.deploy.tensor_detector import TensorDetector
from rdet.errors import ConfigError


def as_inputs(data, size):
    """Images filled up with noise, which must not be seen."""
    images = torch.randint(256, (len(data["inputs"]), 3, *size), dtype=torch.uint8)
    for row, image in zip(images, data["inputs"], strict=True):
        row[:, : image.shape[1], : image.shape[2]] = image
    return images, torch.tensor([image.shape[1:] for image in data["inputs"]])


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_it_gives_what_predict_gives_but_for_the_last_digit(family):
    model = detector(family)
    data = batch((90, 120), (96, 128), (70, 101))
    boxes, scores, labels, counts = TensorDetector(model)(*as_inputs(data, (96, 128)))
    one_operator = TensorDetector(model, one_operator=True)(*as_inputs(data, (96, 128)))
    for own, other in zip((boxes, scores, labels, counts), one_operator, strict=True):
        assert torch.equal(own, other)
    total, edges = Difference(), Edges.of(model, 1e-3, 1e-6)  # sigmoid and exp round by where in a vector a number is
    for index, sample in enumerate(model.test_step(copied(data))):
        found, count = sample.pred_instances, int(counts[index])
        assert count == len(found) > 5
        original = boxes[index, :count] / torch.tensor([0.5, 1.0, 0.5, 1.0])
        own = InstanceData(bboxes=original, scores=scores[index, :count], labels=labels[index, :count])
        add_image(total, str(index), found, own, edges)
        assert (own.scores.diff() <= 0).all()
        assert not scores[index, count:].any()
    assert total.is_within(1e-3, 1e-6), total.where
    assert total.on_the_edge == 0


@torch.no_grad()
def test_nothing_found_and_numbers_that_are_not_finite():
    images = as_inputs(batch((64, 64)), (64, 64))
    model = detector("RetinaNet", score_thr=0.99)
    assert TensorDetector(model)(*images)[3].tolist() == [0]
    model.bbox_head.conv_cls.bias.data.fill_(torch.nan)
    assert TensorDetector(model)(*images)[3].tolist() == [-1]
    assert TensorDetector(model, "decoded")(*images)[1].isnan().all()


@torch.no_grad()
def test_images_as_floats_are_the_same():
    model = detector("RetinaNet")
    images, sizes = as_inputs(batch((50, 64), (64, 40)), (64, 64))
    for own, other in zip(
        TensorDetector(model)(images, sizes), TensorDetector(model)(images.float(), sizes), strict=True
    ):
        assert torch.equal(own, other)


def test_suppression_of_a_batch_is_that_of_each_image():
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(3, 200, 2, generator=generator) * 90
    boxes = torch.cat([corner, corner + torch.rand(3, 200, 2, generator=generator) * 60], dim=2)
    scores = torch.rand(3, 200, generator=generator)
    scores[0, 50:120] = -1
    scores[2] = -1
    labels = torch.randint(4, (3, 200), generator=generator)
    stays = stays_by_nms(boxes, scores, labels, 0.4)
    for image in range(3):
        real = (scores[image] >= 0).nonzero()[:, 0]
        of_labels = [real[labels[image, real] == label] for label in range(4)]
        kept = torch.cat([own[nms(boxes[image, own], scores[image, own], 0.4)] for own in of_labels])
        assert stays[image].nonzero()[:, 0].tolist() == sorted(kept.tolist())
    assert 20 < int(stays[1].sum()) < 190


def test_another_suppression_is_refused_in_one_line():
    model = detector("RetinaNet", type="SoftNMSPostprocess")
    with pytest.raises(ConfigError, match=r"model.postprocess is SoftNMSPostprocess.*--head decoded"):
        TensorDetector(model)
    TensorDetector(model, "decoded")


@torch.no_grad()
def test_it_compiles_as_one_graph():
    model = TensorDetector(detector("RetinaNet"), one_operator=True)
    inputs = as_inputs(batch((60, 90), (64, 96)), (64, 96))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for own, other in zip(model(*inputs), compiled(*inputs), strict=True):
        assert torch.equal(own, other)
