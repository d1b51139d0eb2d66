import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from rdet.analysis.fit_anchors import (
    Coverage,
    best_iou,
    check_anchors,
    coverage,
    fit_anchors,
    kmeans,
    training_boxes,
    write_config,
)
from rdet.apis.build import build_datasets
from rdet.config import load_config
from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.coders.distance_point_bbox_coder import DistancePointBBoxCoder
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.fitted_anchor_generator import FittedAnchorGenerator
from rdet.models.priors.point_generator import PointGenerator
from rdet.registry import MODELS

CLUSTERS = [(20.0, 20.0), (24.0, 60.0), (80.0, 40.0), (120.0, 200.0)]  # by area


def boxes_around(centers, each=50, spread=0.03, seed=0):
    """Boxes whose sides differ by some per cent from those of their cluster, anywhere in 400 pixels; (B, 4)."""
    rng = np.random.default_rng(seed)
    sizes = np.concatenate([np.array(c) * (1 + spread * rng.uniform(-1, 1, (each, 2))) for c in centers])
    corner = rng.uniform(0, 400, (len(sizes), 2))
    return torch.tensor(np.concatenate([corner, corner + sizes], axis=1), dtype=torch.float32)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kmeans_finds_known_clusters(seed):
    boxes = boxes_around(CLUSTERS)
    found = kmeans(boxes[:, 2:] - boxes[:, :2], 4, seed)
    found = found[found.prod(dim=1).argsort()]
    torch.testing.assert_close(found, torch.tensor(CLUSTERS), rtol=0.03, atol=0)


def test_kmeans_by_hand():
    """One cluster is the mean; as many clusters as sizes are the sizes."""
    sizes = torch.tensor([[10.0, 30], [20, 10], [30, 20]])
    torch.testing.assert_close(kmeans(sizes, 1), torch.tensor([[20.0, 20]]))
    assert sorted(kmeans(sizes.repeat(5, 1), 3).tolist()) == sizes.tolist()


def test_clusters_go_to_levels_by_size():
    sizes = fit_anchors(boxes_around(CLUSTERS), [8, 32], 0.0, num_anchors=2, method="kmeans")
    found = torch.tensor(sizes)
    assert found.shape == (2, 2, 2)
    torch.testing.assert_close(found.view(4, 2), torch.tensor(CLUSTERS), rtol=0.03, atol=0.05)


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_best_iou_equals_that_with_all_anchors(offset):
    boxes = boxes_around(CLUSTERS, spread=0.5)
    generator = FittedAnchorGenerator([16, 64], [[(20, 30), (50, 20)], [(90, 90), (100, 200)]], offset)
    anchors = generator([(50, 50), (13, 13)])  # beyond the boxes at the right and the bottom
    expected = box_iou(boxes, anchors).amax(dim=1)
    found = best_iou(boxes, generator.shapes, generator.strides, offset)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_coverage_by_hand():
    """Centred on a cell: IoU 1 and 1/4; 8 pixels to the right of one of stride 32: 24 / 40 in one axis."""
    boxes = torch.tensor([[-16.0, -16, 16, 16], [-8, -8, 8, 8], [56, -16, 88, 16]])
    found = coverage(boxes, [[(32, 32)]], [32], 0.0, iou=0.6)
    assert found.recall == pytest.approx(2 / 3)
    assert found.mean_iou == pytest.approx((1 + 0.25 + 0.6) / 3)
    assert str(found) == "best possible recall 0.6667, mean best IoU 0.6167"
    assert coverage(boxes, [[(32, 32)]], [32], 0.0, iou=0.61).recall == pytest.approx(1 / 3)


