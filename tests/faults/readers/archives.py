"""Archives that hold a data set: damaged ones, odd members, addresses that lead nowhere."""

import io
import tarfile
import zipfile
from pathlib import Path
from random import Random

import numpy as np
from fuzz import Case, Reader
from odd import damage, no_file
from PIL import Image

from rdet.datasets import CocoDataset
from rdet.datasets.folders import look_at
from rdet.datasets.images import image_size, read_image

_NAMES = ("img/1.png", "img/2.png", "./img/1.png", "../1.png", "/etc/1.png", "img\\1.png", "img/", "é/\x01.png", "")
_ADDRESSES = (
    "img/1.png",
    "img/2.png",
    "img",
    "",
    "../1.png",
    "no.png",
    "img/1.png/x",
    "img//1.png",
    "./img/1.png",
    "é",
)
_TRUTH = (
    b'{"images": [{"id": 1, "file_name": "img/1.png", "width": 16, "height": 12}], "categories": '
    b'[{"id": 1, "name": "x"}],"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]}'
)


def _picture(rng: Random) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((12, 16, 3), rng.randrange(256), np.uint8)).save(buffer, "PNG")
    data = buffer.getvalue()
    return data if rng.random() < 0.8 else damage(rng, data)


def packed(rng: Random, kind: str) -> bytes:
    """Return an archive of a COCO file and pictures, with members that may be odd."""
    buffer = io.BytesIO()
    members = [("boxes.json", _TRUTH), ("img/1.png", _picture(rng))]
    members += [(rng.choice(_NAMES), _picture(rng)) for _ in range(rng.randrange(4))]
    if kind == "zip":
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in dict(members).items():
                archive.writestr(name or "x", data, rng.choice(methods))
        return buffer.getvalue()
    mode = "w:gz" if rng.random() < 0.1 else "w"
    with tarfile.open(
        fileobj=buffer, mode=mode, format=rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    ) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.type = rng.choice((tarfile.REGTYPE,) * 6 + (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE))
            info.linkname = rng.choice(("/etc/passwd", "img/1.png", ""))
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _write(rng: Random, folder: Path, kind: str) -> tuple[Path, str]:
    path = folder / rng.choice((f"a.{kind}", f"a b.{kind.upper()}", f"a.{kind}.{kind}"))
    what = rng.choice(("whole", "whole", "cut", "damaged", "damaged", "other", "no file"))
    if what == "no file":
        return path, no_file(rng, path)
    data = packed(rng, rng.choice(("zip", "tar")) if what == "other" else kind)
    if what == "cut":
        data = data[: rng.randrange(len(data) + 1)]
    elif what == "damaged":
        data = damage(rng, data)
    path.write_bytes(data)
    return path, f"{what} {path.name} {data[:300]!r}"


def member_of_an_archive(rng: Random, folder: Path) -> Case:
    """A picture by its address."""
    kind = rng.choice(("zip", "tar"))
    path, shown = _write(rng, folder, kind)
    address = f"{kind}://{path}/{rng.choice(_ADDRESSES)}"

    def read() -> None:
        assert image_size(address) == (12, 16)
        assert read_image(address).shape == (12, 16, 3)

    return Case(read, (address,), f"{address} {shown}")


def data_in_an_archive(rng: Random, folder: Path) -> Case:
    """A data set in it, or the archive in the place of a folder of data."""
    kind = rng.choice(("zip", "tar"))
    path, shown = _write(rng, folder, kind)
    as_folder = rng.random() < 0.2

    def read() -> None:
        if as_folder:
            look_at(str(path))
        load = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]
        dataset = CocoDataset("boxes.json", data_root=f"{kind}://{path}", pipeline=load)
        assert dataset[0]["inputs"].shape == (3, 12, 16)

    return Case(read, (str(path),), f"as_folder={as_folder} {shown}")


READERS = [
    Reader("archives", member_of_an_archive, cases=60),
    Reader("archives_of_data", data_in_an_archive, cases=40),
]
