"""Annotations in YOLO's format: a text file beside each image."""

import logging
import os
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from mmengine.logging import print_log

from rdet.datasets.annotations import Annotations
from rdet.datasets.base import DetDataset
from rdet.datasets.image_sizes import ImageSizes
from rdet.datasets.values import LONGEST_PATH, names_in, read_file
from rdet.datasets.yolo_labels import Label, read_labels
from rdet.datasets.yolo_names import find_names_file, not_names, read_class_names
from rdet.datasets.yolo_places import folder_of_names, images_below, label_paths, resolved
from rdet.datasets.yolo_yaml import read_data_yaml
from rdet.errors import ConfigError, DatasetError
from rdet.faults import Faults
from rdet.messages import few
from rdet.registry import DATASETS
from rdet.remote import is_address, is_remote_folder, join

_YAML = (".yaml", ".yml")


@DATASETS.register_module()
class YoloDataset(DetDataset):
    """Images with boxes in a text file each, in fractions of the image; polygons are reduced to boxes.

    ``ann_file`` is a ``data.yaml``, a list of images (``train.txt``) or a folder of them (``images/train``; ``""``
    is ``data_root``). The labels of ``images/x.jpg`` are in ``labels/x.txt``, or in ``x.txt`` beside it where there is
    no such folder; with ``data_prefix["labels"]``, those of ``x.jpg`` in ``data_prefix["img"]`` are in ``x.txt``
    there. An image without a label file, or with an empty one, has no boxes. ``img_id`` is the image's place in the
    list, counted from 1.

    The sizes of the images are read from their headers, once.

    For the other arguments see :class:`DetDataset`.

    Args:
        split: Of a ``data.yaml``, whose images to take.
        class_file: The file that names the classes, relative to ``data_root``: YAML, or a list with one a line.
            Default: ``ann_file`` if it is a ``data.yaml``; else a YAML file with ``names``, a ``*.names`` or a
            ``classes.txt`` in ``data_root``, beside ``ann_file`` or in ``labels``.
    """

    PREFIXES: ClassVar[dict[str, str]] = {"img": "", "labels": ""}
    READS_IMAGES = True

    def __init__(
        self, ann_file: str, *, split: Literal["train", "val", "test"] | None = None, class_file: str = "", **kwargs
    ):
        if split is not None and not str(ann_file).endswith(_YAML):
            raise ConfigError(f"split is {split!r}, but {ann_file} is no data.yaml; leave split out, or name one")
        self.split = split
        self.class_file = class_file
        self._has_label_folder = bool((kwargs.get("data_prefix") or {}).get("labels"))
        self._sizes = ImageSizes(skip=kwargs.get("on_bad_image") in ("skip", "warn"))
        super().__init__(ann_file, **kwargs)

    def _join_prefix(self) -> None:
        super()._join_prefix()
        self.ann_file = self.ann_file or self.data_root or "."

    def read_annotations(self) -> Annotations:
        """Read the label files; images are in the list's order."""
        self._check_is_listed()
        classes = self._class_names()
        names = self._image_names()
        paths = self._paths(names, "img")
        sizes = self._sizes.of(self._image_paths(names), self.bad_images.missing)
        faults = Faults(self.ann_file, "label files")
        labels: list[Label] = []
        counts, entries, missing = [], [], []
        for path in self._label_paths(names, paths):
            found = []
            with faults.of(path):
                found = read_labels(path, len(classes), self.backend_args)
            if found is None:
                missing.append(path)
            labels += found or ()
            counts.append(len(found or ()))
            entries += [path] * counts[-1]
        faults.raise_any()
        self._say_missing(missing, len(paths))
        image_index = np.repeat(np.arange(len(paths)), counts)
        fractions = np.array([label[2:] for label in labels], dtype=np.float64).reshape(-1, 4)
        sides = np.array(sizes, dtype=np.float64).reshape(-1, 2)[image_index][:, [1, 0, 1, 0]]  # w, h, w, h
        bboxes = fractions * sides
        return Annotations(
            classes=classes,
            category_ids=None,
            images=[
                {"id": i, "file_name": name, "height": height, "width": width}
                for i, (name, (height, width)) in enumerate(zip(names, sizes, strict=True), start=1)
            ],
            box_ids=list(range(1, len(labels) + 1)),
            image_index=image_index,
            class_index=np.array([label[1] for label in labels], dtype=np.int64),
            bboxes=bboxes,
            areas=bboxes[:, 2] * bboxes[:, 3],
            ignored=np.zeros(len(labels), dtype=bool),
            entry_name=lambda row: f"line {labels[row][0]} of {entries[row]}",
        )

    def _label_paths(self, names: list[str], paths: list[str]) -> list[str]:
        if not self._has_label_folder:
            return label_paths(paths, self.data_root)
        return self._paths((f"{os.path.splitext(name)[0]}.txt" for name in names), "labels")

    def _check_is_listed(self) -> None:
        """Raise DatasetError unless images and classes at an address are named: nothing can be looked for there."""
        if not is_address(self.ann_file):
            return
        if self.ann_file.endswith(_YAML) or is_remote_folder(self.ann_file):
            raise DatasetError(
                f"{self.ann_file}: folders at addresses are not listed; set ann_file to a list of images, such as "
                "train.txt, with class_file and data_prefix=dict(labels=...)"
            )
        if not (self.class_file and self._has_label_folder):
            raise DatasetError(
                f"{self.ann_file}: nothing is looked for at an address; set class_file and data_prefix=dict(labels=...)"
            )

    def _class_names(self) -> list[str]:
        path = self.ann_file if self.ann_file.endswith(_YAML) else ""
        if self.class_file:
            path = join(self.data_root, self.class_file)
        if not path:
            root = Path(self.data_root)
            folders = list(dict.fromkeys([root, Path(self.ann_file).parent, root / "labels"]))
            found = find_names_file(folders)
            if found is None:
                raise DatasetError(
                    f"{self.ann_file}: no file names the classes{not_names(folders)}; write data.yaml, obj.names or "
                    f"classes.txt in {root}, or set class_file"
                )
            path = str(found)
        data = read_file(path, "class_file" if self.class_file else "ann_file", self.backend_args)
        return read_class_names(data, path)

    def _image_names(self) -> list[str]:
        """List the images by their paths in ``data_prefix['img']``."""
        places = [self.ann_file]
        if self.ann_file.endswith(_YAML):
            yaml = read_data_yaml(self._ann_file_bytes(), self.ann_file)
            if self.split not in yaml.places:
                has = f"{self.ann_file} has {' and '.join(yaml.places) or 'no split'}"
                raise DatasetError(f"{has}, and split is {self.split!r}; set split to one that it has")
            places = resolved(yaml, self.split, self.ann_file)
        found: list[str] = []
        for place in places:
            folder, names = place, None
            if not os.path.isdir(place):
                folder, names = self._listed(place)
            elif not (names := images_below(place)):
                raise DatasetError(f"{self.ann_file}: no image in {place}; name another folder")
            prefix = os.path.relpath(folder, self.data_prefix["img"] or ".")
            found += [os.path.normpath(os.path.join(prefix, name)) for name in names]
        if len(set(found)) < len(found):
            twice = next(name for name in found if found.count(name) > 1)
            raise DatasetError(f"{self.ann_file} has {twice!r} more than once; leave one")
        return found

    def _listed(self, path: str) -> tuple[str, list[str]]:
        names = names_in(read_file(path, "ann_file", self.backend_args), path, "images", "train.txt", LONGEST_PATH)
        return folder_of_names(names, path, self.data_prefix["img"] or ".")

    def _say_missing(self, missing: list[str], images: int) -> None:
        if not missing or self._fully_initialized:  # said once
            return
        if len(missing) == images and not self.test_mode:
            raise DatasetError(
                f"{self.ann_file}: none of {images} images has a label file, such as {missing[0]}; "
                "put them there, or set test_mode=True if the images are not for training"
            )
        print_log(
            f"{self.ann_file}: {len(missing)} of {images} images have no label file and count as "
            f"background: {few(missing, 3)}",
            "current",
            logging.WARNING,
        )
