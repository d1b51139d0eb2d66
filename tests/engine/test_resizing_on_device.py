"""A training and a detection whose images are resized by the network's device are those of the host, nearly."""

import pytest
import torch

from rdet.apis.browse import look_at_data
from rdet.apis.browse.data import dataset_to_browse
from rdet.apis.inference import inference_detector, init_detector
from rdet.config import load_config
from rdet.errors import ConfigError


def pipelines(on_device):
    """Options of the tiny config."""
    load, pack = {"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}
    resize = {"type": "Resize", "scale": (150, 100), "keep_ratio": True, "on_device": on_device}
    flip = {"type": "RandomFlip", "prob": 0.5}
    return {
        "train_dataloader.dataset.pipeline": [load, {"type": "PhotoMetricDistortion"}, resize, flip, pack],
        "val_dataloader.dataset.pipeline": [load, resize, pack],
    }


def losses(make_runner, on_device, **options):
    found = []
    runner = make_runner(work_dir=f"run_{on_device}", train_cfg__max_iters=2, **pipelines(on_device), **options)
    parse = runner.model.parse_losses

    def keep(values):
        found.append({name: value.item() for name, value in values.items()})
        return parse(values)

    runner.model.parse_losses = keep
    runner.train()
    return found


def test_losses_are_nearly_those_of_the_host(make_runner):
    workers = {"train_dataloader__num_workers": 1}  # which hand the images on
    ours, theirs = losses(make_runner, True, **workers), losses(make_runner, False, **workers)
    assert len(ours) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, rel=2e-3)
    assert ours != theirs


def test_detections_are_nearly_those_of_the_host(config, make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    found = []
    for on_device in (True, False):
        model = init_detector(load_config(config, pipelines(on_device)), str(tmp_path / "run" / "iter_5.pth"))
        found.append(inference_detector(model, tmp_path / "3.png").pred_instances)
    ours, theirs = found
    torch.testing.assert_close(ours.scores, theirs.scores, rtol=0, atol=1e-3)
    assert len(ours) > 5


def test_pictures_are_of_the_networks_size(config):
    shown = []
    for on_device in (True, False):
        dataset, _ = dataset_to_browse(load_config(config, pipelines(on_device)), "train", False)
        (look,) = look_at_data(dataset, "train", 1, 3, 0, 2, None)
        shown.append(look.sample)
    assert shown[0].image.shape == (100, 100, 3)
    assert abs(shown[0].image.astype(int) - shown[1].image).max() <= 1
    assert (shown[0].boxes == shown[1].boxes).all()


def test_a_wrong_order_ends_before_the_first_step(make_runner):
    load, resize = {"type": "LoadImageFromFile"}, {"type": "Resize", "scale": 64, "on_device": True}
    steps = [load, resize, {"type": "PhotoMetricDistortion"}, {"type": "PackDetInputs"}]
    with pytest.raises(ConfigError, match=r"train_dataloader\.dataset.*PhotoMetricDistortion after it"):
        make_runner(**{"train_dataloader.dataset.pipeline": steps}).train()
