"""One set of detections judged by a truth: the object that all analyses ask."""

import contextlib
import importlib
import importlib.util
import io
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rdet.analysis.detections.results import Detections
from rdet.analysis.detections.truth import Truth
from rdet.errors import MissingModuleError
from rdet.evaluation.coco_eval import MAX_DETS

IOU = 0.5  # at which a detection is right, where one IoU is asked for
SIZES = ("all", "small", "medium", "large")


@dataclass(frozen=True)
class Evaluated:
    """Detections and how they do.

    Attributes:
        name: What to call the detector.
        truth: What they are judged by.
        detections: What it found.
        max_dets: How many detections of an image and a class count; COCO's rule is 100.
    """

    name: str
    truth: Truth
    detections: Detections
    max_dets: int = MAX_DETS

    @cached_property
    def evaluation(self) -> Any:
        """hotcoco's ``COCOeval``, evaluated; the ids of images, categories and detections are numbers from 1."""
        evaluation = self.evaluate(self.detections.rows)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that not 100 count, which is what was asked for
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation

    def evaluate(self, rows: np.ndarray) -> Any:
        """Match some of the detections, (n, 7), with the truth; return hotcoco's ``COCOeval``."""
        hotcoco = need_hotcoco()
        truth = hotcoco.COCO(self.truth.dataset)
        evaluation = hotcoco.COCOeval(truth, truth.load_res(rows), "bbox")
        parameters = evaluation.params
        parameters.max_dets = [1, 10, self.max_dets]
        evaluation.params = parameters
        evaluation.evaluate()
        return evaluation

    @cached_property
    def metrics(self) -> dict[str, float]:
        """COCO's twelve numbers, ``AP`` first; nan where no box of the truth counts for one."""
        results = self.evaluation.get_results()
        return {key: known(results[key]) for key in self.evaluation.metric_keys()}

    @cached_property
    def precision(self) -> np.ndarray:
        """Precision at 101 recalls, (10 IoUs, R, K, 4 sizes, 3 limits of the count); nan without truth."""
        values = np.asarray(self.evaluation.eval["precision"])
        return np.where(values < 0, np.nan, values)

    @cached_property
    def recall(self) -> np.ndarray:
        """Largest recall, (10 IoUs, K, 4 sizes, 3 limits of the count); nan without truth."""
        values = np.asarray(self.evaluation.eval["recall"])
        return np.where(values < 0, np.nan, values)

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether each detection is right at an IoU of 0.5, (N,) float64: 1, 0, or nan where it does not count."""
        status = self.evaluation.image_diagnostics(iou_thr=IOU)["dt_status"]
        found = np.full(len(self.detections.rows), np.nan)
        for number, value in status.items():
            found[number - 1] = float(value == "tp")
        return found

    @cached_property
    def objects(self) -> np.ndarray:
        """How many boxes of the truth each class has, crowds left out, (K,) int64."""
        labels = [a["category_id"] - 1 for a in self.truth.dataset["annotations"] if not a["iscrowd"]]
        return np.bincount(np.array(labels, dtype=np.int64), minlength=len(self.truth.classes))

    @property
    def scores(self) -> np.ndarray:
        """Scores of the detections, (N,)."""
        return self.detections.rows[:, 5]

    @property
    def labels(self) -> np.ndarray:
        """Position of the class of each detection, (N,) int64."""
        return self.detections.rows[:, 6].astype(np.int64) - 1


def known(value: float) -> float:
    """Return a metric, nan in place of the -1 that says that there is no truth for it."""
    return float("nan") if value < 0 else float(value)


def need_hotcoco() -> Any:
    """Import hotcoco, which has the analyses.

    Raises:
        MissingModuleError: It is not installed, or too old.
    """
    if importlib.util.find_spec("hotcoco") is None:
        raise MissingModuleError("a report needs hotcoco, which is not installed: pip install 'hotcoco>=1.3'")
    module = importlib.import_module("hotcoco")
    if not (hasattr(module, "compare") and hasattr(module.COCOeval, "image_diagnostics")):
        raise MissingModuleError(
            f"a report needs hotcoco 1.3 or newer, not {module.__version__}: pip install --upgrade hotcoco"
        )
    return module
