"""Reading image files, and what the data set does about bad ones."""

import io
import os
import pickle
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from rdet.datasets import BadImageError, CocoDataset, DatasetError, LoadReport, VocDataset
from rdet.datasets.bad_images import find_bad_images
from rdet.datasets.images import read_image
from rdet.datasets.on_disk import missing_files
from rdet.datasets.transforms import LoadImageFromFile


def picture(height=30, width=40) -> np.ndarray:
    """RGB, red at the left, blue at the top."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 4, 0] = 255
    image[: height // 3, :, 2] = 255
    return image


def encoded(image: np.ndarray, kind: str, **kwargs) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **kwargs)
    return buffer.getvalue()


def test_bgr(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(picture(), "PNG"))
    image = read_image(tmp_path / "a.png", (30, 40))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, picture()[..., ::-1])


def test_grey_gets_three_channels(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(picture()[..., 0], "PNG"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), picture()[..., :1].repeat(3, axis=2))


@pytest.fixture
def rotated(tmp_path):
    """Stored 40 wide and 30 high, with the note to turn it by 90 degrees clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "rotated.jpg"
    path.write_bytes(encoded(picture(), "JPEG", exif=exif, quality=95, subsampling=0))
    return path


@pytest.mark.parametrize("size", [None, (40, 30)])
def test_exif_orientation_is_applied(rotated, size):
    expected = np.rot90(picture(), k=-1)[..., ::-1]
    assert np.abs(read_image(rotated, size).astype(int) - expected).mean() < 5  # JPEG is not exact


def test_exif_orientation_is_not_applied_if_the_boxes_were_drawn_without(rotated):
    assert np.abs(read_image(rotated, (30, 40)).astype(int) - picture()[..., ::-1]).mean() < 5


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_tiff_is_turned_back_too(orientation, tmp_path):
    """OpenCV turns a TIFF whatever it is told."""
    path = tmp_path / "rotated.tif"
    path.write_bytes(encoded(picture(), "TIFF", tiffinfo={0x0112: orientation}))
    assert read_image(path, (40, 30)).shape[:2] == (40, 30)
    np.testing.assert_array_equal(read_image(path, (30, 40)), picture()[..., ::-1])


def test_other_size(rotated):
    message = "rotated.jpg: the image is 30x40 pixels, its annotations say 41x30"
    with pytest.raises(BadImageError, match=message) as error:
        read_image(rotated, (30, 41))
    assert error.value.reason == "of another size"


NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("part", [0.4, 0.95])
def test_truncated(tmp_path, kind, part):
    data = encoded(NOISE, kind)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(BadImageError, match=r"cut: (the image file is truncated|not an image)") as error:
        read_image(path)
    if kind in ("JPEG", "PNG"):
        assert error.value.reason == "truncated"


def test_truncated_even_if_the_decoder_fills_in(tmp_path, monkeypatch):
    """OpenCV 4 decodes the part of a JPEG that is there and paints the rest grey."""
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(NOISE, "JPEG")[:-500])
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: NOISE)
    with pytest.raises(BadImageError, match=r"cut\.jpg: the image file is truncated"):
        read_image(path)


