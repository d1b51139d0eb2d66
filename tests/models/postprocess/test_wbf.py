"""Weighted boxes fusion against a plain reading of its paper."""

import pytest
import torch
from made_predictions import build, crowd
from plain_suppression import naive_wbf


@pytest.mark.parametrize("num_views", [1, 3, 50])
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_wbf_equals_the_naive_reference(num_views, class_agnostic, seed):
    boxes, scores, labels = crowd(120, seed=seed)
    groups = [0] * 120 if class_agnostic else labels.tolist()
    expected = naive_wbf(boxes.tolist(), scores.tolist(), groups, 0.55, num_views)
    found = build("WBFPostprocess", class_agnostic=class_agnostic).merge_views(boxes, scores, labels, num_views)
    assert 3 < len(expected) < 100
    torch.testing.assert_close(found[1], torch.tensor([entry[0] for entry in expected]))
    torch.testing.assert_close(found[0], torch.tensor([entry[1] for entry in expected]))
    assert found[2].tolist() == [labels[entry[2]].item() for entry in expected]


def test_wbf_of_identical_boxes_is_the_box():
    box = torch.tensor([[3.3, 4.7, 20.1, 30.9]])
    scores = torch.tensor([0.9, 0.5, 0.1])
    labels = torch.full((3,), 2)
    found = build("WBFPostprocess").suppress(box.expand(3, 4), scores, labels)
    assert torch.equal(found[0], box)
    assert found[1].tolist() == pytest.approx([0.5])
    assert found[2].tolist() == [2]
    assert build("WBFPostprocess", conf_type="max").suppress(box.expand(3, 4), scores, labels)[1].tolist() == (
        pytest.approx([0.9])
    )
    zero = build("WBFPostprocess").suppress(box.expand(3, 4), torch.zeros(3), labels)  # weights that sum to 0
    assert torch.equal(zero[0], box)
    assert zero[1].tolist() == [0]


def test_wbf_hand_computed():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]])
    scores, labels = torch.tensor([0.75, 0.25, 0.6]), torch.zeros(3, dtype=torch.int64)
    found = build("WBFPostprocess").merge_views(boxes, scores, labels, num_views=2)
    # (0.75 * 10 + 0.25 * 8) / 1 = 9.5; both views saw it: 0.5. One of two saw the other: 0.3.
    assert found[0].tolist() == [[0, 0, 10, 9.5], [50, 50, 60, 60]]
    assert found[1].tolist() == pytest.approx([0.5, 0.3])
    # More boxes than views count as all views.
    assert build("WBFPostprocess").suppress(boxes, scores, labels)[1].tolist() == pytest.approx([0.6, 0.5])


def test_wbf_says_what_it_cannot_do():
    with pytest.raises(ValueError, match="no conf_type 'sum'; valid: avg, max"):
        build("WBFPostprocess", conf_type="sum")
