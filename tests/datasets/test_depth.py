"""Images of more than 8 bits: scaled by a rule that is given, or refused with their depth and values."""

import cv2
import numpy as np
import pytest

from rdet.datasets import BadImageError
from rdet.datasets.bad_images import find_bad_images
from rdet.datasets.depth import as_8_bits
from rdet.datasets.images import read_image
from rdet.datasets.transforms.load import LoadImageFromFile
from rdet.errors import ConfigError

RAMP = np.tile(np.arange(0, 4096, 32, dtype=np.uint16), (4, 1))  # 128 of the 4096 levels of 12 bits


@pytest.fixture(params=[".png", ".tif", ".ppm"])
def ramp(tmp_path, request):
    path = str(tmp_path / f"ramp{request.param}")
    assert cv2.imwrite(path, RAMP if request.param != ".ppm" else np.dstack([RAMP] * 3))
    return path


def test_without_a_rule_it_is_refused(ramp):
    message = r"the image has 16 bits a channel, with values from 0 to 4064, which 8 bits would cut; set value_range of"
    with pytest.raises(BadImageError, match=message) as error:
        read_image(ramp)
    assert error.value.reason == "too deep"
    with pytest.raises(BadImageError, match="make it 8 bits, or set on_bad_image='skip'"):
        read_image(ramp, (4, 128))
    assert find_bad_images([(ramp, (4, 128))])[0].reason == "too deep"
    assert find_bad_images([(ramp, (4, 128))], value_range="image") == {}


@pytest.mark.parametrize("value_range", [(0, 4095), "image"])
def test_a_ramp_keeps_all_its_levels(ramp, value_range):
    image = LoadImageFromFile(value_range=value_range)({"img_path": ramp})["img"]
    assert (image.dtype, image.shape) == (np.uint8, (4, 128, 3))
    assert len(np.unique(image)) == 128
    assert (np.diff(image[0, :, 0].astype(int)) > 0).all()
    high = 4064 if value_range == "image" else 4095
    np.testing.assert_array_equal(image[0, :, 1], np.floor(RAMP[0].astype(float) * 255 / high + 0.5))


def test_values_outside_are_cut(ramp):
    image = read_image(ramp, value_range=(1000, 2000))[0, :, 0]
    assert (image[RAMP[0] <= 1000] == 0).all()
    assert (image[RAMP[0] >= 2000] == 255).all()


def test_8_bits_stay_as_they_are(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), noise)
    for value_range in (None, (0, 4095), "image"):
        np.testing.assert_array_equal(read_image(tmp_path / "a.png", value_range=value_range), noise)


@pytest.mark.parametrize("value", [0, 1000])
def test_an_image_of_one_value(value):
    image = np.full((2, 3, 3), value, np.uint16)
    assert as_8_bits(image, "image").max() == 0


def test_numbers_that_are_not_finite():
    image = np.array([[0, np.nan, np.inf, -np.inf, 2]], np.float32)
    np.testing.assert_array_equal(as_8_bits(image, "image"), [[0, 0, 255, 0, 255]])
    assert as_8_bits(np.full((1, 1), np.nan, np.float32), "image") == 0


@pytest.mark.parametrize("value_range", [(5, 5), (4095, 0)])
def test_a_range_that_does_not_rise(value_range):
    with pytest.raises(ConfigError, match=r"value_range is \(.*\); write the lower value first"):
        LoadImageFromFile(value_range=value_range)
