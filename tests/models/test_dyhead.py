import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import deform_conv2d

from rdet.errors import UnknownNameError
from rdet.models import sampling
from rdet.models.necks.dyhead import DyHead, DyHeadBlock, DynamicReLU, as_in_memory
from rdet.registry import MODELS, build_from_cfg

NORM = {"type": "GN", "num_groups": 2}


def levels_of(*sizes, channels=8):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, channels, *size, generator=generator, dtype=torch.float64) for size in sizes]


def stirred(module):
    """Weights that let every path be seen: nothing starts from 0, and no gate is shut."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in module.named_parameters():
        if "norm" not in name:
            nn.init.normal_(parameter, mean=0.1 if "attn" in name else 0.0, std=0.1, generator=generator)
    return module.double()


def test_a_block_computes_what_the_paper_and_its_code_say():
    torch.manual_seed(0)
    block = stirred(DyHeadBlock(8, 8, NORM))
    levels = levels_of((8, 6), (4, 3), (2, 2))
    found = block(levels)
    for index, x in enumerate(levels):
        offset, mask = block.spatial_conv_offset(x).split((18, 9), dim=1)
        mask = mask.sigmoid()

        def seen(name, y, offset=offset, mask=mask):
            layer = getattr(block, f"spatial_conv_{name}")
            return layer.norm(deform_conv2d(y, offset, layer.conv.weight, None, layer.conv.stride, 1, 1, mask))

        parts = [seen("mid", x)]
        if index > 0:
            parts.append(seen("low", levels[index - 1]))
        if index < 2:
            above = levels[index + 1]
            rows, columns = above.shape[2:]
            flat = [each.reshape(2, -1)[:, : len(each[0]) * rows * columns] for each in (offset, mask)]
            moved = [each.reshape(2, -1, rows, columns) for each in flat]
            parts.append(F.interpolate(seen("high", above, *moved), x.shape[2:], mode="bilinear", align_corners=True))
        pooled = [
            part * F.hardsigmoid(F.relu(block.scale_attn_module[1](part.mean((2, 3), keepdim=True)))) for part in parts
        ]
        torch.testing.assert_close(found[index], block.task_attn_module(sum(pooled) / len(parts)))


def test_offsets_of_the_level_above_are_read_as_they_lie_in_memory():
    values = torch.arange(2 * 3 * 4.0).reshape(1, 2, 3, 4)
    assert as_in_memory(values, torch.empty(1, 9, 1, 2)).tolist() == [[[[0, 1]], [[2, 3]]]]
    assert torch.equal(as_in_memory(values.contiguous(memory_format=torch.channels_last), values), values)


def test_the_dynamic_relu_starts_as_one_and_is_the_larger_of_two_lines():
    relu = DynamicReLU(8).double()
    for parameter in relu.parameters():
        nn.init.zeros_(parameter)
    x = levels_of((4, 5))[0]
    torch.testing.assert_close(relu(x), F.relu(x))
    stirred(relu)
    a1, b1, a2, b2 = (
        F.hardsigmoid(relu.conv2.conv(F.relu(relu.conv1.conv(x.mean((2, 3), keepdim=True))))) - 0.5
    ).chunk(4, dim=1)
    torch.testing.assert_close(relu(x), torch.max(x * (a1 * 2 + 1) + b1, x * a2 * 2 + b2))


@pytest.mark.parametrize("plain", [False, True])
def test_gradients(plain, monkeypatch):
    monkeypatch.setattr(sampling, "by_plain_operators", lambda maps: plain)
    torch.manual_seed(0)
    block = stirred(DyHeadBlock(4, 4, NORM))
    levels = [x[:1].requires_grad_() for x in levels_of((4, 2), (2, 1), channels=4)]
    of = lambda *each: tuple(block(list(each)))  # noqa: E731
    assert torch.autograd.gradcheck(of, tuple(levels), fast_mode=True)


def test_gradient_reaches_every_weight_and_levels_of_any_size_stay():
    torch.manual_seed(0)
    neck = stirred(DyHead([8, 8, 8], [8, 16, 32], out_channels=8, num_blocks=2, norm_cfg=NORM))
    for sizes in (((13, 10), (7, 5), (4, 3)), ((13, 7), (6, 3), (3, 1)), ((1, 1),) * 3):
        levels = neck(levels_of(*sizes))
        assert [tuple(x.shape[2:]) for x in levels] == list(sizes)
    levels = neck(levels_of((8, 6), (4, 3), (2, 2)))
    sum((x * torch.linspace(-1, 2, x.numel()).reshape(x.shape)).sum() for x in levels).backward()
    assert [name for name, p in neck.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_chain_of_necks():
    facts = {"in_channels": [4, 6, 8], "in_strides": [8, 16, 32]}
    own = {"type": "DyHead", "out_channels": 16, "num_blocks": 1, "norm_cfg": NORM}
    necks = [{"type": "FPN", "out_channels": 16}, own]
    chain = build_from_cfg({"type": "NeckChain", "necks": necks}, MODELS, facts)
    assert (chain.out_channels, chain.strides) == ([16] * 5, [8, 16, 32, 64, 128])
    maps = [torch.randn(1, c, 64 // s, 96 // s) for c, s in ((4, 8), (6, 16), (8, 32))]
    expected = chain[1](chain[0](maps))
    assert all(map(torch.equal, chain(maps), expected))
    assert any(name.startswith("1.dyhead_blocks.0.spatial_conv_mid.conv.") for name in chain.state_dict())
    with pytest.raises(UnknownNameError, match=r"model.neck.necks.1: DyHead has no key 'blocks'"):
        build_from_cfg({"type": "NeckChain", "necks": [necks[0], {"type": "DyHead", "blocks": 2}]}, MODELS, facts)
    with pytest.raises(ValueError, match="NeckChain.necks is empty; name at least one neck"):
        build_from_cfg({"type": "NeckChain", "necks": []}, MODELS, facts)
    with pytest.raises(ValueError, match=r"DyHead takes levels of one width, not of \[4, 6, 8\]; put an FPN before"):
        build_from_cfg({"type": "DyHead"}, MODELS, facts)
    with pytest.raises(ValueError, match="DyHead.out_channels is 18; it must be a multiple of 4"):
        DyHead([8], [8], out_channels=18)
