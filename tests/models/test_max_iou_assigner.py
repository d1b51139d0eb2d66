import tracemalloc

import pytest
import torch
from matching import assign, batch_of, dense
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from rdet.models.assigners.max_iou_assigner import MaxIoUAssigner
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import box_coverage, paired_iou

NO_BOX = torch.zeros(0, 4)
PRIORS = AnchorGenerator([8, 16, 32])([(16, 20), (8, 10), (4, 5)])  # over 160 x 128 pixels


def boxes_of(count, seed, largest=80.0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([140.0, 110.0])
    return torch.cat([corner, corner + 4 + torch.rand(count, 2, generator=generator) * largest], dim=1)


def iou_of(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def slow_assignment(priors, boxes, ignored, pos=0.5, neg=0.4, low_quality=True, min_pos_iou=0.0):
    """The rules of the paper, prior by prior and box by box."""
    priors, boxes, ignored = priors.double().tolist(), boxes.double().tolist(), ignored.double().tolist()
    iou = [[iou_of(prior, box) for box in boxes] for prior in priors]
    best_of_box = [max(row[g] for row in iou) for g in range(len(boxes))]
    result = []
    for prior, row in zip(priors, iou, strict=True):
        best = max(row, default=0.0)
        low = low_quality and any(
            value > 0 and value > best_of_box[g] - 1e-9 and value >= min_pos_iou for g, value in enumerate(row)
        )
        if low or (row and best >= pos):
            result.append(next(g for g, value in enumerate(row) if value == best))
        elif best >= neg:
            result.append(IGNORE)
        else:
            result.append(IGNORE if any(_inside(prior, region) > 0.5 for region in ignored) else BACKGROUND)
    return result


def _inside(prior, region):
    width = max(0, min(prior[2], region[2]) - max(prior[0], region[0]))
    height = max(0, min(prior[3], region[3]) - max(prior[1], region[1]))
    return width * height / ((prior[2] - prior[0]) * (prior[3] - prior[1]))


@pytest.mark.parametrize("chunk_size", [1, 3, 64])
@pytest.mark.parametrize(
    ("seed", "count", "crowds", "options"),
    [
        (0, 0, 0, {}),
        (1, 1, 0, {}),
        (2, 7, 1, {}),
        (3, 12, 2, {"min_pos_iou": 0.4}),
        (4, 12, 0, {"match_low_quality": False}),
        (5, 12, 3, {"pos_iou_thr": 0.6, "neg_iou_thr": 0.3}),
        (6, 0, 2, {}),
    ],
)
def test_equals_the_slow_reference(seed, count, crowds, options, chunk_size):
    # Float errors must not break ties: boxes in quarters of a pixel, priors too.
    priors = (PRIORS[::3] * 4).round() / 4
    boxes, ignored = (boxes_of(count, seed) * 4).round() / 4, (boxes_of(crowds, seed + 50) * 4).round() / 4
    expected = slow_assignment(
        priors,
        boxes,
        ignored,
        pos=options.get("pos_iou_thr", 0.5),
        neg=options.get("neg_iou_thr", 0.4),
        low_quality=options.get("match_low_quality", True),
        min_pos_iou=options.get("min_pos_iou", 0.0),
    )
    found = assign(MaxIoUAssigner(**options, chunk_size=chunk_size), priors, boxes, ignored)
    assert found.dtype == torch.int64
    assert found.tolist() == expected


@pytest.mark.parametrize("count", [1, 20, 300])
def test_equals_torchvision_where_every_box_overlaps_some_prior(count):
    boxes = boxes_of(count, count)
    iou = box_iou(boxes, PRIORS)
    assert (iou.amax(dim=1) > 0).all()
    expected = Matcher(0.5, 0.4, allow_low_quality_matches=True)(iou)
    assert torch.equal(MaxIoUAssigner()(PRIORS, boxes), expected)
    assert torch.equal(MaxIoUAssigner(chunk_size=7)(PRIORS, boxes), expected)


def test_box_that_overlaps_no_prior_makes_nothing_positive():
    """Its best IoU is 0 everywhere, which with the plain rule makes every prior its match."""
    nowhere = torch.tensor([[5000.0, 5000, 5010, 5010]])
    assert (Matcher(0.5, 0.4, allow_low_quality_matches=True)(box_iou(nowhere, PRIORS)) == 0).all()
    assert (MaxIoUAssigner()(PRIORS, nowhere) == BACKGROUND).all()
    somewhere = boxes_of(3, 0)
    both = MaxIoUAssigner()(PRIORS, torch.cat([somewhere, nowhere]))
    assert torch.equal(both, MaxIoUAssigner()(PRIORS, somewhere))


@pytest.mark.parametrize("boxes", [NO_BOX, torch.tensor([[40.0, 40, 40, 40]]), torch.tensor([[9.0, 9, 9, 30]])])
def test_no_box_and_boxes_without_area_leave_background(boxes):
    assert MaxIoUAssigner()(PRIORS, boxes).tolist() == [BACKGROUND] * len(PRIORS)


def test_no_prior():
    for boxes in (NO_BOX, boxes_of(2, 0)):
        if len(boxes) == 0:
            assert MaxIoUAssigner()(NO_BOX, boxes).shape == (0,)


SQUARE = torch.tensor([[0.0, 0, 10, 10]])


@pytest.mark.parametrize(
    ("width", "low_quality", "min_pos_iou", "expected"),
    [
        (5.0, False, 0.0, 0),  # IoU 0.5: at the threshold
        (4.9, False, 0.0, IGNORE),
        (4.0, False, 0.0, IGNORE),  # IoU 0.4: at the threshold
        (3.9, False, 0.0, BACKGROUND),
        (3.9, True, 0.0, 0),
        (3.9, True, 0.39, 0),
        (3.9, True, 0.4, BACKGROUND),
        (4.5, True, 0.4, 0),
        (0.1, True, 0.0, 0),
    ],
)
def test_thresholds(width, low_quality, min_pos_iou, expected):
    assigner = MaxIoUAssigner(match_low_quality=low_quality, min_pos_iou=min_pos_iou)
    for grid in (None, PointGenerator([10]).grid([(1, 1)])):
        assert assigner(SQUARE, torch.tensor([[0.0, 0, width, 10]]), grid).tolist() == [expected]


def test_low_quality_match_keeps_the_box_it_overlaps_most():
    priors = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 3], [0, 0, 10, 2]])  # IoU 0.3 and 0.2, both boxes' best prior
    assert MaxIoUAssigner()(priors, boxes).tolist() == [0]
    assert MaxIoUAssigner(chunk_size=1)(priors, boxes.flip(0)).tolist() == [1]


