"""Batch normalisation that an export folded into its convolutions."""

from pathlib import Path

import pytest
import torch
from nanodet_files import CONFIG, detector, folded, write_onnx

from rdet.config import load_config
from rdet.errors import CheckpointError
from rdet.interop.convert import open_checkpoint


def test_a_training_that_would_undo_the_norms_is_refused(make_runner, tmp_path):
    """With the statistics of a batch, the weights of an export would be worth nothing."""
    write_onnx(tmp_path / "a.onnx", folded(detector(2)))
    torch.save(open_checkpoint(tmp_path / "a.onnx"), tmp_path / "a.pth")
    model = load_config(CONFIG, {"model.backbone.weights": None}).model
    options = {"model": {"_delete_": True, **model}, "load_from": str(tmp_path / "a.pth"), "train_cfg__max_iters": 1}
    with pytest.raises(
        CheckpointError, match=r"undo: set model\.backbone\.norm_eval=True model\.bbox_head\.norm_eval=T"
    ):
        make_runner(**options).train()
    fixed = {"model__backbone__norm_eval": True, "model__bbox_head__norm_eval": True}
    # The backbone's own weights are not asked for, since the checkpoint has them all.
    runner = make_runner(**options, **fixed, model__backbone__weights="torchvision://shufflenet_v2_x1_0")
    runner.train()
    # The same holds for what was trained from it.
    options["load_from"] = str(Path(runner.work_dir) / "iter_1.pth")
    assert Path(options["load_from"]).exists()
    with pytest.raises(CheckpointError, match="batch normalisation inside its convolutions"):
        make_runner(**options, **dict.fromkeys(fixed, False)).train()
    # A new head may be trained with the statistics of its batches.
    made = {
        "model__bbox_head__norm_eval": False,
        "model__bbox_head__feat_channels": 32,
        "model__neck__out_channels": 32,
    }
    make_runner(**options, **fixed | made).train()
