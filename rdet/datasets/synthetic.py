"""A generated detection data set: coloured shapes on cluttered backgrounds, in COCO's format.

It needs no download and no licence, trains in minutes on a CPU, and is hard enough for AP to mean
something: what tells the classes apart is the shape alone, colour and texture say nothing; there are
shapes that are no objects, objects in front of each other, small and large ones, images without any,
and crowds.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from rdet.errors import DatasetError

# Goes into the stamp of a finished data set: raise it with every change of what is drawn.
VERSION = 1

_FULL_TURN = np.linspace(0, 2 * np.pi, 48, endpoint=False)


def _arc(radius: float, angles: np.ndarray = _FULL_TURN) -> np.ndarray:
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _star(points: int, inner: float) -> np.ndarray:
    corners = _arc(1, np.arange(2 * points) * np.pi / points)
    corners[1::2] *= inner
    return corners


# A shape is a list of outlines, (n, 2) points of the unit circle; one inside another is a hole.
SHAPES = {
    "disc": [_arc(1)],
    "ring": [_arc(1), _arc(0.55)],
    "box": [_arc(1, np.arange(4) * np.pi / 2)],
    "triangle": [_arc(1, np.arange(3) * np.pi * 2 / 3)],
    "star": [_star(5, inner=0.42)],
}
CLASSES = tuple(SHAPES)

_CRESCENT = np.concatenate(
    [_arc(1, np.linspace(0.7, 5.58, 48)), _arc(0.75, np.linspace(5.3, 0.98, 48)) + np.array([0.35, 0])]
)
_CHEVRON = np.array([(0, -1), (0.9, 0), (0, 1), (-0.5, 1), (0.4, 0), (-0.5, -1)])
_CROSS = np.array(
    [(3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1), (-1, -3), (1, -3), (1, -1), (3, -1)]
)
# What is no object, but looks like one.
DISTRACTORS = ([_CRESCENT], [_CHEVRON], [_CROSS / 3.2])

MIN_VISIBLE = 0.5  # part of an object's pixels in the image; what would hide more of it is not drawn
EMPTY_EVERY, CROWD_EVERY = 20, 40  # images; the two never fall on the same one
MIN_SIZE = 32  # pixels of an image; in a smaller one the smallest objects may not show at all


@dataclass(frozen=True)
class Scenes:
    """What images hold.

    Attributes:
        object_size: Smallest and largest diameter, in pixels of an image of 256.
        size_bias: Parameters of the beta distribution of the diameter between them, on a logarithmic
            scale: (1, 1) is uniform, a larger first one makes more objects large.
        objects: Fewest in an image, and how many more on average.
        distractors: Most in an image.
    """

    object_size: tuple[float, float] = (12, 180)
    size_bias: tuple[float, float] = (1.5, 0.9)
    objects: tuple[int, float] = (2, 2.5)
    distractors: int = 3


@dataclass(frozen=True)
class SceneObject:
    """An object of a drawn image.

    Attributes:
        label: Index into ``CLASSES``.
        mask: (size, size) bool, its visible pixels.
        iscrowd: 1 for a dense cluster of tiny shapes that are not annotated one by one, else 0.
    """

    label: int
    mask: np.ndarray
    iscrowd: int = 0

    def annotation(self) -> dict:
        """Return COCO's ``bbox`` (tight around the visible pixels), ``area`` (their number) and so on."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        x, y = int(columns[0]), int(rows[0])
        return {
            "category_id": self.label + 1,
            "bbox": [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y],
            "area": int(self.mask.sum()),
            "iscrowd": self.iscrowd,
        }


