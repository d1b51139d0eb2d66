"""Base of the data sets of rdet: from a file's annotations to the records that a pipeline gets."""

import logging
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from rdet.datasets.annotations import Annotations
from rdet.datasets.bad_images import BadImages
from rdet.datasets.classes import OTHER, renamed, select_classes
from rdet.datasets.doubts import doubts_about
from rdet.datasets.ground_truth import coco_ground_truth
from rdet.datasets.listed import names_as_known
from rdet.datasets.on_disk import images_called_otherwise, missing_files
from rdet.datasets.paths import paths_within
from rdet.datasets.records import build_records
from rdet.datasets.report import LoadReport
from rdet.datasets.transforms.failure import failed_at
from rdet.datasets.transforms.load import LoadImageFromFile
from rdet.datasets.transforms.order import check_order
from rdet.datasets.values import LONGEST_PATH, names_in, names_in_json, read_file
from rdet.errors import ConfigError, DatasetError, RdetError, UnknownNameError
from rdet.messages import few, nearest
from rdet.registry import TRANSFORMS
from rdet.remote import BackendArgs, is_address, join
from rdet.schema import Natural

_NAMED = 3  # entries that a message names before it only counts


class DetDataset(BaseDataset):
    """Images with boxes.

    A pipeline gets one image's record: ``img_id``, ``img_path``, ``height``, ``width``,
    ``gt_bboxes`` (n, 4) float32 ``xyxy`` in pixels, ``gt_bboxes_labels`` (n,) int64 counted from 0,
    ``gt_ignore_flags`` (n,) bool (a crowd, a difficult object or one of ``ignore_classes``, neither
    object nor background) and ``sample_idx``. Boxes are clipped to the image; one without width or
    height, or wholly outside, is left out, counted and named. Images without boxes are kept: they teach the background.

    All records are held once, serialized, and shared with the workers of a data loader.

    Args:
        ann_file: The annotations, relative to ``data_root`` unless absolute.
        data_root: Folder of the data set, or an address, ``http://...``, ``zip://data.zip`` or ``tar://data.tar``.
        data_prefix: Folders within ``data_root``: ``img`` for the images.
        metainfo: ``classes`` picks some of the file's classes and sets the order of their labels;
            default is all of them, in the file's order.
        rename_classes: Class in the file -> its name here. Several may become one.
        ignore_classes: Classes, by their name here, whose boxes are neither object nor background: no classes to
            learn but regions to leave alone, as crowds are.
        filter_empty_gt: Leave out images without a box that isn't ignored.
        min_image_size: Leave out images of which a side is shorter, in pixels.
        image_list: A file that lists the images to use as the annotations call them, one a line or, of ``.json``, a
            list; relative to ``data_root`` unless absolute. Default: all.
        indices: Use only the first ``indices`` images (the last ones if negative), or these.
        on_bad_image: ``error`` stops at the start if files are missing, and later at the first image
            that cannot be read; ``skip`` reads all images once at the start and leaves the bad ones
            out; ``warn`` goes on to train on the next image of the list in the place of one that is missing or cannot
            be read, and says once which.
        allow_outside: Let annotations name files outside of ``data_root``, by ``..`` or an absolute
            path. Otherwise this is refused: a file from elsewhere could have any file read.
        pipeline: Transforms of a record, or their configs.
        test_mode: The data is not for training, or only background: there need not be a box to learn,
            and the annotations may be absent.
        backend_args: Where ``ann_file`` and ``image_list`` are, as of ``LoadImageFromFile``.

    Attributes:
        report (LoadReport): What was kept, clipped and left out.

    Raises:
        DatasetError: The annotations cannot be used, lack a class, or no image or no box to learn is
            left.
        BadImageError: Image files are missing. Only looked for if ``pipeline`` loads them.
        UnknownNameError: ``data_prefix`` or ``metainfo`` has a key that does not exist.
    """

    PREFIXES: ClassVar[dict[str, str]] = {"img": ""}
    READS_IMAGES: ClassVar[bool] = False  # for their sizes, whatever the pipeline

    def __init__(
        self,
        ann_file: str,
        data_root: str = "",
        data_prefix: Mapping[str, str] | None = None,
        metainfo: Mapping | None = None,
        rename_classes: Mapping[str, str] | None = None,
        ignore_classes: Sequence[str] = (),
        filter_empty_gt: bool = False,
        min_image_size: Natural = 0,
        image_list: str = "",
        indices: int | Sequence[int] | None = None,
        on_bad_image: str = "error",
        allow_outside: bool = False,
        pipeline: Iterable[dict | BaseTransform] = (),
        test_mode: bool = False,
        backend_args: BackendArgs = None,
    ):
        if on_bad_image == "warn" and test_mode:
            raise ConfigError(
                "on_bad_image is 'warn', but with test_mode=True each image has to be evaluated; set 'error' or 'skip'"
            )
        if isinstance(ignore_classes, str):
            raise ConfigError(f"ignore_classes is the string {ignore_classes!r}; write a list: [{ignore_classes!r}]")
        _check_keys("data_prefix", data_prefix or {}, self.PREFIXES)
        _check_keys("metainfo", metainfo or {}, ("classes",))
        self.rename_classes = dict(rename_classes or {})
        self.ignore_classes = tuple(ignore_classes)
        self.filter_empty_gt = filter_empty_gt
        self.min_image_size = min_image_size
        self.image_list = join(str(data_root), str(image_list)) if image_list else ""
        self.backend_args = backend_args
        self.on_bad_image = on_bad_image
        self.allow_outside = allow_outside
        self._wanted = (metainfo or {}).get("classes")
        steps = [TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline]
        check_order(steps)
        super().__init__(
            ann_file=str(ann_file),
            data_root=str(data_root),
            data_prefix={**self.PREFIXES, **(data_prefix or {})},
            indices=indices,
            pipeline=steps,
            test_mode=test_mode,
        )

    def _ann_file_bytes(self) -> bytes:
        """Read the content of ``ann_file``. Raise :class:`DatasetError` if that is not possible."""
        return read_file(self.ann_file or ".", "ann_file", self.backend_args)

    def _join_prefix(self) -> None:
        if not any(map(is_address, (self.data_root, *self.data_prefix.values()))):
            return super()._join_prefix()
        if self.ann_file:
            self.ann_file = self._joined(self.ann_file)
        self.data_prefix = {key: self._joined(prefix) for key, prefix in self.data_prefix.items()}

    def _joined(self, path: str) -> str:
        return path if is_address(path) or os.path.isabs(path) else join(self.data_root, path)

    def _paths(self, names: Iterable[str], prefix: str) -> list[str]:
        return paths_within(names, self.data_prefix[prefix], self.data_root, self.ann_file, self.allow_outside)

    def _image_paths(self, names: Iterable[str]) -> list[str]:
        """Return the paths of images; of one that is missing, that of the only image there that it can mean."""
        paths = self._paths(names, "img")
        wanted = self.READS_IMAGES or self._loaders or os.path.isdir(self.data_prefix["img"] or ".")
        if not wanted or any(loader.backend_args for loader in self._loaders):
            return paths
        other = images_called_otherwise(missing_files(paths))
        return [other.get(path, path) for path in paths]

    @abstractmethod
    def read_annotations(self) -> Annotations:
        """Read ``self.ann_file``. Raise :class:`DatasetError` if it cannot be used."""

    def _wanted_annotations(self) -> Annotations:
        annotations = self.read_annotations()
        if not self.image_list:
            return annotations
        data = read_file(self.image_list, "image_list", self.backend_args)
        if self.image_list.endswith(".json"):
            names = names_in_json(data, self.image_list)
        else:
            names = names_in(data, self.image_list, "images", "train.txt", LONGEST_PATH)
        meant = names_as_known(names, [image["file_name"] for image in annotations.images])
        if unknown := [name for name in names if name not in meant]:
            raise DatasetError(
                f"{self.image_list} lists {few(map(repr, unknown), _NAMED)}, which {self.ann_file} does not have; "
                "write them as there, or take them off the list"
            )
        return annotations.only({*meant.values()})

    def full_init(self) -> None:
        """Load, select, count and serialize the records."""
        if self._fully_initialized:
            return
        self._loaders = [step for step in self.pipeline.transforms if isinstance(step, LoadImageFromFile)]
        self.bad_images = BadImages(self.on_bad_image, self.ann_file, self._loaders)
        dropped: dict[str, int] = {}
        annotations = self._wanted_annotations()
        self._metainfo["classes"], labels = self._select_classes(annotations)
        paths = self._image_paths([image["file_name"] for image in annotations.images])
        self._say_called_otherwise(annotations, paths)
        for doubt in doubts_about(annotations):
            print_log(f"{self.ann_file}: {doubt}", "current", logging.WARNING)
        records, left_out, clipped = build_records(annotations, labels, paths)
        for reason, entries in left_out.items():
            self._leave_out(reason, entries, dropped)
        self.data_list = self._without_bad_images(self._wanted_images(records, dropped), dropped)
        if self._indices is not None:
            self.data_list = self._take(self._indices)
        if not self.data_list:
            raise DatasetError(self._nothing_kept(annotations, dropped))
        self.bad_images.check_files(self.data_list)
        clipped_boxes = sum(clipped.get(record["img_id"], 0) for record in self.data_list)
        self.report = LoadReport.of(self.data_list, dropped, clipped_boxes)
        if not (self.report.boxes or self.test_mode):
            raise DatasetError(self._nothing_to_learn(annotations, labels))
        self.data_bytes, self.data_address = self._serialize_data()
        self.bad_images.begin(len(self.data_address))
        self._fully_initialized = True

    def __getitem__(self, idx: int) -> dict:
        """Return the ``idx``-th record after the pipeline; with ``on_bad_image='warn'``, the next whose image is good.

        Raises:
            DatasetError: An image cannot be read, or the pipeline returned None. Nothing is
                replaced by another image in silence.
            PipelineError: A transform failed; the message names the image.
        """
        return self.bad_images.next_good(idx, self._prepared)

    def _prepared(self, idx: int) -> dict:
        record = self.get_data_info(idx)
        path = record["img_path"]
        try:
            data = self.pipeline(record)
        except RdetError:
            raise
        except Exception as error:
            raise failed_at(path, "the pipeline", error) from error
        if data is None:
            raise DatasetError(f"{path}: the pipeline returned None; make every transform return a record")
        return data

    def get_cat_ids(self, idx: int) -> list[int]:
        """List the labels in the ``idx``-th image, as mmengine's ``ClassBalancedDataset`` asks for them."""
        record = self.get_data_info(idx)
        return record["gt_bboxes_labels"][~record["gt_ignore_flags"]].tolist()

    def coco_ground_truth(self) -> dict:
        """Return the ground truth of exactly these images in COCO format.

        The boxes are those of the file, also the ones that are left out of the records, so that
        evaluating on them equals evaluating on the file. ``categories`` is ordered by label:
        label i is ``categories[i]``.
        """
        annotations = self._wanted_annotations()
        kept = {self.get_data_info(i)["img_id"] for i in range(len(self))}
        return coco_ground_truth(annotations, *self._select_classes(annotations), kept)

    def _select_classes(self, annotations: Annotations) -> tuple[tuple[str, ...], np.ndarray]:
        names = renamed(annotations.classes, self.rename_classes, self.ann_file)
        return select_classes(names, self._wanted, self.ann_file, self.ignore_classes)

    def _wanted_images(self, records: list[dict], dropped: dict[str, int]) -> list[dict]:
        large = [record for record in records if min(record["height"], record["width"]) >= self.min_image_size]
        if len(large) < len(records):
            dropped[f"images below {self.min_image_size} pixels"] = len(records) - len(large)
        return self._without_empty_images(large, dropped)

    def _without_empty_images(self, records: list[dict], dropped: dict[str, int]) -> list[dict]:
        if not self.filter_empty_gt:
            return records
        kept = [record for record in records if not record["gt_ignore_flags"].all()]
        if len(kept) < len(records):
            dropped["images without boxes"] = len(records) - len(kept)
        return kept

    def _without_bad_images(self, records: list[dict], dropped: dict[str, int]) -> list[dict]:
        bad = self.bad_images.among(records)
        for reason in sorted({error.reason for error in bad.values()}):
            paths = [records[i]["img_path"] for i, error in bad.items() if error.reason == reason]
            self._leave_out(f"images {reason}", paths, dropped)
        return [record for i, record in enumerate(records) if i not in bad]

    def _say_called_otherwise(self, annotations: Annotations, paths: list[str]) -> None:
        names = [os.path.basename(image["file_name"]) for image in annotations.images]
        pairs = [(n, other) for n, p in zip(names, paths, strict=True) if n != (other := os.path.basename(p))]
        if pairs:
            print_log(
                f"{self.ann_file}: {len(pairs)} images are called otherwise on the disk: "
                f"{few((f'{name} is {other}' for name, other in pairs), _NAMED)}",
                "current",
                logging.WARNING,
            )

    def _take(self, indices: int | Sequence[int]) -> list[dict]:
        try:
            return self._get_unserialized_subset(indices)
        except IndexError as error:
            raise DatasetError(
                f"{self.ann_file}: indices {indices} exceed its {len(self.data_list)} images; take smaller ones"
            ) from error

    def _leave_out(self, reason: str, entries: list[str], dropped: dict[str, int]) -> None:
        dropped[reason] = len(entries)
        print_log(
            f"{self.ann_file}: left out {len(entries)} {reason}: {few(entries, _NAMED)}", "current", logging.WARNING
        )

    def _nothing_kept(self, annotations: Annotations, dropped: dict[str, int]) -> str:
        reasons = [f"left out {n} {what}" for what, n in dropped.items()]
        if self._indices is not None:
            reasons.append(f"indices is {self._indices}")
        kept = f"{self.ann_file}: 0 of {len(annotations.images)} images kept"
        if self._indices is None and (remedy := self.bad_images.remedy(dropped)) is not None:
            return f"{kept} {remedy}"
        return (
            f"{kept} ({', '.join(reasons) or 'it lists none'}); "
            f"your classes are {few(self._metainfo['classes'])}, "
            f"the file has {few(annotations.classes)}; choose other classes, or change what leaves the images out"
        )

    def _nothing_to_learn(self, annotations: Annotations, labels: np.ndarray) -> str:
        reasons = [f"{n} {what} left out" for what, n in self.report.dropped.items()]
        other = int((labels[annotations.class_index] == OTHER).sum())
        if other:
            reasons.append(f"{other} boxes of other classes")
        if self.report.ignored:
            reasons.append(f"{self.report.ignored} ignored regions")
        if self._indices is not None:
            reasons.append(f"indices is {self._indices}")
        return (
            f"{self.ann_file}: no box to learn in {self.report.images} images "
            f"({', '.join(reasons) or 'the file has none'}); your classes are {few(self._metainfo['classes'])}; "
            "mend the annotations, or set test_mode=True if the images are not for training or only background"
        )


def _check_keys(what: str, given: Iterable[str], valid: Iterable[str]) -> None:
    for key in given:
        if key not in valid:
            raise UnknownNameError(f"{what} has no key {key!r}. {nearest(key, valid)}")
