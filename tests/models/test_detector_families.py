"""What holds for the detectors of every family."""

import itertools

import pytest
import torch
from detector_families import FAMILIES, TINY, set_epoch
from small_detector import ALL_IGNORED, EMPTY, ONE, TWO, build, images, sample

from rdet.structures.matches import Matches


def epochs_of(family):
    """Those that differ: where the first are computed in another way, the second is of the others."""
    return (0, 1) if "initial" in FAMILIES[family] else (0,)


@pytest.mark.parametrize(
    ("family", "padding"), list(zip(FAMILIES, itertools.cycle(["background", "unmatched", "ignored"])))
)
def test_training_step_of_no_family_waits_for_the_device(family, padding):
    """The matches are made on the host, so that only heads, losses and weights are asked here.

    What padding is, is the assigner's alone: each kind has some family.
    """
    model = build(**FAMILIES[family], **TINY, assigner={"type": "MaxIoUAssigner", "padding": padding}).to("meta")
    small = sample([[8, 8, 40, 40]], [1], img_shape=(40, 60), pad_shape=(64, 64))
    for epoch in epochs_of(family):
        set_epoch(model, epoch)
        model.zero_grad()
        losses = model(images(2).to("meta"), [small, TWO], mode="loss")
        sum(losses.values()).backward()
        assert all(value.device.type == "meta" for value in losses.values())
        unused = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
        assert not unused


SEPARATE = {
    "type": "SeparateAssigner",
    "classes": {"type": "AlignedATSSAssigner", "alpha": 0.8, "padding": "ignored"},
    "boxes": {"type": "AlignedATSSAssigner", "alpha": 0.5, "padding": "ignored"},
}
ASSIGNERS = {
    "ghm": [{"type": "ATSSAssigner"}],
    "atss": [{"type": "ATSSAssigner"}, {"type": "PAAAssigner", "padding": "ignored"}],
    "ddod": [SEPARATE],
    "fcos": [{"type": "FCOSAssigner"}, {"type": "FCOSAssigner", "center_sampling_radius": None}],
    "yolof": [{"type": "UniformAssigner", "padding": "ignored"}],
    "gfl": [{"type": "ATSSAssigner"}, {"type": "SimOTAAssigner"}],
    "vfnet": [{"type": "ATSSAssigner", "padding": "unmatched"}],
    "tood, distances": [{"type": "TaskAlignedAssigner", "padding": "ignored"}],
    "tood, corners": [{"type": "TaskAlignedAssigner", "topk_of": "all"}],
}
WITH_ITS_ASSIGNER = pytest.mark.parametrize(
    ("family", "assigner"), [(family, each) for family, several in ASSIGNERS.items() for each in several], ids=str
)
CASES_OF_SAMPLES = {
    "boxes": [TWO, ONE],
    "boxes_in_one": [EMPTY, TWO],
    "none": [EMPTY, EMPTY],
    "crowd": [ALL_IGNORED, ONE],
    "crowds_alone": [ALL_IGNORED, ALL_IGNORED],
    "away": [sample([[9000, 9000, 9010, 9010]], [2]), EMPTY],
    "padded": [sample([[8, 8, 40, 40]], [1], img_shape=(40, 60), pad_shape=(64, 64)), TWO],
}


def with_assigner(family, assigner):
    changes = {**FAMILIES[family], "assigner": assigner}
    if "initial" in changes:
        changes["initial"] = {**changes["initial"], "assigner": {"type": "ATSSAssigner"}}
    return build(**changes, **TINY)


# Where boxes lie is not seen there: "away" is as "boxes_in_one". Both ways have boxes, an image without, and crowds.
ON_A_DEVICE = {False: ["boxes", "none", "crowd", "padded"], True: ["boxes_in_one", "crowds_alone"]}


@WITH_ITS_ASSIGNER
@pytest.mark.parametrize("deterministic", ON_A_DEVICE)
def test_matching_on_a_device_never_waits_for_it(family, assigner, deterministic, monkeypatch):
    """Tensors on the meta device have no values: counting the positives would raise."""
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: deterministic)
    model = with_assigner(family, assigner).to("meta")
    for epoch in epochs_of(family):
        set_epoch(model, epoch)
        for name in ON_A_DEVICE[deterministic]:
            losses = model(images(2).to("meta"), CASES_OF_SAMPLES[name], mode="loss")
            sum(losses.values()).backward()
            assert all(value.device.type == "meta" for value in losses.values()), name


@pytest.mark.parametrize("samples", CASES_OF_SAMPLES.values(), ids=CASES_OF_SAMPLES.keys())
@WITH_ITS_ASSIGNER
def test_positives_that_fill_up_change_nothing(family, assigner, samples, monkeypatch):
    """As on a device, where a limit takes the place of the number of positives."""
    exact, numbers = Matches.from_dense, []

    def from_dense(assigned, counts, most=None):
        assert most is None  # on the host
        number = len(exact(assigned, counts).prior)
        numbers.append(number)
        return exact(assigned, counts, number + 3 if sum(counts) else 0)

    for epoch in epochs_of(family):
        results = []
        for reader in (exact, from_dense):
            monkeypatch.setattr(Matches, "from_dense", reader)
            model = with_assigner(family, assigner)
            set_epoch(model, epoch)
            losses = model(images(2), samples, mode="loss")
            sum(losses.values()).backward()
            results.append((losses, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}))
        for found, expected in zip(*results, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert len(numbers) == len(epochs_of(family)) * (2 if assigner is SEPARATE else 1)
    if samples is not CASES_OF_SAMPLES["away"]:
        assert (max(numbers) > 0) == any(len(s.gt_instances.bboxes) for s in samples)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_of_mixed_precision_are_those_of_float32(family, dtype):
    model = build(**FAMILIES[family], **TINY)
    for epoch in epochs_of(family):
        set_epoch(model, epoch)
        expected = model(images(2), [TWO, ONE], mode="loss")
        with torch.autocast("cpu", dtype=dtype):
            losses = model(images(2), [TWO, ONE], mode="loss")
        sum(losses.values()).backward()
        for name, value in losses.items():
            torch.testing.assert_close(value, expected[name], rtol=0.03, atol=0.003)
        assert all(p.grad.isfinite().all() for p in model.bbox_head.parameters() if p.grad is not None)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"tood, corners"}))
def test_losses_of_a_compiled_network_are_those_of_the_plain_one(family):
    torch.compiler.reset()  # what other families compiled counts as compiled again and again, until torch gives up
    plain, compiled = build(**FAMILIES[family], **TINY), build(**FAMILIES[family], **TINY)
    compiled.compile(backend="aot_eager")
    for epoch in epochs_of(family):
        set_epoch(plain, epoch)
        set_epoch(compiled, epoch)
        expected = plain(images(2), [TWO, ONE], mode="loss")
        losses = compiled(images(2), [TWO, ONE], mode="loss")
        for values in (expected, losses):
            sum(values.values()).backward()
        torch.testing.assert_close(losses, expected)
        for (name, parameter), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(other.grad, parameter.grad, rtol=1e-4, atol=1e-7, msg=name)
