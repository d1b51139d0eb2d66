"""Detection on a folder: pictures out, and one COCO json."""

import json
from pathlib import Path
from typing import Any

from rdet.apis.infer.run import Settings, check_out_dir, detect
from rdet.apis.infer.sources import find_sources, is_alone
from rdet.apis.infer.writers import make_writers
from rdet.models.detectors.detector import Detector


def detect_folder(
    model: Detector, source: str | Path, out_dir: str | Path, score_thr: float = 0.3, progress: bool = False
) -> dict[str, Any]:
    """Detect objects in an image or in all images of a folder.

    Each picture is written under its name with its detections drawn, beside ``detections.json``. An interruption leaves
    what was found so far. :func:`rdet.apis.infer.run.detect` has all that ``rdet infer`` can do besides.

    Args:
        model: From :func:`~rdet.apis.inference.init_detector`.
        source: An image, or a folder, searched with its subfolders.
        out_dir: Where the results go.
        score_thr: Smallest score that is drawn and written.
        progress: Whether to draw a bar, where the program runs in a terminal.

    Returns:
        What ``detections.json`` holds: COCO's ``images``, ``categories`` (ids from 1) and ``annotations`` with
        ``score``. ``info["failed"]`` has the name of each image of the folder that could not be used, and why.

    Raises:
        MissingFileError: There is no such path, or no image in the folder.
        BadImageError, PipelineError: ``source`` is an image that cannot be used.
        ConfigError: ``out_dir`` lies in the folder of the images: they would be written over, or the pictures be
            taken for images the next time.
    """
    sources = find_sources([source])
    check_out_dir(out_dir, sources)
    writers = make_writers(("coco", "pictures", "video"), Path(out_dir), model.classes)
    detect(model, sources, writers, Settings(score_thr), progress, strict=is_alone(sources))
    return json.loads((Path(out_dir) / "detections.json").read_text(encoding="utf-8"))
