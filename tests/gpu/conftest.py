"""Tests that need a GPU; without one they are skipped."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _on_a_gpu(monkeypatch):
    """Numbers are compared with the CPU's, so no product may round its factors to TF32."""
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
