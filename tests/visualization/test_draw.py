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
    assert widths == [1, 3]


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


def test_comparison_has_truth_left_and_detections_right():
    truth = {"bboxes": [[20, 40, 120, 140]], "labels": [0]}
    found = {"bboxes": [[60, 80, 200, 200]], "labels": [1], "scores": [0.8]}
    out = draw_comparison(GREY, truth, found, ("cell", "dust"))
    assert out.shape[1:] == (2 * 320 + 4, 3)
    assert out.shape[0] > 240 + 20  # with titles and the rule
    cell, dust = has(out, class_color(0)), has(out, class_color(1))
    assert cell[:, :320].any()
    assert not cell[:, 320:].any()
    assert dust[:, 324:].any()
    assert not dust[:, :324].any()
    assert (out[30:250, 320:324] == 255).all()
    assert not has(draw_comparison(GREY, truth, found, ("cell", "dust"), score_thr=0.99), class_color(1)).any()


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_saved_image_is_rgb(tmp_path, suffix):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 200
    path = tmp_path / "new" / "folder" / f"x.{suffix}"
    save_image(path, image)
    assert (np.array(Image.open(path)) == image).all()


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 1), (60, 80, 2), (60, 80, 5)])
def test_images_of_any_channels_and_depth(shape):
    image = np.linspace(0, 4095, int(np.prod(shape))).reshape(shape)
    for kind in (np.uint8, np.uint16, np.float32):
        out = draw_boxes(image.astype(kind), [[10, 10, 40, 40]], [0], ("x",))
        assert out.shape == (60, 80, 3)
        assert has(out, class_color(0)).any()
    assert draw_boxes(image.astype(np.uint16), [], [], ("x",)).max() == 255


def test_boxes_without_area_outside_and_beyond_all_numbers():
    boxes = [[100, 100, 100, 100], [50, 60, 50, 200], [-1e12, -1e12, 1e12, 1e12], [400, 10, 500, 20], [np.inf, 0, 5, 5]]
    out = draw_boxes(GREY, boxes, [0, 1, 2, 3, 4], "abcde", scores=[0.9, 0.8, 0.7, 0.6, 0.5])
    assert has(out, class_color(0))[98:103, 98:103].any()
    assert has(out, class_color(1))[60:200, 50].all()
    assert not has(out, class_color(3)).any()
    assert (has(out, (255, 255, 255)) | has(out, (0, 0, 0))).sum() > 50  # the count of the others


def test_regions_to_ignore_are_hatched():
    out = draw_boxes(GREY, [], [], ("x",), ignored=[[40, 40, 140, 140]])
    changed = (out != 90).any(-1)
    assert 0.1 < changed[40:140, 40:140].mean() < 0.5
    assert not changed[:39].any()


def test_letters_follow_the_image_and_can_be_read_in_small_ones():
    heights = []
    for scale in (1, 12, 36):
        image = np.full((75 * scale, 100 * scale, 3), 90, np.uint8)
        out = draw_boxes(image, np.array([[20, 30, 80, 70]]) * scale, [0], ("name",))
        plate = has(out, class_color(0))[: 30 * scale - 1].any(axis=1)
        heights.append(int(plate.sum()))
    assert heights[0] >= 10
    assert heights[1] > 1.5 * heights[0]
    assert heights[2] > 2.5 * heights[1]
