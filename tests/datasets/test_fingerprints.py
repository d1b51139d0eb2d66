"""Pictures that show nearly the same are told from others, and boxes that are there twice."""

import numpy as np
import pytest
from PIL import Image

from rdet.datasets.fingerprints import fingerprints, near_duplicates
from rdet.datasets.repeated_boxes import repeated_boxes


def picture(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    return coarse.resize((200, 150), Image.Resampling.BICUBIC)


def saved(folder, pictures) -> list[str]:
    paths = []
    for name, (image, options) in pictures.items():
        image.save(folder / name, **options)
        paths.append(str(folder / name))
    return paths


def test_copies_are_found_and_nothing_else(tmp_path):
    originals = saved(tmp_path, {f"{i}.png": (picture(i), {}) for i in range(12)})
    turned = Image.Exif()
    turned[0x0112] = 6  # which turns by a quarter to the right
    copies = saved(
        tmp_path,
        {
            "worse.jpg": (picture(3), {"quality": 30}),
            "smaller.jpg": (picture(4).resize((80, 60)), {}),
            "brighter.png": (picture(5).point(lambda v: min(255, v * 0.8 + 50)), {}),
            "turned.jpg": (picture(6).transpose(Image.Transpose.ROTATE_90), {"exif": turned}),
            "mirrored.png": (picture(7).transpose(Image.Transpose.FLIP_LEFT_RIGHT), {}),
            "cropped.png": (picture(8).crop((40, 40, 160, 130)), {}),
            "other.png": (picture(99), {}),
        },
    )
    ours, theirs = fingerprints(originals), fingerprints(copies)
    assert sorted(near_duplicates(ours, theirs)) == [(3, 0), (4, 1), (5, 2), (6, 3)]
    assert sorted(near_duplicates(ours, ours)) == [(i, i) for i in range(12)]
    assert [print_.is_turned for print_ in theirs] == [False] * 3 + [True] + [False] * 3


def test_noise_of_a_plain_ground_hides_no_copy(tmp_path):
    """A thing on a table, by a camera: which of two cells of the table is brighter is chance."""
    pictures = {}
    for i in range(6):
        rng = np.random.default_rng(i)
        ground = 200 + rng.normal(0, 6, (240, 320))
        for x, y in rng.integers(0, 180, (4, 2)):
            ground[y : y + 50, x : x + 60] -= rng.uniform(60, 150)
        pictures[i] = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    ours = fingerprints(saved(tmp_path, {f"{i}.png": (one, {}) for i, one in pictures.items()}))
    again = {f"{i}.jpg": (one.resize((200, 150)), {"quality": 70}) for i, one in pictures.items()}
    assert sorted(near_duplicates(ours, fingerprints(saved(tmp_path, again)))) == [(i, i) for i in range(6)]


def test_pictures_of_one_brightness_and_of_arrays_and_what_is_no_picture(tmp_path):
    flat = saved(tmp_path, {f"{i}.png": (Image.new("RGB", (60, 40), (i, i, i)), {}) for i in (10, 11)})
    np.save(tmp_path / "a.npy", np.asarray(picture(1))[:, :, ::-1].astype(np.uint16) * 16)
    (tmp_path / "bad.png").write_bytes(b"no image")
    found = fingerprints([*flat, str(tmp_path / "a.npy"), str(tmp_path / "bad.png"), str(tmp_path / "missing.png")])
    assert [print_ is None for print_ in found] == [False, False, False, True, True]
    assert list(near_duplicates(found[:2], found[:2])) == []
    original = fingerprints(saved(tmp_path, {"a.png": (picture(1), {})}))
    assert list(near_duplicates(found, original)) == [(2, 0)]
    assert list(near_duplicates([], original)) == []


@pytest.mark.parametrize("number", [0, 1, 4])
def test_boxes_that_are_there_twice(number):
    boxes = np.array([[0, 0, 100, 100], [0, 0, 100, 98], [1, 0, 100, 100], [0, 0, 60, 100], [0, 0, 100, 100]], float)
    record = {
        "gt_bboxes": boxes[: number + 1].astype(np.float32),
        "gt_bboxes_labels": np.array([0, 0, 1, 0, 1])[: number + 1],
        "gt_ignore_flags": np.zeros(number + 1, bool),
    }
    assert repeated_boxes(record).tolist() == {0: [], 1: [1], 4: [1, 4]}[number]
    record["gt_ignore_flags"][:1] = True  # a crowd around an object is not the object
    assert 1 not in repeated_boxes(record)
    record = {key: value[:0] for key, value in record.items()}
    assert repeated_boxes(record).tolist() == []
