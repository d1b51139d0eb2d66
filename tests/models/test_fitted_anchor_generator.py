import re

import pytest
import torch

from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.fitted_anchor_generator import FittedAnchorGenerator

STRIDES = [8, 16]


def test_anchors_by_hand():
    generator = FittedAnchorGenerator(STRIDES, [[(4, 6), (10, 2)], [(20, 30), (31.5, 7.5)]], center_offset=0.5)
    assert generator.num_priors == 2
    assert generator([(1, 2), (1, 1)]).tolist() == [
        [2, 1, 6, 7],
        [-1, 3, 9, 5],
        [10, 1, 14, 7],
        [7, 3, 17, 5],
        [-2, -7, 18, 23],
        [-7.75, 4.25, 23.75, 11.75],
    ]


def test_equals_anchor_generator_with_its_sizes():
    theirs = AnchorGenerator(STRIDES)
    ours = FittedAnchorGenerator(STRIDES, [level.tolist() for level in theirs.shapes])
    sizes = [(6, 5), (3, 3)]
    assert torch.equal(ours(sizes), theirs(sizes))
    assert ours.num_priors == 9


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([[(4, 6)]], "sizes are of 1 levels, but there are 2 with strides [8, 16]; give one list for each level"),
        ([[(4, 6)], []], "has 1, 0 anchors on its levels; give each level at least one"),
        ([[], []], "has 0, 0 anchors on its levels"),
        ([[(4, 6)], [(4, 0)]], "has (4, 0); expected a width and a height above 0"),
        ([[(4, 6, 8)], [(4, 5)]], "has (4, 6, 8); expected a width and a height above 0"),
    ],
)
def test_sizes_that_cannot_be(sizes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FittedAnchorGenerator(STRIDES, sizes)
