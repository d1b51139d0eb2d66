import numpy as np
import pytest
import torch
from PIL import Image

from rdet.visualization.draw import class_color, draw_boxes, draw_comparison, save_image

GREY = np.full((240, 320, 3), 90, np.uint8)


def has(image, color):
    return (image == np.array(color)).all(-1)


def test_box_is_drawn_in_its_class_colour_where_it_is():
    out = draw_boxes(GREY, torch.tensor([[40.0, 60, 200, 180]]), torch.tensor([1]), ("cell", "dust"))
    drawn = has(out, class_color(1))
    assert drawn[60, 40:201].all()
    assert drawn[180, 40:201].all()
    assert drawn[60:181, 40].all()
    assert drawn[60:181, 200].all()
    assert (out[61:180, 41:200] == 90).all()  # nothing inside the box
    assert (out[181:] == 90).all()
    assert not has(GREY, class_color(1)).any()  # the caller's image stays


def test_line_grows_with_the_image():
    widths = []
    for scale in (1, 4):
        image = np.zeros((240 * scale, 320 * scale, 3), np.uint8)
        out = draw_boxes(image, np.array([[100, 100, 200, 200]]) * scale, [0], ("x",))
        widths.append(has(out, class_color(0))[150 * scale, : 150 * scale].sum())
    assert widths == [1, 4]


def test_all_are_drawn_and_the_best_is_on_top():
    boxes = np.array([[50, 50, 150, 150], [50, 50, 150, 150], [200, 50, 300, 150]])
    out = draw_boxes(GREY, boxes, [0, 1, 2], "abc", scores=[0.9, 0.6, 0.01])
    assert has(out, class_color(0))[100, 50]
    assert has(out, class_color(2))[100, 200]
    assert has(draw_boxes(GREY, boxes, [0, 1, 2], "abc", scores=[0.6, 0.9, 0.2]), class_color(1))[100, 50]


def test_label_stays_in_the_image():
    out = draw_boxes(GREY, [[300, 0, 319, 20], [-50, 220, 30, 300]], [0, 1], ("a long name", "another"))
    plates = [has(out, class_color(label)).sum() for label in (0, 1)]
    assert min(plates) > 200


def test_no_boxes_leave_the_image_as_it_is():
    assert (draw_boxes(GREY, np.zeros((0, 4)), [], ("x",), scores=[]) == GREY).all()


def test_colours_of_classes_are_apart():
    colours = np.array([class_color(label) for label in range(20)])
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert distances[~np.eye(20, dtype=bool)].min() > 30
    assert class_color(7) == class_color(7)


def test_comparison_has_truth_left_and_detections_right():
    truth = {"bboxes": [[20, 40, 120, 140]], "labels": [0]}
    found = {"bboxes": [[60, 80, 200, 200]], "labels": [1], "scores": [0.8]}
    out = draw_comparison(GREY, truth, found, ("cell", "dust"))
    assert out.shape == (240, 2 * 320 + 4, 3)
    cell, dust = has(out, class_color(0)), has(out, class_color(1))
    assert cell[:, :320].any()
    assert not cell[:, 320:].any()
    assert dust[:, 324:].any()
    assert not dust[:, :324].any()
    assert (out[:, 320:324] == 255).all()
    assert not has(draw_comparison(GREY, truth, found, ("cell", "dust"), score_thr=0.99), class_color(1)).any()


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_saved_image_is_rgb(tmp_path, suffix):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 200
    path = tmp_path / "new" / "folder" / f"x.{suffix}"
    save_image(path, image)
    assert (np.array(Image.open(path)) == image).all()
