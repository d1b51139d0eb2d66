"""Other matching and losses in the first epochs."""

import pytest
import torch
from small_detector import EMPTY, ONE, TWO, build, images, match

from rdet.registry import UnknownNameError

LATER = {
    "loss_cls": {"type": "QualityFocalLoss"},
    "loss_bbox": {"type": "GIoULoss"},
    "assigner": {"type": "TaskAlignedAssigner"},
    "quality": {"type": "TaskAlignedQuality"},
    "bbox_weight": {"type": "SameQuality"},
    "cls_mass": {"type": "SameQuality"},
}
FIRST = {
    "loss_cls": {"type": "FocalLoss"},
    "assigner": {"type": "ATSSAssigner"},
    "quality": None,
    "bbox_weight": {"type": "Centerness"},
    "cls_mass": None,
}


def set_epoch(model, epoch):
    for module in model.modules():
        if hasattr(module, "set_epoch"):
            module.set_epoch(epoch)


@pytest.mark.parametrize("samples", [[TWO, ONE], [EMPTY, ONE]])
def test_losses_are_those_of_a_detector_with_the_slots_of_the_epoch(samples):
    model = build(**LATER, initial={"epochs": 2, **FIRST})
    plain = [
        build(loss_bbox={"type": "GIoULoss"}, **{key: value for key, value in FIRST.items() if value}),
        build(**LATER),
    ]
    for epoch, expected in ((0, plain[0]), (1, plain[0]), (2, plain[1]), (11, plain[1])):
        set_epoch(model, epoch)
        wanted = expected(images(2), samples, mode="loss")
        assert model(images(2), samples, mode="loss") == wanted
        predictions = model(images(2))
        priors = model.anchor_generator(predictions.level_sizes)
        labels = [match(either, predictions, priors, samples)[1] for either in (model, expected)]
        assert torch.equal(*labels)


def test_begins_in_the_first_epoch_and_weights_have_no_names_of_it():
    model, plain = build(**LATER, initial={"epochs": 1, **FIRST}), build(**LATER)
    assert model(images(1), [TWO], mode="loss") != plain(images(1), [TWO], mode="loss")
    assert model.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("initial", "error", "message"),
    [
        ({}, ValueError, "model.initial has no epochs: say how many epochs it is for"),
        ({"epochs": 0}, ValueError, "model.initial.epochs is 0; it must be a whole number of 1 or more"),
        ({"epochs": 1.5}, ValueError, "model.initial.epochs is 1.5; it must be a whole number"),
        ({"epochs": 1, "asigner": {}}, UnknownNameError, "model.initial has no key 'asigner'. Did you mean 'assigner'"),
        ({"epochs": 1, "backbone": {}}, UnknownNameError, "model.initial has no key 'backbone'"),
        ({"epochs": 1, "quality": {"type": "Centerness"}}, ValueError, "model.quality is set, but no loss or weight"),
    ],
)
def test_what_cannot_be(initial, error, message):
    with pytest.raises(error, match=message):
        build(initial=initial)


def test_what_is_compiled_is_that_of_both_phases():
    model = build(**LATER, initial={"epochs": 1, **FIRST})
    model.compile(backend="eager")
    compiled = {name for name, part in model.named_modules() if part._compiled_call_impl is not None}
    assert {"criterion.initial.loss_cls", "criterion.later.loss_cls"} <= compiled
