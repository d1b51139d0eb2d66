"""tools/test.py --tta and --amp, and the runner behind it."""

import json
from pathlib import Path

import pytest
import torch

from rdet.apis.build import build_runner
from rdet.apis.inference import init_detector
from rdet.apis.tta import default_tta_pipeline, untrained_scales, with_views
from rdet.config import load_config

LOAD, PACK = {"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}
FLIPS = [{"type": "RandomFlip", "prob": 0.0}, {"type": "RandomFlip", "prob": 1.0}]
KEYS = """
tta_model = dict(type="DetTTAModel", postprocess=dict(type="WBFPostprocess", max_per_img=9))
tta_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="TestTimeAug", transforms=[
        [dict(type="Resize", scale=(s, s), keep_ratio=True) for s in (64, 96)],
        [dict(type="RandomFlip", prob=p, direction="vertical") for p in (0.0, 1.0)],
        [dict(type="PackDetInputs")],
    ]),
]
"""


@pytest.fixture
def checkpoint(config, tmp_path) -> str:
    torch.manual_seed(0)
    model = init_detector(config, cfg_options={"model.num_classes": 2})
    torch.save({"state_dict": model.state_dict()}, tmp_path / "weights.pth")
    return str(tmp_path / "weights.pth")


@pytest.fixture
def detections(config, checkpoint, tmp_path):
    """Tests with keys added to the tiny config; returns the detections as the evaluation writes them."""
    count = 0

    def run(tta: bool, **keys) -> list[dict]:
        nonlocal count
        count += 1
        out = tmp_path / f"{count}.json"
        cfg = load_config(config)
        cfg.merge_from_dict(
            {
                "work_dir": str(tmp_path / "test"),
                "experiment_name": f"{tmp_path.name}_tta_{count}",
                "load_from": checkpoint,
                "test_evaluator": {"type": "CocoMetric", "outfile_prefix": str(out)},
                **keys,
            }
        )
        build_runner(cfg, "test", tta=tta).test()
        return json.loads(out.read_text())

    return run


def test_one_plain_view_equals_the_plain_test(detections):
    plain = detections(tta=False)
    view = [LOAD, {"type": "TestTimeAug", "transforms": [[PACK]]}]
    assert len(plain) > 13
    assert detections(tta=True, tta_pipeline=view) == plain


def test_default_views_and_ema(detections):
    """The averaged weights of EMAHook, which tests with them, are those of the checkpoint, in TTA too."""
    found = detections(tta=True)
    assert {d["image_id"] for d in found} == set(range(1, 14))
    assert found != detections(tta=False)
    assert detections(tta=True, custom_hooks=[{"type": "EMAHook"}]) == found


def test_config_is_not_changed(config):
    cfg = load_config(config)
    before = cfg.pretty_text
    with_views(cfg)
    assert cfg.pretty_text == before


def test_views_reach_wrapped_data_sets(config):
    cfg = load_config(config)
    inner = cfg.val_dataloader.dataset
    cfg.val_dataloader.dataset = {"type": "ConcatDataset", "datasets": [inner, inner]}
    loader = with_views(cfg).test_dataloader
    assert [d.pipeline[-1].type for d in loader.dataset.datasets] == ["TestTimeAug"] * 2
    assert loader.batch_size == 2


def test_default_pipeline():
    resize = {"type": "Resize", "scale": (1333, 800), "keep_ratio": True}
    assert default_tta_pipeline([LOAD, resize, PACK]) == [
        LOAD,
        {
            "type": "TestTimeAug",
            "transforms": [
                [{**resize, "scale": scale} for scale in ((1333, 800), (666, 400), (2000, 1200))],
                FLIPS,
                [PACK],
            ],
        },
    ]
    assert default_tta_pipeline([LOAD, PACK]) == [LOAD, {"type": "TestTimeAug", "transforms": [FLIPS, [PACK]]}]
    square = default_tta_pipeline([LOAD, {"type": "Resize", "scale": 512}, PACK])
    assert [step["scale"] for step in square[1]["transforms"][0]] == [512, 256, 768]


@pytest.mark.parametrize("pipeline", [[LOAD, PACK], [LOAD, {"type": "TestTimeAug", "transforms": [FLIPS]}, PACK]])
def test_pipeline_without_views_is_said(config, pipeline):
    cfg = load_config(config)
    cfg.tta_pipeline = pipeline
    with pytest.raises(ValueError, match="tta_pipeline must end in dict"):
        with_views(cfg)


def test_nothing_to_take_views_from_is_said(config):
    cfg = load_config(config)
    cfg.val_dataloader.dataset.pipeline = [LOAD]
    with pytest.raises(ValueError, match="too short to take views from; set tta_pipeline"):
        with_views(cfg)
    cfg.val_dataloader = None
    with pytest.raises(ValueError, match="no test_dataloader or val_dataloader"):
        with_views(cfg)


def test_tool_with_keys_of_the_config(command, config, checkpoint, tmp_path):
    Path(config).write_text(Path(config).read_text() + KEYS)
    process = command("test.py", config, checkpoint, "--tta", "--out", "found.json", "--show-dir", "drawn")
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    found = json.loads((tmp_path / "found.json").read_text())
    assert {d["image_id"] for d in found} == set(range(1, 14))
    assert max(sum(d["image_id"] == i for d in found) for i in range(1, 14)) == 9  # the config's cap, of WBF
    assert len(list((tmp_path / "drawn").iterdir())) == 13


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([[{"type": "RandomCrop", "crop_size": 8}]], "tta_pipeline: RandomCrop cannot be undone; take views by Resize"),
        ([[{"type": "RandomFlip", "prob": 1.0}]] * 2, "tta_pipeline: only one RandomFlip of a view can be undone"),
    ],
)
def test_views_that_cannot_be_undone(config, stages, message):
    cfg = load_config(config)
    views = {"type": "TestTimeAug", "transforms": [*stages, [{"type": "PackDetInputs"}]]}
    cfg.tta_pipeline = [{"type": "LoadImageFromFile"}, views]
    with pytest.raises(ValueError, match=message):
        with_views(cfg)


