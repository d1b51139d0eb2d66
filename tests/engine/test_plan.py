"""What a run is too short for, and what never sets in, is said before its first step."""

import pytest

from rdet.errors import ConfigError, PipelineError

STEPS = {"milestones": [1], "by_epoch": False}
COSINE = {"type": "CosineAnnealingLR", "by_epoch": False}
WARM_UP = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False}
EPOCHS = {"_delete_": True, "by_epoch": True, "max_epochs": 2}
EMA = {"type": "EMAHook"}
ONE_CYCLE = {"type": "OneCycleLR", "by_epoch": False, "eta_max": 0.1}


def _no_step(loop, *_) -> None:
    loop._iter += 1


@pytest.fixture
def warnings_of(make_runner, monkeypatch):
    """Trains three steps of one image with overrides, and returns what was warned of before the first."""

    def warnings_of(**overrides) -> list[str]:
        settings = overrides.pop("train_cfg", {})
        settings = settings if "_delete_" in settings else {"max_iters": 3, **settings}
        short = {"train_dataloader__num_workers": 0, "train_dataloader__batch_size": 1, "param_scheduler": []}
        runner = make_runner(train_cfg=settings, **{**short, **overrides})
        said: list[str] = []
        monkeypatch.setattr(runner.logger, "warning", said.append)
        monkeypatch.setattr(
            type(runner.train_loop), "run_iter", lambda loop, *_: setattr(loop, "_iter", loop._iter + 1)
        )
        runner.train()
        return [text for text in said if "batch norm" not in text.lower() and "random weights" not in text]

    return warnings_of


@pytest.mark.parametrize(
    ("schedule", "doubt"),
    [
        ({"type": "MultiStepLR", **STEPS}, None),
        ({"type": "MultiStepLR", **STEPS, "milestones": []}, "has no milestones"),
        ({"type": "MultiStepLR", **STEPS, "milestones": [1, 3, 8]}, "a milestone at iteration 3, but the run has 3"),
        ({"type": "MultiStepLR", **STEPS, "begin": 2}, "a milestone at iteration 3"),
        ({"type": "MultiStepLR", "milestones": [1]}, "counts epochs, but the run counts iterations"),
        ({"type": "StepLR", "step_size": 1, "by_epoch": False, "begin": 3}, "begins at iteration 3"),
        (WARM_UP, None),
        ({**WARM_UP, "end": 3}, None),
        ({**WARM_UP, "end": 4}, "goes on to iteration 4, but the run has 3"),
        ({**WARM_UP, "end": 1}, "stays at its start_factor, 0.1"),
        ({**COSINE, "T_max": 3}, None),
        (COSINE, None),
        ({**COSINE, "T_max": 800}, "goes on to iteration 800"),
        ({**COSINE, "T_max": 2}, "rises again until iteration 3"),
        ({**COSINE, "begin": 1, "T_max": 2}, None),
        ({**COSINE, "eta_min": 5.0}, "it rises"),
        ({"type": "PolyLR", "by_epoch": False, "end": 30}, "goes on to iteration 30"),
        ({"type": "CosineRestartLR", "by_epoch": False, "periods": [9], "eta_min": 0.0}, "goes on to iteration 9"),
        (ONE_CYCLE, None),
    ],
)
def test_schedules(warnings_of, schedule, doubt):
    said = warnings_of(param_scheduler=[schedule])
    assert [doubt in text and text.startswith("param_scheduler.0 (") for text in said] == ([True] if doubt else [])


def test_epochs_are_told_apart(warnings_of):
    short = {"type": "LinearLR", "start_factor": 0.1, "end": 1, "convert_to_iter_based": True}
    assert warnings_of(train_cfg=EPOCHS, param_scheduler=[short]) == []
    late = {"type": "MultiStepLR", "milestones": [2]}
    assert "a milestone at epoch 2, but the run has 2" in warnings_of(train_cfg=EPOCHS, param_scheduler=[late])[0]


