"""Other matching and losses in the first epochs."""

import copy
import pickle

import pytest
import torch
from small_detector import EMPTY, ONE, TWO, build, images, match

from rdet.models.assigners.base import ImageAssigner
from rdet.registry import UnknownNameError
from rdet.structures.assignment import BACKGROUND

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
        ({"epochs": True}, ValueError, "model.initial.epochs is True; it must be a whole number"),
        ({"epochs": 1, "assigner": None}, ValueError, "model.initial.assigner is None; leave it out"),
        ({"epochs": 1, "assigner": {"type": "ATSS"}}, UnknownNameError, "model.initial: model.assigner: no model part"),
        ({"epochs": 1, "loss_cls": {"type": "L1Loss"}}, ValueError, "model.initial: model.loss_cls: L1Loss does not"),
        ({"epochs": 1, "loss_cls": None}, ValueError, "model.initial: the config has no model.loss_cls"),
        ({"epochs": 1, "loss_quality": {"type": "BinaryCrossEntropyLoss"}}, ValueError, "model.initial has a loss_qu"),
        ({"epochs": 1, "loss_cls": {"type": "SoftmaxFocalLoss"}}, ValueError, "SoftmaxFocalLoss reads other scores"),
        (3, ValueError, "model.initial: expected a dict with the key 'type', got 3"),
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


def test_assigners_of_both_phases_belong_to_the_module():
    class Learning(torch.nn.Module, ImageAssigner):
        def __init__(self):
            torch.nn.Module.__init__(self)
            ImageAssigner.__init__(self)
            self.register_buffer("seen", torch.zeros(1))

        def assign(self, image):
            self.seen += 1
            return torch.full((len(image.priors),), BACKGROUND)

    model = build(initial={"epochs": 1, "assigner": {"type": Learning}})
    again = pickle.loads(pickle.dumps(build(initial={"epochs": 1, "assigner": {"type": "ATSSAssigner"}})))
    assert again.assigner.phase is again.criterion.phase
    model(images(2), [TWO, ONE], mode="loss")
    assert model.state_dict()["assigner.initial.seen"].item() == 2
    copied = copy.deepcopy(model)
    set_epoch(copied, 1)
    assert (copied.assigner.phase.is_initial, model.assigner.phase.is_initial) == (False, True)
    assert copied.assigner.phase is copied.criterion.phase
