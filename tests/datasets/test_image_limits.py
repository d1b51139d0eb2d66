"""What a small file can claim, and what is no file at all, costs neither memory nor time nor a word on the terminal."""

import contextlib
import io
import os
import re
import resource
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from rdet.apis.infer.sources import find_sources
from rdet.apis.inference import inference_detector
from rdet.datasets import BadImageError, CocoDataset
from rdet.datasets.bad_images import find_bad_images
from rdet.datasets.image_header import claims_too_much
from rdet.datasets.images import MAX_PIXELS, read_image
from rdet.datasets.quiet import quiet_decoders
from rdet.datasets.transforms import LoadImageFromFile, Resize
from rdet.datasets.transforms.failure import failed_at
from rdet.errors import PipelineError, RdetError
from rdet.visualization.draw import save_image


def png(width, height, pixels=b""):
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


@pytest.fixture
def never_decoded(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: pytest.fail("decoded"))


@pytest.mark.usefixtures("never_decoded")
def test_too_many_pixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(20_000, 20_000))
    message = f"{path}: the image has 20000x20000 pixels, more than {MAX_PIXELS}; make it smaller, or raise max_pixels"
    with pytest.raises(BadImageError, match=re.escape(message)) as error:
        read_image(path)
    assert error.value.reason == "too large"
    with pytest.raises(BadImageError, match="make it smaller, raise max_pixels .* or set on_bad_image='skip'"):
        read_image(path, (20_000, 20_000))
    with pytest.raises(BadImageError, match="is 20000x20000 pixels, its annotations say 30x40"):
        read_image(path, (40, 30), max_pixels=10**9)


def test_limit_of_the_loader_is_that_of_the_data_set(coco, write):
    loader = {"type": "LoadImageFromFile", "max_pixels": 30 * 40 - 1}
    dataset = CocoDataset(**write(coco), pipeline=[loader])
    with pytest.raises(BadImageError, match=r"7\.png: the image has 40x30 pixels, more than 1199; make it smaller"):
        dataset[0]
    with pytest.raises(ValueError, match="left out 3 images too large"):
        CocoDataset(**write(coco), pipeline=[loader], on_bad_image="skip")
    assert len(CocoDataset(**write(coco), pipeline=[{**loader, "max_pixels": 1200}], on_bad_image="skip")) == 3


def test_more_pixels_than_pillow_allows_can_be_asked_for(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (30, 40, 3)
    assert not recwarn.list


@pytest.mark.usefixtures("never_decoded")
def test_file_longer_than_any_image(tmp_path):
    with open(tmp_path / "a.png", "wb") as file:
        file.write(png(1, 1))
        file.truncate(2**40)  # holds nothing
    with pytest.raises(BadImageError, match="the image file has 1099511627776 bytes") as error:
        read_image(tmp_path / "a.png")
    assert error.value.reason == "too large"


@pytest.mark.parametrize(("kind", "make"), [("a pipe", os.mkfifo), ("a folder", os.mkdir)])
def test_no_file(tmp_path, kind, make):
    make(tmp_path / "a.png")
    with pytest.raises(
        BadImageError, match=rf"a\.png: cannot read the image file \(it is {kind}\); mend or replace it"
    ):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["/dev/zero", "a\0b.png", "\ud800.png"])
def test_device_and_impossible_names(name):
    with pytest.raises(
        BadImageError, match=r"cannot read the image file \((it is a device|no file can have that name)"
    ):
        read_image(name)


def test_every_error_of_a_decoder_is_a_bad_image(tmp_path, monkeypatch):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")

    def fail(data, flags):
        raise cv2.error("OpenCV says")

    monkeypatch.setattr(cv2, "imdecode", fail)
    with pytest.raises(BadImageError, match="not an image that OpenCV can decode"):
        read_image(tmp_path / "a.png")
    assert find_bad_images([(str(tmp_path / "a.png"), (3, 4))])[0].reason == "unreadable"


def test_grey_that_opencv_keeps_grey(tmp_path):
    Image.new("F", (4, 3)).save(tmp_path / "a.ppm", "PPM")
    assert read_image(tmp_path / "a.ppm", value_range=(0, 1)).shape == (3, 4, 3)


