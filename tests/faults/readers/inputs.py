"""Other inputs of what detects than images: videos, and lists of paths."""

import string
from pathlib import Path
from random import Random

import cv2
import numpy as np
from fuzz import Case, Reader
from odd import damage

from rdet.apis.infer.run import detect
from rdet.apis.infer.sources import find_sources
from rdet.apis.infer.writers import make_writers
from rdet.errors import BadImageError
from readers.images import Detector

_CODECS = (("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "MJPG"))
_ADDRESSES = ("http://", "http://[", "rtsp://[")
_WORDS = ("a.png", "b/*.png", "b", "**", "[a", "a\0b", "~", "b/..", "0x1", "#", "@list.txt", "9" * 9, *_ADDRESSES)


def video(rng: Random, folder: Path) -> Case:
    """A video that is damaged, cut, or something else."""
    suffix, codec = rng.choice(_CODECS)
    path = folder / f"a.{suffix}"
    fps = rng.choice((1, 25, 240))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    for index in range(rng.choice((1, 5, 12))):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()
    data = path.read_bytes()
    kind = rng.choice(("damaged", "cut", "noise", "whole"))
    cut = data[: rng.randrange(len(data))]
    data = {"damaged": damage(rng, data), "cut": cut, "noise": rng.randbytes(999)}.get(kind, data)
    path.write_bytes(data)
    return _detected(str(path), (str(path),), folder, f"{kind} {suffix}")


def listed(rng: Random, folder: Path) -> Case:
    """A list with odd lines."""
    (folder / "b").mkdir()
    for name in ("a.png", "b/c.png"):
        cv2.imwrite(str(folder / name), np.zeros((20, 30, 3), np.uint8))
    lines = [rng.choice((*_WORDS, "".join(rng.choices(string.printable, k=9)))) for _ in range(rng.randrange(4))]
    text = rng.choice(("\n", "\r\n", "\0", "\x85")).join(lines).encode("utf-8")
    path = folder / "list.txt"
    # Addresses of the list are not asked for: it names no host that could answer.
    path.write_bytes(damage(rng, text) if rng.random() < 0.3 and b"/" not in text else text)
    return _detected(f"@{path}", (str(path),), folder, repr(text))


def _detected(text: str, names: tuple[str, ...], folder: Path, shown: str) -> Case:
    def read() -> None:
        sources = find_sources([text])[:20]
        writers = make_writers(("coco", "csv", "video"), folder / "out", Detector.classes)
        done = detect(Detector(), sources, writers)
        for reason in done.failed.values():
            raise BadImageError(f"{text}: {reason}")

    return Case(read, names, shown)


READERS = [
    Reader("videos_detected_in", video, cases=20),
    Reader("lists_detected_in", listed, cases=20),
]