@pytest.mark.parametrize("chunk_size", [1, 2, 64])
def test_ties(chunk_size):
    """Of equal boxes the first; of equal priors all."""
    assigner = MaxIoUAssigner(chunk_size=chunk_size)
    same = SQUARE.expand(3, 4)
    assert assigner(SQUARE, same).tolist() == [0]
    quarter = torch.tensor([[0.0, 0, 5, 5], [5, 5, 10, 10], [0, 0, 1, 1]])
    assert assigner(quarter, SQUARE).tolist() == [0, 0, BACKGROUND]


def test_crowd_regions():
    priors = torch.tensor([[0.0, 0, 10, 10], [6, 0, 16, 10], [5, 0, 15, 10], [40, 40, 50, 50], [0, 0, 10, 4]])
    boxes, crowd = torch.tensor([[0.0, 0, 10, 9], [40, 40, 50, 50]]), torch.tensor([[0.0, 0, 10, 10]])
    # 0 is positive though inside; 1 has 0.4 and 2 exactly half of its area inside; 4 lies all inside.
    assert assign(MaxIoUAssigner(), priors, boxes, crowd).tolist() == [0, BACKGROUND, BACKGROUND, 1, IGNORE]
    strict = MaxIoUAssigner(ignore_iof_thr=0.45)
    assert assign(strict, priors, boxes, crowd).tolist() == [0, BACKGROUND, IGNORE, 1, IGNORE]
    assert assign(MaxIoUAssigner(), priors, boxes, NO_BOX).tolist()[4] == IGNORE  # IoU 0.44 with box 0
    found = assign(MaxIoUAssigner(), priors, NO_BOX, crowd)
    assert found.tolist() == [IGNORE, BACKGROUND, BACKGROUND, BACKGROUND, IGNORE]


@pytest.mark.parametrize("crowds", [1, 5, 70])
def test_no_background_prior_is_more_than_half_in_a_crowd(crowds):
    boxes, ignored = boxes_of(10, 1), boxes_of(crowds, 2)
    plain, found = MaxIoUAssigner()(PRIORS, boxes), assign(MaxIoUAssigner(), PRIORS, boxes, ignored)
    inside = (box_coverage(PRIORS, ignored) > 0.5).any(dim=0)
    assert inside.any()
    assert not (inside & (found == BACKGROUND)).any()
    assert torch.equal(found[~inside], plain[~inside])
    assert torch.equal(found >= 0, plain >= 0)


def test_two_thousand_boxes():
    boxes = boxes_of(2000, 0, largest=40.0)
    found = MaxIoUAssigner()(PRIORS, boxes)
    assert torch.equal(found, Matcher(0.5, 0.4, allow_low_quality_matches=True)(box_iou(boxes, PRIORS)))
    assert found.max() > 1900


def test_coverage():
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 5]])
    regions = torch.tensor([[0.0, 0, 5, 10], [20, 20, 30, 30], [-5, -5, 50, 50]])
    assert box_coverage(boxes, regions).tolist() == [[0.5, 0], [0, 0], [1, 0]]
    assert box_coverage(boxes, NO_BOX).shape == (0, 2)


