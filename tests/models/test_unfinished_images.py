"""The data preprocessor resizes and flips what a pipeline left to it."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from pretended_gpu import pretended_gpu
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data._utils.pin_memory import pin_memory

from rdet.datasets.transforms import LoadImageFromFile, PackDetInputs, RandomFlip, Resize
from rdet.errors import PipelineError
from rdet.models.detectors.data_preprocessor import DetDataPreprocessor
from rdet.models.detectors.random_batch_size import RandomBatchSize
from rdet.structures.unfinished_image import UnfinishedImage, finished

SIZES = [(48, 64), (64, 48), (50, 31)]


def data(on_device, prob=1.0):
    rng = np.random.default_rng(0)
    steps = [
        LoadImageFromFile(),
        Resize((140, 96), keep_ratio=True, on_device=on_device),
        RandomFlip(prob, "diagonal"),
        PackDetInputs(),
    ]
    inputs, samples = [], []
    for size in SIZES:
        results = {"img": rng.integers(0, 256, (*size, 3), dtype=np.uint8)}
        for step in steps:
            results = step(results)
        inputs.append(results["inputs"])
        samples.append(results["data_samples"])
    return {"inputs": inputs, "data_samples": samples}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_a_batch_is_that_of_the_host_but_for_a_grey_level(prob, training):
    preprocessor = DetDataPreprocessor((1.0, 2.0, 3.0), (2.0, 4.0, 8.0), train_size=(200, 100))
    ours, theirs = (preprocessor(data(on_device, prob), training) for on_device in (True, False))
    assert ours["inputs"].shape == theirs["inputs"].shape
    assert ours["inputs"].is_contiguous(memory_format=torch.channels_last)
    levels = (ours["inputs"] - theirs["inputs"]).abs() * preprocessor.std
    assert 0.4 < levels.max() < 1
    assert 0.2 < levels[0, :, :90, :96].mean() < 0.3
    for padded, image in zip(ours["inputs"], data(True)["inputs"], strict=True):
        assert not padded[:, image.shape[1] :].any()
        assert not padded[:, :, image.shape[2] :].any()
    for one, other in zip(ours["data_samples"], theirs["data_samples"], strict=True):
        assert one.metainfo == other.metainfo


def test_a_batch_can_be_made_again():
    batch, preprocessor = data(True), DetDataPreprocessor()
    assert preprocessor(batch)["inputs"].equal(preprocessor(batch)["inputs"])


def test_images_of_both_kinds_make_a_batch_and_groups():
    inputs = [data(False)["inputs"][0], *data(True)["inputs"][1:]]
    assert DetDataPreprocessor()({"inputs": inputs})["inputs"].shape[0] == 3
    assert DetDataPreprocessor().of_one_size([*inputs, inputs[0]]) == [[0, 3], [1], [2]]


def test_batches_of_changing_sizes():
    preprocessor = DetDataPreprocessor(batch_resize=RandomBatchSize((64, 64)))
    batch = data(True)
    for sample in batch["data_samples"]:
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[8.0, 16, 32, 64]]))
        sample.ignored_instances = InstanceData(bboxes=torch.empty(0, 4))
    preprocessor.batch_resize.set_iteration(0, 0)
    assert preprocessor(batch, training=True)["inputs"].shape[2] == 64


def test_channels_are_counted():
    one = UnfinishedImage(torch.zeros(4, 8, 8, dtype=torch.uint8), (16, 16))
    with pytest.raises(RuntimeError, match="an image has 4 channels, but data_preprocessor.mean 3 values"):
        DetDataPreprocessor()({"inputs": [one]})


@pytest.mark.parametrize(
    "look", [lambda image: image.float(), lambda image: torch.stack([image]), lambda image: F.pad(image, (0, 1))]
)
def test_who_takes_it_for_a_tensor_is_told(look):
    (image, *_) = data(True)["inputs"]
    with pytest.raises(PipelineError, match="left to the device .* let DetDataPreprocessor make the batch"):
        look(image)
    assert not hasattr(image, "numpy")
    assert pickle.loads(pickle.dumps(copy.copy(image))).size == image.size


def test_it_is_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    one = UnfinishedImage(torch.zeros(3, 8, 8, dtype=torch.uint8), (16, 4), (2,))
    (pinned,) = pin_memory({"inputs": [one]})["inputs"]  # as the loader's thread does
    assert pinned.pixels.eq(1).all()
    assert (pinned.size, pinned.flipped) == ((16, 4), (2,))


class Copies(TorchDispatchMode):
    """Notes what is copied from the host to a device, and whether the host goes on meanwhile."""

    def __init__(self):
        super().__init__()
        self.copied = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and "device" in kwargs and not args[0].is_cuda:
            self.copied.append((tuple(args[0].shape), kwargs.get("non_blocking", False)))
        elif func is torch.ops.aten.copy_.default and args[0].is_cuda and not args[1].is_cuda:
            self.copied.append((tuple(args[1].shape), False))
        return func(*args, **kwargs)


def test_a_gpu_gets_the_small_image_and_nothing_else_and_nobody_waits(monkeypatch):
    batch = data(True)
    with pretended_gpu(monkeypatch):
        preprocessor = DetDataPreprocessor().to("cuda")
        with Copies() as copies:
            found = preprocessor(batch, training=True)["inputs"]
    assert found.is_cuda
    assert found.shape == (3, 3, 160, 128)
    assert copies.copied == [((3, *size), True) for size in SIZES]


def test_finished_is_what_the_host_gives():
    for ours, theirs in zip(data(True)["inputs"], data(False)["inputs"], strict=True):
        assert finished(ours).dtype == torch.uint8
        assert (finished(ours).int() - theirs.int()).abs().max() <= 1
        assert finished(theirs) is theirs
