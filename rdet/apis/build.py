"""From a config to the objects of a run. Here the floors below are joined."""

import copy
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from rdet.apis.data_cfg import check_test_pipeline, evaluator_cfgs, innermost, loader_cfg
from rdet.apis.evaluation_checks import check_metric_names, crowded
from rdet.apis.run_summary import run_summary
from rdet.apis.tta import untrained_scales, with_views
from rdet.config import flatten
from rdet.datasets.class_summary import class_table, doubtful_classes
from rdet.datasets.summary import check_same_classes, classes_of, dataset_table, doubtful_splits
from rdet.engine.distributed import join_processes
from rdet.engine.runner import Runner
from rdet.engine.sampling import TrainStream
from rdet.errors import ConfigError
from rdet.interop.convert import own_checkpoint
from rdet.messages import few, nearest
from rdet.registry import DATASETS, MODELS


def build_datasets(cfg: Config, splits: tuple[str, ...]) -> dict:
    """Build the data sets of the splits that ``cfg`` has, and check that their classes agree.

    The test split falls back to ``val_dataloader``. A data set without ``data_root`` takes the
    config's.
    """
    datasets = {}
    for split in splits:
        loader = loader_cfg(cfg, split)
        if loader is not None:
            if "dataset" not in loader:
                raise ConfigError(f"the config's {split}_dataloader has no dataset")
            dataset = copy.deepcopy(loader.dataset)
            if split != "train":
                for inner in innermost(dataset):
                    check_test_pipeline(inner.get("pipeline") or (), f"{split}_dataloader.dataset.pipeline")
            if cfg.get("data_root"):
                _set_data_root(dataset, cfg.data_root)
            with DefaultScope.overwrite_default_scope("rdet"):  # where mmcv's transforms look up those they hold
                datasets[split] = DATASETS.build(dataset, where=f"{split}_dataloader.dataset")
    if not datasets:
        raise ConfigError(f"the config has no {' or '.join(f'{split}_dataloader' for split in splits)}")
    first, *others = datasets
    for other in others:
        check_same_classes(datasets[first], datasets[other], (first, other))
    return datasets


def build_detector(cfg: Config, classes: tuple[str, ...]):
    """Build the detector for ``classes``; a contradicting ``model.num_classes`` raises ConfigError."""
    count = cfg.model.get("num_classes")
    if count is not None and count != len(classes):
        raise ConfigError(
            f"model.num_classes is {count}, but the data set has {len(classes)} classes ({few(classes)}); "
            "leave model.num_classes out or set it to None, it follows from the data"
        )
    return MODELS.build(cfg.model, default_args={"num_classes": len(classes)}, where="model")


def build_runner(
    cfg: Config, mode: str = "train", tta: bool = False, launcher: str = "none", model: Any = None
) -> Runner:
    """Build everything that training or testing needs, and log the table of the data.

    Args:
        cfg: As :func:`rdet.config.load_config` returns it, with a ``work_dir``.
        mode: ``'train'`` or ``'test'``.
        tta: Test with augmentation: ``tta_pipeline`` gives the views, ``tta_model`` merges them.
        launcher: What started the processes: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        model: To test, in place of the config's; it has ``classes``.

    Raises:
        ConfigError: The config lacks what the run needs, or its parts contradict each other.
    """
    for key in ("model", *(("train_dataloader", "train_cfg", "optim_wrapper") if mode == "train" else ())):
        if not cfg.get(key):
            raise ConfigError(f"the config has no {key}, which a {mode} run needs")
    if mode == "train" and "optimizer" not in cfg.optim_wrapper:
        raise ConfigError("the config has no optim_wrapper.optimizer")
    if tta:
        cfg = with_views(cfg)
    for key in ("runtime_info", "timer"):
        if key in cfg.get("default_hooks", {}) and cfg.default_hooks[key] is None:
            raise ConfigError(f"default_hooks.{key} is None, but the log is made of what it notes; leave it out")
    splits = ("train", "val") if mode == "train" else ("test",)
    if any(_reads_all_images(cfg, split) for split in splits):  # each process its share
        join_processes(launcher, cfg.get("env_cfg") or {})
    datasets = build_datasets(cfg, splits)
    loaders = {
        f"{split}_dataloader": {**loader_cfg(cfg, split), "dataset": dataset} for split, dataset in datasets.items()
    }
    options: dict = {}
    if mode == "train":
        wrapper = dict(cfg.optim_wrapper)
        if "paramwise_cfg" in wrapper:  # layers that levels share are there once, under the first level's name
            wrapper["paramwise_cfg"] = {"bypass_duplicate": True, **wrapper["paramwise_cfg"]}
        options |= {"train_cfg": cfg.train_cfg, "optim_wrapper": wrapper}
        options |= {key: cfg[key] for key in ("param_scheduler", "auto_scale_lr") if key in cfg}
    if "val" in datasets:
        check_metric_names(cfg)
        options |= {"val_cfg": {}, "val_evaluator": evaluator_cfgs(cfg, "val")}
    if "test" in datasets:
        options |= {"test_cfg": {}, "test_evaluator": evaluator_cfgs(cfg, "test")}
    passed_on = ("custom_hooks", "load_from", "resume", "env_cfg", "log_level")
    options |= {key: cfg[key] for key in passed_on if cfg.get(key) is not None}
    if "load_from" in options and not options.get("resume"):
        options["load_from"] = own_checkpoint(options["load_from"], cfg.work_dir)
    if cfg.get("visualizer"):
        options["visualizer"] = {"type": "Visualizer", **cfg.visualizer}
    randomness = {"seed": 0, **cfg.get("randomness", {})}
    if randomness["seed"] is not None:  # the Runner seeds too, but only after the model has drawn its weights
        torch.manual_seed(randomness["seed"])
    if model is None:
        model = build_detector(cfg, classes_of(next(iter(datasets.values()))))
    else:
        check_classes(model.classes, classes_of(next(iter(datasets.values()))))
    if mode == "train":
        _check_custom_keys(cfg.optim_wrapper, model)
        _check_clip_grad(cfg.optim_wrapper.get("clip_grad"))
        _check_modules(cfg.get("activation_checkpointing"), model)
    if tta:
        tta_model = cfg.get("tta_model", {"type": "DetTTAModel"})
        model = MODELS.build(tta_model, default_args={"module": model}, where="tta_model")
    runner = Runner(
        model=model,
        work_dir=cfg.work_dir,
        launcher=launcher,
        # The order of the data is the business of the stream, not of a hook.
        default_hooks={**cfg.get("default_hooks", {}), "sampler_seed": None},
        log_processor=cfg.get("log_processor", {"type": "LogProcessor"}),
        randomness=randomness,
        experiment_name=cfg.get("experiment_name"),
        default_scope="rdet",
        cfg=cfg,
        **loaders,
        **options,
    )
    iterations = None
    if mode == "train":
        batch_size = loader_cfg(cfg, "train").get("batch_size", 1)
        iterations = len(TrainStream(len(datasets["train"]), batch_size, world_size=runner.world_size))
    runner.logger.info(
        f"\n{run_summary(runner, cfg, model, iterations)}\n{dataset_table(datasets)}\n{class_table(datasets)}"
    )
    most = getattr(getattr(model, "postprocess", None), "max_per_img", None)
    for warning in (*doubtful_classes(datasets), *doubtful_splits(datasets), *crowded(datasets, most)):
        runner.logger.warning(warning)
    if tta and (scales := untrained_scales(cfg)):
        runner.logger.warning(
            f"test-time augmentation takes scales beyond those of the training pipeline, {few(scales)}, which may "
            "lower AP; train at several scales, or set tta_pipeline"
        )
    return runner


