import pytest

from rdet.analysis.compare.swap import parse_swap
from rdet.errors import ConfigError


def read(text, is_part=True):
    swap = parse_swap(text)
    return {change.key: change.value(is_part, swap.source) for change in swap.changes}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("loss_cls=VarifocalLoss", {"loss_cls": {"type": "VarifocalLoss"}}),
        ("neck=BiFPN(num_blocks=2, norm_cfg=dict(type=GN, num_groups=8))",
         {"neck": {"type": "BiFPN", "num_blocks": 2, "norm_cfg": {"type": "GN", "num_groups": 8}}}),
        ("neck = BiFPN()", {"neck": {"type": "BiFPN"}}),
        ("quality=None", {"quality": None}),
        ("a=my.parts.X(text='; b=(', n=[1,2]); b=Y;", {"a": {"type": "my.parts.X", "text": "; b=(", "n": [1, 2]},
                                                       "b": {"type": "Y"}}),
        ("neck=dict(type=BiFPN)", {"neck": {"type": "BiFPN"}}),
    ],
)  # fmt: skip
def test_parts(text, changes):
    assert read(text) == changes


def test_values():
    assert read("optim_wrapper.optimizer.lr=0.01", is_part=False) == {"optim_wrapper.optimizer.lr": 0.01}
    assert read("work_dir=__import__('os').getcwd()", is_part=False) == {"work_dir": "__import__('os').getcwd()"}


def test_names():
    assert parse_swap(" neck=BiFPN( num_blocks=2 ) ;a = b").name == "neck=BiFPN( num_blocks=2 ); a=b"
    named = parse_swap("ours, wide: a=X; b.c='d: e=f'")
    assert (named.name, named.text) == ("ours, wide", "a=X; b.c='d: e=f'")
    assert parse_swap("a={b: c}").name == "a={b: c}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("neck", "'neck' is no SLOT=TYPE"),
        ("neck=", "'neck=' is no SLOT=TYPE"),
        ("", "'' is no SLOT=TYPE"),
        ("a=X;;b=Y", "'' is no SLOT=TYPE"),
        ("neck=A; model.neck=B", "has neck twice; leave one out"),
    ],
)
def test_what_is_no_swap(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_swap(text)


@pytest.mark.parametrize("text", ["a=X(2)", "a=X(b=1", "a=X(type=Y)", "a=X(b=1)(c=2)", "a=X(b=[1)"])
def test_values_that_are_not_understood(text):
    with pytest.raises(ConfigError, match=r"--swap 'a=X.*' ?.*is not understood"):
        read(text)
