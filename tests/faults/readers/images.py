"""Image files: read alone, through a data set that trains, and by what detects."""

import io
import json
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np
import torch
from fuzz import Case, Reader
from mmengine.config import Config
from mmengine.structures import InstanceData
from odd import damage, no_file
from PIL import Image

from rdet.apis.folder import detect_folder
from rdet.apis.inference import inference_detector
from rdet.datasets import CocoDataset
from rdet.datasets.bad_images import find_bad_images
from rdet.datasets.images import image_size, read_image
from rdet.errors import BadImageError
from rdet.structures import DetDataSample

_KINDS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
_MODES = ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F", "YCbCr")
_SIDES = (1, 2, 3, 7, 16, 40, 333)
_CLAIMS = (0, 1, 2, 65535, 65536, 20_000, 100_000, 2**20, 2**30, 2**31 - 1, 2**31, 2**32 - 1)


def encoded(rng: Random) -> tuple[bytes, str]:
    """Return an image of any format, mode and size."""
    width, height = rng.choice(_SIDES), rng.choice(_SIDES)
    if rng.random() < 0.1:
        width, height = rng.choice(((1, 20_000), (20_000, 1), (2, 9000), (16_000, 3)))
    noise = np.frombuffer(rng.randbytes(3 * 97), np.uint8)
    image = Image.fromarray(np.resize(noise, (height, width, 3)))
    for _ in range(9):
        kind, mode = rng.choice(_KINDS), rng.choice(_MODES)
        exif = Image.Exif()
        exif[0x0112] = rng.randrange(10)
        options: dict = {"exif": exif} if rng.random() < 0.3 else {}
        if rng.random() < 0.2 and kind in ("GIF", "WEBP", "TIFF", "PNG", "AVIF"):
            options |= {"save_all": True, "append_images": [image.rotate(180), image.resize((5, 4))]}
        if kind == "JPEG":
            options |= {"progressive": rng.random() < 0.5, "quality": rng.choice((1, 50, 100))}
        if kind == "TIFF":
            options |= {"compression": rng.choice((None, "tiff_lzw", "tiff_deflate", "jpeg", "packbits"))}
        buffer = io.BytesIO()
        try:
            image.convert("I" if mode.startswith("I;") else mode).convert(mode).save(buffer, kind, **options)
        except Exception:
            continue
        return buffer.getvalue(), f"{kind} {mode} {width}x{height} {sorted(options)}"
    return b"BM", "nothing"


def claimed(rng: Random) -> tuple[bytes, str]:
    """Return a file whose header claims a size that need not be its pixels'."""
    width, height = rng.choice(_CLAIMS), rng.choice(_CLAIMS)
    kind = rng.choice(("PNG", "BMP", "GIF", "JPEG", "TIFF", "WEBP", "VP8X", "PPM"))
    shown = f"{kind} claims {width}x{height}"
    small = {"width": width & 0xFFFF, "height": height & 0xFFFF}
    buffer = io.BytesIO()
    image = Image.new("RGB", (16, 16), (rng.randrange(256), 9, 7))
    if kind == "PNG":
        depth, colour = rng.choice(((8, 2), (16, 6), (1, 0), (8, 3), (16, 0)))
        pixels = zlib.compress(bytes(rng.choice((0, 100, 2**20))))
        chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, rng.randrange(2)))]
        chunks += [(b"PLTE", bytes(3 * 256))] * (colour == 3) + [(b"IDAT", pixels), (b"IEND", b"")]
        data = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
    elif kind == "BMP":
        image.save(buffer, "BMP")
        data = bytearray(buffer.getvalue())
        struct.pack_into("<II", data, 18, width, height if rng.random() < 0.7 else (2**32 - height) % 2**32)
        struct.pack_into("<HI", data, 28, rng.choice((1, 4, 8, 16, 24, 32)), rng.choice((0, 1, 2, 3)))
    elif kind == "GIF":
        image.save(buffer, "GIF")
        data = bytearray(buffer.getvalue())
        struct.pack_into("<HH", data, 6, *small.values())
        if rng.random() < 0.5 and (at := data.find(b",", 13)) > 0:
            struct.pack_into("<HH", data, at + 5, *small.values())
    elif kind == "JPEG":
        image.save(buffer, "JPEG", progressive=rng.random() < 0.5)
        data = bytearray(buffer.getvalue())
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        struct.pack_into(">HH", data, at + 5, small["height"], small["width"])
    elif kind == "TIFF":
        image.save(buffer, "TIFF", compression=rng.choice((None, "tiff_lzw", "tiff_deflate")))
        data = bytearray(buffer.getvalue())
        first = struct.unpack_from("<I", data, 4)[0]
        for entry in range(struct.unpack_from("<H", data, first)[0]):
            at = first + 2 + 12 * entry
            tag = struct.unpack_from("<H", data, at)[0]
            if tag in (256, 257) or (tag in (258, 277, 278, 322, 323) and rng.random() < 0.1):
                struct.pack_into("<HII", data, at + 2, 4, 1, rng.choice((width, height)))
    elif kind == "PPM":
        data = f"P{rng.choice('1234567fF')}\n{width} {height}\n{rng.choice((255, 65535, 0))}\n".encode() + bytes(300)
    else:
        image.save(buffer, "WEBP", lossless=rng.random() < 0.5)
        data = buffer.getvalue()
        if kind == "VP8X":
            body = (
                struct.pack("<I", 0)
                + (width & 0xFFFFFF).to_bytes(3, "little")
                + (height & 0xFFFFFF).to_bytes(3, "little")
            )
            data = b"RIFF" + struct.pack("<I", len(data) + 10) + b"WEBPVP8X" + struct.pack("<I", 10) + body + data[12:]
        else:
            data = bytearray(data)
            struct.pack_into("<HH", data, rng.choice((21, 26)), *small.values())
    return bytes(data), shown


