"""The configs of the paper's rows, and what each row is about."""

import copy
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.structures import InstanceData
from tiny_parts import TinyBackbone

from rdet.analysis.paper.rows import ROWS, rows_of
from rdet.analysis.paper.small import slot_changes, write_small_config
from rdet.apis.build import build_detector
from rdet.config import flatten, load_config
from rdet.structures import DetDataSample

CONFIGS = Path(__file__).resolve().parents[3] / "configs/paper"
BASES = {"retinanet_r50_600", "retinanet_r101_600", "small"}
CLASSES = tuple(f"class {index}" for index in range(80))
OTHERS = [row for row in ROWS if row.table == "2" and not row.label.startswith("RetinaNet")]
every_row = pytest.mark.parametrize("row", [row for row in ROWS if row not in OTHERS], ids=lambda row: row.config)


@cache
def _read(name):
    return load_config(CONFIGS / f"{name}.py", {"model.backbone.weights": None})


def config_of(row):
    return copy.deepcopy(_read(row.config))


def test_every_config_is_a_row_and_every_row_a_config():
    configs = {path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.py")}
    rows = {path for path in configs - BASES if not path.startswith("troubles/")}  # of another page
    assert rows == {row.config for row in ROWS}
    assert len({row.config for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("table", "count"),
    [("1a", 7), ("1b", 7), ("1c", 7), ("1d", 10), ("1e", 10), ("2", 5), ("3", 4), ("section_5_1", 3)],
)
def test_tables_are_whole(table, count):
    assert len(rows_of([table])) == count


def number(text):
    """'.75' of 'alpha = .75', as a float."""
    return float(re.search(r"= ([\d.]+)", text)[1])


def fact_of_balanced_cross_entropy(row, model):
    assert model.criterion.loss_cls.alpha == number(row.label)
    assert model.criterion.loss_cls.gamma == 0


def fact_of_focal_loss(row, model):
    gamma, alpha = row.label.split(", ")
    assert (model.criterion.loss_cls.gamma, model.criterion.loss_cls.alpha) == (number(gamma), number(alpha))


def fact_of_anchors(row, model):
    scales, ratios = map(int, re.findall(r"(\d) ", row.label))
    assert model.anchor_generator.num_priors == scales * ratios
    widths, heights = model.anchor_generator.shapes[0].unbind(1)
    sizes, shapes = (widths * heights).sqrt(), heights / widths
    expected = torch.tensor([32 * 2 ** (k / scales) for k in range(scales)])
    assert {round(size, 1) for size in sizes.tolist()} == {round(size, 1) for size in expected.tolist()}
    assert {round(shape, 3) for shape in shapes.tolist()} == ({1.0} if ratios == 1 else {0.5, 1.0, 2.0})
    assert model.bbox_head.conv_cls.out_channels == scales * ratios * 80


def fact_of_ohem(row, model):
    if row.config.endswith("focal_loss"):
        assert (type(model.criterion.loss_cls).__name__, model.criterion.loss_cls.gamma, model.criterion.mining) == (
            "FocalLoss",
            2.0,
            None,
        )
        return
    kind, batch_size, threshold = row.label.split(", ")
    assert type(model.criterion.loss_cls).__name__ == "CrossEntropyLoss"
    assert model.criterion.loss_cls.alpha is None
    assert model.criterion.mining.neg_pos_ratio == (3 if kind == "OHEM 1:3" else None)
    assert (model.criterion.mining.batch_size, model.criterion.mining.nms_thr) == (
        int(batch_size),
        float(threshold[4:]),
    )


def fact_of_star(row, model):
    if row.label in ("CE", "FL, γ = 2"):
        assert (model.criterion.loss_cls.gamma, model.criterion.loss_cls.alpha) == (
            (0, 0.75) if row.label == "CE" else (2, 0.25)
        )
        return
    _, gamma, beta = row.label.split(", ")
    assert type(model.criterion.loss_cls).__name__ == "FocalLossStar"
    assert (model.criterion.loss_cls.gamma, model.criterion.loss_cls.beta) == (number(gamma), number(beta))
    assert model.criterion.loss_cls.alpha == 0.25


def fact_of_section(row, model):
    expected = {
        "no_prior": ("CrossEntropyLoss", 0.5),
        "prior": ("CrossEntropyLoss", 0.01),
        "hinge": ("HingeLoss", 0.01),
    }
    kind, prior = expected[row.config.split("/")[1]]
    assert type(model.criterion.loss_cls).__name__ == kind
    assert model.criterion.loss_cls.alpha is None
    torch.testing.assert_close(model.bbox_head.conv_cls.bias.sigmoid().detach(), torch.full((720,), prior))


FACTS = {
    "1a": fact_of_balanced_cross_entropy,
    "1b": fact_of_focal_loss,
    "alpha_sweep": fact_of_focal_loss,
    "1c": fact_of_anchors,
    "1d": fact_of_ohem,
    "3": fact_of_star,
    "star_sweep": fact_of_star,
    "section_5_1": fact_of_section,
}


def check_caption(row, model):
    """What all rows are unless they are about it: gamma 2, alpha .25, nine anchors, the thresholds of section 4."""
    if row.table in ("1c", "1e", "2"):
        loss_cls = model.criterion.loss_cls
        assert (type(loss_cls).__name__, loss_cls.gamma, loss_cls.alpha) == ("FocalLoss", 2.0, 0.25)
    if row.table != "1c":
        assert model.anchor_generator.num_priors == 9
    assert (model.criterion.mining is None) == (not row.label.startswith("OHEM"))
    rule = model.assigner
    assert (rule.pos_iou_thr, rule.neg_iou_thr, rule.min_pos_iou) == (0.5, 0.4, 0.4)


def sample():
    result = DetDataSample(metainfo={"img_shape": (64, 64), "scale_factor": (1.0, 1.0)})
    result.gt_instances = InstanceData(bboxes=torch.tensor([[8.0, 8, 40, 44]]), labels=torch.tensor([3]))
    result.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
    return result


@every_row
def test_it_is_what_the_row_says_and_takes_a_training_step(row):
    cfg = config_of(row)
    if row.table in ("1e", "2"):  # which are about the network
        with torch.device("meta"):
            assert len(build_detector(cfg, CLASSES).backbone.layer3) == {50: 6, 101: 23}[cfg.model.backbone.depth]
    cfg.model.backbone = {"type": TinyBackbone, "dropout": 0.0}  # soon built, and as good for a step
    cfg.model.neck.out_channels = cfg.model.bbox_head.feat_channels = 32
    torch.manual_seed(0)
    model = build_detector(cfg, CLASSES).train()
    if row.table in FACTS:
        FACTS[row.table](row, model)
    check_caption(row, model)
    # Without running statistics to catch up with, one small step along the gradient must lower the loss.
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = sum(model(image, [sample()], mode="loss").values())
    before.backward()
    gradients = [(p, p.grad) for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for _, gradient in gradients)
    norm = torch.stack([gradient.norm() for _, gradient in gradients]).norm()
    assert norm > 0
    with torch.no_grad():
        for parameter, gradient in gradients:
            parameter -= 0.01 / norm**2 * before * gradient
        after = sum(model(image, [sample()], mode="loss").values())
    assert after < before


@pytest.mark.parametrize("row", [row for row in OTHERS if "SSD" in row.label], ids=lambda row: row.config)
def test_ssd_is_what_table_2_calls_it(row):
    cfg = config_of(row)
    for dataloader in (cfg.train_dataloader, cfg.val_dataloader):
        (resize,) = (step for step in dataloader.dataset.pipeline if step.type == "Resize")
        assert (resize.scale, resize.keep_ratio) == ((513, 513), False)
    with torch.device("meta"):
        model = build_detector(cfg, CLASSES).eval()
        predictions = model(torch.empty(1, 3, 513, 513))
    assert (model.backbone.strides, len(model.backbone.layer3)) == ([8, 16], 23)
    assert type(model.neck).__name__ == ("DSSDNeck" if row.label.startswith("DSSD") else "ResidualSSDNeck")
    assert predictions.logits.shape == (1, 8 * sum(cells**2 for cells in (65, 33, 17, 9, 5, 3)), 80)


def test_yolov2_is_what_table_2_calls_it():
    cfg = _read("table_2/yolov2_d19")
    (resize,) = (step for step in cfg.val_dataloader.dataset.pipeline if step.type == "Resize")
    assert resize.scale == (544, 544)
    with torch.device("meta"):
        model = build_detector(copy.deepcopy(cfg), CLASSES).eval()
        predictions = model(torch.empty(1, 3, 544, 544))
    assert (type(model.backbone).__name__, type(model.neck).__name__) == ("Darknet19", "PassthroughNeck")
    assert predictions.logits.shape == (1, 5 * 17**2, 80)


@every_row
def test_image_scale_and_schedule(row):
    cfg = config_of(row)
    short, longest, iterations = 600, 1000, 90000
    if row.table == "1e":
        short = int(row.label.split(", ")[1].split()[0])
        longest = round(short * 5 / 3)
    if row.table == "2":
        short, longest, iterations = 800, 1333, 135000
        jitter = cfg.train_dataloader.dataset.pipeline[1]
        assert jitter.type == "RandomChoiceResize"
        assert {scale[1] for scale in jitter.scales} == {640, 672, 704, 736, 768, 800}
        assert cfg.model.backbone.get("groups", 1) == (32 if "ResNeXt" in row.label else 1)
        assert cfg.model.backbone.get("base_width", 64) == (8 if "ResNeXt" in row.label else 64)
    else:
        assert cfg.train_dataloader.dataset.pipeline[1] == {
            "type": "Resize",
            "scale": (longest, short),
            "keep_ratio": True,
        }
    assert cfg.val_dataloader.dataset.pipeline[1].scale == (longest, short)
    assert cfg.train_cfg.max_iters == iterations
    step = cfg.param_scheduler[1]
    assert (step.end, step.milestones) == (iterations, [iterations * 2 // 3, iterations * 8 // 9])


@every_row
def test_network_and_optimizer(row):
    """ResNet-50 for the ablations, 101 where the paper says so; section 4.1, "Optimization"."""
    cfg = config_of(row)
    depth = {"1d": 101, "2": 101}.get(row.table, 50)
    if row.table == "1e":
        depth = int(re.match(r"ResNet-(\d+)", row.label)[1])
    assert cfg.model.backbone.depth == depth
    assert cfg.optim_wrapper.optimizer == {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0001}
    assert cfg.auto_scale_lr.base_batch_size == 16


@pytest.mark.parametrize("row", [row for row in ROWS if row.seeds], ids=lambda row: row.config)
def test_the_small_config_differs_from_its_base_as_the_row_does(row, tmp_path):
    path = write_small_config(CONFIGS / f"{row.config}.py", CONFIGS, tmp_path / "a" / "row.py")
    small, base = flatten(load_config(path)), flatten(_read("small"))
    coco, coco_base = flatten(_read(row.config)), flatten(_read("retinanet_r50_600"))

    def changes(after, before):
        keys = {key for key in {**before, **after} if before.get(key, ...) != after.get(key, ...)}
        return {key: after.get(key, ...) for key in keys if not key.startswith("model.backbone.")}

    assert changes(small, base) == changes(coco, coco_base)


def test_a_key_that_a_row_takes_away_is_said():
    base = load_config(CONFIGS / "retinanet_r50_600.py")
    row = load_config(CONFIGS / "retinanet_r50_600.py")
    del row.model.loss_cls["alpha"]
    with pytest.raises(ValueError, match=r"model.loss_cls of a row has no alpha, which its base has"):
        slot_changes(row, base)


def test_an_unknown_table_is_said():
    with pytest.raises(ValueError, match="the paper has no table or row '4'; tables: section_5_1, 1a, 1b"):
        rows_of(["4"])


def test_numbers_of_the_paper():
    """Some of each table, typed from the paper again."""
    paper = {row.config: row.paper for row in ROWS}
    assert paper["table_1a/alpha_25"] == (10.8, 16.0, 11.7)
    assert paper["table_1b/gamma_0_5"] == (32.9, 51.7, 35.2)
    assert paper["table_1c/scales_2_ratios_3"] == (34.2, 53.1, 36.5)
    assert paper["table_1d/ohem_512_nms_5"] == (27.6, 42.0, 29.2)
    assert paper["table_1d/ohem_1_3_256_nms_5"] == (28.3, 42.4, 30.3)
    assert paper["table_2/x101_32x8d_800_jitter"] == (40.8, 61.1, 44.1)
    assert paper["table_3/fl_star_4_0"] == (33.9, 51.8, 36.4)
    times = {row.config: row.milliseconds for row in rows_of(["1e"])}
    assert (times["table_1e/r50_400"], times["table_1e/r101_800"]) == (64, 198)