def make_synthetic_coco(
    out: Path, train: int, val: int, size: int, seed: int, scenes: Scenes = Scenes()
) -> dict[str, dict] | None:
    """Write a data set of two splits, the same bytes for the same arguments (and OpenCV version).

    Files: ``annotations/{train,val}.json``, ``train/*.jpg``, ``val/*.jpg`` and ``settings.json``. By
    the latter a later call sees whether the folder is one of these data sets, which it may write anew,
    and whether it is finished.

    Args:
        out: Folder to write to: a new or empty one, or one that this function has written to.
        train: Number of training images, at least 1.
        val: Number of validation images, at least 1.
        size: Height and width of the images in pixels, at least ``MIN_SIZE``.
        seed: Of all that is random, from 0 on.
        scenes: What the images hold.

    Returns:
        The COCO dict of each split, or None if ``out`` has this very data set already.

    Raises:
        DatasetError: A number is too small, or ``out`` holds something else.
    """
    for name, value, least in (("train", train, 1), ("val", val, 1), ("size", size, MIN_SIZE), ("seed", seed, 0)):
        if value < least:
            raise DatasetError(f"{name} is {value}; it must be at least {least}")
    stamp = out / "settings.json"
    settings = {"version": VERSION, "train": train, "val": val, "size": size, "seed": seed, "scenes": asdict(scenes)}
    settings = json.loads(json.dumps(settings))  # tuples become lists, as in the file
    found = _settings_in(out)
    if found == settings:
        return None
    # Without the mark, a run that is interrupted would leave a folder that the next one does not know.
    out.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({**settings, "unfinished": True}))
    splits = {}
    for split, (name, count) in enumerate({"train": train, "val": val}.items()):
        (out / name).mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for i in range(count):
            # A generator for each image: its content does not depend on how many there are.
            image, objects = draw_scene(
                np.random.default_rng([seed, split, i]),
                size,
                scenes,
                empty=i % EMPTY_EVERY == EMPTY_EVERY - 1,
                crowd=i % CROWD_EVERY == CROWD_EVERY // 4,
            )
            file_name = f"{i + 1:06d}.jpg"
            encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
            (out / name / file_name).write_bytes(encoded.tobytes())
            images.append({"id": i + 1, "file_name": file_name, "width": size, "height": size})
            for found in objects:
                annotations.append({"id": len(annotations) + 1, "image_id": i + 1, **found.annotation()})
        categories = [{"id": label, "name": name} for label, name in enumerate(CLASSES, 1)]
        splits[name] = {"images": images, "annotations": annotations, "categories": categories}
        (out / "annotations").mkdir(exist_ok=True)
        (out / "annotations" / f"{name}.json").write_text(json.dumps(splits[name]))
    stamp.write_text(json.dumps(settings))
    return splits


def _settings_in(out: Path) -> dict | None:
    """Read ``settings.json`` in a folder of ours; None if there is nothing yet.

    Raises:
        DatasetError: ``out`` is a file, or a folder that holds something else.
    """
    if not out.exists():
        return None
    if not out.is_dir():
        raise DatasetError(f"{out} is a file; name a new folder")
    if not any(out.iterdir()):
        return None
    try:
        found = json.loads((out / "settings.json").read_bytes())
    except (OSError, ValueError):
        found = None
    if not (isinstance(found, dict) and {"version", "train", "val", "size", "seed", "scenes"} <= found.keys()):
        raise DatasetError(
            f"{out} holds files that are not of a generated data set (it has no settings.json of one); "
            "name a new folder, or empty this one yourself"
        )
    return found


def draw_scene(
    rng: np.random.Generator, size: int, scenes: Scenes = Scenes(), empty: bool = False, crowd: bool = False
) -> tuple[np.ndarray, list[SceneObject]]:
    """Draw one image.

    Args:
        rng: Decides everything else.
        size: Height and width in pixels.
        scenes: What the image holds.
        empty: Whether to draw background and distractors only.
        crowd: Whether to draw a crowd too.

    Returns:
        The image, (size, size, 3) uint8 RGB, and its objects, those at the back first.
    """
    image = _background(rng, size)
    smallest, largest = np.array(scenes.object_size) * size / 256
    fewest, more = scenes.objects
    labels = [] if empty else rng.integers(len(CLASSES), size=fewest + rng.poisson(more)).tolist()
    things: list[int | None] = [*labels, *[None] * rng.integers(scenes.distractors + 1)]  # None: a distractor
    rng.shuffle(things)
    owner = np.full((size, size), -1, np.int16)  # the index in `painted` of what each pixel shows
    painted: list[tuple[int | None, int]] = []  # label, iscrowd
    total = np.zeros(0)  # number of pixels of each of `painted`, and how many of them still show
    visible = np.zeros(0)
    if crowd:
        label = int(rng.integers(len(CLASSES)))
        centre = rng.uniform(0.25, 0.75, 2) * size
        for _ in range(rng.integers(30, 60)):
            place = centre + 0.15 * size * np.sqrt(rng.random()) * _arc(1, rng.uniform(0, 2 * np.pi))
            alpha = _rasterize(rng, SHAPES[CLASSES[label]], place, 0.03 * size, size)
            _paint(rng, image, alpha)
            owner[alpha > 0.5] = 0
        painted.append((label, 1))
        total = visible = np.array([(owner == 0).sum()])
    for label in things:
        outlines = DISTRACTORS[rng.integers(len(DISTRACTORS))] if label is None else SHAPES[CLASSES[label]]
        for _ in range(10):  # tries to find a place
            diameter = smallest * (largest / smallest) ** rng.beta(*scenes.size_bias)
            centre = rng.uniform(0.3 * diameter, size - 0.3 * diameter, 2)
            alpha = _rasterize(rng, outlines, centre, diameter, size)
            mask = alpha > 0.5
            left = visible - np.bincount(owner[mask] + 1, minlength=len(painted) + 1)[1:]
            if (left >= MIN_VISIBLE * total).all():
                _paint(rng, image, alpha)
                owner[mask] = len(painted)
                painted.append((label, 0))
                total, visible = np.append(total, mask.sum()), np.append(left, mask.sum())
                break
    image += rng.uniform(2, 8) * rng.standard_normal((size, size, 1), np.float32)
    objects = [
        SceneObject(label, owner == i, iscrowd) for i, (label, iscrowd) in enumerate(painted) if label is not None
    ]
    return image.clip(0, 255).astype(np.uint8), objects


