"""What the assembled detector finds in images."""

from types import SimpleNamespace

import pytest
import torch
from detector_families import FAMILIES
from small_detector import SIZE, build, images, sample
from torch.utils._python_dispatch import TorchDispatchMode

from rdet.errors import NonFiniteDetectionError
from rdet.models.detectors.finite_images import FiniteImages
from rdet.structures import DensePredictions


@pytest.fixture(scope="module")
def model():
    return build()


def test_predictions_are_in_pixels_of_the_original_image(model):
    """Scale factors are (w, h); boxes are clipped to the network's input before they are divided."""
    sizes = [(2, 3), (1, 1), (1, 1), (1, 1), (1, 1)]
    priors = model.anchor_generator(sizes)
    logits = torch.full((2, len(priors), 3), -10.0)
    logits[0, 0, 2], logits[1, 12, 1] = 3.0, 2.0
    deltas = model.bbox_coder.encode(priors, torch.tensor([[4.0, 2, 16, 20]]).expand_as(priors)).expand(2, -1, -1)
    samples = [sample(scale_factor=(0.5, 2.0), img_shape=(16, 24)), sample(scale_factor=(2.0, 1.0), img_shape=(30, 10))]
    first, second = model.predict(DensePredictions(logits, deltas, sizes), priors, samples)
    torch.testing.assert_close(first.pred_instances.bboxes, torch.tensor([[8.0, 1, 32, 8]]))
    torch.testing.assert_close(second.pred_instances.bboxes, torch.tensor([[2.0, 2, 5, 20]]))
    assert (first.pred_instances.labels.tolist(), second.pred_instances.labels.tolist()) == ([2], [1])
    assert first is samples[0]


def test_predict_mode_and_nothing_found(model):
    with torch.no_grad():
        (found,) = model(images(1), [sample()], mode="predict")
    assert len(found.pred_instances) == 0  # scores are near 0.01
    assert found.pred_instances.bboxes.shape == (0, 4)


class HostReads(TorchDispatchMode):
    """Counts copies to the host, which get ones in place of the values that meta tensors do not have."""

    count = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operator.overloadpacket is torch.ops.aten._to_copy and kwargs.get("device") == torch.device("cpu"):
            self.count += 1
            return torch.ones(args[0].shape, dtype=args[0].dtype)
        return operator(*args, **kwargs)


@pytest.mark.parametrize("family", FAMILIES)
def test_inference_waits_once_for_a_batch(family):
    """All else that asks for a value of a tensor on the meta device raises."""
    model = build(**FAMILIES[family]).to("meta").eval()
    samples = [sample([], [], scale_factor=(1.0, 2.0)) for _ in range(3)]
    with torch.no_grad(), HostReads() as reads:
        results = model(images(3).to("meta"), samples, mode="predict")
    assert reads.count == 1
    assert [len(result.pred_instances) for result in results] == [1, 1, 1]  # as the ones say


def test_a_network_that_gives_no_numbers_is_said():
    model = build().eval()
    with torch.no_grad():
        model.bbox_head.conv_cls.bias.fill_(torch.nan)
        data = {"inputs": [torch.zeros(3, *SIZE, dtype=torch.uint8)], "data_samples": [sample(img_path="a.png")]}
        with pytest.raises(NonFiniteDetectionError, match=r"^a\.png: the network gives numbers that are not finite"):
            model.test_step(data)


class OnAGpu(torch.Tensor):
    """Says that it is on a GPU."""

    is_cuda = True


def test_whether_images_have_numbers_is_not_waited_for(monkeypatch):
    order = []
    event = SimpleNamespace(synchronize=lambda: order.append("read"))
    stream = SimpleNamespace(record_event=lambda: order.append("copied") or event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    logits = torch.zeros(4, 5, 3)
    logits[1, 2, 0], logits[2, 4, 1], logits[3, 0, 2] = torch.nan, torch.inf, -torch.inf
    finite = FiniteImages(logits.as_subclass(OnAGpu))
    assert order == ["copied"]
    assert [finite[image] for image in range(4)] == [FiniteImages(logits)[i] for i in range(4)] == [True] + 3 * [False]
    assert order == ["copied"] + 4 * ["read"]


def test_what_is_found_does_not_depend_on_the_images_of_the_batch():
    """Padding to the size of another image changes an image's edges, and what group normalisation counts."""
    model = build(bbox_head__norm_cfg={"type": "GN", "num_groups": 4}, postprocess__score_thr=0.0).eval()
    with torch.no_grad():  # so that all scores are not those of the prior probability
        model.bbox_head.conv_cls.weight.mul_(100)
    generator = torch.Generator().manual_seed(0)
    sizes = [(60, 90), (128, 64), (64, 96), (130, 100)]
    pictures = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]

    def found(indices):
        with torch.no_grad():
            samples = [sample(img_shape=sizes[index]) for index in indices]
            return model.test_step({"inputs": [pictures[index] for index in indices], "data_samples": samples})

    together, mixed = found([0, 1, 2, 3]), found([3, 1, 0, 2])
    for index, (one, other) in enumerate(zip(together, [mixed[i] for i in (2, 1, 3, 0)], strict=True)):
        (alone,) = found([index])
        assert one.img_shape == sizes[index]
        for detections in (one.pred_instances, other.pred_instances):
            torch.testing.assert_close(detections.scores, alone.pred_instances.scores, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(detections.bboxes, alone.pred_instances.bboxes, rtol=1e-4, atol=1e-3)
