"""Colours, by hand."""

import numpy as np
from transform_records import record

from rdet.datasets.transforms import PhotoMetricDistortion
from rdet.datasets.transforms.photometric import distort


def test_distort_by_nothing():
    image = record()["img"]
    np.testing.assert_array_equal(distort(image), image)


def test_brightness_and_contrast():
    image = np.array([[[10, 100, 250]]], np.uint8)
    np.testing.assert_array_equal(distort(image, brightness=20), [[[30, 120, 255]]])
    np.testing.assert_array_equal(distort(image, brightness=-20), [[[0, 80, 230]]])
    np.testing.assert_array_equal(distort(image, contrast=0.5), [[[5, 50, 125]]])
    np.testing.assert_array_equal(distort(image, brightness=10, contrast=2), [[[40, 220, 255]]])
    np.testing.assert_array_equal(distort(image, contrast=0.5, contrast_last=True), [[[5, 50, 125]]])


def test_saturation():
    image = record()["img"]
    grey = distort(image, saturation=0)
    np.testing.assert_array_equal(grey, image.max(axis=2, keepdims=True).repeat(3, axis=2))
    # already grey: nothing to saturate
    np.testing.assert_array_equal(distort(grey, saturation=1.5), grey)


def test_saturation_ends_at_one():
    orange = np.array([[[0, 100, 200]]], np.uint8)
    np.testing.assert_array_equal(distort(orange, saturation=1.5), orange)


def test_dark_pixels_end_at_zero_before_saturation():
    # (-20, 80, 180) is clipped to (0, 80, 180), whose least value half the saturation lifts to 90
    pixel = np.array([[[0, 100, 200]]], np.uint8)
    assert distort(pixel, brightness=-20, saturation=0.5)[0, 0, 0] == 90


def test_hue():
    red, green, blue = [[[0, 0, 200]]], [[[0, 200, 0]]], [[[200, 0, 0]]]
    np.testing.assert_array_equal(distort(np.array(red, np.uint8), hue=120), green)
    np.testing.assert_array_equal(distort(np.array(red, np.uint8), hue=-120), blue)
    image = record()["img"]
    assert np.abs(distort(image, hue=360).astype(int) - image).max() <= 1


def test_distort_leaves_its_input():
    image = record()["img"]
    distort(image, brightness=30, contrast=1.2, saturation=0.5, hue=9)
    np.testing.assert_array_equal(image, record()["img"])


def test_photometric_ranges(monkeypatch):
    """The greatest amounts, drawn on purpose, are those of the arguments."""
    drawn = []
    monkeypatch.setattr(np.random, "uniform", lambda low, high: drawn.append((low, high)) or (low + high) / 2)
    monkeypatch.setattr(np.random, "random", lambda n: np.zeros(n))
    results = PhotoMetricDistortion(10, (0.9, 1.1), (0.8, 1.2), 5)(record())
    assert drawn == [(-10, 10), (0.9, 1.1), (0.8, 1.2), (-5, 5)]
    np.testing.assert_array_equal(results["img"], record()["img"])  # the middle of every range


def test_photometric_draws_each_change_half_the_time(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "rdet.datasets.transforms.photometric.distort", lambda image, *amounts: calls.append(amounts) or image
    )
    np.random.seed(0)
    for _ in range(1000):
        PhotoMetricDistortion()({"img": np.zeros((1, 1, 3), np.uint8)})
    changed = np.array([[b != 0, c != 1, s != 1, h != 0, last] for b, c, s, h, last in calls])
    np.testing.assert_allclose(changed.mean(axis=0), 0.5, atol=0.05)


def test_channels_are_shuffled_where_asked_for():
    nothing = {"brightness_delta": 0, "contrast_range": (1, 1), "saturation_range": (1, 1), "hue_delta": 0}
    image = np.array([[[10, 100, 250]]], np.uint8)
    np.random.seed(0)
    orders = []
    for prob in (0.0, 1.0):
        step = PhotoMetricDistortion(**nothing, shuffle_prob=prob)
        orders.append({tuple(step({"img": image.copy()})["img"][0, 0]) for _ in range(60)})
    assert orders[0] == {(10, 100, 250)}
    assert len(orders[1]) == 6
    assert all(sorted(order) == [10, 100, 250] for order in orders[1])
