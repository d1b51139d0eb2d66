"""The class layer of a checkpoint for a data set of other classes."""

import pytest
import torch
from mmengine.logging import MMLogger

from rdet.class_rows import with_rows_of_classes

WEIGHT, BIAS = "bbox_head.conv_cls.weight", "bbox_head.conv_cls.bias"


@pytest.fixture
def log(caplog):
    """Pytest's ``caplog``, listening to mmengine's logger, which does not propagate."""
    logger = MMLogger.get_instance("test_class_rows")
    MMLogger._instance_dict.move_to_end("test_class_rows")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def layer(priors, classes, value):
    """Row p * K + k of the bias is ``value + 10 p + k``, of the weight the same in each of two channels."""
    bias = torch.tensor([float(value + 10 * p + k) for p in range(priors) for k in range(classes)])
    return {WEIGHT: bias[:, None, None, None].expand(-1, 2, 3, 3).clone(), BIAS: bias}


@pytest.mark.parametrize("priors", [1, 9])
def test_rows_go_to_the_classes_of_the_same_name_for_each_prior(priors, log):
    old, drawn = layer(priors, 3, 1000), layer(priors, 4, 0)
    found = with_rows_of_classes(
        {**old, "neck.a": torch.ones(1)}, drawn, ("cat", "dog", "car"), ("dog", "bus", "van", "cat"), "a.pth"
    )
    # dog is 1 there and 0 here, cat is 0 there and 3 here
    expected = [row for p in range(priors) for row in (1001 + 10 * p, 1 + 10 * p, 2 + 10 * p, 1000 + 10 * p)]
    assert found[BIAS].tolist() == expected
    assert found[WEIGHT].shape == (4 * priors, 2, 3, 3)
    assert (found[WEIGHT] == found[BIAS][:, None, None, None]).all()
    assert found["neck.a"].item() == 1
    assert drawn[BIAS].tolist() == layer(priors, 4, 0)[BIAS].tolist()  # the model's own stay
    (record,) = log.records
    assert record.getMessage() == (
        "a.pth: the class layer is drawn anew for 4 classes; those of 2 with the same name are kept (dog, cat)"
    )


def test_the_same_number_of_other_classes(log):
    """Shapes fit, so that they would load without a word, each class with another's weights."""
    found = with_rows_of_classes(layer(9, 2, 1000), layer(9, 2, 0), ("a", "b"), ("b", "c"), "a.pth")
    assert found[BIAS][:4].tolist() == [1001, 1, 1011, 11]
    assert with_rows_of_classes(layer(1, 2, 1000), layer(1, 2, 0), ("a", "b"), ("c", "d"), "a.pth")[BIAS].tolist() == [
        0,
        1,
    ]
    assert log.records[-1].getMessage().endswith("drawn anew for 2 classes; none has the same name")


@pytest.mark.parametrize(
    ("trained", "wanted", "priors"),
    [(("a", "b"), ("a", "b"), 9), (None, ("b", "a"), 9), (("a", "b"), ("b", "a"), 3)],
    ids=["same", "unknown", "other priors"],
)
def test_nothing_changes(trained, wanted, priors, log):
    old = layer(9, 2, 1000)
    found = with_rows_of_classes(old, layer(priors, 2, 0), trained, wanted, "a.pth")
    assert all(found[name] is old[name] for name in old)
    assert not log.records


def test_a_class_layer_of_another_width_stays_as_it_is(log):
    old, drawn = layer(9, 2, 1000), layer(9, 3, 0)
    drawn[WEIGHT] = drawn[WEIGHT][:, :1]
    found = with_rows_of_classes(old, drawn, ("a", "b"), ("b", "c", "d"), "a.pth")
    assert all(found[name] is old[name] for name in old)
    assert not log.records


def test_no_class_layer():
    assert with_rows_of_classes({}, layer(1, 2, 0), ("a",), ("b", "c"), "a.pth") == {}
    assert with_rows_of_classes({}, {}, ("a",), ("b",), "a.pth") == {}


def test_a_name_that_two_classes_share_is_not_taken():
    found = with_rows_of_classes(layer(1, 3, 1000), layer(1, 2, 0), ("x", "x", "y"), ("x", "y"), "a.pth")
    assert found[BIAS].tolist() == [0, 1002]
