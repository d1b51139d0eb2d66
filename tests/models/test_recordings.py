"""What is recorded as a CUDA graph, and when; tests/gpu asks a card whether replays compute the same."""

import copy
import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from pretended_gpu import pretended_gpu
from small_detector import SIZE, config
from test_waits import unshared

from rdet.models.detectors import recordings
from rdet.models.detectors.captured import Captured, NothingFromTheHost
from rdet.models.detectors.graphed_network import (
    GraphedNetwork,
    Memory,
    TensorsOf,
    _Replay,
    as_if_not_run,
    in_place_of,
)
from rdet.models.detectors.recordings import Recordings, check_gradients, check_replay
from rdet.models.recording import is_recording, recording
from rdet.registry import MODELS
from rdet.structures import DetDataSample

sys.path.append(str(Path(__file__).parents[1] / "gpu"))
import families


def test_what_comes_often_is_recorded(monkeypatch):
    monkeypatch.setattr(recordings, "_MOST", 2)
    kept, made = Recordings("work"), []

    def ask(key):
        return kept.of(key, lambda: made.append(key) or f"{key} {len(made)}")

    assert [ask("a") for _ in range(4)] == [None, None, "a 1", "a 1"]
    assert [ask("b") for _ in range(3)] == [None, None, "b 2"]
    # There is no room for a third until one of the others has not been asked for in a long time.
    assert [ask("c") for _ in range(5)] == [None] * 5
    for _ in range(recordings._IDLE):
        assert ask("a") == "a 1"
    assert ask("c") == "c 3"
    assert ask("b") is None
    assert (ask("a"), ask("c")) == ("a 1", "c 3")
    assert made == ["a", "b", "c"]


def test_what_cannot_be_recorded_is_said_once_and_done_without():
    kept = Recordings("work")

    def record():
        raise RuntimeError("a value is looked at\nand more")

    assert [kept.of("a", record) for _ in range(2)] == [None, None]
    with pytest.warns(
        UserWarning, match="^work cannot be recorded as a CUDA graph, and is slower: a value is looked a"
    ):
        assert kept.of("a", record) is None
    assert [kept.of(key, record) for key in "aaabbbb"] == [None] * 7


@pytest.mark.parametrize("family", families.FAMILIES)
def test_detection_copies_nothing_from_the_host_and_looks_at_no_value(family, monkeypatch):
    model = families.detector(family).eval()
    data = families.batch(height=96, width=128)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)  # whose sampling asks for a driver
    inputs = model.data_preprocessor(data)["inputs"]
    sizes = [sample.img_shape for sample in data["data_samples"]]
    with pretended_gpu(monkeypatch):
        model, inputs = unshared(model).to("cuda"), inputs.to("cuda")
        limits = model.postprocess.limits(sizes, inputs.device)
        model.begin_detections(inputs, limits)  # priors are made, and kept
        if family in families.DEFORMABLE:
            with recording(), pytest.raises(RuntimeError, match="runs on no stream but CUDA's default one"):
                model.begin_detections(inputs, limits)
            return
        with NothingFromTheHost(), recording():
            extremes, _, priors = model.begin_detections(inputs, limits)
        assert extremes.shape == (2, 2)
        assert priors is model.anchor_generator(model.network(inputs).level_sizes, inputs.device)
        for copies in (
            lambda: torch.ones(3).to("cuda"),
            lambda: inputs[torch.zeros(1, dtype=torch.int64)],
            lambda: inputs.new_ones(3).copy_(torch.ones(3)),
        ):
            with NothingFromTheHost(), pytest.raises(RuntimeError, match="numbers are copied from the host"):
                copies()
        with NothingFromTheHost(), pytest.raises(RuntimeError, match="the host looks at a value"):
            inputs.sum().item()


def test_each_shape_has_its_own_replay(monkeypatch):
    recorded = []

    def record(captured, inputs):
        recorded.append(tuple(inputs[0].shape))
        raise RuntimeError("no card")

    monkeypatch.setattr(Captured, "_record", record)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    captured = Captured(lambda x: 2 * x)
    assert torch.equal(captured(torch.ones(2)), torch.full((2,), 2.0))
    with pretended_gpu(monkeypatch):
        for length in (3, 4, 3, 4):
            assert captured(torch.ones(length, device="cuda")).shape == (length,)
        with pytest.warns(UserWarning, match="no card"):
            captured(torch.ones(3, device="cuda"))
        assert captured(torch.ones(4, device="cuda")).shape == (4,)
    assert recorded == [(3,)]


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return MODELS.build(config())


