"""Batches of a run as the network gets them, and what it finds."""

from pathlib import Path

import numpy as np

from rdet.apis.data_cfg import images_of
from rdet.datasets.images import read_image
from rdet.datasets.summary import classes_of
from rdet.registry import HOOKS
from rdet.report.hooks.picture_hook import PictureHook
from rdet.schema import Count, Fraction
from rdet.structures import DetDataSample
from rdet.structures.unfinished_image import finished
from rdet.visualization.comparison import draw_comparison
from rdet.visualization.draw import draw_boxes, save_image
from rdet.visualization.sample import Sample
from rdet.visualization.sheet import captioned, fitted, sheet


@HOOKS.register_module()
class BatchesHook(PictureHook):
    """Draws ``train_batch0.jpg`` and so on, augmented, and ``val_batch0.jpg``: truth and detections.

    The batches of an evaluation are drawn anew in each one that leaves time for it, and in the last.

    Args:
        batches: How many of each.
        images: Most images of one picture.
        side: Pixels of the longer side of an image.
        score_thr: Detections of a lower score are left out.
    """

    def __init__(self, batches: Count = 3, images: Count = 16, side: Count = 480, score_thr: Fraction = 0.3):
        self.batches = batches
        self.images = images
        self.side = side
        self.score_thr = score_thr

    def before_train(self, runner) -> None:
        self._begin = runner.iter
        self._last_found: list[list[DetDataSample]] = []  # by the last evaluation, as long as it is not drawn

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Draw the first batches of a run."""
        number = runner.iter - self._begin
        if self._begin or number >= self.batches or not data_batch:
            return
        classes = classes_of(runner.train_dataloader.dataset)
        self.draw(runner, f"train_batch{number}.jpg", lambda path: self._inputs(path, data_batch, classes))

    def before_val_epoch(self, runner) -> None:
        self._last_found = []

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Keep what was found in the first batches."""
        if batch_idx < self.batches and hasattr(self, "_begin") and not self._is_off:
            self._last_found.append(outputs[: self.images])

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Draw them, if there is time."""
        if hasattr(self, "_begin") and self.has_time():
            self._draw_found(runner)

    def after_train(self, runner) -> None:
        """Draw those of the last evaluation, which is known to be the last only now."""
        self._draw_found(runner)

    def _draw_found(self, runner) -> None:
        for number, samples in enumerate(self._last_found):
            self.draw(runner, f"val_batch{number}.jpg", lambda path, of=samples: self._found(path, of, runner))
        self._last_found = []

    def _inputs(self, path: Path, batch: dict, classes: tuple[str, ...]) -> None:
        pictures = []
        for inputs, data in zip(batch["inputs"][: self.images], batch["data_samples"], strict=False):
            sample = Sample(finished(inputs).cpu(), data.cpu())
            image, factor = fitted(sample.image, self.side)
            drawn = draw_boxes(image, sample.boxes * factor, sample.labels, classes, ignored=sample.ignored * factor)
            pictures.append(captioned(drawn, _name(data)))
        save_image(path, sheet(pictures))

    def _found(self, path: Path, samples: list[DetDataSample], runner) -> None:
        classes, place = classes_of(runner.val_dataloader.dataset), images_of(runner.cfg, "val")
        pictures = []
        for data in samples:
            limit = data.ori_shape[0] * data.ori_shape[1]  # it was loaded before, so it is not too large
            loaded = read_image(data.img_path, data.ori_shape, limit, "image", channels=None, **place)
            image, factor = fitted(np.ascontiguousarray(loaded[:, :, ::-1]), self.side)
            truth, found = data.gt_instances, data.pred_instances.cpu()
            ignored = data.ignored_instances if "ignored_instances" in data else truth[:0]
            scale = factor / truth.bboxes.new_tensor(data.scale_factor).repeat(2)  # truth is in pixels of the input
            drawn = draw_comparison(
                image,
                {
                    "bboxes": (truth.bboxes * scale).cpu(),
                    "labels": truth.labels.cpu(),
                    "ignored": (ignored.bboxes * scale).cpu(),
                },
                {"bboxes": found.bboxes * factor, "labels": found.labels, "scores": found.scores},
                classes,
                self.score_thr,
            )
            pictures.append(captioned(drawn, _name(data)))
        save_image(path, sheet(pictures))


def _name(data: DetDataSample) -> str:
    return Path(str(data.get("img_path") or data.get("img_id"))).name
