"""Runs that no longer get better end, and a resumed run knows how long that has been so."""

import pytest

from rdet.engine.hooks.early_stopping_hook import EarlyStoppingHook
from rdet.errors import ConfigError

SCORES = [0.1, 0.3, 0.3, 0.2, 0.29, 0.5]
RUN = {
    "train_cfg": {"max_iters": 6, "val_interval": 1},
    "default_hooks__checkpoint__interval": 1,
    "custom_hooks": [{"type": "EarlyStoppingHook", "monitor": "coco/bbox_mAP", "patience": 3}],
}


def scored(runner, monkeypatch):
    """Has the evaluation after each iteration give the next of SCORES."""
    runner.build_val_loop(runner._val_loop)
    metrics = lambda self, size: {"coco/bbox_mAP": SCORES[runner.iter - 1]}  # noqa: E731
    monkeypatch.setattr("rdet.evaluation.coco_metric.CocoMetric.evaluate", metrics)
    return runner


def test_a_resumed_run_stops_where_an_unbroken_one_does(make_runner, monkeypatch):
    whole = scored(make_runner(**RUN, work_dir="whole"), monkeypatch)
    whole.train()
    assert whole.iter == 5  # 0.3 at the second, then three that are not better

    short = {**RUN, "train_cfg": {"max_iters": 3, "val_interval": 1}}
    scored(make_runner(**short, param_scheduler=[]), monkeypatch).train()
    resumed = scored(make_runner(**RUN, param_scheduler=[], resume=True), monkeypatch)
    resumed.train()
    assert resumed.iter == 5
    ended = scored(make_runner(**RUN, param_scheduler=[], resume=True), monkeypatch)
    ended.train()
    assert ended.iter == 5  # it had ended, and does no step more


@pytest.mark.parametrize(
    ("options", "scores", "stops"),
    [
        ({"patience": 2}, [0.1, 0.1, 0.1], [False, False, True]),
        ({"patience": 2, "min_delta": 0.1}, [0.1, 0.15, 0.19, 0.3], [False, False, True, False]),
        ({"patience": 2, "rule": "less"}, [5.0, 4.0, 4.0, 3.0, 3.5, 3.0], [False] * 5 + [True]),
        ({"patience": 9, "stopping_threshold": 0.5}, [0.4, 0.5], [False, True]),
        ({"patience": 9}, [0.4, float("nan")], [False, True]),
        ({"patience": 1}, [-1.0, -1.0], [False, False]),  # there is nothing to score
        ({"patience": 9, "check_finite": False}, [0.4, float("nan")], [False, False]),
    ],
)
def test_when_it_stops(options, scores, stops):
    hook = EarlyStoppingHook("coco/bbox_mAP", **{"rule": "greater", **options})
    assert [hook._check_stop_condition(score)[0] for score in scores] == stops


def test_patience_is_an_option(command, config):
    options = ["train_cfg.val_interval=1", "train_cfg.max_iters=6", "default_hooks.checkpoint.save_best=coco/bbox_AR@1"]
    output, _ = (
        process := command("train.py", config, "--patience", "1", "--cfg-options", *options, "log_level=INFO")
    ).communicate(timeout=200)
    assert process.returncode == 0, output
    assert "coco/bbox_AR@1 has not improved in 1 evaluations: the run ends" in output


def test_patience_needs_an_evaluation_and_no_other_hook(make_runner):
    from rdet.apis.evaluation_checks import early_stopping

    cfg = make_runner(**RUN).cfg
    with pytest.raises(ConfigError, match="custom_hooks has an EarlyStoppingHook; change that one"):
        early_stopping(cfg, 3)
    cfg.custom_hooks, cfg.val_dataloader = None, None
    with pytest.raises(ConfigError, match="no val_dataloader"):
        early_stopping(cfg, 3)
