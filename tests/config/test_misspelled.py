"""A key or a name that nothing reads is said with the nearest that there is."""

import pytest
from written_config import R50, write

from rdet.config import load_config
from rdet.errors import UnknownNameError

pytestmark = pytest.mark.usefixtures("no_custom_imports")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"param_scheduler.0.optimizer": 3}, "param_scheduler.0: LinearLR has no key 'optimizer'"),
        ({"optim_wrapper.optimizer.params": [0]}, "optim_wrapper.optimizer: SGD has no key 'params'"),
        ({"train_cfg.runner": "x"}, "train_cfg: EpochBasedTrainLoop has no key 'runner'"),
        ({"model.bbox_head.norm_cfg": {"type": "BN", "device": 1}}, "BN has no key 'device'"),
    ],
)
def test_what_the_run_gives_is_no_key_of_a_config(options, message):
    with pytest.raises(UnknownNameError) as caught:
        load_config(R50, options)
    assert message in str(caught.value)


def test_a_constructor_of_ones_own_has_keys_of_its_own(tmp_path):
    (tmp_path / "child.py").write_text(f"_base_ = {str(R50)!r}\noptim_wrapper = dict(constructor='Mine')\n")
    cfg = load_config(tmp_path / "child.py", {"optim_wrapper.paramwise_cfg.decay_rate": 0.7})
    assert cfg.optim_wrapper.paramwise_cfg == {"decay_rate": 0.7}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modle.x": 1}, "--cfg-options has no key 'modle.x'. Did you mean 'model'"),
        ({"": 1}, "--cfg-options has no key ''. "),
        (
            {"optim_wrapper.paramwise_cfg.norm_decay_multt": 0},
            "optim_wrapper.paramwise_cfg has no key 'norm_decay_multt'. Did you mean 'norm_decay_mult'",
        ),
        (
            {"optim_wrapper.paramwise_cfg.custom_keys": {"backbone": {"lr_mul": 0.1}}},
            "optim_wrapper.paramwise_cfg.custom_keys.backbone has no key 'lr_mul'. Did you mean 'lr_mult'",
        ),
        (
            {"optim_wrapper.clip_grad.maxnorm": 3},
            "optim_wrapper.clip_grad has no key 'maxnorm'. Did you mean 'max_norm'",
        ),
        ({"randomness.diff_rank_seed": True}, "randomness has no key 'diff_rank_seed'."),
        ({"model.backbon.depth": 18}, "model: OneStageDetector has no key 'backbon'. Did you mean 'backbone'"),
        ({"model.backbone.dept": 18}, "model.backbone: ResNet has no key 'dept'. Did you mean 'depth'"),
        ({"model.backbone.type": "ResNot"}, "model.backbone: no model part is called 'ResNot'. Did you mean 'ResNet'"),
        ({"model.backbone.depth.x": 1}, "--cfg-options: model.backbone.depth is 50 and has no key 'x'"),
        ({"model.loss_cls": {"type": "FocalLos"}}, "model.loss_cls: no model part is called 'FocalLos'. Did you"),
        (
            {"train_dataloader.batchsize": 1},
            "train_dataloader has no key 'batchsize'. Did you mean 'batch_size'",
        ),
        (
            {"train_dataloader.dataset.pipeline.9.prob": 1},
            "--cfg-options: train_dataloader.dataset.pipeline is a list of 4 and has no item '9'; use 0 to 3",
        ),
        (
            {"train_dataloader.dataset.pipeline.flip.prob": 1},
            "--cfg-options: train_dataloader.dataset.pipeline is a list of 4 and has no item 'flip'; use 0 to 3",
        ),
        (
            {"train_dataloader.dataset.pipeline.2.probb": 1},
            "train_dataloader.dataset.pipeline.2: RandomFlip has no key 'probb'. Did you mean 'prob'",
        ),
        (
            {"train_dataloader.dataset.pipeline.0.type": "LoadImage"},
            "train_dataloader.dataset.pipeline.0: no transform is called 'LoadImage'. Did you mean",
        ),
        ({"model.data_preprocessor.mean.3": 1}, "model.data_preprocessor.mean is a list of 3 and has no item '3'"),
        (
            {"model.bbox_head": {"_delete_": True, "type": "NanoDetHead", "act_cfg": {"type": "LeakyRelu"}}},
            "bbox_head.act_cfg: no activation is called 'LeakyRelu'. Did you mean 'LeakyReLU'",
        ),
        (
            {"model.bbox_head.norm_cfg": {"type": "GNN"}},
            "norm_cfg: no normalisation is called 'GNN'. Did you mean 'GN'",
        ),
        (
            {"model.bbox_head.norm_cfg": {"type": "GN", "num_group": 32}},
            "model.bbox_head.norm_cfg: GN has no key 'num_group'. Did you mean 'num_groups'",
        ),
        ({"optim_wrapper.optimizer.lrr": 1}, "optim_wrapper.optimizer: SGD has no key 'lrr'. Did you mean 'lr'"),
        ({"optim_wrapper.clipgrad": 1}, "optim_wrapper: OptimWrapper has no key 'clipgrad'. Did you mean 'clip_grad'"),
        ({"optim_wrapper.type": "AmpWrapper"}, "optim_wrapper: no optimizer wrapper is called 'AmpWrapper'. Did you"),
        ({"param_scheduler.0.start": 1}, "param_scheduler.0: LinearLR has no key 'start'. Did you mean 'start_factor'"),
        ({"train_cfg.max_epoch": 1}, "train_cfg: EpochBasedTrainLoop has no key 'max_epoch'. Did you mean 'max_epo"),
        ({"train_cfg.by_epoch": False}, "train_cfg: IterBasedTrainLoop has no key 'max_epochs'"),
        (
            {"default_hooks.checkpointt.interval": 1},
            "default_hooks has no key 'checkpointt'. Did you mean 'checkpoint'",
        ),
        ({"default_hooks.checkpoint.intervall": 1}, "CheckpointHook has no key 'intervall'. Did you mean 'interval'"),
        ({"custom_hooks": [{"type": "EMAHok"}]}, "custom_hooks.0: no hook is called 'EMAHok'. Did you mean 'EMAHook'"),
        (
            {"val_evaluator.class_wise": 1},
            "val_evaluator: CocoMetric has no key 'class_wise'. Did you mean 'classwise'",
        ),
        ({"randomness.sed": 1}, "randomness has no key 'sed'. Did you mean 'seed'"),
        ({"auto_scale_lr.base_batch": 1}, "auto_scale_lr has no key 'base_batch'. Did you mean 'base_batch_size'"),
        ({"env_cfg.cudnn": True}, "env_cfg has no key 'cudnn'. Did you mean 'cudnn_benchmark'"),
        (
            {"log_processor.window_siz": 5},
            "log_processor: LogProcessor has no key 'window_siz'. Did you mean 'window_size",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_misspelled_option_names_the_place_and_the_nearest(options, message):
    with pytest.raises(UnknownNameError) as caught:
        load_config(R50, options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train_dataloder = dict()",
            "config has no key 'train_dataloder' (a helper variable's name begins with '_'). Did",
        ),
        ("helper = 3", "config has no key 'helper' (a helper variable's name begins with '_')"),
        (
            "model = dict(neck=dict(out_chanels=8))",
            "model.neck: FPN has no key 'out_chanels'. Did you mean 'out_channels'",
        ),
        ("model = dict(neck=dict(type='FPM'))", "model.neck: no model part is called 'FPM'. Did you mean 'FPN'"),
        ("auto_scale_lr = dict(enabel=True)", "auto_scale_lr has no key 'enabel'. Did you mean 'enable'"),
        ("custom_imports = dict(import_=['x'])", "custom_imports has no key 'import_'. Did you mean 'imports'"),
        (
            "val_dataloader = dict(dataset=dict(test_mod=True))",
            "val_dataloader.dataset: CocoDataset has no key 'test_mod'. Did you mean 'test_mode'",
        ),
    ],
)
def test_misspelled_key_in_a_file_names_file_place_and_nearest(text, message, tmp_path):
    path = write(tmp_path, f"_base_ = {str(R50)!r}\n{text}\n")
    with pytest.raises(UnknownNameError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_wrapped_data_sets_are_checked(tmp_path):
    inner = "dict(type='CocoDataset', ann_file='a.json', pipeline=[dict(type='Resize', scal=(1, 1))])"
    path = write(tmp_path, f"val_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[{inner}]))")
    with pytest.raises(
        UnknownNameError, match=r"val_dataloader.dataset.datasets.0.pipeline.0: Resize has no key 'scal'"
    ):
        load_config(path)


@pytest.mark.parametrize("key", ["sampler", "shuffle", "drop_last"])
def test_order_of_images_is_no_option(tmp_path, key):
    text = f"_base_ = {str(R50)!r}\ntrain_dataloader = dict({key}=None)\n"
    with pytest.raises(UnknownNameError, match=f"train_dataloader has no key '{key}'"):
        load_config(write(tmp_path, text))


def test_tensorboard_can_be_asked_for(tmp_path):
    backends = "[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]"
    text = f"_base_ = {str(R50)!r}\nvisualizer = dict(type='Visualizer', vis_backends={backends})\n"
    assert len(load_config(write(tmp_path, text)).visualizer.vis_backends) == 2
    with pytest.raises(UnknownNameError, match="Did you mean 'TensorboardVisBackend'"):
        load_config(write(tmp_path, text.replace("TensorboardVis", "TensorBoardVis")))
