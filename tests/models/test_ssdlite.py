"""SSDLite's own parts; tests/interop/test_torchvision_ssd.py has them in one detector beside torchvision's."""

import pytest
import torch
from torch.autograd import gradcheck
from torchvision.models import mobilenet_v3_large

from rdet.models.backbones.ssdlite_mobilenet import SSDLiteMobileNetV3
from rdet.models.dense_heads.ssdlite_head import SSDLiteHead
from rdet.models.necks.ssdlite_neck import SSDLiteNeck
from rdet.models.priors.default_box_generator import DefaultBoxGenerator


@pytest.mark.parametrize("reduced_tail", [False, True])
def test_the_last_map_and_the_names_are_those_of_the_classifier(reduced_tail):
    torch.manual_seed(0)
    theirs = mobilenet_v3_large(reduced_tail=reduced_tail).eval()
    ours = SSDLiteMobileNetV3(reduced_tail=reduced_tail).eval()
    assert set(theirs.state_dict()) - set(ours.state_dict()) == ours.left_out
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if k not in ours.left_out})
    x = torch.randn(1, 3, 65, 96)
    with torch.no_grad():
        finer, last = ours(x)
        torch.testing.assert_close(last, theirs.features(x))
        torch.testing.assert_close(finer, theirs.features[13].block[0](theirs.features[:13](x)))
    assert [tuple(x.shape) for x in (finer, last)] == [(1, 672, 5, 6), (1, 480 if reduced_tail else 960, 3, 3)]
    assert ours.out_channels == [finer.shape[1], last.shape[1]]


def test_gradients_of_neck_and_head():
    torch.manual_seed(0)
    neck = SSDLiteNeck([2], [16], extra_channels=(4,), norm_cfg={"type": "BN"}).double().eval()
    head = SSDLiteHead([2, 4], 2, [1, 2], norm_cfg={"type": "BN"}).double().eval()
    assert (neck.out_channels, neck.strides) == ([2, 4], [16, 32])

    def outputs(x):
        found = head(neck([x]))
        return found.logits, found.deltas

    x = torch.randn(1, 2, 3, 3, dtype=torch.double, requires_grad=True)
    assert outputs(x)[0].shape == (1, 9 + 4 * 2, 2)
    assert gradcheck(outputs, (x,))


def test_even_cells_share_the_image():
    generator = DefaultBoxGenerator([128], image_size=320, scales=[0.5, 0.6], ratios=[[]], even_cells=True)
    priors = generator([(3, 3)])[::2]
    centers = (priors[:3, 0] + priors[:3, 2]) / 2
    assert centers.tolist() == pytest.approx([320 / 6, 160, 320 * 5 / 6], abs=1e-3)
    assert generator.grid([(3, 3)]).step[0].tolist() == pytest.approx([320 / 3] * 2)
