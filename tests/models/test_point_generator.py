import pytest
import torch

from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.point_generator import PointGenerator


def test_points_and_squares_by_hand():
    generator = PointGenerator([8, 16])
    assert generator.num_priors == 1
    priors = generator([(2, 3), (1, 2)])
    assert priors.tolist() == [
        *([x, y, x + 8, y + 8] for y in (0, 8) for x in (0, 8, 16)),
        [0, 0, 16, 16],
        [16, 0, 32, 16],
    ]
    assert priors.dtype == torch.float32
    assert generator([(2, 3), (1, 2)]) is priors


def test_offset_is_in_strides():
    assert PointGenerator([8], center_offset=0.0)([(1, 2)]).tolist() == [[-4, -4, 4, 4], [4, -4, 12, 4]]


def test_equals_anchors_of_one_stride():
    sizes = [(13, 21), (7, 11), (4, 6)]
    anchors = AnchorGenerator([8, 16, 32], octave_base_scale=1, scales_per_octave=1, ratios=[1.0], center_offset=0.5)
    assert torch.equal(PointGenerator([8, 16, 32])(sizes), anchors(sizes))


def test_wrong_number_of_levels():
    with pytest.raises(ValueError, match=r"priors for 2 levels \[8, 16\], but 1 maps"):
        PointGenerator([8, 16])([(4, 4)])
