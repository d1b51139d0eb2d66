"""Which descriptions of a normalisation are taken."""

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from rdet.models.norms import GroupNorm, build_norm, check_norm_cfg, keep_half_precision
from rdet.registry import UnknownNameError


class FilterResponse(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.scale = nn.Conv2d(dim, dim, 1, groups=dim)
        self.eps = eps


class TakesAll(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()


@pytest.fixture
def frn(monkeypatch):
    monkeypatch.setitem(ROOT_MODELS.module_dict, "FRN", FilterResponse)


@pytest.mark.parametrize(
    "norm_cfg",
    [
        {"type": "BN"},
        {"type": "BN", "requires_grad": False, "eps": 1e-3},
        {"type": "GN", "num_groups": 4},
        {"type": "mmengine.GN", "num_groups": 4},
        {"type": "torch.nn.modules.batchnorm.BatchNorm2d", "momentum": 0.1},
        {"type": nn.BatchNorm2d},
        {"type": "FRN", "eps": 1.0},
        {"type": TakesAll, "anything": 1},
    ],
)
def test_what_is_taken_can_be_built(norm_cfg, frn):
    check_norm_cfg(norm_cfg, "model.neck.norm_cfg")
    assert isinstance(build_norm(norm_cfg, 8), nn.Module)


@pytest.mark.parametrize(
    ("norm_cfg", "message"),
    [
        ({"type": 0.5}, r"model.neck.norm_cfg: no normalisation is called 0.5. Valid: BN"),
        ({"type": "../.."}, r"model.neck.norm_cfg: no normalisation is called '../..'"),
        ({"type": "BM"}, r"model.neck.norm_cfg: no normalisation is called 'BM'. Did you mean 'BN'"),
        ({"type": "BN", "momentun": 0.1}, "model.neck.norm_cfg: BN has no key 'momentun'. Did you mean 'momentum'"),
        ({"type": "FRN", "dim": 3}, "FRN has no key 'dim'. Valid: eps, requires_grad"),
    ],
)
def test_unknown_names(norm_cfg, message, frn):
    with pytest.raises(UnknownNameError, match=message):
        check_norm_cfg(norm_cfg, "model.neck.norm_cfg")


@pytest.mark.parametrize(
    ("norm_cfg", "message"),
    [
        ("BN", "norm_cfg is 'BN'; it must be None or a dict with a type"),
        ({"type": "GN"}, "norm_cfg: GN needs num_groups"),
    ],
)
def test_what_lacks_something(norm_cfg, message):
    with pytest.raises(ValueError, match=message):
        check_norm_cfg(norm_cfg, "norm_cfg")


@pytest.mark.parametrize("affine", [True, False])
def test_group_normalisation_leaves_half_precision(affine):
    network = nn.Sequential(nn.GroupNorm(2, 4, affine=affine))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = network(x)
    keep_half_precision(network)
    assert type(network[0]) is GroupNorm
    assert network.state_dict().keys() == before.keys()
    assert torch.equal(network(x), expected)
    network.to("meta")  # as on a GPU
    assert network(x.to("meta")).dtype == torch.float32
    for dtype in (torch.bfloat16, torch.float16):
        assert network(x.to("meta", dtype)).dtype == dtype
