"""A step reads nothing from a GPU: the twin, for any machine, of what tests/gpu asks of a card."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from mmcv.cnn import ConvModule
from pretended_gpu import pretended_gpu
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.append(str(Path(__file__).parents[1] / "gpu"))
import families

SIZE = {"height": 96, "width": 128}


def unshared(model):
    """Give each level its own convolutions: a pretended GPU cannot take the same layer twice."""
    for module in model.bbox_head.modules():
        if isinstance(module, ConvModule):
            module.conv = copy.deepcopy(module.conv)
    return model


@pytest.mark.parametrize("family", [*families.FAMILIES, "tood/r50_fpn_1x_coco at first"])
def test_losses_are_computed_without_a_wait(family, monkeypatch):
    family, _, at_first = family.partition(" ")
    model, data = families.detector(family, 0 if at_first else families.LATE), families.batch(**SIZE)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)  # whose sampling asks for a driver
    with pretended_gpu(monkeypatch):
        found = families.losses(unshared(model).to("cuda"), data)
    assert {"loss_cls", "loss_bbox"} <= found.keys()
    for value in found.values():
        assert value.is_cuda
        assert value.requires_grad


class Operators(TorchDispatchMode):
    """Counts what a GPU would start a kernel for: all but views, and memory."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        is_view = any(returned.alias_info and not returned.alias_info.is_write for returned in func._schema.returns)
        self.count += not is_view and "empty" not in func.overloadpacket.__name__
        return func(*args, **(kwargs or {}))


def test_a_step_is_of_no_more_operators():
    """The host starts each; tests/gpu counts kernels."""
    model, data = families.detector("retinanet/r50_fpn_1x_coco"), families.batch(**SIZE)
    families.losses(model, data)
    with Operators() as operators:
        total = sum(families.losses(model, data).values())
        forward = operators.count
        total.backward()
    assert 300 < forward <= 430
    assert operators.count <= 790


def test_who_looks_is_caught(monkeypatch):
    with pretended_gpu(monkeypatch):
        values = torch.ones(3).to("cuda") * torch.ones(3, device="cuda")
        assert values.is_cuda
        with pytest.raises(DataDependentOutputException):
            values.sum().item()
    assert (torch.ones(2) + 1).tolist() == [2, 2]  # on the host numbers are numbers
