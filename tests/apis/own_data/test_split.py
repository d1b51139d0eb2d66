"""How images are divided: reproducibly, about a fifth, and groups as a whole."""

import pytest

from rdet.apis.own_data.split import BY_NAME, divide, group_of
from rdet.errors import DatasetError

NAMES = [f"x/{i:04}.jpg" for i in range(1000)]


def test_every_image_is_on_one_side_and_a_fifth_validates():
    train, val = divide(NAMES, None, "here")
    assert sorted(train + val) == NAMES
    assert len(val) == 200


def test_it_is_the_same_for_another_order_and_nearly_for_one_image_more():
    train, val = divide(NAMES, None, "here")
    again, again_val = divide(NAMES[::-1], None, "here")
    assert (set(again), set(again_val)) == (set(train), set(val))
    _, more = divide([*NAMES, "x/new.jpg"], None, "here")
    assert len(set(more) ^ set(val)) <= 2


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_few_images_are_on_both_sides(count):
    train, val = divide(NAMES[:count], None, "here")
    assert len(val) == 1
    assert len(train) == count - 1


def test_groups_stay_together():
    names = [f"board{i}_{kind}.jpg" for i in range(50) for kind in ("temp", "test", "xray")]
    train, val = divide(names, BY_NAME, "here")
    boards = [{name.split("_")[0] for name in part} for part in (train, val)]
    assert not boards[0] & boards[1]
    assert len(val) == 30
    alone = [{name.split("_")[0] for name in part} for part in divide(names, None, "here")]
    assert alone[0] & alone[1]  # not asked for


@pytest.mark.parametrize(
    ("name", "pattern", "group"),
    [
        ("a/board1_temp.jpg", BY_NAME, "a/board1"),
        ("board1-test.png", BY_NAME, "board1"),
        ("img_3_jpg.rf.0f3a9c.jpg", BY_NAME, "img_3"),
        ("plain.jpg", BY_NAME, "plain"),
        ("a/7_left.jpg", r"(\d+)_", "7"),
        ("seq3_cam2_00017.jpg", r"(seq\d)_(cam\d)", "seq3\0cam2"),
        ("seq3_cam2_00017.jpg", r"seq\d", "seq3"),
        ("other.jpg", r"(seq\d)", "other.jpg"),
        ("board1_temp.jpg", None, "board1_temp.jpg"),
    ],
)
def test_group(name, pattern, group):
    assert group_of(name, pattern) == group


@pytest.mark.parametrize(
    ("names", "pattern", "message"),
    [
        (
            ["a.jpg"],
            None,
            "^here cannot be divided: it has one image; give another --group-by, or add a part called val",
        ),
        (
            ["a_1.jpg", "a_2.jpg"],
            BY_NAME,
            "^here cannot be divided: all 2 images are one group by 'name'; give another",
        ),
    ],
)
def test_what_cannot_be_divided(names, pattern, message):
    with pytest.raises(DatasetError, match=message):
        divide(names, pattern, "here")
