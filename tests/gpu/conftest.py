"""Tests that need a GPU; without one they are skipped."""

import gc

import pytest
import torch


@pytest.fixture(autouse=True)
def _on_a_gpu():
    """Numbers are compared with the CPU's, so no product may round its factors to TF32."""
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    # By hand: of these modules `monkeypatch` deletes what it should set back.
    modules = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [module.allow_tf32 for module in modules]
    for module in modules:
        module.allow_tf32 = False
    yield
    for module, allowed in zip(modules, before, strict=True):
        module.allow_tf32 = allowed
    gc.collect()  # recordings and their detectors refer to each other
    torch.cuda.empty_cache()  # other processes test on this card


def pytest_runtest_logreport(report):
    """Says what failed at once: a run may be cut before its end."""
    if report.failed:
        reason = str(report.longrepr).strip().rpartition("\n")[2]
        print(f"\nFAILED {report.nodeid} {reason}", flush=True)