def corrupt(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, kind)
    data = bytearray(buffer.getvalue())
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    return bytes(data)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF"])
def test_decoders_are_silent(tmp_path, capfd, kind):
    (tmp_path / "a").write_bytes(corrupt(kind))
    with contextlib.suppress(BadImageError):
        read_image(tmp_path / "a")
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only")
def test_other_words_are_passed_on(capfd):
    with quiet_decoders(), quiet_decoders():
        os.write(2, b"libpng error: x\nmine\n")
        thread = threading.Thread(target=lambda: os.write(2, b"[ WARN:0@1] y\nanother's\n"))
        thread.start()
        thread.join()
        child = os.fork()
        if not child:
            os.write(2, b"libpng: a child's own\n")
            os._exit(0)
        os.waitpid(child, 0)
    os.write(2, b"libpng error: after\n")
    assert capfd.readouterr().err == "libpng: a child's own\nmine\nanother's\nlibpng error: after\n"


@pytest.mark.parametrize(("height", "width"), [(1, 20_000), (20_000, 1)])
def test_resize_leaves_a_pixel(height, width):
    record = Resize((1333, 800), keep_ratio=True)({"img": np.zeros((height, width, 3), np.uint8)})
    assert sorted(record["img_shape"]) == [1, 1333]
    assert record["scale_factor"] == (record["img_shape"][1] / width, record["img_shape"][0] / height)


def test_a_scale_that_no_image_can_have_is_refused():
    message = (
        r"^a\.png: scale \(4294967296, 4294967296\) makes .* pixels of 6 x 4; an image has 1,073,741,824 at most, lower"
    )
    with pytest.raises(PipelineError, match=message):
        Resize(2**32)({"img": np.zeros((4, 6, 3), np.uint8), "img_path": "a.png"})


def test_transform_that_fails_is_one_line(coco, write):
    def fail(record):
        return cv2.resize(record["img"], (0, 0))

    dataset = CocoDataset(**write(coco), pipeline=[LoadImageFromFile(), fail])
    with pytest.raises(
        PipelineError, match=r"7\.png: the pipeline failed: error: OpenCV.*; repair the transform"
    ) as error:
        dataset[0]
    assert "\n" not in str(error.value)


def test_transform_that_fails_in_inference_names_the_image(tmp_path):
    class Model:
        cfg = Config({"test_dataloader": {"dataset": {"pipeline": [{"type": "Resize", "scale": (8, 8)}]}}})

    assert str(failed_at("a.png", "Resize", MemoryError("Unable to allocate 2 GiB"))) == (
        "a.png: Resize failed: MemoryError: Unable to allocate 2 GiB; lower the size of images, or num_workers"
    )
    with pytest.raises(PipelineError, match=r"a\.png: Resize failed: KeyError: 'img'; repair the transform, or remove"):
        inference_detector(Model(), str(tmp_path / "a.png"))


def test_folders_named_like_images_are_none(tmp_path):
    (tmp_path / "a.png").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png" / "b.png")
    assert [source.where for source in find_sources([tmp_path])] == [str(tmp_path / "a.png" / "b.png")]


@pytest.mark.parametrize(
    ("name", "width", "said"),
    [
        ("a.webp", 20_000, r"a\.webp: no WEBP of this size can be written .*; name it \.png"),
        ("a", 4, r"a: no picture can be written by the suffix ''; take \.png or \.jpg"),
    ],
)
def test_picture_that_cannot_be_written(tmp_path, name, width, said):
    with pytest.raises(RdetError, match=said):
        save_image(tmp_path / name, np.zeros((1, width, 3), np.uint8))


@pytest.mark.parametrize("chunk", [b"IDAT", b"IHDR"])
def test_a_chunk_that_claims_gigabytes_is_not_believed(chunk, tmp_path):
    """Of 72 bytes, OpenCV took 4 GB."""
    path = tmp_path / "a.png"
    Image.new("RGB", (16, 12)).save(path)
    data = bytearray(path.read_bytes())
    at = data.index(chunk)
    data[at - 4 : at] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadImageError, match=r"a\.png: "):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def test_what_claims_too_much(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (16, 12)).save(path)
    assert not claims_too_much(path.read_bytes())
    assert not claims_too_much(path.read_bytes() + b"notes behind the end")
    assert claims_too_much(path.read_bytes()[:50])
    assert not claims_too_much(b"\xff\xd8 no PNG")
