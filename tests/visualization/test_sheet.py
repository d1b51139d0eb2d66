"""Pictures in rows, and in a page."""

import numpy as np
import pytest

from rdet.visualization.sheet import captioned, fitted, sheet


@pytest.mark.parametrize(
    ("shape", "side", "size"),
    [((60, 100), 400, (240, 400)), ((3000, 1500), 400, (400, 200)), ((9, 300), 500, (15, 500))],
)
def test_images_are_fitted_into_a_square(shape, side, size):
    image = np.full((*shape, 3), 7, np.uint8)
    out, factor = fitted(image, side)
    assert out.shape[:2] == size
    assert (out == 7).all()
    assert factor == pytest.approx(size[1] / shape[1])


def test_every_picture_is_on_the_sheet_once():
    pictures = [np.full((20 + i, 30 + 2 * i, 3), i, np.uint8) for i in range(7)]
    out = sheet(pictures)
    for i, picture in enumerate(pictures):
        assert (out == i).all(-1).sum() == picture.shape[0] * picture.shape[1]
    assert sheet(pictures, 100).shape[0] == 26 + 2 * 8
    assert sheet(pictures[:1]).shape == (36, 46, 3)


def test_a_caption_has_room():
    out = captioned(np.zeros((10, 10, 3), np.uint8), "a caption of several words")
    assert out.shape[1] == 160
    assert (out == 0).all(-1).sum() >= 100