def _rasterize(rng: np.random.Generator, shape: list, centre: np.ndarray, diameter: float, size: int) -> np.ndarray:
    """Turn and slightly squeeze the shape at random: (size, size) float32 coverage of each pixel."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    transform = turn @ np.diag([1, rng.uniform(0.75, 1)]) * diameter / 2
    shift = 4  # OpenCV takes coordinates in 16ths of a pixel
    outlines = [((points @ transform.T + centre) * 2**shift).round().astype(np.int32) for points in shape]
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, outlines, 255, cv2.LINE_AA, shift)
    return canvas.astype(np.float32) / 255


def _paint(rng: np.random.Generator, image: np.ndarray, alpha: np.ndarray) -> None:
    """Fill the shape ``alpha`` in ``image`` with a colour unlike what is there, and a texture."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    weight = alpha[window][..., None]
    behind = (image[window] * weight).sum((0, 1)) / weight.sum()
    colours = rng.uniform(20, 235, (6, 3)).astype(np.float32)
    colour = colours[np.linalg.norm(colours - behind, axis=1).argmax()]
    texture = _texture(rng, *weight.shape[:2]) * rng.uniform(15, 45)
    image[window] += weight * (colour + texture - image[window])


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draw a texture, (height, width, 1) of -1..1: plain, a gradient, blotches, stripes or checks."""
    kind = rng.integers(5)
    if kind == 0:
        return np.zeros((height, width, 1), np.float32)
    if kind == 1:
        return _blotches(rng, height, width, cells=2)
    if kind == 2:
        return _blotches(rng, height, width, cells=7)
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 14)
    y, x = np.mgrid[:height, :width, :1][:2].astype(np.float32) * (2 * np.pi / period)
    wave = np.sin(x * np.cos(angle) + y * np.sin(angle))
    if kind == 3:
        return np.sign(wave)
    return np.sign(wave * np.sin(y * np.cos(angle) - x * np.sin(angle)))


def _blotches(rng: np.random.Generator, height: int, width: int, cells: int, channels: int = 1) -> np.ndarray:
    """Draw (height, width, channels) of -1..1, random on a grid of ``cells`` and smooth in between."""
    grid = rng.uniform(-1, 1, (cells, cells, channels)).astype(np.float32)
    return cv2.resize(grid, (width, height)).reshape(height, width, channels)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw (size, size, 3) float32: a gradient with blotches, blurred spots, lines and scribbles."""
    small = size // 4  # what is smooth is drawn small and enlarged
    image = np.full((small, small, 3), rng.uniform(50, 205), np.float32)
    for cells, strength in ((2, 45), (5, 20), (24, 8)):
        image += strength * _blotches(rng, small, small, cells, channels=3)
    for _ in range(rng.integers(3, 10)):
        spot = _rasterize(rng, [_arc(1)], rng.uniform(0, small, 2), rng.uniform(0.05, 0.4) * small, small)
        image += cv2.blur(spot, (5, 5))[..., None] * rng.uniform(-35, 35, 3).astype(np.float32)
    image = cv2.resize(image, (size, size))
    for _ in range(rng.integers(2, 9)):
        start, end = rng.integers(-size // 4, size + size // 4, (2, 2)).tolist()
        cv2.line(image, start, end, _near(rng, image), int(rng.integers(1, 3)))
    for _ in range(rng.integers(1, 5)):  # scribbles: up and down, and on to the right
        steps = rng.uniform((0, -0.05), (0.03, 0.05), (rng.integers(10, 30), 2)) * size
        path = rng.uniform(0, size, 2) + np.stack([steps[:, 0].cumsum(), steps[:, 1]], axis=1)
        cv2.polylines(image, [path.round().astype(np.int32)], False, _near(rng, image), 1)
    return image


def _near(rng: np.random.Generator, image: np.ndarray) -> list[float]:
    """Draw a colour somewhat darker or lighter than the image's mean."""
    return (cv2.mean(image)[:3] + rng.choice([-1, 1]) * rng.uniform(20, 80, 3)).tolist()
