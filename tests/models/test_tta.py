"""Views of an image are mapped back to it and merged."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from rdet.models.detectors.tta import DetTTAModel, unflip
from rdet.registry import MODELS, TRANSFORMS
from rdet.structures import DetDataSample

POSTPROCESSES = sorted(
    name for name, module in MODELS._module_of.items() if module.startswith("rdet.models.postprocess.")
)


class BrightestBox(nn.Module):
    """Stands in for a detector: finds the one bright rectangle of an image, exactly."""

    def __init__(self, score=0.8):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.postprocess = MODELS.build({"type": "NMSPostprocess"})
        self.score = score

    def test_step(self, data):
        for image, sample in zip(data["inputs"], data["data_samples"], strict=True):
            y, x = (image[0] > 127).nonzero(as_tuple=True)
            box = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()
            sample.pred_instances = InstanceData(
                bboxes=box[None] / torch.tensor(sample.scale_factor).repeat(2),
                scores=torch.tensor([self.score]),
                labels=torch.tensor([3]),
            )
        return data["data_samples"]


def picture(left, top, right, bottom, height=40, width=80):
    image = np.zeros((height, width, 3), np.uint8)
    image[top:bottom, left:right] = 255
    return {
        "img": image,
        "gt_bboxes": np.array([[left, top, right, bottom]], np.float32),
        "gt_bboxes_labels": np.array([3]),
        "gt_ignore_flags": np.array([False]),
    }


def views_of(records, *stages):
    """What the data loader hands over for images that go through ``stages``."""
    with DefaultScope.overwrite_default_scope("rdet"):
        steps = [{"type": "LoadImageFromFile"}, {"type": "TestTimeAug", "transforms": [*stages, [PACK]]}]
        steps = [TRANSFORMS.build(step) for step in steps]
    out = []
    for record in records:
        for step in steps:
            record = step(record)
        out.append(record)
    return pseudo_collate(out)


PACK = {"type": "PackDetInputs"}
FLIPS = [
    {"type": "RandomFlip", "prob": 0.0},
    *({"type": "RandomFlip", "prob": 1.0, "direction": d} for d in ("horizontal", "vertical", "diagonal")),
]
SCALES = [{"type": "Resize", "scale": (w, h)} for w, h in ((80, 40), (160, 80), (40, 80))]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("horizontal", [[70, 20, 90, 50], [0, 0, 100, 60]]),
        ("vertical", [[10, 10, 30, 40], [0, 0, 100, 60]]),
        ("diagonal", [[70, 10, 90, 40], [0, 0, 100, 60]]),
    ],
)
def test_flip_is_undone_in_the_original_size(direction, expected):
    boxes = torch.tensor([[10.0, 20, 30, 50], [0, 0, 100, 60]])
    view = DetDataSample(metainfo={"flip": True, "flip_direction": direction, "ori_shape": (60, 100)})
    assert unflip(boxes, view).tolist() == expected
    assert boxes[0].tolist() == [10, 20, 30, 50]  # is not changed itself
    view.set_metainfo({"flip": False, "flip_direction": None})
    assert unflip(boxes, view).tolist() == boxes.tolist()
    assert unflip(boxes[:0], view).shape == (0, 4)


@pytest.mark.parametrize("name", POSTPROCESSES)
def test_views_agree_on_the_box(name):
    """Twelve views of each of two images: where the box is, is found back exactly, through each postprocess."""
    records = [picture(10, 4, 30, 36), picture(60, 20, 80, 24)]
    model = DetTTAModel(BrightestBox(), MODELS.build({"type": name}))
    data = views_of(records, SCALES, FLIPS)
    assert len(data["inputs"]) == 12
    results = model.test_step(data)
    assert len(results) == 2
    for sample, expected in zip(results, [[10, 4, 30, 36], [60, 20, 80, 24]], strict=True):
        found = sample.pred_instances
        assert found.bboxes[0].tolist() == expected
        assert found.scores[0] == pytest.approx(0.8)
        assert found.labels[0] == 3
        # Others than soft-NMS leave one; that one leaves copies, of a score of 0 and therefore below `min_score`.
        assert len(found) == 1


@pytest.mark.parametrize("direction", [None, "horizontal", "vertical", "diagonal"])
def test_merged_sample_is_in_original_pixels(direction):
    flip = {"type": "RandomFlip", "prob": 1.0 if direction else 0.0, "direction": direction or "horizontal"}
    data = views_of([picture(10, 4, 30, 36)], [SCALES[1]], [flip])
    (sample,) = DetTTAModel(BrightestBox()).test_step(data)
    assert sample.ori_shape == sample.img_shape == (40, 80)
    assert sample.scale_factor == (1.0, 1.0)
    assert (sample.flip, sample.flip_direction) == (False, None)
    assert sample.gt_instances.bboxes.tolist() == sample.pred_instances.bboxes.tolist() == [[10, 4, 30, 36]]
    assert sample.gt_instances.labels.tolist() == [3]
    assert sample.ignored_instances.bboxes.shape == (0, 4)


def sample_with(boxes, scores, labels, flip=False):
    direction = "horizontal" if flip else None
    meta = {"img_id": 7, "ori_shape": (60, 100), "scale_factor": (1.0, 1.0), "flip": flip, "flip_direction": direction}
    sample = DetDataSample(metainfo=meta)
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes).reshape(-1, 4), scores=torch.tensor(scores), labels=torch.tensor(labels).long()
    )
    return sample


def test_one_view_without_flip_is_the_plain_result():
    """NMS changes nothing of what it left before."""
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(80, 2, generator=generator) * 30
    boxes = torch.cat([boxes, boxes + 5 + torch.rand(80, 2, generator=generator) * 30], dim=1)
    scores, labels = torch.rand(80, generator=generator), torch.randint(2, (80,), generator=generator)
    detector = BrightestBox()
    boxes, scores, labels = detector.postprocess.suppress(boxes, scores, labels)
    view = sample_with(boxes.tolist(), scores.tolist(), labels.tolist())
    (merged,) = DetTTAModel(detector).merge_preds([(view,)])
    assert 20 < len(merged.pred_instances) < 80
    for key in ("bboxes", "scores", "labels"):
        assert torch.equal(merged.pred_instances[key], view.pred_instances[key])
    assert merged.img_id == 7


def test_nms_merges_by_hand():
    one = sample_with([[10.0, 20, 30, 50], [0, 0, 8, 8]], [0.6, 0.3], [0, 1])
    two = sample_with([[70.0, 20, 90, 50], [0, 0, 8, 8]], [0.9, 0.5], [0, 1], flip=True)
    (merged,) = DetTTAModel(BrightestBox()).merge_preds([(one, two)])
    found = merged.pred_instances
    assert found.bboxes.tolist() == [[10, 20, 30, 50], [92, 0, 100, 8], [0, 0, 8, 8]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.3])
    assert found.labels.tolist() == [0, 1, 1]


def test_wbf_counts_the_views():
    one = sample_with([[10.0, 20, 30, 50], [0, 0, 8, 8]], [0.6, 0.3], [0, 1])
    two = sample_with([[70.0, 20, 90, 46]], [0.2], [0], flip=True)
    model = DetTTAModel(BrightestBox(), MODELS.build({"type": "WBFPostprocess"}))
    (merged,) = model.merge_preds([(one, two)])
    found = merged.pred_instances
    torch.testing.assert_close(found.bboxes, torch.tensor([[10.0, 20, 30, 49], [0, 0, 8, 8]]))  # 0.75 * 50 + 0.25 * 46
    assert found.scores.tolist() == pytest.approx([0.4, 0.15])  # (0.6 + 0.2) / 2; 0.3 / 2, one of two views saw it


@pytest.mark.parametrize("name", POSTPROCESSES)
def test_nothing_found_in_any_view(name):
    empty = sample_with([], [], []), sample_with([], [], [], flip=True)
    (merged,) = DetTTAModel(BrightestBox(), MODELS.build({"type": name})).merge_preds([empty])
    found = merged.pred_instances
    assert found.bboxes.shape == (0, 4)
    assert (found.scores.shape, found.labels.dtype) == ((0,), torch.int64)


@pytest.mark.parametrize("name", POSTPROCESSES)
def test_cap_is_that_of_the_merging_postprocess(name):
    boxes = [[12.0 * i, 0, 12 * i + 10, 10] for i in range(6)]
    view = sample_with(boxes, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [0] * 6)
    model = DetTTAModel(BrightestBox(), MODELS.build({"type": name, "max_per_img": 4}))
    (merged,) = model.merge_preds([(view,)])
    assert merged.pred_instances.scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_weights_have_the_detectors_names():
    detector, other = BrightestBox(), BrightestBox()
    model = DetTTAModel(detector)
    assert set(model.state_dict()) == {"layer.weight", "layer.bias"}
    model.load_state_dict(other.state_dict())
    assert torch.equal(detector.layer.weight, other.layer.weight)


def test_postprocess_without_suppress_is_said():
    detector = BrightestBox()
    detector.postprocess = object()
    with pytest.raises(ValueError, match="object does not derive from DensePostprocess, which merges views; set"):
        DetTTAModel(detector)
