"""Which keys a config may give a part."""

import pytest
from torch import nn

from rdet.part_keys import parameters_of
from rdet.registry import HOOKS, UnknownNameError, build_from_cfg


class Outer:
    def __init__(self, inner, count: int = 1, norm_cfg: dict | None = None, parts: list | None = None):
        self.inner, self.count, self.norm_cfg, self.parts = inner, count, norm_cfg, parts


class OuterChild(Outer):
    def __init__(self, extra: int, **kwargs):
        super().__init__(**kwargs)
        self.extra = extra


class Opaque:
    def __init__(self, **kwargs):
        self.kwargs = kwargs


class Bare:
    pass


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (Outer, {"inner", "count", "norm_cfg", "parts"}),
        (OuterChild, {"inner", "count", "norm_cfg", "parts", "extra"}),
        (Opaque, None),
        (Bare, set()),
        (nn.Identity, None),
        (nn.Module, set()),
        (dict.fromkeys, {"iterable", "value"}),
        (lambda a, b=1: None, {"a", "b"}),
        (lambda **kwargs: None, None),
    ],
)
def test_parameters_of(cls, expected):
    assert parameters_of(cls) == expected


def test_parameters_of_a_module_after_torch_compile(monkeypatch):
    """It replaces nn.Module's constructor for good."""
    original = nn.Module.__init__
    monkeypatch.setattr(nn.Module, "__init__", lambda self, *args, **kwargs: original(self, *args, **kwargs))
    assert parameters_of(nn.Module) == parameters_of(type("Bare", (nn.Module,), {})) == set()
    assert parameters_of(nn.Identity) is None


def test_keyword_arguments_that_mmengines_hooks_pass_on_are_known():
    assert {"interval", "save_best", "max_keep_ckpts"} <= parameters_of(HOOKS.get("CheckpointHook"))
    assert {"ema_type", "momentum"} <= parameters_of(HOOKS.get("EMAHook"))
    with pytest.raises(UnknownNameError, match=r"EMAHook has no key 'momentun'. Did you mean 'momentum'"):
        build_from_cfg({"type": "EMAHook", "momentun": 0.1}, HOOKS)

    class Derived(HOOKS.get("EMAHook")):
        pass

    assert {"ema_type", "momentum"} <= parameters_of(Derived)
