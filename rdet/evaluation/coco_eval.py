"""COCO's twelve numbers for boxes, from plain dicts and arrays.

Definition: https://cocodataset.org/#detection-eval. pycocotools is the reference; hotcoco gives the
same numbers tens of times faster.
"""

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from terminaltables import AsciiTable

from rdet.coco_boxes import is_area
from rdet.errors import ConfigError, EvaluationError, MissingModuleError, NonFiniteDetectionError
from rdet.messages import few

BACKENDS = ("auto", "pycocotools", "hotcoco")

MAX_DETS = 100  # detections of an image and a class that count

# Of each number: metric key, words, and which IoUs, areas and detections count (the last: 1, 10 or all that may).
_AP, _AR = "Average Precision  (AP)", "Average Recall     (AR)"
_ALL_IOUS, _ALL_AREAS = "0.50:0.95", "all"
_NUMBERS = (
    ("bbox_mAP", _AP, _ALL_IOUS, _ALL_AREAS, 2),
    ("bbox_mAP_50", _AP, "0.50", _ALL_AREAS, 2),
    ("bbox_mAP_75", _AP, "0.75", _ALL_AREAS, 2),
    ("bbox_mAP_s", _AP, _ALL_IOUS, "small", 2),
    ("bbox_mAP_m", _AP, _ALL_IOUS, "medium", 2),
    ("bbox_mAP_l", _AP, _ALL_IOUS, "large", 2),
    ("bbox_AR@1", _AR, _ALL_IOUS, _ALL_AREAS, 0),
    ("bbox_AR@10", _AR, _ALL_IOUS, _ALL_AREAS, 1),
    ("bbox_AR@{max_dets}", _AR, _ALL_IOUS, _ALL_AREAS, 2),
    ("bbox_AR_s@{max_dets}", _AR, _ALL_IOUS, "small", 2),
    ("bbox_AR_m@{max_dets}", _AR, _ALL_IOUS, "medium", 2),
    ("bbox_AR_l@{max_dets}", _AR, _ALL_IOUS, "large", 2),
)


def metric_keys(max_dets: int = MAX_DETS) -> tuple[str, ...]:
    """Return the names of the twelve numbers; those of recall say how many detections count."""
    return tuple(key.format(max_dets=max_dets) for key, *_ in _NUMBERS)


@dataclass(frozen=True)
class CocoScores:
    """What COCO's evaluation says about one set of detections.

    Attributes:
        stats: (12,) float64, the numbers in pycocotools' order. A number that no ground truth box
            counts for is -1, as COCO has it.
        class_ap: Class name -> AP at IoU 0.50:0.95 over all areas, in label order. It is nan for a
            class without ground truth; such a class does not count in the means of ``stats``.
        backend: The library that computed them, ``pycocotools`` or ``hotcoco``.
        max_dets: How many detections of an image and a class counted.
    """

    stats: np.ndarray
    class_ap: dict[str, float]
    backend: str
    max_dets: int = MAX_DETS

    def metrics(self) -> dict[str, float]:
        """Return the twelve numbers under their metric keys, ``bbox_mAP`` first."""
        return {key: float(value) for key, value in zip(metric_keys(self.max_dets), self.stats, strict=True)}

    def summary(self) -> str:
        """Return the twelve numbers as pycocotools prints them, one a line."""
        counts = (1, 10, self.max_dets)
        return "\n".join(
            f"{words} @[ IoU={ious:<9} | area={area:>6} | maxDets={counts[count]:>3} ] = {value:0.3f}"
            for (_, words, ious, area, count), value in zip(_NUMBERS, self.stats, strict=True)
        )

    def class_table(self) -> str:
        """Return a table of ``class_ap``, three classes a row; ``n/a`` stands for no ground truth."""
        cells = [[name, "n/a" if np.isnan(ap) else f"{ap:.3f}"] for name, ap in self.class_ap.items()]
        columns = min(3, len(cells))
        rows = [list(chain(*cells[i : i + columns])) for i in range(0, len(cells), 3)]
        return AsciiTable([["class", "AP"] * columns, *rows]).table


