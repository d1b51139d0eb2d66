"""A run with ``cuda_graphs``: what goes with it, and what it does without a GPU."""

import pytest

from rdet.errors import ConfigError


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"compile": True}, "cuda_graphs and compile both say"),
        ({"activation_checkpointing": ["neck"]}, "cuda_graphs records each kernel .* remove one of them"),
    ],
)
def test_what_does_not_go_with_it(make_runner, more, message, monkeypatch):
    monkeypatch.setattr("rdet.models.detectors.one_stage_detector.OneStageDetector.compile", lambda self: None)
    runner = make_runner(train_cfg__max_iters=1, cuda_graphs=True, **more)
    with pytest.raises(ConfigError, match=message):
        runner.train()


def test_without_a_gpu_it_has_no_effect(make_runner, tmp_path):
    runner = make_runner(train_cfg__max_iters=1, cuda_graphs=True)
    runner.train()
    if next(runner.model.parameters()).is_cuda:
        assert runner.model.graphed is not None
        return
    assert runner.model.graphed is None
    (log,) = tmp_path.glob("run/*/*.log")
    assert "cuda_graphs: there is no GPU here, so the key has no effect" in log.read_text()
