"""What --minutes changes of a config, and what it leaves to the user."""

from mmengine.config import Config

from rdet.apis.time_limit import not_fitted


def test_what_counts_epochs_is_said():
    cfg = Config(
        {
            "model": {"initial": {"epochs": 285, "loss_l1": None}},
            "train_dataloader": {"dataset": {"type": "MultiImageMixDataset", "stop_epoch": 280}},
        }
    )
    said = "counts epochs, which --minutes does not change; set it, or leave it out"
    assert [*not_fitted(cfg)] == [
        f"model.initial.epochs=285 {said}",
        f"train_dataloader.dataset.stop_epoch=280 {said}",
    ]
    assert [*not_fitted(Config({"model": {"initial": None}}))] == []
