"""The palette is told apart, also by those who do not see red and green as others do."""

import numpy as np
import pytest

from rdet.visualization.colors import PALETTE, class_color, ink_on

# Machado, Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
# severity 1.0, for linear RGB.
_PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
_DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
# sRGB to XYZ, and the white of D65.
_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
_WHITE = [0.95047, 1.0, 1.08883]


def lab(linear):
    xyz = linear @ np.array(_XYZ).T / _WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def views(colors):
    """CIELAB of colours (n, 3) as they are seen, by deuteranopes, and by protanopes: (3, n, 3)."""
    rgb = np.asarray(colors) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    dichromats = [lab((linear @ np.array(matrix).T).clip(0, 1)) for matrix in (_DEUTERANOPIA, _PROTANOPIA)]
    return np.stack([lab(linear), *dichromats])


@pytest.mark.parametrize(("count", "least"), [(7, (26, 16, 20)), (20, (20, 16, 18)), (80, (8, 6.5, 6.5))])
def test_colours_of_classes_are_apart_for_everybody(count, least):
    """A difference of 2.3 is just noticed (Mahy et al., 1994)."""
    seen = views(PALETTE[:count])
    for colors, wanted in zip(seen, least, strict=True):
        distances = np.linalg.norm(colors[:, None] - colors[None], axis=-1)
        assert distances[~np.eye(count, dtype=bool)].min() >= wanted


def test_palette_is_what_the_method_gives():
    grid = np.arange(0, 256, 17)
    candidates = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
    seen = views(candidates)
    lightness, chroma = seen[0, :, 0], np.hypot(seen[0, :, 1], seen[0, :, 2])
    kept = (lightness >= 38) & (lightness <= 93) & (chroma >= 25)  # no greys, nothing that is lost on black or white
    candidates, seen = candidates[kept], seen[:, kept]
    made, nearest = list(PALETTE[:7]), np.full(len(candidates), np.inf)
    for index in range(len(PALETTE)):
        if index == len(made):
            made.append(tuple(candidates[nearest.argmax()].tolist()))
        away = np.linalg.norm(seen - views(made[index : index + 1]), axis=-1).min(axis=0)
        nearest = np.minimum(nearest, away)
    assert tuple(made) == PALETTE


def test_every_class_has_a_colour_that_stays():
    colors = [class_color(label) for label in range(2000)]
    assert colors == [class_color(label) for label in range(2000)]
    assert len(set(colors[:96])) == 96
    assert all(0 <= channel <= 255 for color in colors for channel in color)


def test_ink_can_be_read_on_every_colour():
    """The contrast ratio of WCAG 2, of which large text needs 3."""

    def luminance(color):
        rgb = np.array(color) / 255
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for color in map(class_color, range(300)):
        low, high = sorted((luminance(color), luminance(ink_on(color))))
        assert (high + 0.05) / (low + 0.05) >= 3, color