def check_classes(own: tuple[str, ...], of_data: tuple[str, ...]) -> None:
    """Raise ConfigError unless a detector's classes are those of the data, whose labels are numbers."""
    are_numbers = all(name.isdigit() for name in own)  # of a checkpoint that does not name them
    if len(own) != len(of_data) or (tuple(own) != tuple(of_data) and not are_numbers):
        raise ConfigError(
            f"the file finds {few(own)}, but the data set's classes are {few(of_data)}; give the data with the file's "
            "classes, in their order, as metainfo of the data set"
        )


def _check_clip_grad(clip_grad: dict | None) -> None:
    """Raise ConfigError unless gradients are clipped by the number that the kind of clipping takes."""
    if not clip_grad:
        return
    by_value = clip_grad.get("type", "norm") == "value"
    wanted, other = ("clip_value", "max_norm") if by_value else ("max_norm", "clip_value")
    if wanted not in clip_grad or other in clip_grad:
        raise ConfigError(
            f"optim_wrapper.clip_grad is {dict(clip_grad)}; give {wanted} and no {other}, or another type: 'norm' or "
            "'value'"
        )


def _check_modules(names: str | list[str] | None, model) -> None:
    """Raise ConfigError for a name of ``activation_checkpointing`` that no module of the model has."""
    known = {name for name, _ in model.named_modules() if name}
    for name in [names] if isinstance(names, str) else names or ():
        if name not in known:
            raise ConfigError(f"activation_checkpointing has {name!r}. {nearest(name, known)}")


def _check_custom_keys(optim_wrapper: Config, model) -> None:
    """Raise ConfigError for a key of ``paramwise_cfg.custom_keys`` that is in no parameter's name."""
    names = [name for name, _ in model.named_parameters()]
    for key in (optim_wrapper.get("paramwise_cfg") or {}).get("custom_keys") or {}:
        if not any(key in name for name in names):
            raise ConfigError(
                f"optim_wrapper.paramwise_cfg.custom_keys has {key!r}, which is in no parameter's name; "
                f"parameters are called as {few(dict.fromkeys(name.rpartition('.')[0] for name in names))}"
            )


def _set_data_root(dataset: dict, data_root: str) -> None:
    """Set the root of a data set, or of those that it wraps, where they have none."""
    for inner in innermost(dataset):
        inner.setdefault("data_root", data_root)


def _reads_all_images(cfg: Config, split: str) -> bool:
    """Tell whether a data set of a split reads its images when it is built, to leave bad ones out."""
    loader = loader_cfg(cfg, split) or {}
    return any(key.endswith("on_bad_image") and value == "skip" for key, value in flatten(dict(loader)).items())
