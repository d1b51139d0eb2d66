"""Objects of one image in another."""

from collections.abc import Callable

import numpy as np

from rdet.datasets.transforms.canvas import boxes_on, join
from rdet.datasets.transforms.mix_transform import MixTransform
from rdet.errors import ConfigError
from rdet.registry import TRANSFORMS
from rdet.schema import Fraction, Natural


@TRANSFORMS.register_module()
class CopyPaste(MixTransform):
    """Pastes some objects of another image, as rectangles, to where they are there.

    Ghiasi et al., Simple Copy-Paste, CVPR 2021, section 3, without masks: what is pasted is all that
    the box shows, and edges are not smoothed. As in the paper, both images should be jittered before:
    put LargeScaleJitter and RandomFlip into the wrapped data set's pipeline.

    Within the pasted rectangles the picture is the other image, outside it is this one. So an object of
    this image may be hidden, and one of the other image that was not chosen may come along in part.
    Of either, a box is kept if at least ``min_visible`` of its area is in sight, shrunk to the bounding
    box of what is, and left out otherwise. Ignored regions are kept, shrunk, as long as anything of them
    is in sight, and never chosen.

    The size, ``img_id`` and the rest of the record stay. Objects beyond its edges are cut off.

    Args:
        max_num_pasted: At most so many are chosen; how many is drawn, from 1 on.
        min_visible: Least share of a box that has to be in sight, above 0. The default is a guess of
            this project, not the paper's: with masks, it removes only what is hidden entirely.
        prob: Probability that anything is pasted.
    """

    def __init__(self, max_num_pasted: Natural = 100, min_visible: Fraction = 0.3, prob: Fraction = 1.0):
        super().__init__(prob)
        if max_num_pasted < 1:
            raise ConfigError(f"CopyPaste: max_num_pasted must be at least 1, got {max_num_pasted}")
        if not 0 < min_visible <= 1:
            raise ConfigError(f"CopyPaste: min_visible must be above 0 and at most 1, got {min_visible}")
        self.max_num_pasted = max_num_pasted
        self.min_visible = min_visible

    def combine(self, results: dict, draw: Callable[[], dict]) -> dict:
        """Return the record with the objects pasted; its own boxes come first."""
        other = draw()
        theirs = boxes_on(other, (0, 0), results["img"].shape[1::-1])
        objects = np.flatnonzero(~theirs["gt_ignore_flags"])
        if len(objects) == 0:
            return results
        count = np.random.randint(1, min(len(objects), self.max_num_pasted) + 1)
        chosen = np.random.choice(objects, count, replace=False)
        image = results["img"].copy()
        pasted = np.zeros(image.shape[:2], dtype=bool)  # (H, W)
        for x1, y1, x2, y2 in _whole_pixels(theirs["gt_bboxes"][chosen]):
            image[y1:y2, x1:x2] = other["img"][y1:y2, x1:x2]
            pasted[y1:y2, x1:x2] = True
        results["img"] = image
        results.update(join([self._in_sight(results, ~pasted), self._in_sight(theirs, pasted)]))
        return results

    def _in_sight(self, columns: dict, shown: np.ndarray) -> dict[str, np.ndarray]:
        """Shrink boxes to what the mask (H, W) shows of them, and leave out those that are hidden."""
        boxes = columns["gt_bboxes"].copy()  # (n, 4)
        kept = np.ones(len(boxes), dtype=bool)
        for i, (x1, y1, x2, y2) in enumerate(_whole_pixels(boxes)):
            part = shown[y1:y2, x1:x2]
            if part.all():
                continue
            if not part.any() or (part.mean() < self.min_visible and not columns["gt_ignore_flags"][i]):
                kept[i] = False
                continue
            xs, ys = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
            boxes[i, :2] = np.maximum(boxes[i, :2], (x1 + xs[0], y1 + ys[0]))
            boxes[i, 2:] = np.minimum(boxes[i, 2:], (x1 + xs[-1] + 1, y1 + ys[-1] + 1))
            kept[i] = (boxes[i, 2:] - boxes[i, :2]).min() >= 1  # a sliver shows nothing
        labels, ignored = columns["gt_bboxes_labels"], columns["gt_ignore_flags"]
        return {"gt_bboxes": boxes[kept], "gt_bboxes_labels": labels[kept], "gt_ignore_flags": ignored[kept]}

    def __repr__(self) -> str:
        return f"CopyPaste(max_num_pasted={self.max_num_pasted}, min_visible={self.min_visible}, prob={self.prob})"


def _whole_pixels(boxes: np.ndarray) -> list[list[int]]:
    """Return the pixels that the boxes (n, 4) touch: first column and row, and those behind the last."""
    return np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1).astype(int).tolist()
