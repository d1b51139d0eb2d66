"""Checkpoints for the tests of their conversion."""

import pytest
import torch


@pytest.fixture
def save(tmp_path):
    def saved(state, name="a.pth", **meta) -> str:
        torch.save({"state_dict": state, "meta": meta}, tmp_path / name)
        return str(tmp_path / name)

    return saved