def resolve_backend(backend: str) -> str:
    """Return the name of the library that ``backend`` stands for.

    Args:
        backend: ``pycocotools``, ``hotcoco``, or ``auto`` for hotcoco if it is installed.

    Raises:
        ConfigError: ``backend`` is none of these.
        MissingModuleError: hotcoco is asked for and not installed.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"backend {backend!r} does not exist; valid: {', '.join(BACKENDS)}")
    installed = importlib.util.find_spec("hotcoco") is not None
    if backend == "auto":
        return "hotcoco" if installed else "pycocotools"
    if backend == "hotcoco" and not installed:
        raise MissingModuleError("backend 'hotcoco' is not installed: pip install hotcoco")
    return backend


def evaluate_coco(
    ground_truth: dict,
    results: Sequence[dict] | Mapping[int | str, np.ndarray],
    backend: str = "auto",
    max_dets: int = MAX_DETS,
) -> CocoScores:
    """Score detections by COCO's rules.

    Detections of equal score count in the order of their images' ids, and within an image in the
    order given, so the order of ``results``' images does not matter.

    Args:
        ground_truth: A COCO dict with ``images``, ``annotations`` and ``categories``; the categories
            in label order. Image ids are all int or all str. ``area`` defaults to the box's, also
            in place of one for which COCO's rules would drop the box; ``iscrowd`` to 0. Annotations of
            images or categories that are not listed do not count.
        results: Either the content of a COCO results file (dicts with ``image_id``, ``category_id``,
            ``bbox`` and ``score``), or for each image id an (n, 6) array of
            ``x, y, width, height, score, category_id``. Boxes are in pixels of the original image.
        backend: See :func:`resolve_backend`.
        max_dets: How many detections of an image and a class count, those of the highest scores; COCO's rule is 100.

    Raises:
        EvaluationError: A detection's image or category is not in the ground truth, a box or a score is
            not finite, or two categories have the same name.
    """
    backend = resolve_backend(backend)
    names = [category["name"] for category in ground_truth["categories"]]
    if len(set(names)) < len(names):
        raise EvaluationError(f"two categories have the same name: {few(names)}; rename one")
    dataset, image_numbers, category_numbers = renumber(ground_truth)
    detections = as_rows(results, image_numbers, category_numbers)
    run = _run_hotcoco if backend == "hotcoco" else _run_pycocotools
    with contextlib.redirect_stdout(io.StringIO()):  # both print their progress and the summary
        stats, precision = run(dataset, detections, [1, 10, max_dets])
    # precision: (T thresholds, R recalls, K categories, areas, maxDets), -1 without ground truth
    class_precision = np.asarray(precision)[:, :, :, 0, -1]
    class_ap = np.where((class_precision == -1).any((0, 1)), np.nan, class_precision.mean((0, 1)))
    by_class = dict(zip(names, class_ap.tolist(), strict=True))
    return CocoScores(np.asarray(stats, np.float64), by_class, backend, max_dets)


def renumber(ground_truth: dict) -> tuple[dict, dict, dict]:
    """Give images, annotations and categories of the ground truth numbers from 1; return it, and the numbers by id.

    hotcoco takes no strings as ids, and pycocotools counts a match with annotation 0 as a miss.
    Images are numbered in the order of their ids, the order in which pycocotools breaks ties.
    """
    image_numbers = {id_: i for i, id_ in enumerate(sorted(image["id"] for image in ground_truth["images"]), 1)}
    category_numbers = {category["id"]: i for i, category in enumerate(ground_truth["categories"], 1)}
    annotations = []
    for annotation in ground_truth["annotations"]:
        image = image_numbers.get(annotation["image_id"])
        category = category_numbers.get(annotation["category_id"])
        if image is None or category is None:
            continue
        box = [float(v) for v in annotation["bbox"]]
        area = annotation.get("area")
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": category,
                "bbox": box,
                "area": float(area) if is_area(area) else box[2] * box[3],
                "iscrowd": int(annotation.get("iscrowd", 0)),
            }
        )
    dataset = {
        "images": [{"id": number} for number in image_numbers.values()],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": category["name"]} for number, category in enumerate(ground_truth["categories"], 1)
        ],
    }
    return dataset, image_numbers, category_numbers


def as_rows(results, image_numbers: dict, category_numbers: dict) -> np.ndarray:
    """Return detections as (N, 7) float64: image number, x, y, width, height, score, category number."""
    if not isinstance(results, Mapping):
        by_image: dict = {}
        for r in results:
            by_image.setdefault(r["image_id"], []).append((*r["bbox"], r["score"], r["category_id"]))
        results = by_image
    unknown = [image for image in results if image not in image_numbers]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} images of the results are not in the ground truth: {few(map(repr, unknown))}; give the "
            "ground truth of these images"
        )
    blocks = [np.zeros((0, 7))]
    for image, number in image_numbers.items():
        if image not in results or len(results[image]) == 0:
            continue
        rows = np.asarray(results[image], dtype=np.float64)
        if not np.isfinite(rows).all():
            raise NonFiniteDetectionError(
                f"image {image!r} has a detection whose box or score is not finite; take another checkpoint or results"
            )
        ids, inverse = np.unique(rows[:, 5], return_inverse=True)
        unknown = [int(id_) for id_ in ids if id_ not in category_numbers]
        if unknown:
            raise EvaluationError(
                f"category {unknown[0]} of a detection in image {image!r} is not in the ground truth, "
                f"whose categories are {few(category_numbers)}; give the ground truth of these results"
            )
        numbers = np.array([category_numbers[id_] for id_ in ids])[inverse]
        blocks.append(np.column_stack((np.full(len(rows), number), rows[:, :5], numbers)))
    return np.concatenate(blocks)


def _run_pycocotools(dataset: dict, detections: np.ndarray, max_dets: list[int]) -> tuple[np.ndarray, np.ndarray]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    # `loadRes` fails on an empty list, and a copy of each box as a polygon is not needed.
    found = [
        {
            "id": i,
            "image_id": int(row[0]),
            "category_id": int(row[6]),
            "bbox": row[1:5],
            "area": row[3] * row[4],
            "score": row[5],
            "iscrowd": 0,
        }
        for i, row in enumerate(detections.tolist(), 1)
    ]
    apis = []
    for annotations in (dataset["annotations"], found):
        api = COCO()
        api.dataset = {**dataset, "annotations": annotations}
        api.createIndex()
        apis.append(api)
    evaluator = COCOeval(*apis, "bbox")
    evaluator.params.maxDets = max_dets
    evaluator.evaluate()
    evaluator.accumulate()
    # Its own summary looks for 100 detections whatever counted.
    return _summarized(evaluator.eval["precision"], evaluator.eval["recall"]), evaluator.eval["precision"]


def _summarized(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Compute the twelve numbers of precision (T, R, K, areas, maxDets) and recall (T, K, areas, maxDets)."""
    thresholds = {_ALL_IOUS: slice(None), "0.50": slice(0, 1), "0.75": slice(5, 6)}
    areas = (_ALL_AREAS, "small", "medium", "large")
    stats = []
    for _, words, ious, area, count in _NUMBERS:
        values = (precision if words == _AP else recall)[thresholds[ious], ..., areas.index(area), count]
        known = values[values > -1]
        stats.append(known.mean() if len(known) else -1.0)
    return np.array(stats)


def _run_hotcoco(dataset: dict, detections: np.ndarray, max_dets: list[int]) -> tuple[np.ndarray, np.ndarray]:
    from hotcoco import COCO, COCOeval  # 1.2 or newer: 1.1 prints past Python's stdout, 0.5 wants image sizes

    truth = COCO(dataset)
    evaluator = COCOeval(truth, truth.load_res(detections), "bbox")
    parameters = evaluator.params
    parameters.max_dets = max_dets
    evaluator.params = parameters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that not 100 count, which is what was asked for
        evaluator.run()
    return evaluator.stats, evaluator.eval["precision"]
