"""Slices cover an image, and what is found in them is what is found in the whole."""

import itertools

import numpy as np
import pytest
import torch
from bright_finder import Finder, scene
from mmengine.structures import InstanceData

from rdet.apis.infer.slices import Slice, merge_slices, slices_of
from rdet.apis.infer.slicing import SlicedDetector, inference_detector_sliced
from rdet.errors import ConfigError
from rdet.models.postprocess.nms_postprocess import NMSPostprocess


@pytest.mark.parametrize(
    ("height", "width", "size", "overlap"),
    [(100, 130, (40, 50), 0.2), (41, 40, (40, 40), 0.5), (7, 300, (40, 40), 0.0), (64, 64, (64, 64), 0.9)],
)
def test_slices_cover_the_image_and_overlap(height, width, size, overlap):
    slices = slices_of(height, width, size, overlap)
    seen = np.zeros((height, width), int)
    for one in slices:
        seen[one.rows, one.columns] += 1
        assert (one.bottom - one.top, one.right - one.left) == (min(size[0], height), min(size[1], width))
    assert seen.min() >= 1
    assert len(set(slices)) == len(slices)
    for side, part, starts in ((height, size[0], {s.top for s in slices}), (width, size[1], {s.left for s in slices})):
        for first, second in itertools.pairwise(sorted(starts)):
            assert first + part - second >= round(overlap * part)  # what they have in common
        assert len(starts) == (1 if part >= side else -(-(side - part) // (part - round(part * overlap))) + 1)


def found(*rows) -> InstanceData:
    """Detections: x1, y1, x2, y2, score, label."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return InstanceData(bboxes=table[:, :4], scores=table[:, 4], labels=table[:, 5].long())


LEFT, RIGHT, WHOLE = Slice(0, 0, 50, 40), Slice(40, 0, 90, 40), Slice(0, 0, 90, 40)


@pytest.mark.parametrize(
    ("left", "right", "whole", "kept"),
    [
        # An object at 44..58 is cut by the left slice, whole in the right one.
        ([(44, 5, 50, 20, 0.9, 0)], [(4, 5, 18, 20, 0.8, 0)], [], [(44, 5, 58, 20)]),
        # Of another class, or found with far less certainty: they are not the same.
        ([(44, 5, 50, 20, 0.9, 0)], [(4, 5, 18, 20, 0.8, 1)], [], [(44, 5, 50, 20), (44, 5, 58, 20)]),
        ([(44, 5, 50, 20, 0.9, 0)], [(4, 5, 18, 20, 0.4, 0)], [], [(44, 5, 50, 20), (44, 5, 58, 20)]),
        # Larger than the overlap: two parts, unless the whole image shows it.
        ([(20, 5, 50, 20, 0.9, 0)], [(0, 5, 30, 20, 0.8, 0)], [], [(20, 5, 50, 20), (40, 5, 70, 20)]),
        ([(20, 5, 50, 20, 0.9, 0)], [(0, 5, 30, 20, 0.8, 0)], [(20, 5, 70, 20, 0.6, 0)], [(20, 5, 70, 20)]),
        # Found in both as a whole: one. At the border of the image: not cut.
        ([(41, 5, 48, 20, 0.9, 0)], [(1, 5, 8, 20, 0.8, 0)], [], [(41, 5, 48, 20)]),
        ([(0, 0, 9, 9, 0.9, 0)], [], [(0, 0, 12, 12, 0.9, 0)], [(0, 0, 9, 9)]),
        ([], [], [], []),
    ],
)
def test_what_is_found_at_borders(left, right, whole, kept):
    views = [found(*left), found(*right), found(*whole)]
    merged = merge_slices(views, [LEFT, RIGHT, WHOLE], (40, 90), NMSPostprocess(iou_threshold=0.5))
    assert sorted(map(tuple, merged.bboxes.tolist())) == sorted(kept)
    assert merged.scores.tolist() == sorted(merged.scores.tolist(), reverse=True)


def boxes_of(rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Boxes of 4 to 9 pixels on a grid, none of which touches another."""
    boxes = []
    for x, y in itertools.product(range(2, 180, 14), range(2, 110, 14)):
        if rng.random() < 0.6:
            width, height, value = rng.integers(4, 10), rng.integers(4, 10), rng.integers(120, 255)
            boxes.append(tuple(int(v) for v in (x, y, x + width, y + height, value)))
    return boxes


@pytest.mark.parametrize(("batch_size", "whole"), [(1, False), (5, False), (3, True)])
def test_slices_find_what_the_whole_image_shows(batch_size, whole):
    boxes = boxes_of(np.random.default_rng(batch_size))
    finder = Finder()
    detector = SlicedDetector(finder, (60, 70), 0.25, whole, batch_size)  # an overlap of 15 pixels, above 9
    sample = detector.detect(scene(120, 190, boxes), "a.png")
    assert sorted(map(tuple, sample.pred_instances.bboxes.tolist())) == sorted(box[:4] for box in boxes)
    torch.testing.assert_close(sample.pred_instances.scores[0], torch.tensor(max(box[4] for box in boxes) / 255))
    assert sample.ori_shape == (120, 190)
    slices = [shape for batch in finder.batches for shape in batch]
    assert slices == [(3, 60, 70)] * 12 + [(3, 120, 190)] * whole
    assert max(map(len, finder.batches)) == batch_size


def test_more_objects_than_one_view_may_have():
    finder = Finder()
    finder.postprocess.max_per_img = 20
    boxes = boxes_of(np.random.default_rng(0))
    found = SlicedDetector(finder, 60, 0.25).detect(scene(120, 190, boxes)).pred_instances
    assert len(found) == len(boxes) > 20


def test_a_small_image_is_one_view(tmp_path):
    finder = Finder()
    one = inference_detector_sliced(finder, scene(), 100)
    several = inference_detector_sliced(finder, [scene(), scene(boxes=())], (48, 64))
    assert [len(sample.pred_instances) for sample in (one, *several)] == [1, 1, 0]
    assert finder.batches == [[(3, 48, 64)]] * 3


@pytest.mark.parametrize(("size", "overlap"), [(0, 0.2), (40, 1.0), (40, -0.1), ((40, 40, 40), 0.2)])
def test_slices_that_are_none_are_said(size, overlap):
    with pytest.raises(ConfigError, match="a slice has 1 or more pixels"):
        SlicedDetector(Finder(), size, overlap)
