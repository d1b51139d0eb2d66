"""The losses of the data that a training is evaluated on: those of one batch with all of them, whatever is done."""

import csv

import pytest
import torch

from rdet.apis.evaluation_checks import check_metric_names, with_val_loss
from rdet.checkpoint import read_checkpoint
from rdet.config import load_config
from rdet.errors import ConfigError
from rdet.processes import adds_up, each_process_alone

HOOK = [{"type": "ValLossHook"}]


def evaluated(runner) -> dict[str, float]:
    """Evaluates in a training of no step."""
    runner.val_loop.run()
    assert isinstance(runner._train_loop, dict), "an evaluation needs no data to train on"
    return {name: buffer.data[0][-1] for name, buffer in runner.message_hub.log_scalars.items() if "/loss" in name}


def of_one_batch(runner) -> dict[str, float]:
    """Computes the losses of all val images as one batch, in training's way, with the weights as they are."""
    dataset = runner.val_dataloader.dataset
    items = [dataset[index] for index in range(len(dataset))]
    batch = {key: [item[key] for item in items] for key in items[0]}
    model = runner.model
    with torch.no_grad():
        model.eval()
        data = model.data_preprocessor(batch)
        losses = model(**data, mode="loss")
    return {f"val/val/{name}": float(value) for name, value in losses.items()} | {
        "val/val/loss": float(sum(losses.values()))
    }


@pytest.mark.parametrize("normalizer", ["BatchNormalizer", "ImageNormalizer"])
def test_the_loss_is_that_of_all_images_as_one_batch(make_runner, normalizer):
    losses = []
    for batch_size in (2, 5):
        runner = make_runner(
            custom_hooks=HOOK, val_dataloader__batch_size=batch_size, model__normalizer={"type": normalizer}
        )
        losses.append(evaluated(runner))
        assert losses[-1] == pytest.approx(of_one_batch(runner), rel=1e-5)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert set(losses[0]) == {"val/val/loss", "val/val/loss_cls", "val/val/loss_bbox"}


def test_a_running_mean_stays_and_the_loss_is_by_the_positives_of_all(make_runner):
    kinds = {"type": "BatchNormalizer"}, {"type": "EMANormalizer", "initial": 7.0}
    runners = [make_runner(custom_hooks=HOOK, model__normalizer=kind) for kind in kinds]
    by_batch, by_mean = map(evaluated, runners)
    assert by_mean == pytest.approx(by_batch, rel=1e-6)
    assert float(runners[1].model.criterion.normalizer.mean) == 7.0
    assert runners[1].model.on_predictions is None


def test_a_training_is_the_same_with_it_and_its_table_has_it(make_runner, tmp_path):
    options = {
        "train_cfg__max_iters": 4,
        "train_cfg__val_interval": 2,
        "train_dataloader__num_workers": 0,
        "default_hooks__checkpoint__interval": 4,
        "default_hooks__results": {"type": "ResultsHook"},
        "model__normalizer": {"type": "EMANormalizer"},
    }
    for name, hooks in (("with", HOOK), ("without", [])):
        make_runner(work_dir=name, custom_hooks=hooks, **options).train()
    states = [read_checkpoint(tmp_path / name / "iter_4.pth")["state_dict"] for name in ("with", "without")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    tables = {
        name: list(csv.DictReader((tmp_path / name / "results.csv").read_text().splitlines()))
        for name in ("with", "without")
    }
    for column in ("loss", "coco/bbox_mAP"):
        assert len({tuple(row[column] for row in table) for table in tables.values()}) == 1
    losses = {row["iter"]: float(row["val/loss"]) for row in tables["with"] if row["val/loss"]}
    assert list(losses) == ["2", "4"]
    assert losses["4"] < losses["2"]
    assert "val/loss" not in tables["without"][0]


def test_no_part_adds_up_over_processes_that_have_other_images(monkeypatch):
    monkeypatch.setattr("rdet.processes._are_several", lambda: True)
    assert adds_up()
    with each_process_alone():
        assert not adds_up()
    assert adds_up()


def test_the_loss_can_be_waited_for_where_less_is_better(config):
    cfg = load_config(config, {"default_hooks.checkpoint.save_best": "val/loss"})
    with pytest.raises(ConfigError, match=r"save_best is 'val/loss'\. Valid: coco"):
        check_metric_names(cfg)
    cfg.custom_hooks = with_val_loss(cfg)
    with pytest.raises(ConfigError, match="save_best is 'val/loss', of which less is better; set rule='less'"):
        check_metric_names(cfg)
    cfg.default_hooks.checkpoint.rule = "less"
    check_metric_names(cfg)
    assert with_val_loss(cfg) == HOOK
    cfg.val_dataloader = None
    with pytest.raises(ConfigError, match="--val-loss, but the config has no val_dataloader"):
        with_val_loss(cfg)