@pytest.mark.parametrize(
    ("overrides", "doubt"),
    [
        ({"train_cfg": {"val_begin": 4}}, "train_cfg.val_begin is 4"),
        ({"default_hooks__checkpoint__save_begin": 3}, "default_hooks.checkpoint.save_begin is 3"),
        ({"optim_wrapper__accumulative_counts": 4}, "optim_wrapper.accumulative_counts is 4"),
        ({"train_dataloader__batch_size": 14}, "a step takes 14 images, but the training set has 13"),
    ],
)
def test_what_a_run_is_too_short_for(warnings_of, overrides, doubt):
    (said,) = warnings_of(**overrides)
    assert doubt in said
    assert "lower" in said


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (
            {
                "param_scheduler": [
                    {"type": "OneCycleLR", "by_epoch": False, "eta_max": 0.1, "total_steps": 1, "end": 9}
                ]
            },
            "total_steps=1 iterations, but the run has 3",
        ),
        ({"param_scheduler": [WARM_UP, {**COSINE, "begin": 9, "end": 3}]}, r"^param_scheduler\.1: .*end should be"),
        ({"custom_hooks": [EMA, EMA]}, "has 2 EMAHooks"),
        ({"custom_hooks": [{**EMA, "begin_iter": 3}]}, "begin_iter is 3, but the run has 3"),
        ({"custom_hooks": [{**EMA, "begin_epoch": 9}]}, "begin_epoch is 9"),
        ({"optim_wrapper__optimizer": {"_delete_": True, "type": "LBFGS"}}, "LBFGS computes the loss several times"),
        ({"optim_wrapper__optimizer": {"_delete_": True, "type": "SparseAdam"}}, "SparseAdam takes sparse gradients"),
        ({"compile": {"backend": "not_there"}}, "^compile: .*not_there"),
        ({"train_dataloader__prefetch_factor": 2}, "^train_dataloader: .*prefetch_factor"),
    ],
)
def test_what_would_fail_on_the_way_fails_first(warnings_of, overrides, error):
    with pytest.raises(ConfigError, match=error):
        warnings_of(**overrides)


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"data_src": "loss", "method_name": "avg"}, "method_name is 'avg'. Valid: current, max, mean, min"),
        ({"data_src": "loss"}, "method_name is None"),
        ({"method_name": "mean"}, "data_src is None"),
        ({"data_src": "loss", "method_name": "current", "window_size": 3}, "'current' does not take it"),
        ({"data_src": "loss", "method_name": "mean", "window_size": "all"}, "window_size is 'all'"),
        ({"data_src": "loss", "method_name": "mean", "window_size": "epoch"}, "but the run counts iterations"),
    ],
)
def test_an_entry_of_the_log_is_checked(make_runner, entry, error):
    with pytest.raises(ConfigError, match=r"log_processor\.custom_cfg\.0.*" + error):
        make_runner(log_processor={"type": "LogProcessor", "custom_cfg": [entry]}).train()


def test_two_entries_of_the_log_have_two_names(make_runner):
    entry = {"data_src": "loss", "method_name": "max"}
    with pytest.raises(ConfigError, match="has the name of another entry, 'loss'; give it a log_name"):
        make_runner(log_processor={"type": "LogProcessor", "custom_cfg": [entry, entry]})


def test_an_entry_of_the_log_that_has_nothing_to_tell_is_said(make_runner, monkeypatch):
    entries = [{"data_src": name, "method_name": "max", "log_name": f"{name}_max"} for name in ("loss", "lss")]
    runner = make_runner(train_cfg__max_iters=2, log_processor={"type": "LogProcessor", "custom_cfg": entries})
    said: list[str] = []
    monkeypatch.setattr(runner.logger, "warning", said.append)
    runner.train()
    assert ["custom_cfg.1.data_src is 'lss'" in text for text in said if "custom_cfg" in text] == [True]


@pytest.mark.parametrize(
    ("split", "pipeline", "error"),
    [
        ("train", [{"type": "LoadImageFromFile"}], "no inputs; end it with"),
        ("train", [], "no inputs; end it with"),
        ("train", [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs", "meta_keys": []}], "have no img_shape"),
        ("val", [{"type": "LoadImageFromFile"}], "no inputs; end it with"),
        (
            "val",
            [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs", "meta_keys": ["img_shape"]}],
            "no scale_factor",
        ),
    ],
)
def test_what_a_pipeline_must_give_is_said(make_runner, split, pipeline, error):
    runner = make_runner(**{f"{split}_dataloader__dataset__pipeline": pipeline, "train_cfg__max_iters": 1})
    with pytest.raises(PipelineError, match=error):
        runner.train() if split == "train" else runner.val()
