"""Annotations in Pascal VOC's xml format."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
from mmengine.logging import print_log

from rdet.datasets.annotations import Annotations
from rdet.datasets.base import DetDataset
from rdet.datasets.classes import in_order
from rdet.datasets.listed import ids_of
from rdet.datasets.on_disk import missing_files, near
from rdet.datasets.stated_sizes import StatedSizes
from rdet.datasets.values import check_once, names_in, number
from rdet.datasets.voc_images import image_names, stated_size, xml_files
from rdet.errors import DatasetError
from rdet.faults import Faults
from rdet.files import why_unreadable
from rdet.messages import shown
from rdet.registry import DATASETS
from rdet.remote import is_remote_folder, join, open_file


@DATASETS.register_module()
class VocDataset(DetDataset):
    """Images with boxes in one xml file each; ``difficult`` boxes are ignored ones.

    ``ann_file`` lists the split, one id a line (``ImageSets/Main/train.txt``; with a folder, an ending, or the number
    of a list of a class too, ``a 1``), or is a folder with an
    xml file for each id (``Annotations``; in folders below it, where it has none itself; ``""`` is ``data_root``);
    ``data_prefix`` has
    the folders ``img`` (``JPEGImages``) and ``xml`` (``Annotations``). ``img_id`` is the id's
    line, counted from 1. The image is ``<id>`` with the extension of ``<filename>``, or ``.jpg``; where
    that is not there, ``<id>`` with another one, or ``<filename>``. A size that is missing or 0 is read
    from the image.

    VOC files do not list their classes. Without ``metainfo['classes']`` they are the names in *all*
    files of the xml folder, sorted, so that every split gets the same ones. With it, a class
    that no file has is an error if its name is nearly one that the files have.

    For the other arguments see :class:`DetDataset`.

    Args:
        one_based: Pascal VOC counts pixels from 1 and includes the last one, so the first pixel's
            box is (1, 1, 1, 1), in edge coordinates (0, 0, 1, 1): 1 is taken from xmin and ymin
            only. False reads the four numbers as edges, as tools that imitate the format write
            them.
    """

    PREFIXES: ClassVar[dict[str, str]] = {"img": "JPEGImages", "xml": "Annotations"}

    def __init__(self, ann_file: str, *, one_based: bool = True, **kwargs):
        self.one_based = one_based
        self._sizes = StatedSizes()
        super().__init__(ann_file, **kwargs)

    def _join_prefix(self) -> None:
        super()._join_prefix()
        self.ann_file = self.ann_file or self.data_root or "."

    def read_annotations(self) -> Annotations:
        """Read the xml files of the split; images are in the list's order."""
        images, names, bboxes, image_index, ignored, entries = [], [], [], [], [], []
        stems = self._read_list()
        paths = self._paths((f"{stem}.xml" for stem in stems), "xml")
        stated, sizes = [""] * len(paths), []
        faults = Faults(self.ann_file, "xml files")
        for row, path in enumerate(paths):
            with faults.of(path):
                root = self._parse(path)
                stated[row] = (root.findtext("filename") or "").strip()
                sizes.append(stated_size(root, path))
                for i, node in enumerate(root.findall("object"), start=1):
                    entry = f"object {i} of {path}"
                    names.append(_text(node, "name", entry))
                    bboxes.append(self._bbox(node, entry))
                    image_index.append(row)
                    ignored.append(_flag(node, "difficult", entry))
                    entries.append(entry)
        faults.raise_any()
        files = image_names(stems, stated, self.data_prefix["img"] or ".")
        for row, (size, xml, image) in enumerate(zip(sizes, paths, self._image_paths(files), strict=True)):
            with faults.of(xml):
                height, width = self._sizes.known(size, xml, image)
                images.append({"id": row + 1, "file_name": files[row], "height": height, "width": width})
        faults.raise_any()
        if not self._fully_initialized:
            self._sizes.warn(self.ann_file)
        classes = self._classes(set(names))
        index_of = {name: i for i, name in enumerate(classes)}
        boxes = np.array(bboxes, dtype=np.float64).reshape(-1, 4)
        return Annotations(
            classes=classes,
            category_ids=None,
            images=images,
            box_ids=list(range(1, len(boxes) + 1)),
            image_index=np.array(image_index, dtype=np.int64),
            class_index=np.array([index_of[name] for name in names], dtype=np.int64),
            bboxes=boxes,
            areas=boxes[:, 2] * boxes[:, 3],
            ignored=np.array(ignored, dtype=bool),
            entry_name=entries.__getitem__,
        )

    def _read_list(self) -> list[str]:
        if os.path.isdir(self.ann_file):
            return self._stems_in(Path(self.ann_file))
        if is_remote_folder(self.ann_file):
            raise DatasetError(
                f"{self.ann_file}: folders at addresses are not listed; set ann_file to a list of ids, such as "
                "ImageSets/Main/train.txt"
            )
        data = self._ann_file_bytes()
        if Path(self.ann_file).suffix in (".json", ".xml"):
            data = b"\0"  # no list
        names = names_in(data, self.ann_file, "image ids", "ImageSets/Main/train.txt")
        ids, without = ids_of(names, self._with_xml)
        if without and not self._fully_initialized:  # said once
            print_log(
                f"{self.ann_file} lists {len(without)} images with -1, as without its class; they are read like the "
                "others, with all their boxes",
                "current",
                logging.WARNING,
            )
        check_once(ids, self.ann_file)
        return ids

    def _with_xml(self, ids: Iterable[str]) -> set[str]:
        paths = {join(self.data_prefix["xml"], f"{stem}.xml"): stem for stem in ids}
        return {*paths.values()} - {paths[path] for path in missing_files(paths)}

    def _stems_in(self, folder: Path) -> list[str]:
        xml_folder = self.data_prefix["xml"] or "."
        stems = sorted(os.path.splitext(os.path.relpath(path, xml_folder))[0] for path in xml_files(folder))
        if not stems:
            raise DatasetError(
                f"{folder} is a folder without xml files; set ann_file to one that has them, or to a list of ids"
            )
        return stems

    def _classes(self, in_split: set[str]) -> list[str]:
        """Return the names in the files, and the user's classes too if these cover them all."""
        rename = self.rename_classes
        wanted = None if self._wanted is None else {*self._wanted, *self.ignore_classes}
        found = set(in_split)
        if wanted is None or not set(rename) <= found or not wanted <= {rename.get(n, n) for n in found}:
            for path in xml_files(Path(self.data_prefix["xml"])):
                found |= {_text(node, "name", str(path)) for node in self._parse(path).findall("object")}
        return in_order(found, rename)

    def _parse(self, path: str | Path) -> ElementTree.Element:
        try:
            with open_file(path, backend_args=self.backend_args) as file:
                return ElementTree.fromstring(file.read())
        except FileNotFoundError as error:
            raise DatasetError(
                f"{path}: no such file{near(str(path))}; check data_prefix['xml'], or take the id off the list"
            ) from error
        except OSError as error:
            raise DatasetError(f"{path} cannot be read ({why_unreadable(error)}); check the file") from error
        except (
            ElementTree.ParseError,
            LookupError,
            ValueError,
        ) as error:  # of an encoding, the latter
            raise DatasetError(f"{path} is not well-formed XML ({error}); write it again") from error

    def _bbox(self, node: ElementTree.Element, entry: str) -> tuple[float, float, float, float]:
        box = node.find("bndbox")
        if box is None:
            raise DatasetError(f"{entry} lacks <bndbox>; add it or remove the object")
        xmin, ymin, xmax, ymax = (_number(box, tag, entry) for tag in ("xmin", "ymin", "xmax", "ymax"))
        if self.one_based:
            xmin, ymin = xmin - 1, ymin - 1
        return xmin, ymin, xmax - xmin, ymax - ymin


# How tools write no and yes; Pascal VOC has 0 and 1.
_NO, _YES = {"", "0", "0.0", "false", "no", "n", "unspecified"}, {"1", "1.0", "true", "yes", "y"}


def _text(node: ElementTree.Element, tag: str, where: str) -> str:
    text = (node.findtext(tag) or "").strip()
    if not text:
        raise DatasetError(f"{where} lacks <{tag}>; add it or remove the <{node.tag}>")
    return text


def _number(node: ElementTree.Element, tag: str, where: str) -> float:
    return number(_text(node, tag, where), f"<{tag}>", where)


def _flag(node: ElementTree.Element, tag: str, where: str) -> bool:
    text = (node.findtext(tag) or "").strip().lower()
    if text not in _NO | _YES:
        raise DatasetError(f"{where}: <{tag}> is {shown(text)}; write 0 or 1")
    return text in _YES