@pytest.mark.parametrize(("pos", "neg"), [(0.4, 0.5), (1.1, 0.4), (0.5, -0.1)])
def test_impossible_thresholds(pos, neg):
    with pytest.raises(ValueError, match=f"expected 0 <= neg_iou_thr <= pos_iou_thr <= 1, got {neg} and {pos}"):
        MaxIoUAssigner(pos_iou_thr=pos, neg_iou_thr=neg)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_pos_iou": 0.4},
        {"match_low_quality": False},
        {"pos_iou_thr": 0.0, "neg_iou_thr": 0.0},
        {"chunk_size": 1},
    ],
)
@pytest.mark.parametrize("counts", [[0, 0, 0], [3, 0, 40], [70, 1, 2]])
def test_on_a_grid_and_all_images_at_once_it_is_the_same(counts, options):
    generator, sizes = AnchorGenerator([8, 16, 32]), [(16, 20), (8, 10), (4, 5)]
    boxes = [boxes_of(count, seed, largest=[9.0, 80.0][seed % 2]) for seed, count in enumerate(counts)]
    ignored = boxes_of(3, 7).split([0, 2, 1])
    assigner, grid = MaxIoUAssigner(**options), generator.grid(sizes)
    expected = []
    for own, regions in zip(boxes, ignored, strict=True):
        expected.append(assign(assigner, PRIORS, own, regions))
        assert torch.equal(assign(assigner, PRIORS, own, regions, grid=grid), expected[-1])
        assert torch.equal(assigner(PRIORS, own, grid), assigner(PRIORS, own))
    images = [{"boxes": own, "ignored": regions} for own, regions in zip(boxes, ignored, strict=True)]
    for how in (grid, None):
        batch = batch_of(PRIORS, images, grid=how)
        assert torch.equal(dense(assigner.match(batch), batch), torch.stack(expected))


def test_on_a_grid_memory_depends_on_the_boxes_and_not_on_the_priors():
    """Arrays with a number for each prior of each image took most of the time, too."""
    peaks = []
    for side in (32, 256):
        generator, sizes = AnchorGenerator([8]), [(side, side)]
        images = [{"boxes": boxes_of(3, seed)} for seed in range(8)]
        batch = batch_of(generator(sizes), images, grid=generator.grid(sizes))
        tracemalloc.start()
        matches = MaxIoUAssigner().match(batch)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(matches.prior) >= 8
    assert peaks[1] < 1.5 * peaks[0]


def test_low_quality_match_goes_to_the_box_that_the_prior_overlaps_most_on_a_grid_too():
    """The large box overlaps the prior by less than ``neg_iou_thr``, and has better ones: no pair of the grid."""
    generator, sizes = AnchorGenerator([32], octave_base_scale=1, scales_per_octave=1, ratios=[1.0]), [(4, 4)]
    priors = generator(sizes)
    boxes = torch.tensor([[16.0, 16, 18, 18], [26.0, 16, 74, 48]])
    plain = MaxIoUAssigner(neg_iou_thr=0.4)(priors, boxes)
    assert torch.equal(MaxIoUAssigner(neg_iou_thr=0.4)(priors, boxes, grid=generator.grid(sizes)), plain)
    assert plain[5] == 1


@pytest.mark.parametrize("on_grid", [False, True])
@pytest.mark.parametrize("chunk_size", [1, 3, 64])
def test_low_quality_match_may_take_the_prior_from_a_better_box(chunk_size, on_grid):
    """As in MMDetection: box by box, all priors of its largest overlap are its own, the last box wins."""
    generator, sizes = AnchorGenerator([8, 16, 32]), [(16, 20), (8, 10), (4, 5)]
    boxes = boxes_of(40, 3)
    expected = MaxIoUAssigner(match_low_quality=False)(PRIORS, boxes)
    iou = paired_iou(boxes[:, None], PRIORS)
    for box, row in enumerate(iou):
        expected[row == row.max()] = box
    assigner = MaxIoUAssigner(reassign_low_quality=True, chunk_size=chunk_size)
    found = assigner(PRIORS, boxes, generator.grid(sizes) if on_grid else None)
    assert torch.equal(found, expected)
    assert not torch.equal(found, MaxIoUAssigner()(PRIORS, boxes))


@pytest.mark.parametrize("reassign", [False, True])
def test_boxes_in_float64_are_matched_as_in_float32(reassign):
    generator, sizes = AnchorGenerator([8, 16, 32]), [(16, 20), (8, 10), (4, 5)]
    assigner, boxes = MaxIoUAssigner(reassign_low_quality=reassign), boxes_of(9, seed=5)
    grid = generator.grid(sizes)
    expected = assigner(PRIORS, boxes, grid)
    assert (expected >= 0).sum() > 9
    assert torch.equal(assigner(PRIORS, boxes.double(), grid), expected)
