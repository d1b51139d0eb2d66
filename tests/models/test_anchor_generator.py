import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models.detection.anchor_utils import AnchorGenerator as TorchvisionAnchorGenerator
from torchvision.models.detection.image_list import ImageList

from rdet.models.priors.anchor_generator import AnchorGenerator

STRIDES = [8, 16, 32, 64, 128]


def level_sizes(height, width):
    sizes = []
    for stride in STRIDES[:3]:
        sizes.append((-(-height // stride), -(-width // stride)))
    for _ in range(2):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def size(anchors):
    return (anchors[:, 2] - anchors[:, 0]), (anchors[:, 3] - anchors[:, 1])


@pytest.fixture
def first_cells():
    """The nine anchors of the first cell of each level, (5, 9, 4)."""
    generator = AnchorGenerator(STRIDES)
    assert generator.num_priors == 9
    return generator([(1, 1)] * 5).view(5, 9, 4)


def test_areas_are_those_of_section_4(first_cells):
    """Areas of 32^2 to 512^2 on P3 to P7, and 2^0, 2^(1/3), 2^(2/3) of the sides."""
    for level, anchors in enumerate(first_cells):
        width, height = size(anchors)
        sides = 32 * 2**level * torch.tensor([1, 2 ** (1 / 3), 2 ** (2 / 3)]).repeat(3)
        torch.testing.assert_close(width * height, sides**2, rtol=1e-5, atol=0)


def test_range_is_32_to_813_pixels(first_cells):
    width, height = size(first_cells.view(-1, 4))
    sides = (width * height).sqrt()
    assert sides.min().item() == pytest.approx(32, abs=0.01)
    assert sides.max().item() == pytest.approx(813, abs=0.5)


def test_ratios_are_heights_over_widths_in_the_outer_loop(first_cells):
    for anchors in first_cells:
        width, height = size(anchors)
        torch.testing.assert_close(height / width, torch.tensor([0.5] * 3 + [1.0] * 3 + [2.0] * 3))


def test_order_is_level_row_column_anchor():
    anchors = AnchorGenerator([8, 16], scales_per_octave=1, ratios=[1.0, 4.0])([(2, 3), (1, 2)])
    centers = ((anchors[:, :2] + anchors[:, 2:]) / 2).tolist()
    cells = [(x, y) for y in (0, 8) for x in (0, 8, 16)] + [(0, 0), (16, 0)]
    assert centers == [list(cell) for cell in cells for _ in range(2)]
    assert anchors[:2].tolist() == [[-16, -16, 16, 16], [-8, -32, 8, 32]]
    assert anchors[-2:].tolist() == [[-16, -32, 48, 32], [0, -64, 32, 64]]


@pytest.mark.parametrize(("offset", "center"), [(0.0, (0, 0)), (0.5, (4, 4))])
def test_center_offset_is_in_strides(offset, center):
    (anchor,) = AnchorGenerator([8], scales_per_octave=1, ratios=[1.0], center_offset=offset)([(1, 1)])
    assert ((anchor[:2] + anchor[2:]) / 2).tolist() == list(center)


@pytest.mark.parametrize("shape", [(800, 1344), (256, 384), (224, 352), (96, 32), (32, 32)])
def test_rounded_equals_torchvision(shape):
    sizes = level_sizes(*shape)
    sides = [(x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512)]
    theirs = TorchvisionAnchorGenerator(tuple(sides), ((0.5, 1.0, 2.0),) * 5)
    maps = [torch.zeros(1, 1, *size) for size in sizes]
    (expected,) = theirs(ImageList(torch.zeros(1, 3, *shape), [shape]), maps)
    assert torch.equal(AnchorGenerator(STRIDES, rounded=True)(sizes), expected)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((800, 1344), (100 * 168 + 50 * 84 + 25 * 42 + 13 * 21 + 7 * 11) * 9), ((32, 32), (16 + 4 + 1 + 1 + 1) * 9)],
)
def test_count(shape, count):
    anchors = AnchorGenerator(STRIDES)(level_sizes(*shape))
    assert anchors.shape == (count, 4)
    assert anchors.dtype == torch.float32


def test_translation_by_a_stride():
    anchors = AnchorGenerator([8])([(5, 7)]).view(5, 7, 9, 4)
    step = torch.tensor([8.0, 0, 8, 0])
    assert torch.equal(anchors[:, 1:], anchors[:, :-1] + step)
    assert torch.equal(anchors[1:], anchors[:-1] + step.roll(1))


def test_cache_gives_the_same_tensor_and_stays_small():
    generator = AnchorGenerator([8], scales_per_octave=1, ratios=[1.0])
    first = generator([(2, 3)])
    assert generator([(2, 3)]) is first
    assert generator([(3, 2)]).shape == first.shape
    for width in range(1, 100):
        generator([(1, width)])
    assert len(generator._cache) == 64
    assert torch.equal(generator([(2, 3)]), first)


def test_cache_keeps_what_was_asked_for_last():
    generator = AnchorGenerator([8], scales_per_octave=1, ratios=[1.0])
    first, grid = generator([(2, 3)]), generator.grid([(2, 3)])
    for width in range(1, 100):
        generator([(1, width)])
        generator.grid([(1, width)])
        assert generator([(2, 3)]) is first
        assert generator.grid([(2, 3)]) is grid
    assert len(generator._grids) == 64


@pytest.mark.parametrize("rounded", [False, True])
def test_priors_are_made_on_their_device(rounded):
    """The meta device would refuse to be read; a copy from the host of no more than shapes is all that it gets."""
    generator = AnchorGenerator(STRIDES, rounded=rounded)
    sizes = [(20, 30), (10, 15), (5, 8), (3, 4), (2, 2)]
    copied = []

    class Copies(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            if operator.overloadpacket is torch.ops.aten._to_copy and args[0].device.type == "cpu":
                copied.append(args[0].numel())
            return operator(*args, **(kwargs or {}))

    with Copies():
        on_device = generator(sizes, "meta")
    assert on_device.shape == generator(sizes).shape
    assert copied == [9 * 4] * 5


def test_wrong_number_of_levels():
    with pytest.raises(ValueError, match=r"priors for 5 levels \[8, 16, 32, 64, 128\], but 4 maps"):
        AnchorGenerator(STRIDES)([(4, 4)] * 4)