def test_genetic_is_better_than_kmeans_and_stays_sorted():
    boxes = boxes_around([(20, 20), (60, 60), (110, 90)], spread=0.4)
    place = [16, 64, 128], 0.0
    plain, refined = (fit_anchors(boxes, *place, 2, method, generations=200) for method in ("kmeans", "genetic"))
    assert coverage(boxes, refined, *place).mean_iou > coverage(boxes, plain, *place).mean_iou + 0.01
    areas = [w * h for level in refined for w, h in level]
    assert areas == sorted(areas)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (torch.tensor(refined).amax(dim=(0, 1)) <= sides.amax(dim=0) + 0.05).all()


@pytest.mark.parametrize("method", ["kmeans", "genetic"])
def test_same_seed_same_sizes(method):
    boxes = boxes_around(CLUSTERS, spread=0.5)
    torch.manual_seed(1)
    first = fit_anchors(boxes, [8, 32], 0.0, 3, method, seed=5, generations=20)
    torch.manual_seed(2)
    assert fit_anchors(boxes, [8, 32], 0.0, 3, method, seed=5, generations=20) == first
    assert fit_anchors(boxes, [8, 32], 0.0, 3, method, seed=6, generations=20) != first


@pytest.mark.parametrize(
    ("boxes", "options", "message"),
    [
        (boxes_around(CLUSTERS), {"method": "kmean"}, "method is 'kmean'; valid: 'kmeans', 'genetic'"),
        (boxes_around(CLUSTERS), {"num_anchors": 0}, "0 anchors on each level; expected at least 1"),
        (torch.zeros(0, 4), {}, "0 boxes of 0 different sizes are too few for 4 anchors; lower --num-anchors"),
        (boxes_around([(8, 8)], 9, 0), {}, "are too few for 4 anchors"),
    ],
)
def test_what_cannot_be_fitted(boxes, options, message):
    if len(boxes) == 9:
        boxes[:, 2:] = boxes[:, :2].round() + 8
        boxes[:, :2] = boxes[:, :2].round()
    with pytest.raises(ValueError, match=message):
        fit_anchors(boxes, [8, 32], 0.0, **{"num_anchors": 2, **options})


def test_boxes_are_those_after_the_pipeline(config):
    options = {"train_dataloader.dataset.pipeline": [*_pipeline(64), {"type": "PackDetInputs"}]}
    plain = training_boxes(build_datasets(load_config(config, options), ("train",))["train"])
    options = {"train_dataloader.dataset.pipeline": [*_pipeline(128), {"type": "PackDetInputs"}]}
    dataset = build_datasets(load_config(config, options), ("train",))["train"]
    twice = training_boxes(dataset)
    truth = json.loads((Path(config).parent / "truth.json").read_text())["annotations"]
    assert len(plain) == len(truth)
    torch.testing.assert_close(twice, 2 * plain)
    assert 0 < len(training_boxes(dataset, max_images=3)) <= 6


def _pipeline(side):
    return [{"type": "LoadImageFromFile"}, {"type": "Resize", "scale": side}]


def test_only_sizes_that_are_free_can_be_fitted():
    strides, delta = [8, 16], DeltaXYWHBBoxCoder()
    check_anchors(SimpleNamespace(anchor_generator=AnchorGenerator(strides), bbox_coder=delta), "a.py")
    for generator, coder in (
        (PointGenerator(strides), delta),
        (AnchorGenerator(strides), DistancePointBBoxCoder()),
    ):
        with pytest.raises(ValueError, match=r"a\.py: the sizes of priors are not free with .*; take a"):
            check_anchors(SimpleNamespace(anchor_generator=generator, bbox_coder=coder), "a.py")


def test_pipeline_is_seeded_and_the_global_generator_untouched(config):
    dataset = build_datasets(load_config(config), ("train",))["train"]  # flips at random
    np.random.seed(7)
    first, following = training_boxes(dataset), np.random.rand()
    assert torch.equal(training_boxes(dataset), first)
    assert not torch.equal(training_boxes(dataset, seed=1), first)
    np.random.seed(7)
    assert np.random.rand() == following


