import pytest
import torch
from torch import nn

from rdet.models.detectors.offers import Offers, check_inputs, inputs_of


def test_a_part_gets_what_its_call_names():
    def part(boxes, scores):
        return boxes, scores

    assert Offers(boxes=1, scores=2, labels=3).give(part) == (1, 2)


def test_modules_are_asked_for_their_forward():
    class Loss(nn.Module):
        def forward(self, logits):
            return logits + 1

    assert inputs_of(Loss()) == ["logits"]
    assert Offers(logits=torch.tensor(1), labels=None).give(Loss()) == 2


def test_functions_are_called_once_and_only_if_asked_for():
    calls = []
    offers = Offers(cheap=1, dear=lambda at: calls.append("dear") or at["cheap"] + 4)
    assert offers.give(lambda cheap: cheap) == 1
    assert calls == []
    assert offers.give(lambda dear: dear) == offers.give(lambda dear: dear) == 5
    assert calls == ["dear"]


def test_a_default_stands_for_what_is_not_offered():
    assert Offers(a=1).give(lambda a, b=7: (a, b)) == (1, 7)
    check_inputs(lambda a, b=7: None, ("a",), "model.quality")


def test_what_is_not_offered_is_an_error_that_names_the_slot():
    class Assigner:
        def __call__(self, priors, masks):
            pass

    with pytest.raises(ValueError, match=r"model\.assigner: the call of Assigner names 'masks', which is not offered"):
        check_inputs(Assigner(), ("priors", "boxes"), "model.assigner")
