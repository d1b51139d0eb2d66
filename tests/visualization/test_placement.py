"""Labels lie beside each other and leave small objects to be seen."""

import numpy as np
import pytest

from rdet.visualization.marks import Mark, paint
from rdet.visualization.placement import place_labels

SIZE = (1333, 800)


def placed(boxes, size=(90, 24), image=SIZE):
    places = place_labels(boxes, [[size, (40, 24)]] * len(boxes), range(len(boxes)), image)
    rects = [(p.x, p.y, p.x + (size[0] if p.form == 0 else 40), p.y + 24) if p is not None else None for p in places]
    return places, rects


def common(a, b):
    """The area (n, m) that rectangles (n, 4) and (m, 4) have in common."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).clip(0).prod(axis=2)


@pytest.mark.parametrize("count", [20, 300])
def test_no_label_hides_another_or_a_small_object(count):
    rng = np.random.default_rng(count)
    center, side = rng.uniform(0, 1, (count, 2)) * SIZE, rng.uniform(12, 90, (count, 2))
    boxes = np.concatenate([center - side / 2, center + side / 2], axis=1).clip(0, (*SIZE, *SIZE))
    places, rects = placed(boxes)
    labels = np.array([rect for rect in rects if rect is not None])
    assert len(labels) > (0.9 if count == 20 else 0.4) * count
    assert (labels[:, :2] >= 0).all()
    assert (labels[:, 2:] <= SIZE).all()
    assert (common(labels, labels)[~np.eye(len(labels), dtype=bool)] == 0).all()
    areas = np.maximum(1.0, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    assert (common(boxes, labels).sum(axis=1) <= 0.25 * areas + 1e-6).all()
    assert places == placed(boxes)[0]  # the same at each call


def test_a_label_touches_its_box():
    for box in ([5, 5, 1300, 790], [600, 400, 640, 440], [1290, 0, 1333, 20], [0, 780, 15, 800]):
        _, [label] = placed(np.array([box], float))
        assert (np.minimum(box[2:], label[2:]) >= np.maximum(box[:2], label[:2])).all(), box


def test_shorter_forms_are_taken_where_there_is_no_room_and_none_where_there_is_none_at_all():
    whole = np.array([[0.0, 0, 80, 60]])
    places, _ = placed(whole, image=(80, 60))
    assert places[0].form == 1
    assert placed(whole, image=(30, 20))[0] == [None]
    assert place_labels(np.zeros((0, 4)), [], [], SIZE) == []
    assert place_labels(whole, [[]], [0], SIZE) == [None]


def test_what_is_not_named_or_not_seen_is_counted():
    image = np.full((300, 400, 3), 90, np.uint8)
    inside = Mark((50, 50, 150, 150), (230, 159, 0), ("cell",))
    outside = Mark((900, 900, 950, 950), (230, 159, 0), ("cell",))
    broken = Mark((float("nan"), 0, 10, 10), (230, 159, 0), ("cell",))
    alone, more = paint(image, [inside]), paint(image, [inside, outside, broken])
    changed = np.argwhere((alone != more).any(-1))
    assert len(changed)
    assert changed.min(0)[0] > 250  # in the corner alone
    assert (more[changed[:, 0], changed[:, 1]] != 90).all()
