"""COCO's evaluation as mmengine's Runner calls it, on one process or many."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.distributed as torch_dist
from mmengine.dist import is_distributed, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from rdet.errors import ConfigError, EvaluationError, MissingFileError, OutputError
from rdet.evaluation.coco_eval import MAX_DETS, evaluate_coco, resolve_backend
from rdet.evaluation.coco_results import check_images, from_labels, write_results
from rdet.evaluation.coco_truth import read_truth
from rdet.files import why_unreadable
from rdet.messages import few
from rdet.processes import first_process_does, host_group
from rdet.registry import METRICS
from rdet.remote import is_address, open_file
from rdet.schema import Limits


@METRICS.register_module()
class CocoMetric(BaseMetric):
    """COCO's AP and AR of boxes, logged as a table and returned as ``coco/bbox_mAP`` and so on.

    The detections of all processes are gathered on the main one, which insists on having each image
    of the ground truth exactly once and puts the images in the order of their ids. So the numbers do
    not depend on the number of processes, and a wrong file or a sampler that repeats images is an
    error, never a low AP.

    Args:
        ann_file: COCO json file with the ground truth, or its address. By default it is taken from the data set under
            evaluation (``coco_ground_truth()``, see :meth:`set_dataset`).
        backend: ``pycocotools``, ``hotcoco``, or ``auto`` for hotcoco if it is installed. Both give
            the same numbers.
        classwise: Whether to log a table with the AP of each class.
        format_only: Only write the detections, as for a test server. The ground truth then needs
            images and categories, but no annotations.
        outfile_prefix: Write the detections to ``<outfile_prefix>.bbox.json`` in COCO's results format,
            or to the file itself if it ends in ``.json``.
        collect_device: ``cpu`` gathers over gloo, ``gpu`` over the default process group.
        prefix: Put before the metric keys, to tell several metrics apart.
        max_dets: How many detections of an image and a class count, those of the highest scores. COCO's rule is 100;
            with more objects than that, no detector can find all. The names of recalls have it: ``coco/bbox_AR@100``.

    Attributes:
        judged: On the main process, the truth and the detections of the last evaluation: a COCO dict, and image id ->
            (n, 6) of ``x, y, width, height, score, category_id``; None before there was one.

    Raises:
        ConfigError: An option has no valid value, or ``format_only`` is set without ``outfile_prefix``.
        MissingFileError: ``ann_file`` does not exist.
        MissingModuleError: hotcoco is asked for and not installed.
    """

    default_prefix = "coco"

    def __init__(
        self,
        ann_file: str | None = None,
        backend: str = "auto",
        classwise: bool = True,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        max_dets: Annotated[int, Limits(least=11)] = MAX_DETS,
    ):
        super().__init__(collect_device=collect_device, prefix=prefix)
        if collect_device not in ("cpu", "gpu"):
            raise ConfigError(f"collect_device is {collect_device!r}; valid: 'cpu', 'gpu'")
        if format_only and outfile_prefix is None:
            raise ConfigError("format_only writes the detections and nothing else: set outfile_prefix")
        # All of this can go wrong before the first epoch of training, so better there than after it.
        if ann_file is not None:
            _check_is_there(ann_file)
        if outfile_prefix is not None:
            folder = Path(outfile_prefix).resolve().parent
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise OutputError(f"CocoMetric: nothing can be written to {folder}, the folder of outfile_prefix")
        self.ann_file = ann_file
        self.backend = resolve_backend(backend)
        self.classwise = classwise
        self.max_dets = max_dets
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.judged: tuple[dict, dict[int | str, np.ndarray]] | None = None
        self._dataset = None

    def set_dataset(self, dataset) -> None:
        """Tell which data set is under evaluation.

        Args:
            dataset: Has ``coco_ground_truth()``, which gives a COCO dict with its categories in label
                order. It is not asked if ``ann_file`` is set.

        Raises:
            ConfigError: There is no ``ann_file`` and ``dataset`` has no such method.
        """
        if self.ann_file is None and not hasattr(dataset, "coco_ground_truth"):
            raise ConfigError(
                f"CocoMetric cannot get the ground truth from {type(dataset).__name__}, "
                "which has no coco_ground_truth(): set ann_file"
            )
        self._dataset = dataset

    def process(self, data_batch, data_samples: Sequence) -> None:
        """Keep the detections of a batch as one compact array an image.

        Args:
            data_batch: Not used.
            data_samples: Dicts or :class:`~rdet.structures.DetDataSample` with ``img_id`` and
                ``pred_instances``: ``bboxes`` (n, 4) xyxy in pixels of the original image,
                ``scores`` (n,) and ``labels`` (n,).
        """
        for sample in data_samples:
            if not isinstance(sample, dict):
                sample = sample.to_dict()
            pred = sample["pred_instances"]
            columns = [pred["bboxes"], pred["scores"][:, None], pred["labels"][:, None]]
            # (n, 6): x1, y1, x2, y2, score, label
            rows = torch.cat([c.detach().cpu().double() for c in columns], dim=1).numpy()
            self.results.append((sample["img_id"], rows))

    def evaluate(self, size: int) -> dict[str, float]:
        """Score what all processes have seen, and forget it.

        Args:
            size: Not used: the ground truth says which images there are.

        Returns:
            The metrics, the same on every process; empty with ``format_only``.

        Raises:
            EvaluationError: The detections and the ground truth are not of the same images or classes.
                Every process raises it, so that none is left waiting.
        """
        results, self.results = self._gather(self.results), []
        metrics = first_process_does(lambda: self.compute_metrics(results))
        return {f"{self.prefix}/{key}": value for key, value in metrics.items()}

    def compute_metrics(self, results: list[tuple[int | str, np.ndarray]]) -> dict[str, float]:
        """Score the detections of all images.

        Args:
            results: ``(image id, (n, 6) array of x1, y1, x2, y2, score, label)`` of each image.

        Returns:
            The twelve numbers without the prefix; empty with ``format_only``.
        """
        truth = self._load_ground_truth()
        category_ids = [category["id"] for category in truth["categories"]]
        image_ids = [image["id"] for image in truth["images"]]
        check_images([image_id for image_id, _ in results], image_ids)
        detections = {image_id: from_labels(rows, category_ids, image_id) for image_id, rows in results}
        if self.outfile_prefix is not None:
            prefix = str(self.outfile_prefix)
            path = Path(prefix if prefix.lower().endswith(".json") else f"{prefix}.bbox.json")
            write_results(path, image_ids, detections)
            print_log(f"Wrote {sum(map(len, detections.values()))} detections to {path}", logger="current")
        if not any(map(len, detections.values())):
            print_log(
                f"No detection in any of the {len(image_ids)} images: AP is 0, and pycocotools cannot load an empty "
                "results file. A model that has learnt little scores below model.postprocess.score_thr; lower it to "
                "see what it finds.",
                logger="current",
                level=logging.WARNING,
            )
        if self.format_only:
            return {}
        self.judged = truth, detections
        self._warn_of_crowded_images(truth)
        scores = evaluate_coco(truth, detections, self.backend, self.max_dets)
        if scores.stats[0] == -1:
            print_log(
                "The ground truth has no boxes to find: none at all, or only crowds, or boxes without width or height. "
                "There is nothing to score, so AP and AR are -1.",
                logger="current",
                level=logging.WARNING,
            )
        print_log(f"Box detections by COCO's rules ({scores.backend}):\n{scores.summary()}", logger="current")
        if self.classwise:
            print_log(f"AP of each class:\n{scores.class_table()}", logger="current")
        return scores.metrics()

    def _warn_of_crowded_images(self, truth: dict) -> None:
        """Say if an image has more objects of a class than detections count."""
        counts = Counter(
            (box["image_id"], box["category_id"]) for box in truth["annotations"] if not box.get("iscrowd")
        )
        if counts and (most := max(counts.values())) > self.max_dets:
            (image, _) = max(counts, key=counts.__getitem__)
            print_log(
                f"Image {image!r} has {most} objects of one class, but {self.max_dets} detections of it count (COCO's "
                f"rule is {MAX_DETS}), so not all can be found; set max_dets of CocoMetric to {most} or more, and "
                "model.postprocess.max_per_img",
                logger="current",
                level=logging.WARNING,
            )

    def _gather(self, results: list) -> list | None:
        """Gather the results of all processes on the main one; None on the others.

        Not mmengine's ``collect_results``: that one cuts the list to the size of the data set, which
        hides repeated images and drops others in their place.
        """
        if not is_distributed():
            return results
        group = host_group() if self.collect_device == "cpu" else None
        parts = [None] * torch_dist.get_world_size() if is_main_process() else None
        torch_dist.gather_object(results, parts, dst=0, group=group)
        return list(chain(*parts)) if is_main_process() else None

    def _load_ground_truth(self) -> dict:
        """Load the COCO dict to evaluate against, its categories in the order of the model's labels."""
        if self.ann_file is not None:
            truth, source = read_truth(self.ann_file), f"ann_file {self.ann_file}"
        elif self._dataset is not None:
            truth, source = self._dataset.coco_ground_truth(), "the data set"
        else:
            raise ConfigError("CocoMetric has no ground truth: set ann_file, or call set_dataset() before evaluate()")
        categories = truth["categories"]
        classes = (self.dataset_meta or {}).get("classes")
        if classes is not None:
            names = [category["name"] for category in categories]
            if sorted(names) != sorted(classes):
                raise EvaluationError(
                    f"the classes of {source} are {few(names)}, but the data set under evaluation has {few(classes)}; "
                    "give the file of this data set, or set its metainfo=dict(classes=...)"
                )
            categories = [categories[names.index(name)] for name in classes]
        return {**truth, "categories": categories, "annotations": truth.get("annotations", [])}


def _check_is_there(ann_file: str) -> None:
    """Raise MissingFileError unless there is such a file, or something at such an address."""
    if not is_address(ann_file):
        if not os.path.exists(ann_file):
            raise MissingFileError(f"CocoMetric: ann_file {ann_file!r} does not exist; check the path")
        return
    try:
        open_file(ann_file, most=0).close()
    except OSError as error:
        raise MissingFileError(
            f"CocoMetric: ann_file {ann_file!r} cannot be read ({why_unreadable(error)}); check the address"
        ) from error
