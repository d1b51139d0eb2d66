"""What tests of kernels share."""

import pytest


@pytest.fixture
def bounds_of_loops(monkeypatch):
    """Lets Triton's interpreter loop up to an argument: that of 3.6 takes the ``int`` of an array of one number, which
    numpy 2.4 refuses. Kernels on a card have nothing to do with it."""
    from triton.runtime import interpreter

    before = interpreter._patch_lang_tensor

    def patch(tensor, *scope):
        before(tensor, *scope)
        tensor.__index__ = lambda self: self.handle.data.item()

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patch)