def test_padding_after_the_end_is_fine(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(NOISE, "JPEG") + bytes(1000))
    assert read_image(tmp_path / "a.jpg").shape == (60, 80, 3)


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff\xd9"])
def test_no_image(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(BadImageError, match=r"a\.jpg: not an image that OpenCV can decode") as error:
        read_image(tmp_path / "a.jpg")
    assert error.value.reason == "unreadable"


def test_missing(tmp_path):
    with pytest.raises(BadImageError, match=r"none\.jpg: the image file is missing") as error:
        read_image(tmp_path / "none.jpg")
    assert error.value.reason == "missing"


def test_folder(tmp_path):
    with pytest.raises(BadImageError, match=r"cannot read the image file \(it is a folder\)"):
        read_image(tmp_path)


def test_find_bad_images(tmp_path):
    for i in range(20):
        (tmp_path / f"{i}.png").write_bytes(encoded(picture(), "PNG"))
    (tmp_path / "3.png").unlink()
    bad = find_bad_images((str(tmp_path / f"{i}.png"), (30, 40 + (i == 15))) for i in range(20))
    assert {i: error.reason for i, error in bad.items()} == {3: "missing", 15: "of another size"}


def spoil(root):
    (root / "img/3.png").write_bytes((root / "img/3.png").read_bytes()[:-200])
    (root / "img/9.png").unlink()


def test_skip(coco, write, tmp_path, log):
    kwargs = write(coco)
    spoil(tmp_path)
    dataset = CocoDataset(**kwargs, on_bad_image="skip")
    assert dataset.report == LoadReport(1, 1, 0, 0, {"images missing": 1, "images truncated": 1})
    assert f"left out 1 images missing: {tmp_path}/img/9.png" in log.text
    assert f"left out 1 images truncated: {tmp_path}/img/3.png" in log.text
    truth = dataset.coco_ground_truth()
    assert [image["id"] for image in truth["images"]] == [7]
    assert [box["id"] for box in truth["annotations"]] == [12]


def test_processes_share_the_reading_and_have_the_same_images(coco, write, tmp_path, monkeypatch):
    """Three of them here, in turns; errors come from others as they would by a network."""
    kwargs = write(coco)
    spoil(tmp_path)
    alone = CocoDataset(**kwargs, on_bad_image="skip")
    shares = []

    def as_three_do(call, items, what):
        shares.extend(items[rank::3] for rank in range(3))
        found = [pickle.loads(pickle.dumps(call(share))) for share in shares]
        assert what == f"images of {alone.ann_file}"
        return [found[index % 3][index // 3] for index in range(len(items))]

    monkeypatch.setattr("rdet.datasets.bad_images.each_does_its_share", as_three_do)
    dataset = CocoDataset(**kwargs, on_bad_image="skip")
    assert [len(share) for share in shares] == [1, 1, 1]
    assert dataset.report == alone.report
    assert dataset.coco_ground_truth() == alone.coco_ground_truth()


def test_error_names_the_file_and_the_remedy(coco, write, tmp_path):
    dataset = CocoDataset(**write(coco), pipeline=[{"type": "LoadImageFromFile"}])
    spoil(tmp_path)
    assert dataset[0]["img"].shape == (30, 40, 3)
    message = f"{tmp_path}/img/9.png: the image file is missing; check data_root and data_prefix['img'], or set on_bad_"
    with pytest.raises(BadImageError, match=re.escape(message)) as error:
        dataset[2]
    assert "\n" not in str(error.value)


def test_missing_files(tmp_path, monkeypatch):
    for name in ("a.png", "sub/b.png", "folder.png/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link.png").symlink_to("a.png")
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    there = [str(tmp_path / name) for name in ("a.png", "link.png", "sub/b.png", "sub/../a.png")]
    missing = [str(tmp_path / name) for name in ("no.png", "broken.png", "folder.png", "sub/a.png", "none/a.png")]
    assert missing_files([*missing[:3], *there, *missing[3:]]) == missing
    monkeypatch.chdir(tmp_path)
    assert missing_files(["a.png", "no.png"]) == ["no.png"]


def test_files_in_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"")

    def refuse(folder):
        raise PermissionError

    monkeypatch.setattr(os, "scandir", refuse)
    assert missing_files([str(tmp_path / "a.png"), str(tmp_path / "b.png")]) == [str(tmp_path / "b.png")]


LOAD = [{"type": "LoadImageFromFile"}]


def test_missing_images_are_found_at_the_start(coco, write, tmp_path):
    kwargs = write(coco)
    for name in ("7.png", "9.png"):
        (tmp_path / "img" / name).unlink()
    message = (
        f"{tmp_path}/ann.json: 2 of 3 image files are missing: {tmp_path}/img/7.png, {tmp_path}/img/9.png; "
        "check data_root and data_prefix['img'], or set on_bad_image='skip' to leave such images out"
    )
    with pytest.raises(BadImageError, match=f"^{re.escape(message)}$") as error:
        CocoDataset(**kwargs, pipeline=LOAD, test_mode=True)
    assert error.value.reason == "missing"
    # neither images that are not used nor, without a loader, any image at all
    assert len(CocoDataset(**kwargs, pipeline=LOAD, indices=[1])) == 1
    assert len(CocoDataset(**kwargs, pipeline=LOAD, on_bad_image="skip")) == 1
    assert len(CocoDataset(**kwargs)) == 3


def test_only_the_first_missing_images_are_named(coco, write):
    coco["images"] += [{**coco["images"][0], "id": i, "file_name": f"{i}.png"} for i in (20, 21)]
    with pytest.raises(
        BadImageError, match=r"5 of 5 image files are missing: \S+7\.png, \S+3\.png, \S+9\.png, \.\.\.;"
    ):
        CocoDataset(**write(coco, images=False), pipeline=LOAD)


def test_missing_voc_images_are_found_at_the_start(voc):
    split = "ImageSets/Main/train.txt"
    assert len(VocDataset(split, data_root=voc, pipeline=LOAD)) == 2
    (voc / "JPEGImages/a.png").rename(voc / "JPEGImages/z.png")
    with pytest.raises(BadImageError, match=r"train\.txt: 1 of 2 image files are missing: \S+/JPEGImages/a\.png;"):
        VocDataset(split, data_root=voc, pipeline=LOAD)


def test_lone_file_has_no_data_set_to_set(tmp_path):
    with pytest.raises(BadImageError, match=r"is missing; check the path$"):
        LoadImageFromFile()({"img_path": str(tmp_path / "none.jpg")})


def test_load_image_sets_the_keys(coco, write):
    record = CocoDataset(**write(coco), pipeline=[{"type": "LoadImageFromFile"}])[0]
    assert record["ori_shape"] == record["img_shape"] == (30, 40)
    assert (record["scale_factor"], record["flip"], record["flip_direction"]) == ((1.0, 1.0), False, None)


def test_load_image_takes_an_array():
    record = LoadImageFromFile()({"img": picture()})
    np.testing.assert_array_equal(record["img"], picture())
    assert record["ori_shape"] == (30, 40)
    assert record["img_path"] is None


@pytest.mark.parametrize("image", [np.zeros((3, 4), np.uint8), np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 3))])
def test_load_image_refuses_other_arrays(image):
    message = f"img must be (H, W, 3) uint8 in BGR order, got {image.shape} {image.dtype}"
    with pytest.raises(DatasetError, match=re.escape(message)):
        LoadImageFromFile()({"img": image})


def test_every_coco_mini_image_can_be_read(shared):
    dataset = CocoDataset(
        "annotations/instances_train2017.json",
        data_root=shared / "coco_mini",
        data_prefix={"img": "train2017"},
        on_bad_image="skip",
    )
    assert dataset.report.images == 166
