"""CsvDataset: what it reads, and what it says of faults."""

import numpy as np
import pytest
from made_sets import write_images
from PIL import Image

from rdet.datasets import CsvDataset, DatasetError, LoadReport
from rdet.datasets.folders import look_at

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"
ROWS = ("b.png,40,30,dog,1,2,11,22", "a.png,40,30,cat,0,0,40,30", "b.png,40,30,cat,30,20,50,40", "c.png,40,30,,,,,")


@pytest.fixture
def table(tmp_path):
    """Writes a table and its images; returns arguments of CsvDataset."""
    for stem in "abc":
        Image.new("RGB", (40, 30)).save(tmp_path / f"{stem}.png")

    def write(*rows: str, header: str = HEADER, encoding: str = "utf-8") -> dict:
        (tmp_path / "boxes.csv").write_text("\n".join([header, *rows]), encoding=encoding)
        return {"ann_file": "boxes.csv", "data_root": str(tmp_path)}

    return write


def test_records(table):
    dataset = CsvDataset(**table(*ROWS), pipeline=[{"type": "LoadImageFromFile"}])
    assert dataset.metainfo["classes"] == ("cat", "dog")
    assert dataset.report == LoadReport(images=3, boxes=3, ignored=0, empty_images=1, dropped={}, clipped=1)
    first = dataset[0]
    assert (first["img_id"], first["img_path"].rpartition("/")[2]) == (1, "b.png")
    np.testing.assert_array_equal(first["gt_bboxes"], [[1, 2, 11, 22], [30, 20, 40, 30]])
    np.testing.assert_array_equal(first["gt_bboxes_labels"], [1, 0])


def test_pixels_from_one(table):
    record = CsvDataset(**table(*ROWS), one_based=True).get_data_info(0)
    np.testing.assert_array_equal(record["gt_bboxes"][0], [0, 1, 11, 22])


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_orders_and_columns(table, separator):
    rows = [separator.join([*reversed(row.split(",")), '"an, other"']) for row in ROWS]
    header = separator.join([*(f" {name.title()} " for name in reversed(HEADER.split(","))), "note"])
    other = CsvDataset(**table(*rows, header=header, encoding="utf-8-sig")).coco_ground_truth()
    assert other == CsvDataset(**table(*ROWS)).coco_ground_truth()


def test_classes_may_cover_more_than_the_file(table):
    classes = ("yak", "dog", "cat")
    assert CsvDataset(**table(*ROWS), metainfo={"classes": classes}).metainfo["classes"] == classes
    with pytest.raises(DatasetError, match=r"boxes\.csv has no class 'dgo'. Did you mean 'dog'\? Valid: cat, dog"):
        CsvDataset(**table(*ROWS), metainfo={"classes": ("cat", "dgo")})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png,40,30,cat,1,2,3", r"line 2 of .*boxes\.csv has 7 values, but there are 8 columns; correct it"),
        (
            "a.png,40,30,cat,one,2,3,4",
            r"line 2 of .*boxes\.csv: xmin is 'one', not a finite number of pixels; write one",
        ),
        ("a.png,40,30,cat,nan,2,3,4", r"xmin is 'nan', not a finite"),
        ("a.png,40,30,cat,1,2,3,1e300", r"ymax is '1e300', not a finite"),
        ("z.png,0,30,cat,1,2,3,4", r"line 2 of .* has the size 0x30; give the image's width and height in pixels"),
        (",40,30,cat,1,2,3,4", r"line 2 of .* has no filename; give the path of its image"),
        ("a.png,40,30,,1,2,3,4", r"line 2 of .* has no class; name it, or empty the box too"),
        ("a.png,40,30,cat,1,2,3,4\na.png,41,30,cat,1,2,3,4", r"line 3 of .*'a\.png' is 41x30 here, but 40x30 before"),
        ('a.png,40,30,"cat,1,2,3,4', r"line 2 of .* is no row of a csv file \(unexpected end of data\); correct it"),
        ("../a.png,40,30,cat,1,2,3,4", r"1 of 1 files lie outside of the data set's folder"),
        ("", r"boxes\.csv has no row; write one for each box"),
        ("a.png,40,30,cat,5,5,5,9", r"no box to learn in 1 images \(1 boxes without width or height left out\)"),
    ],
)
def test_bad_row(table, row, message):
    with pytest.raises(DatasetError, match=message) as error:
        CsvDataset(**table(row))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b", r"has no column 'filename' but 'a', 'b'; name it in the first line"),
        (HEADER.replace("xmin", "xmn"), r"has no column 'xmin' but .*\. Did you mean 'xmn'"),
        (HEADER.replace("xmin", "xmax"), r"has no column 'xmin' but"),
        (f"{HEADER},class", r"has the column 'class' 2 times; leave one"),
    ],
)
def test_bad_header(table, header, message):
    with pytest.raises(DatasetError, match=message):
        CsvDataset(**table(*ROWS, header=header))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty; write a table with the columns filename,width"),
        (b"\xff\xfe\x00", "is no text in UTF-8; save"),
    ],
)
def test_no_table(table, tmp_path, data, message):
    arguments = table()
    (tmp_path / "boxes.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=rf"boxes\.csv {message}"):
        CsvDataset(**arguments)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (
            "xmin,ymin,xmax,ymax,label,image",
            "1,2,11,22,cat,a.png",
            "'image' is taken for 'filename', 'label' is ",
        ),
        ("path,x1,y1,x2,y2,class_name", "a.png,1,2,11,22,cat", "'x1' is taken for 'xmin', 'y1' is taken for 'ymin', "),
        (
            "image_id,x,y,w,h,category",
            "a.png,1,2,10,20,cat",
            "'w' is taken for the width of the box, 'h' is ",
        ),
        ("filename,class,x,y,width,height", "a.png,cat,1,2,10,20", "'width' is taken for the width of the box"),
        ("filename,width,height,class,xmin,ymin,box_width,box_height", "a.png,40,30,cat,1,2,10,20", "'box_width' is"),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_names_of_columns_are_told_and_said(header, row, said, separator, encoding, tmp_path, log):
    write_images(tmp_path, ["a"])
    text = f"{header}\n{row}\n".replace(",", separator)
    (tmp_path / "boxes.csv").write_bytes(text.encode(encoding))
    for one_based in (False, True):
        record = CsvDataset("boxes.csv", data_root=tmp_path, one_based=one_based).get_data_info(0)
        is_size = "width" in said
        x, y = 1 - one_based, 2 - one_based
        end = (x + 10, y + 20) if is_size else (11, 22)
        assert record["gt_bboxes"].tolist() == [[x, y, *end]]
        assert (record["width"], record["height"]) == (40, 30)
    assert log.text.count("boxes.csv: the column ") == 2
    assert said in log.text
    assert look_at(str(tmp_path)).kind == "a csv table"
