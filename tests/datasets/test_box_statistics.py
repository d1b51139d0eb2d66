"""How boxes are counted and measured."""

from types import SimpleNamespace

import numpy as np

from rdet.datasets.box_statistics import box_statistics


class Boxes:
    metainfo = {"classes": ("a", "b", "c")}

    def __init__(self, images: int):
        self.images = images

    def __len__(self):
        return self.images

    def full_init(self):
        pass

    def get_data_info(self, index: int) -> dict:
        boxes = np.array([[10, 20, 30, 60], [0, 0, 100, 50], [0, 0, 4, 4]], dtype=np.float32)
        labels, flags = np.array([0, 2, 0]), np.array([False, False, True])
        return {"gt_bboxes": boxes, "gt_bboxes_labels": labels, "gt_ignore_flags": flags, "width": 100, "height": 200}


def test_boxes_are_counted_and_measured():
    found = box_statistics(SimpleNamespace(dataset=Boxes(3), metainfo=Boxes.metainfo))
    assert found.by_class == {"a": 3, "b": 0, "c": 3}
    assert found.sizes.tolist() == [[20, 40], [100, 50]] * 3
    assert found.centres.tolist() == [[0.2, 0.2], [0.5, 0.125]] * 3


def test_of_many_images_some_are_measured_and_all_are_counted():
    found = box_statistics(Boxes(50), most_images=5)
    assert found.by_class == {"a": 50, "b": 0, "c": 50}
    assert len(found.sizes) == 10
    assert box_statistics(Boxes(0)).sizes.shape == (0, 2)
