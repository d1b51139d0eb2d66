"""Batches that are too small for a network end in one line of rdet's, not in one of torch's layers."""

import pytest
import torch
from small_detector import EMPTY, build, images
from torch import nn

from rdet.errors import ConfigError, RdetError
from rdet.models.detectors.small_maps import small_maps_explained


def test_a_level_of_one_cell_with_batch_normalisation():
    model = build(bbox_head__norm_cfg={"type": "BN"}).train()
    said = (
        "a batch of 1 image of 96 x 64 pixels leaves a level of one cell, and batch normalisation cannot be trained on "
        "one value a channel; raise train_dataloader.batch_size"
    )
    with pytest.raises(ConfigError, match=said):
        model(images(1), [EMPTY], mode="loss")
    losses = model(images(2), [EMPTY, EMPTY], mode="loss")
    assert all(value.isfinite() for value in losses.values())
    model.eval()(images(1), [EMPTY], mode="predict")


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 5), nn.MaxPool2d(9)])
def test_a_map_smaller_than_a_kernel(layer):
    inputs = torch.ones(2, 3, 4, 6)
    said = "a batch of 2 images of 6 x 4 pixels is too small for the network"
    with pytest.raises(ConfigError, match=said) as caught, small_maps_explained(inputs):
        layer(inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [ValueError("another"), RuntimeError("another"), KeyError("another")])
def test_other_errors_are_as_they_were(error):
    with pytest.raises(type(error)) as caught, small_maps_explained(torch.ones(1, 3, 4, 4)):
        raise error
    assert caught.value is error
    assert not isinstance(caught.value, RdetError)
