import pytest
import torch

from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.geometry import is_inside, is_near, side_distances, strides_of
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.point_generator import PointGenerator
from rdet.structures.assignment import BACKGROUND


def test_distances_from_sides():
    points, boxes = torch.tensor([[3.0, 4], [0, 5], [-1, 5]]), torch.tensor([[0.0, 1, 10, 21]])
    assert side_distances(points, boxes).T.tolist() == [[3, 3, 7, 17], [0, 4, 10, 16], [-1, 4, 11, 16]]
    assert is_inside(points, boxes).tolist() == [True, False, False]


def test_near_is_a_square_without_its_border():
    points = torch.tensor([[2.9, -2.9], [3.0, 0], [0, -3.1], [0, 0]])
    assert is_near(points, torch.zeros(1, 2), torch.tensor(3.0)).tolist() == [True, False, False, True]


@pytest.mark.parametrize("generator", [PointGenerator, AnchorGenerator])
def test_strides_are_read_from_centres(generator):
    strides, sizes = [7, 14, 30, 60, 120], [(9, 11), (1, 5), (3, 1), (1, 2), (1, 1)]
    priors = generator(strides)
    found = strides_of(priors(sizes), [h * w * priors.num_priors for h, w in sizes])
    lengths = torch.tensor([h * w * priors.num_priors for h, w in sizes])
    expected = torch.tensor([7.0, 14, 30, 60, torch.inf]).repeat_interleave(lengths)
    torch.testing.assert_close(found, expected)


def test_largest_of_rows_by_index_where_they_tie():
    values = torch.tensor([[1.0, 3, 2, 3, 3], [0, 0, 0, 0, 0], [5, 4, 4, 4, 1]])
    assert mark_largest(values, 2).int().tolist() == [[0, 1, 0, 1, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    assert mark_largest(values, 9).all()
    found = mark_largest(values, 4, torch.tensor([1, 4, 3]))
    assert found.int().tolist() == [[0, 1, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]


def test_first_of_the_largest_claims_wins_over_chunks():
    none = -torch.inf
    claims = Claims(torch.zeros(4, 4))
    claims.add(torch.tensor([[1.0, 2, none, none], [1, 3, none, none]]), 0)
    claims.add(torch.tensor([[1.0, 4, -7, none]]), 2)
    assert claims.boxes.tolist() == [0, 2, 2, BACKGROUND]