def test_a_copy_records_its_own_weights(detector):
    detector.use_cuda_graphs()
    detector.captured = Captured(detector.begin_detections)
    other = copy.deepcopy(detector)
    assert other.graphed.parts()["neck"] is other.neck is not detector.neck
    assert other.graphed.run.__self__ is other.captured.function.__self__ is other
    assert list(other.state_dict()) == list(detector.state_dict())


def test_a_detector_goes_with_its_last_reference():
    gc.disable()
    try:
        captured = Captured(MODELS.build(config()).begin_detections)
        with pytest.raises(ReferenceError, match="is no more"):
            captured(torch.ones(1))
    finally:
        gc.enable()


def test_predictions_are_put_together_as_they_were(detector):
    images = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    expected = detector.network(images)._replace(extra={"more": torch.ones(2)}, quality_logits=None)
    graphed = GraphedNetwork(lambda: {"neck": detector.neck}, lambda images: expected)
    assert graphed(images) is expected
    network = TensorsOf(graphed.parts(), graphed.run)
    found = network.predictions(tuple(tensor.clone() for tensor in network(images)))
    assert found.level_sizes == expected.level_sizes
    assert found.quality_logits is None
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.deltas, expected.deltas)
    assert torch.equal(found.extra["more"], expected.extra["more"])
    assert {name.partition(".")[0] for name, _ in network.named_parameters()} == {"neck"}


def test_a_recording_leaves_statistics_and_random_numbers_as_they_were(monkeypatch):
    norm = torch.nn.BatchNorm2d(3)
    before = copy.deepcopy(norm.state_dict())
    forked = []
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: forked.append(devices) or torch.no_grad())
    with as_if_not_run(norm, torch.device("cpu")):
        norm(torch.randn(2, 3, 4, 4))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    assert forked == [[torch.device("cpu")]]
    norm(torch.randn(2, 3, 4, 4))
    assert norm.num_batches_tracked == 1


def test_only_training_is_graphed(detector):
    detector.use_cuda_graphs()
    seen = []
    detector.graphed = lambda images: seen.append(detector.training) or detector._network(images)
    images = torch.randn(2, 3, *SIZE)
    detector.train()(images)
    detector.eval()(images)
    with torch.no_grad():
        detector.train()(images)
    assert seen == [True]


def test_a_training_key_tells_what_is_trained(detector, monkeypatch):
    graphed = GraphedNetwork(lambda: {"neck": detector.neck}, detector._network)
    images = torch.randn(1, 3, *SIZE)
    first = graphed._key(images)
    assert graphed._key(images.clone()) == first
    detector.neck.requires_grad_(False)
    assert graphed._key(images) != first
    detector.neck.requires_grad_(True)
    assert graphed._key(images) == first
    weight = next(detector.neck.parameters())
    before = weight.data
    weight.data = weight.data.clone()
    assert graphed._key(images) != first
    weight.data = before
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: True)
    assert graphed._key(images) != first


def test_gradients_of_a_replay_go_to_the_weights():
    weights = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]

    class Step:
        without_gradient = (False, True)
        memory = Memory(None, None)

        def forward(self, inputs):
            self.memory.last += 1
            return inputs + 1, inputs.long()

        def backward(self, upstream):
            assert torch.equal(upstream[0], torch.full((4,), 5.0))
            return [None, torch.full((3,), 7.0)]

    found, counts = _Replay.apply(Step(), torch.zeros(4), *weights)
    assert not counts.requires_grad
    for _ in range(2):
        (5 * _Replay.apply(Step(), torch.zeros(4), *weights)[0]).sum().backward()
    assert found.tolist() == [1] * 4
    with pytest.raises(RuntimeError, match="another forward pass has written over .* go backward after each"):
        found.sum().backward()
    assert weights[0].grad is None
    assert weights[1].grad.tolist() == [14] * 3


def test_a_layer_of_two_names_has_its_weights_back():
    """RTMDet has such; what a recording is made of is no weight that an optimizer knows."""
    layer = torch.nn.Linear(2, 2)
    network = torch.nn.ModuleDict({"one": torch.nn.Sequential(layer), "other": torch.nn.Sequential(layer)})
    weight, bias = layer.weight, layer.bias
    others = {weight: torch.zeros(2, 2)}
    with in_place_of(others, network):
        assert torch.equal(network["other"](torch.ones(1, 2))[0], bias)
        assert network["one"][0].bias is bias
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), in_place_of(others, network):
        network["one"](torch.ones(1, 3))
    assert network["one"][0].weight is network["other"][0].weight is weight
    assert all(one is other for one, other in zip(network.parameters(), (weight, bias), strict=True))


