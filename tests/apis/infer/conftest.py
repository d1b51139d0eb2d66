"""What there is to detect in: pictures and a video."""

import cv2
import pytest
from bright_finder import Finder, scene


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def pictures(tmp_path):
    """Folder with four images of two sizes, one of them in a folder, and one that is broken."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "sub/c.png", "d.png")):
        cv2.imwrite(str(folder / name), scene(48 + 16 * (index % 2), 64, ((8, 10, 20, 30, 200 + index),)))
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
    return folder


@pytest.fixture
def clip(tmp_path):
    """Video of six frames, whose box moves by 5 pixels from frame to frame."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (64, 48))
    for index in range(6):
        writer.write(scene(boxes=((5 * index + 8, 8, 5 * index + 24, 32, 250),)))
    writer.release()
    return path