def write(rng: Random, path: Path) -> str:
    """Write a file to ``path``; return what it is."""
    kind = rng.choice(("whole", "whole", "cut", "cut", "damaged", "damaged", "claims", "claims", "noise", "no file"))
    if kind == "no file":
        return no_file(rng, path)
    data, shown = claimed(rng) if kind == "claims" else encoded(rng)
    if kind == "cut":
        data = data[: rng.randrange(len(data) + 1)]
    elif kind == "damaged":
        data = damage(rng, data)
    elif kind == "noise":
        data = data[: rng.choice((0, 2, 4, 12, 30))] + rng.randbytes(rng.choice((0, 1, 10, 3000)))
    path.write_bytes(data)
    return f"{kind}: {shown} {data[:300]!r}"


def _size(rng: Random, path: Path) -> tuple[int, int]:
    """Return what annotations may say: often the truth."""
    try:
        with Image.open(path) as image:
            size = image.size[::-1]
    except Exception:
        size = 16, 16
    return size if min(size) > 0 and rng.random() < 0.8 else (rng.choice(_SIDES), rng.choice(_SIDES))


def alone(rng: Random, folder: Path) -> Case:
    """One file, of whatever size."""
    path = folder / rng.choice(("a.png", "a.jpg", "a\nb.png", "\udc80.png", "a"))
    shown = write(rng, path)
    size = _size(rng, path) if path.is_file() and rng.random() < 0.5 else None

    def read() -> None:
        image = read_image(path, size)
        assert image.dtype == np.uint8
        assert image.shape[2:] == (3,)
        assert size is None or image.shape[:2] == size

    return Case(read, (str(path),), f"{size} {shown}")


_TRAIN = [
    {"type": "LoadImageFromFile"},
    {"type": "RandomChoiceResize", "scales": [(133, 80), (64, 64)], "keep_ratio": True},
    {"type": "RandomCrop", "crop_size": (64, 64)},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PhotoMetricDistortion"},
    {"type": "PackDetInputs"},
]
_QUICKSTART = [
    {"type": "LoadImageFromFile"},
    {"type": "RandomFlip", "prob": [0.3, 0.3], "direction": ["horizontal", "vertical"]},
    {"type": "PackDetInputs"},
]
_JITTER = [
    {"type": "LoadImageFromFile"},
    {"type": "LargeScaleJitter", "scale": 64},
    {"type": "RandomResize", "scale": (64, 32), "ratio_range": (0.01, 2.0), "keep_ratio": True},
    {"type": "PackDetInputs"},
]


def trained_on(rng: Random, folder: Path) -> Case:
    """A data set of two images, one of them odd."""
    path = folder / "a.png"
    shown = write(rng, path)
    height, width = _size(rng, path) if path.is_file() else (16, 16)
    Image.new("RGB", (16, 16)).save(folder / "b.png")
    images = [
        {"id": 1, "file_name": "a.png", "height": height, "width": width},
        {"id": 2, "file_name": "b.png", "height": 16, "width": 16},
    ]
    boxes = [
        {"id": i, "image_id": i % 2 + 1, "category_id": 1, "bbox": [0, 0, rng.uniform(0.1, 20), rng.uniform(0.1, 20)]}
        for i in range(4)
    ]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "x"}]}
    (folder / "ann.json").write_text(json.dumps(content))
    pipeline, skip = rng.choice((_TRAIN, _TRAIN, _QUICKSTART, _JITTER)), rng.choice(("error", "skip"))

    def read() -> None:
        np.random.seed(0)
        dataset = CocoDataset("ann.json", data_root=str(folder), pipeline=pipeline, on_bad_image=skip)
        for i in range(len(dataset)):
            item = dataset[i]
            assert min(item["inputs"].shape) > 0
            assert torch.isfinite(item["data_samples"].gt_instances.bboxes).all()

    return Case(read, (str(folder),), f"on_bad_image={skip} {height}x{width} {shown}")


