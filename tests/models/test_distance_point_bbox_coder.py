import pytest
import torch
from torchvision.models.detection._utils import BoxLinearCoder

from rdet.models.coders.distance_point_bbox_coder import DistancePointBBoxCoder

POINT = torch.tensor([16.0, 24, 24, 32])  # stride 8 around (20, 28)
BOX = torch.tensor([12.0, 4, 60, 30])  # 8, 24, 40 and 2 pixels from it


def random_boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 500
    return torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=generator) * 300], dim=1)


PRIORS, BOXES = random_boxes(500, 0), random_boxes(500, 1)


@pytest.mark.parametrize(
    ("options", "distances"),
    [
        ({}, [1.0, 3.0, 5.0, 0.25]),
        ({"unit": "pixel"}, [8.0, 24.0, 40.0, 2.0]),
        ({"prior_scale": 4.0}, [4.0, 12.0, 20.0, 1.0]),  # the square is 4 strides of 2 pixels
    ],
)
def test_left_top_right_bottom_in_their_unit(options, distances):
    coder = DistancePointBBoxCoder(**options)
    assert coder.encode(POINT, BOX).tolist() == distances
    assert coder.decode(POINT, torch.tensor(distances)).tolist() == BOX.tolist()
    assert coder.box_dim == 4


def test_scale_makes_anchors_of_a_level_equal_to_its_points():
    anchor = torch.tensor([-12.0, -4, 52, 60])  # 8 strides around the same centre
    assert torch.equal(DistancePointBBoxCoder(8.0).encode(anchor, BOX), DistancePointBBoxCoder().encode(POINT, BOX))


@pytest.mark.parametrize("count", [500, 1, 0])
@pytest.mark.parametrize("options", [{}, {"prior_scale": 8.0}, {"unit": "pixel"}])
def test_round_trip(options, count):
    """Centres outside of their boxes, and so negative distances, are among them."""
    coder = DistancePointBBoxCoder(**options)
    distances = coder.encode(PRIORS[:count], BOXES[:count])
    decoded = coder.decode(PRIORS[:count], distances)
    torch.testing.assert_close(decoded, BOXES[:count], rtol=1e-5, atol=1e-3)
    assert decoded.shape == (count, 4)
    assert count < 500 or (distances < 0).any()


@pytest.mark.parametrize("normalize", [True, False])
def test_equals_torchvision(normalize):
    theirs = BoxLinearCoder(normalize_by_size=normalize)
    ours = DistancePointBBoxCoder(unit="stride" if normalize else "pixel")
    distances = theirs.encode(PRIORS, BOXES)
    torch.testing.assert_close(ours.encode(PRIORS, BOXES), distances, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.decode(PRIORS, distances), theirs.decode(distances, PRIORS), rtol=1e-5, atol=1e-3)


def test_areas_of_wild_predictions_are_finite():
    box = DistancePointBBoxCoder().decode(POINT, torch.tensor([1e30, 3e38, torch.inf, 1e6]))
    assert box.tolist() == [20 - 1e5, 28 - 1e5, 20 + 1e5, 28 + 1e5]
    box = DistancePointBBoxCoder(max_distance=5).decode(POINT, torch.tensor([-1e30, 1.0, 0.5, -1.0]))
    assert box.tolist() == [25, 23, 24, 23]


def test_leading_dimensions_broadcast():
    coder = DistancePointBBoxCoder()
    distances = torch.rand(3, 500, 4, generator=torch.Generator().manual_seed(0)) * 4
    assert torch.equal(coder.decode(PRIORS, distances)[1], coder.decode(PRIORS, distances[1]))


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match="DistancePointBBoxCoder.unit is 'pixels'; valid: 'stride', 'pixel'"):
        DistancePointBBoxCoder(unit="pixels")
    with pytest.raises(ValueError, match="prior_scale is 0; it must be positive"):
        DistancePointBBoxCoder(prior_scale=0)


def test_without_a_largest_distance():
    prior, deltas = torch.tensor([[0.0, 0, 8, 8]]), torch.full((1, 4), 1e6)
    assert DistancePointBBoxCoder(max_distance=None).decode(prior, deltas)[0, 2].item() == pytest.approx(8e6, rel=1e-5)
    assert DistancePointBBoxCoder().decode(prior, deltas)[0, 2].item() == pytest.approx(1e5, rel=1e-3)
