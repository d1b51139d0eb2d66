import pytest
import torch
import torch.nn.functional as F

from rdet.models.necks.hrfpn import HRFPN


def maps_of(height, width, channels=(4, 6, 8)):
    generator = torch.Generator().manual_seed(0)
    sizes = [(-(-height // s), -(-width // s)) for s in (4, 8, 16)]
    return [torch.randn(2, c, *size, generator=generator) for c, size in zip(channels, sizes, strict=True)]


def made(**options):
    torch.manual_seed(0)
    return HRFPN([4, 6, 8], [4, 8, 16], out_channels=5, **options)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("stride", [1, 2])
def test_formulas(pooling, stride):
    neck, maps = made(pooling=pooling, stride=stride, num_levels=3), maps_of(64, 96)
    mixed = neck.reduction_conv(
        torch.cat([F.interpolate(x, scale_factor=2.0**i, mode="bilinear") if i else x for i, x in enumerate(maps)], 1)
    )
    pool = F.avg_pool2d if pooling == "average" else F.max_pool2d
    expected = [conv(pool(mixed, 2**i) if i else mixed) for i, conv in enumerate(neck.fpn_convs)]
    assert neck.strides == [4 * stride, 8 * stride, 16 * stride]
    for found, wanted in zip(neck(maps), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert all(conv.stride == (stride, stride) for conv in neck.fpn_convs)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((256, 128), [(32, 16), (16, 8), (8, 4), (4, 2), (2, 1)]),
        ((100, 75), [(13, 10), (6, 5), (3, 2), (2, 1), (1, 1)]),  # 25 cells are 12 pools of 2
        ((8, 8), [(1, 1)] * 5),
    ],
)
def test_levels_of_any_size(shape, sizes):
    neck = made()
    levels = neck(maps_of(*shape))
    assert [tuple(x.shape[2:]) for x in levels] == sizes
    assert (neck.out_channels, neck.strides) == ([5] * 5, [8, 16, 32, 64, 128])
    sum(x.square().sum() for x in levels).backward()
    assert all(p.grad is not None and p.grad.any() for p in neck.parameters())


def test_errors():
    with pytest.raises(ValueError, match="HRFPN.pooling is 'AVG'; valid: 'average', 'max'"):
        made(pooling="AVG")
    with pytest.raises(ValueError, match="HRFPN was made for 3 maps, not 2"):
        made()(maps_of(32, 32)[:2])
