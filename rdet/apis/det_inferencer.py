"""Detection with the call of MMDetection 3's ``DetInferencer``.

Its behaviour: https://mmdetection.readthedocs.io/en/latest/user_guides/inference.html
"""

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from rdet.apis.infer.batches import Batches
from rdet.apis.infer.names import Names
from rdet.apis.infer.pictures import Picture, as_bgr, is_picture
from rdet.apis.infer.pipeline import inference_pipeline, picture_of, prepared
from rdet.apis.infer.progress import progress_bar
from rdet.apis.infer.reading import Reader
from rdet.apis.infer.run import at_once, kinds_of
from rdet.apis.infer.shot import Found, Shot
from rdet.apis.infer.sources import find_sources
from rdet.apis.infer.writers.base import write_small
from rdet.apis.infer.writers.drawn import drawn
from rdet.apis.inference import init_detector
from rdet.deploy.exported_detector import ExportedDetector
from rdet.deploy.loading import device_for
from rdet.errors import ConfigError
from rdet.models.detectors.base_detector import BaseDetector
from rdet.models.detectors.detector import Detector
from rdet.structures import DetDataSample
from rdet.visualization.draw import save_image


class DetInferencer:
    """Detects in images as MMDetection's class of this name does.

    Args:
        model: A config, or its name in ``rdet configs``; the name of a released detector
            (``"mmdet://atss_r50_fpn_1x_coco"``); a checkpoint that carries its config; an
            exported file; or a detector that is built.
        weights: A checkpoint; it may stand alone.
        device: Where the detector runs; None: a GPU if there is one.
        show_progress: Whether to draw a bar on a terminal.
    """

    def __init__(
        self,
        model: str | Path | Config | BaseDetector | ExportedDetector | None = None,
        weights: str | Path | None = None,
        device: str | None = None,
        show_progress: bool = True,
    ):
        self.model: Detector
        if isinstance(model, ExportedDetector) or (isinstance(model, BaseDetector) and device is None):
            self.model = model
        elif isinstance(model, BaseDetector):
            self.model = model.to(device)
        else:
            self.model = init_detector(model, weights, device or device_for(model if weights is None else weights))
        self.show_progress = show_progress

    def __call__(
        self,
        inputs: Picture | Sequence[Picture],
        batch_size: int = 1,
        return_vis: bool = False,
        show: bool = False,
        no_save_vis: bool = False,
        draw_pred: bool = True,
        pred_score_thr: float = 0.3,
        return_datasamples: bool = False,
        print_result: bool = False,
        no_save_pred: bool = True,
        out_dir: str | Path = "",
    ) -> dict[str, list]:
        """Detect in images.

        Args:
            inputs: A path, a folder, a glob, an address, a BGR array, an RGB tensor, a picture of Pillow; or several.
            batch_size: Images that run together.
            return_vis: Whether to return pictures with what was found.
            show: Whether to open them in a window.
            no_save_vis: Whether to leave out ``out_dir/vis``.
            draw_pred: Whether detections are drawn on them.
            pred_score_thr: Smallest score that is drawn.
            return_datasamples: Whether predictions are samples instead of plain numbers.
            print_result: Whether to print the predictions.
            no_save_pred: Whether to leave out ``out_dir/preds``.
            out_dir: Where to write pictures and predictions; empty: nowhere.

        Returns:
            ``predictions``, one of each image: all ``labels``, ``scores`` and ``bboxes`` (xyxy in pixels), best first;
            ``visualization``, RGB arrays (H, W, 3), if ``return_vis``.

        Raises:
            BadImageError, PipelineError: An image cannot be used.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; give 1 or more")
        folder = Path(out_dir) if str(out_dir) else None
        save_vis = folder is not None and not no_save_vis
        draws = return_vis or show or save_vis
        results: dict[str, list] = {"predictions": [], "visualization": []}
        listed = [inputs] if is_picture(inputs) else list(inputs)
        shots = closing(self._shots(listed, batch_size, draws))
        with shots as images, progress_bar(lambda: None, self.show_progress) as bar:
            for shot, sample in Batches(at_once(self.model), kinds_of(self.model), batch_size)(images):
                bar.step(shot)
                if shot.error is not None:
                    raise shot.error
                prediction = plain(sample)
                results["predictions"].append(sample if return_datasamples else prediction)
                if folder is not None and not no_save_pred:
                    write_small(folder / "preds" / f"{shot.stem}.json", json.dumps(prediction))
                if draws:
                    picture = self._drawn(shot, sample, pred_score_thr if draw_pred else 2.0)
                    if save_vis:
                        save_image(folder / "vis" / shot.name, picture)
                    if show:
                        Image.fromarray(picture).show(title=shot.name)
                    if return_vis:
                        results["visualization"].append(picture)
        if print_result:
            print(results["predictions"])
        return results

    def _drawn(self, shot: Shot, sample: DetDataSample, score_thr: float) -> np.ndarray:
        return drawn(Found.of(shot, sample, score_thr), self.model.classes)

    def _shots(self, inputs: Sequence[Picture], batch_size: int, draws: bool) -> Generator[Shot, None, None]:
        """Yield the images of the inputs: files are read ahead."""
        pipeline = inference_pipeline(self.model.cfg)
        read = Reader(pipeline, whole=True, keep_images=draws, ahead=2 * batch_size + 2)
        if all(isinstance(one, str | Path) for one in inputs):
            yield from read(find_sources([one for one in inputs if isinstance(one, str | Path)]))
            return
        names = Names()
        for index, one in enumerate(inputs):
            if isinstance(one, str | Path):
                for shot in read(find_sources([one])):
                    name, stem = names.of(shot.name)
                    yield Shot(name, stem, shot.where, shot.frame, shot.image, shot.packed, shot.error)
                continue
            name, stem = names.of(f"{index:08d}.jpg")
            loaded = prepared({"img_id": name, "img": as_bgr(one, index)}, pipeline[:1])
            picture = picture_of(loaded)
            yield Shot(name, stem, name, image=picture, packed=prepared(loaded, pipeline[1:]))


def plain(sample: DetDataSample) -> dict[str, Any]:
    """Return the detections of a sample as plain numbers."""
    found = sample.pred_instances
    return {"labels": found.labels.tolist(), "scores": found.scores.tolist(), "bboxes": found.bboxes.tolist()}