class Detector:
    """Finds one box in every image."""

    classes = ("x",)
    cfg = Config(
        {
            "test_dataloader": {
                "dataset": {
                    "pipeline": [
                        {"type": "LoadImageFromFile"},
                        {"type": "Resize", "scale": (133, 80), "keep_ratio": True},
                        {"type": "PackDetInputs"},
                    ]
                }
            }
        }
    )

    batch_size = None

    def batch_key(self, image: torch.Tensor) -> tuple[int, ...]:
        return tuple(image.shape)

    def test_step(self, data: dict) -> list[DetDataSample]:
        for sample in data["data_samples"]:
            sample.pred_instances = InstanceData(
                bboxes=torch.tensor([[0.0, 0, 5, 5]]), scores=torch.ones(1), labels=torch.zeros(1, dtype=torch.long)
            )
        return data["data_samples"]


def detected_in(rng: Random, folder: Path) -> Case:
    """A folder, a file, or the bad ones of several."""
    path = folder / "in" / rng.choice(("a.png", "a.jpg", "a.tif", "a.bmp", "a.webp", "a.gif", "a.dat", "a"))
    path.parent.mkdir()
    shown = write(rng, path)
    whole, find = rng.random() < 0.5, rng.random() < 0.2

    def read() -> None:
        if find:
            find_bad_images([(str(path), (16, 16))] * 3)
            inference_detector(Detector(), [path, path])
        found = detect_folder(Detector(), path.parent if whole else path, folder / "out")
        for reason in found["info"]["failed"].values():
            raise BadImageError(reason)

    return Case(read, (str(folder),), f"folder={whole} find={find} {path.name} {shown}")


def array_of(rng: Random, folder: Path) -> Case:
    """A numpy file, of any shape and type, whole or damaged."""
    dtype = rng.choice(("u1", "u2", "<u4", "i2", "f2", "f4", "f8", "?", "c8", "U3", "O", ">u2"))
    shape = tuple(rng.choice((0, 1, 2, 5, 16)) for _ in range(rng.choice((0, 1, 2, 3, 3, 3, 4))))
    buffer = io.BytesIO()
    values = np.full(shape, rng.choice((0, 1, 7)))
    if dtype.startswith("f") and rng.random() < 0.3:
        values = values * np.nan
    with np.errstate(all="ignore"):
        array = np.array(values, dtype=dtype, order=rng.choice("CF"))
    np.lib.format.write_array(buffer, array, version=rng.choice(((1, 0), (2, 0), None)), allow_pickle=True)
    data = buffer.getvalue()
    kind = rng.choice(("whole", "whole", "cut", "damaged", "claims", "long"))
    if kind == "cut":
        data = data[: rng.randrange(6, len(data) + 1)]
    elif kind == "damaged":
        data = data[:6] + damage(rng, data[6:])
    elif kind == "claims":
        size = str(rng.choice((-1, 2**31, 2**63, 10**30, 1.5, "'x'", 2**20))).encode()
        data = data.replace(b"'shape': (", b"'shape': (" + size + b", ", 1)
    elif kind == "long":
        data += rng.randbytes(rng.choice((1, 100, 10_000)))
    path = folder / rng.choice(("a.npy", "a.png"))
    path.write_bytes(data)
    channels, value_range = rng.choice((None, 1, 3, 5)), rng.choice((None, "image", (0, 4095)))
    size = rng.choice((None, shape[:2] if len(shape) > 1 else None, (16, 16)))

    def read() -> None:
        image_size(path)
        image = read_image(path, size, value_range=value_range, channels=channels)
        assert image.dtype == np.uint8
        assert image.shape[2:] == (channels or 3,)
        assert size is None or image.shape[:2] == tuple(size)

    return Case(read, (str(path),), f"{kind} {dtype} {shape} {channels} {value_range} {size} {data[:200]!r}")


READERS = [
    Reader("images", alone, cases=100),
    Reader("images_of_numpy", array_of, cases=60),
    Reader("images_trained_on", trained_on, cases=60),
    Reader("images_detected_in", detected_in, cases=60),
]
