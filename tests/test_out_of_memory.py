"""A device without memory for a batch ends a run in a line; tests/gpu has a card say it."""

import pytest
import torch

from rdet.errors import OutOfMemoryError, message_of
from rdet.models.detectors.one_stage_detector import OneStageDetector
from rdet.out_of_memory import out_of_memory_explained

OF_CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB of which 1.20 GiB is "
    "free. Process 1 has 14.57 GiB memory in use."
)
BATCH = {"inputs": [torch.zeros(3, 40, 60), torch.zeros(3, 50, 30)]}


def explained(error, batch=BATCH):
    with pytest.raises(OutOfMemoryError) as raised, out_of_memory_explained(batch, "lower it"):
        raise error
    return str(raised.value)


def test_what_was_asked_for_is_said():
    assert explained(torch.OutOfMemoryError(OF_CUDA)) == (
        "the GPU has no memory left for a batch of 2 images of up to 60 x 50 pixels (2.00 GiB more were asked for, it "
        "has 15.77 GiB); lower it"
    )
    found = explained(RuntimeError("CUDA error: out of memory"), {})
    assert message_of(OutOfMemoryError(found)) == found
    assert found == "the GPU has no memory left for a batch; lower it"


def test_other_errors_are_left_as_they_are():
    with pytest.raises(RuntimeError, match="^shapes"), out_of_memory_explained(BATCH, "lower it"):
        raise RuntimeError("shapes do not fit")


def test_the_host_says_it_too():
    said = r"^the host has no memory left for a batch of 2 .* asked for\); lower it"
    with pytest.raises(OutOfMemoryError, match=said), out_of_memory_explained(BATCH, "lower it"):
        torch.empty(2**50)
    assert explained(RuntimeError("std::bad_alloc")).startswith("the host has no memory left for a batch of 2")
    assert explained(MemoryError()) == (
        "the host has no memory left for a batch of 2 images of up to 60 x 50 pixels; lower it"
    )


def test_a_training_ends_in_a_line(make_runner, monkeypatch):
    def fails(*args):
        raise torch.OutOfMemoryError(OF_CUDA)

    runner = make_runner(train_cfg__max_iters=3)
    monkeypatch.setattr(OneStageDetector, "loss", fails)
    with pytest.raises(OutOfMemoryError, match=r"2 images of up to \d+ x \d+ pixels with \d+ box.* iteration 1; lower"):
        runner.train()


def test_a_detection_ends_in_a_line(make_runner, monkeypatch):
    def fails(*args):
        raise torch.OutOfMemoryError(OF_CUDA)

    runner = make_runner("test")
    monkeypatch.setattr(OneStageDetector, "predict", fails)
    with pytest.raises(OutOfMemoryError, match="the GPU has no memory .* images? of up to .* lower the batch size"):
        runner.test()