def test_no_boxes_is_an_error(config):
    # The one image without any; it passes for a background, which needs none.
    options = {"train_dataloader.dataset.indices": [3], "train_dataloader.dataset.test_mode": True}
    dataset = build_datasets(load_config(config, options), ("train",))["train"]
    with pytest.raises(ValueError, match="1 images have no boxes to fit anchors to"):
        training_boxes(dataset)


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_written_config_builds(config, tmp_path, offset):
    sizes = [[(10.5, 20.0), (30.0, 7.5)], [(60.0, 123.4), (200.0, 99.9)]]
    path = tmp_path / "out" / "fitted.py"
    write_config(path, config, sizes, offset, ["Line one.", "Line two."])
    text = path.read_text()
    assert text.startswith('# Line one.\n# Line two.\n_base_ = "../tiny.py"\n')
    model = MODELS.build(load_config(path).model, default_args={"num_classes": 2}, where="model")
    assert model.anchor_generator.center_offset == offset
    assert torch.equal(torch.stack(model.anchor_generator.shapes), torch.tensor(sizes))
    assert model.bbox_head.conv_reg.out_channels == 2 * 4


def test_five_levels_take_ten_lines(tmp_path):
    sizes = [[(8.0, 9.0)] * 9] * 5
    write_config(tmp_path / "out.py", "base.py", sizes, 0.5, ["One.", "Two."])
    assert len((tmp_path / "out.py").read_text().splitlines()) == 10


def test_config_does_not_overwrite_its_base(tmp_path):
    with pytest.raises(ValueError, match="is the config to inherit; write to another file"):
        write_config(tmp_path / "a.py", tmp_path / "x" / ".." / "a.py", [[(1, 1)]], 0.0, [])


def run_tool(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["fit_anchors.py", *words])
    runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools" / "fit_anchors.py"), run_name="__main__")


def test_tool(config, tmp_path, monkeypatch, capsys):
    out = tmp_path / "fitted.py"
    run_tool(monkeypatch, config, "--num-anchors", "2", "--out", str(out))
    output = capsys.readouterr().out
    found = re.search(
        r"(\d+) boxes; recall at IoU 0.5\n"
        r"before \(3 anchors a cell\): best possible recall ([\d.]+), mean best IoU ([\d.]+)\n"
        r"after  \(2 anchors a cell\): best possible recall ([\d.]+), mean best IoU ([\d.]+)\n"
        r"stride 8: .+\nstride 16: .+\n",
        output,
    )
    assert found, output
    assert output.endswith(f"{out}\n")
    model = MODELS.build(load_config(out).model, default_args={"num_classes": 2}, where="model")
    dataset = build_datasets(load_config(config), ("train",))["train"]
    generator = model.anchor_generator
    after = coverage(training_boxes(dataset), generator.shapes, generator.strides, generator.center_offset)
    assert after == Coverage(pytest.approx(float(found[4]), abs=1e-4), pytest.approx(float(found[5]), abs=1e-4))
    assert float(found[5]) > float(found[3])


def test_anchors_that_cover_less_are_not_written(config, tmp_path, monkeypatch, capsys):
    recalls = iter([Coverage(0.8, 0.6), Coverage(0.7, 0.7)])
    monkeypatch.setattr("rdet.analysis.fit_anchors.coverage", lambda *_: next(recalls))
    with pytest.raises(SystemExit, match="1"):
        run_tool(monkeypatch, config, "--out", str(tmp_path / "fitted.py"))
    assert "fitted.py is not written: these anchors cover fewer boxes than those of" in capsys.readouterr().err
    assert not (tmp_path / "fitted.py").exists()


def test_tool_says_what_is_wrong_in_one_line(config, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="1"):
        run_tool(monkeypatch, config, "--num-anchors", "40")
    error = capsys.readouterr().err
    assert re.search(r"^error: \d+ boxes of \d+ different sizes are too few for 80 anchors; lower --num-anch", error)