def test_a_replay_that_gives_other_numbers_is_refused():
    one = torch.randn(20, generator=torch.Generator().manual_seed(0))
    check_replay([one, one.to(torch.int64)], [1.001 * one, one.to(torch.int64)])
    # What hardly differs from its mean is compared by how it does.
    assert not torch.allclose(one / 1000, one.flip(0) / 1000)
    for found, expected in ((one, one.flip(0)), (1.3 * one, one), (one * torch.nan, one), (0 * one, one)):
        for scale, shift in ((1, 0), (0.001, -4.6)):
            with pytest.raises(RuntimeError, match="a replay gives other numbers"):
                check_replay([one, shift + scale * found], [one, shift + scale * expected])
    with pytest.raises(RuntimeError, match="the network gives numbers that are not finite"):
        check_replay([one], [one * torch.inf])


def test_a_replay_with_gradients_of_its_own_is_refused():
    one = torch.randn(20, generator=torch.Generator().manual_seed(0))
    check_gradients([one, None, 0 * one], [1.1 * one, None, 1e-3 * one])
    with pytest.raises(RuntimeError, match="a replay gives other numbers"):
        check_gradients([one, 0 * one], [one, 0.1 * one])
    with pytest.raises(RuntimeError, match="gradients of other weights"):
        check_gradients([one, None], [one, one])


def test_settings_and_weights_are_part_of_what_is_asked_for(detector):
    before = detector.read_by_recordings()
    assert detector.read_by_recordings() == before
    detector.postprocess.score_thr += 0.1
    changed = detector.read_by_recordings()
    assert changed != before
    detector.load_state_dict({key: value.clone() for key, value in detector.state_dict().items()}, assign=True)
    assert detector.read_by_recordings() != changed


def test_own_ways_of_prediction_are_taken(detector):
    detector.captured = Captured(lambda *inputs: pytest.fail("a recording in the place of an own way"))

    class Own(type(detector.postprocess)):
        def __call__(self, *args):
            return [found[:1] for found in super().__call__(*args)]

    detector.postprocess.__class__ = Own
    detector.eval().postprocess.score_thr = 0.0
    sample = DetDataSample(metainfo={"img_shape": SIZE, "scale_factor": (1.0, 1.0)})
    (found,) = detector(torch.randn(1, 3, *SIZE), [sample], "predict")
    assert len(found.pred_instances) == 1


def test_another_thread_is_not_recording():
    seen = []
    with recording():
        thread = threading.Thread(target=lambda: seen.append(is_recording()))
        thread.start()
        thread.join()
        assert is_recording()
    assert seen == [False]
    assert not is_recording()


def test_threads_detect_one_after_the_other(detector):
    """Each reads what was found in its own images, before the next call overwrites it."""
    detector.eval().postprocess.score_thr = 0.0
    buffers = []

    def replayed(inputs, limits):
        found = detector.begin_detections(inputs, limits)
        assert not buffers, "another thread's detections are not read yet"
        buffers.append(1)
        time.sleep(0.01)
        return found

    captured = detector.captured = Captured(replayed)
    finish = detector.postprocess.finish

    def finished(begun):
        time.sleep(0.01)
        buffers.pop()
        return finish(begun)

    detector.postprocess.finish = finished
    images = torch.randn(4, 1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    sizes = {"img_shape": SIZE, "scale_factor": (1.0, 1.0)}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: detector(image, [DetDataSample(metainfo=sizes)], "predict"), images))
    assert all(len(samples[0].pred_instances) > 0 for samples in found)
    assert not captured.lock.locked()


@pytest.mark.parametrize("norm", [torch.nn.SyncBatchNorm, type("SyncBatchNorm", (torch.nn.BatchNorm2d,), {})])
def test_what_waits_for_other_processes_is_not_recorded(norm):
    graphed = GraphedNetwork(lambda: {"neck": torch.nn.Sequential(norm(3))}, lambda images: None)
    with pytest.raises(RuntimeError, match="synchronised batch normalisation needs other processes"):
        graphed._record(torch.ones(1, 3, 4, 4))