@pytest.mark.parametrize(
    ("steps", "untrained"),
    [
        ([{"type": "Resize", "scale": 64}], [(32, 32), (96, 96)]),
        ([{"type": "RandomChoiceResize", "scales": [(32, 32), (64, 64)]}], [(96, 96)]),
        ([{"type": "RandomChoiceResize", "scales": [(30, 30), (99, 99)]}], []),
        ([{"type": "RandomResize", "scale": (64, 64), "ratio_range": (0.1, 2.0)}], []),
        ([{"type": "Resize", "scale": 64}, {"type": "RandomCrop", "crop_size": 32}], []),
        ([], []),
    ],
)
def test_scales_that_were_not_trained_are_known(config, steps, untrained):
    cfg = load_config(config)
    cfg.train_dataloader.dataset.pipeline = [LOAD, *steps, PACK]
    cfg.val_dataloader.dataset.pipeline = [LOAD, {"type": "Resize", "scale": 64}, PACK]
    assert untrained_scales(with_views(cfg)) == untrained


def test_scales_that_were_not_trained_are_said(make_runner, capsys):
    resize = {"type": "Resize", "scale": 64, "keep_ratio": True}
    pipelines = {f"{split}_dataloader__dataset__pipeline": [LOAD, resize, PACK] for split in ("train", "val")}
    make_runner("test", tta=True, **pipelines)
    assert "takes scales beyond those of the training pipeline, (32, 32), (96, 96), which" in capsys.readouterr().out


@pytest.mark.parametrize("tta", [False, True])
def test_mixed_precision_is_near_and_comes_after_ema(detections, tta):
    exact = detections(tta=tta)
    found = detections(tta=tta, custom_hooks=[{"type": "AmpTestHook"}])
    assert found != exact
    assert found == detections(tta=tta, custom_hooks=[{"type": "AmpTestHook"}, {"type": "EMAHook"}])
    best = [max(d["score"] for d in results) for results in (exact, found)]
    assert best[1] == pytest.approx(best[0], abs=0.01)


@pytest.mark.parametrize("evaluator", ["[dict(type='CocoMetric')]", "dict(classwise=True)", "None"])
def test_out_with_any_way_to_write_the_evaluator(command, config, checkpoint, tmp_path, evaluator):
    path = Path(config)
    path.write_text(f"{path.read_text()}\nval_evaluator = {evaluator}\ncustom_hooks = None\n")
    process = command("test.py", config, checkpoint, "--out", str(tmp_path / "out.json"))
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert json.loads((tmp_path / "out.json").read_text())


def test_mixed_precision_leaves_the_detector_as_it_was(config, tmp_path):
    """Also beside a hook that exchanges weights with folded ones, before the test and after it."""
    resnet = {"model.backbone": {"_delete_": True, "type": "ResNet", "depth": 18}, "model.neck.num_extra": 0}
    cfg = load_config(config, resnet | {"custom_hooks": [{"type": "EMAHook"}, {"type": "AmpTestHook"}]})
    model = init_detector(load_config(config, resnet | {"model.num_classes": 2}))
    torch.save({"state_dict": model.state_dict()}, tmp_path / "resnet.pth")
    cfg.merge_from_dict({"work_dir": str(tmp_path / "test"), "load_from": str(tmp_path / "resnet.pth")})
    runner = build_runner(cfg, "test")
    runner.test()
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
