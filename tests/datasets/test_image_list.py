"""A list of the images to use, of any reader."""

import numpy as np
import pytest

from rdet.datasets import CocoDataset, DatasetError, VocDataset


def test_only_the_listed_images(coco, write, tmp_path):
    whole = CocoDataset(**write(coco))
    (tmp_path / "list.txt").write_text("9.png\n3.png\n")
    part = CocoDataset(**write(coco), image_list="list.txt")
    assert [part.get_data_info(i)["img_id"] for i in range(len(part))] == [3, 9]  # in the file's order
    np.testing.assert_array_equal(part.get_data_info(0)["gt_bboxes"], whole.get_data_info(1)["gt_bboxes"])
    truth, all_truth = part.coco_ground_truth(), whole.coco_ground_truth()
    assert truth["annotations"] == [a for a in all_truth["annotations"] if a["image_id"] in (3, 9)]
    assert truth["categories"] == all_truth["categories"]
    assert (part.report.boxes, whole.report.boxes) == (2, 3)


def test_what_is_left_out_is_that_of_the_list(coco, write, tmp_path, log):
    coco["annotations"][0]["bbox"] = [1, 2, 0, 20]
    coco["annotations"][1]["bbox"] = [1, 2, 0, 20]
    (tmp_path / "list.txt").write_text("3.png\n")
    part = CocoDataset(**write(coco), image_list=str(tmp_path / "list.txt"))
    assert part.report.dropped == {"boxes without width or height": 1}
    assert "without width or height: annotation 11" in log.text


def test_voc(voc, tmp_path):
    (tmp_path / "list.txt").write_text("c.png\n")
    dataset = VocDataset("Annotations", data_root=voc, image_list="list.txt")
    assert (len(dataset), dataset.metainfo["classes"]) == (1, ("ant", "cat", "dog"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "3.png\n4.png\n",
            r"list\.txt lists '4\.png', which .*ann\.json does not have; write them as there",
        ),
        ("3.png\n3.png\n", r"list\.txt lists '3\.png' 2 times; leave one"),
        ("", r"list\.txt is empty; write images, one a line"),
        (None, r"list\.txt: no such file; check image_list and data_root"),
    ],
)
def test_wrong_list(coco, write, tmp_path, text, message):
    if text is not None:
        (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DatasetError, match=message):
        CocoDataset(**write(coco), image_list="list.txt")
