"""Optimizer, schedules, hooks and the run of MMDetection's configs under rdet's names."""

from typing import Any

from rdet.interop.mmdet_config.source import Entry, plain

Cfg = dict[str, Any]

_SCHEDULERS = (
    *("ConstantLR", "CosineAnnealingLR", "CosineRestartLR", "ExponentialLR", "LinearLR", "MultiStepLR", "OneCycleLR"),
    *("PolyLR", "StepLR", "ReduceOnPlateauLR"),
    *("ConstantMomentum", "CosineAnnealingMomentum", "CosineRestartMomentum", "ExponentialMomentum"),
    *("LinearMomentum", "MultiStepMomentum", "PolyMomentum", "StepMomentum"),
)
# Hooks that rdet has in another way, and why they can be left out.
_DROPPED_HOOKS = {
    "CheckInvalidLossHook": "rdet's LossCheckHook is on",
    "NumClassCheckHook": "rdet compares the classes itself",
    "SetEpochInfoHook": "rdet counts epochs itself",
    "MemoryProfilerHook": "it changes nothing",
}
_KEPT_HOOKS = ("EMAHook", "EarlyStoppingHook", "EmptyCacheHook", "ProfilerHook", "SyncBuffersHook")
_AVERAGES = ("ExpMomentumEMA", "ExponentialMovingAverage", "MomentumAnnealingEMA", "StochasticWeightAverage")


def convert_loop(cfg: Entry) -> Cfg | None:
    """Convert ``train_cfg``, and read the loops of validation and test."""
    for key, kind in (("val_cfg", "ValLoop"), ("test_cfg", "TestLoop")):
        loop = cfg.entry(key)
        if loop is not None:
            if loop.kind not in (kind, None):
                loop.unknown()
            loop.expect("fp16", False, "use --amp of tools/test.py")
    loop = cfg.entry("train_cfg")
    if loop is None:
        return None
    kinds = {"EpochBasedTrainLoop": True, "IterBasedTrainLoop": False}
    by_epoch = loop.take("by_epoch", True) if loop.kind is None else kinds.get(loop.kind)
    if by_epoch is None:
        loop.unknown()
    loop.ignore("by_epoch")
    found: Cfg = {"by_epoch": by_epoch}
    for key in ("max_epochs", "max_iters", "val_begin", "val_interval", "dynamic_intervals"):
        if (value := loop.take(key)) is not None:
            found[key] = value
    return found


def convert_optimizer(entry: Entry) -> Cfg:
    """Convert ``optim_wrapper``."""
    kind = entry.kind or "OptimWrapper"
    if kind not in ("OptimWrapper", "AmpOptimWrapper"):
        entry.unknown()
    cfg: Cfg = {"type": kind}
    if kind == "AmpOptimWrapper":
        cfg |= _mixed_precision(entry)
    optimizer = entry.take("optimizer")
    if not optimizer or "type" not in optimizer:
        entry.refuse("has no type", "optimizer")
    cfg["optimizer"] = dict(optimizer)
    entry.expect("constructor", "DefaultOptimWrapperConstructor", "rdet has mmengine's alone", (None,))
    if (parameters := entry.take("paramwise_cfg")) is not None:
        _check_custom_keys(entry, parameters)
        cfg["paramwise_cfg"] = _with_offsets(entry, dict(parameters))
    if (clip := entry.take("clip_grad")) is not None:
        cfg["clip_grad"] = dict(clip)
    if (counts := entry.take("accumulative_counts", 1)) != 1:
        cfg["accumulative_counts"] = counts
    return cfg


def _mixed_precision(entry: Entry) -> Cfg:
    """Write MMDetection's default, float16, which on a machine without a GPU becomes bfloat16."""
    dtype = entry.take("dtype") or "float16"
    scale = entry.take("loss_scale", "dynamic")
    entry.expect("use_fsdp", False, "rdet does not split weights over processes")
    if isinstance(scale, dict):
        if set(scale) - {"init_scale"}:
            entry.refuse(f"has {sorted(set(scale) - {'init_scale'})[0]!r}; rdet has init_scale alone", "loss_scale")
        scale = scale.get("init_scale", "dynamic")
    cfg: Cfg = {"dtype": "auto" if dtype == "float16" else dtype}
    return cfg if scale == "dynamic" else cfg | {"loss_scale": float(scale)}


def _check_custom_keys(entry: Entry, parameters: Cfg) -> None:
    """Raise a ConfigError for a name that is called otherwise in rdet."""
    for key in parameters.get("custom_keys") or {}:
        part, _, rest = key.partition(".")
        if part not in ("backbone", "neck", "bbox_head") or (rest and part != "backbone"):
            entry.refuse(
                "rdet's weights may be called otherwise; backbone, neck, bbox_head and names below backbone are the "
                "same",
                f"paramwise_cfg.custom_keys.{key}",
            )


def _with_offsets(entry: Entry, parameters: Cfg) -> Cfg:
    """Write the learning rate of offsets by their names: mmengine knows mmcv's own deformable convolutions alone."""
    factor = parameters.pop("dcn_offset_lr_mult", None)
    if factor is None:
        return parameters
    if parameters.get("custom_keys"):
        entry.refuse("is set beside custom_keys; write it as one of them", "paramwise_cfg.dcn_offset_lr_mult")
    names = ("conv_offset.weight", "conv_offset.bias")
    return parameters | {"custom_keys": {name: {"lr_mult": factor} for name in names}}


def convert_schedulers(cfg: Entry) -> list[Cfg]:
    """Convert ``param_scheduler``; both have mmengine's."""
    found = []
    for entry in cfg.entries("param_scheduler"):
        if entry.kind not in _SCHEDULERS:
            entry.unknown()
        found.append({"type": entry.kind} | {key: entry.take(key) for key in entry.unread()})
    return found


def convert_lr_scaling(cfg: Entry) -> Cfg:
    """Convert ``auto_scale_lr``, which is off there unless it is on."""
    entry = cfg.entry("auto_scale_lr")
    if entry is None:
        return {"enable": False, "base_batch_size": 16}
    return {"enable": entry.take("enable", False), "base_batch_size": entry.take("base_batch_size", 16)}


def convert_hooks(cfg: Entry) -> tuple[Cfg, list[Cfg]]:
    """Convert ``default_hooks`` and ``custom_hooks``."""
    hooks: Cfg = {
        "logger": {"type": "LoggerHook", "interval": 10},
        "checkpoint": {"type": "CheckpointHook", "interval": 1},
        "loss_check": {"type": "LossCheckHook"},
    }
    default = cfg.entry("default_hooks") or Entry({}, "default_hooks", cfg.notes)
    for key in default.unread():
        hook = default.entry(key)
        if hook is None:
            hooks.pop(key, None)
            continue
        if key == "checkpoint" or key == "logger":
            if hook.kind not in ("CheckpointHook", "LoggerHook"):
                hook.unknown()
            hooks[key] = {"type": hook.kind} | {name: hook.take(name) for name in hook.unread()}
        elif key in ("timer", "param_scheduler", "runtime_info", "sampler_seed"):
            if hook.kind not in ("IterTimerHook", "ParamSchedulerHook", "RuntimeInfoHook", "DistSamplerSeedHook"):
                hook.unknown()
        elif key == "visualization":
            _drop(hook, "tools/test.py --show-dir draws")
        else:
            hook.unknown()
    return hooks, [found for hook in cfg.entries("custom_hooks") if (found := _custom_hook(hook))]


def _custom_hook(hook: Entry) -> Cfg | None:
    if hook.kind in _DROPPED_HOOKS:
        _drop(hook, _DROPPED_HOOKS[hook.kind])
        return None
    if hook.kind not in _KEPT_HOOKS:
        hook.unknown()
    values: Cfg = {"type": hook.kind} | {key: hook.take(key) for key in hook.unread()}
    average = values.get("ema_type", "ExponentialMovingAverage")
    if hook.kind == "EMAHook" and average not in _AVERAGES:
        hook.refuse(f"MMDetection's {average} has no counterpart in rdet", "ema_type")
    if "priority" in values:
        hook.note(f"{hook.place}.priority (rdet's order of hooks is mmengine's)")
        del values["priority"]
    return values


def _drop(entry: Entry, reason: str) -> None:
    entry.note(f"{entry.place} {entry.kind} ({reason})")
    entry.ignore(*entry.unread())


def convert_run(cfg: Entry) -> Cfg:
    """Convert what is left of a run: seeds, paths, the environment; name what is left out.

    Raises:
        ConfigError: A value changes numbers, and rdet has nothing for it.
    """
    found: Cfg = {}
    random = cfg.entry("randomness")
    if random is not None:
        random.ignore("diff_rank_seed")
        values = {"seed": random.take("seed"), "deterministic": random.take("deterministic", False)}
        found |= {"randomness": values} if values["seed"] is not None or values["deterministic"] else {}
    environment = cfg.entry("env_cfg")
    if environment is not None:
        if environment.take("cudnn_benchmark", False):
            found["env_cfg"] = {"cudnn_benchmark": True}
        environment.ignore("mp_cfg", "dist_cfg", "resource_limit")
        cfg.note("env_cfg")
    for key in ("load_from", "work_dir", "experiment_name"):
        if (value := cfg.take(key)) is not None:
            found[key] = value
    for key, default in (
        ("resume", False),
        ("find_unused_parameters", False),
        ("sync_bn", None),
        ("log_level", "INFO"),
    ):
        if (value := cfg.take(key, default)) != default:
            found[key] = value
    for key in ("default_scope", "log_processor", "launcher", "activation_checkpointing", "compile"):
        cfg.drop(key)
    for key in ("visualizer", "vis_backends"):
        cfg.drop(key, "docs/training.md has rdet's" if "Local" not in str(cfg.take(key)) else "")
    imports = cfg.entry("custom_imports")
    if imports is not None and plain(imports.take("imports")):
        imports.refuse(
            "modules for MMDetection do not register parts of rdet; write them for rdet, see docs/configs.md"
        )
    cfg.expect("model_wrapper_cfg", None, "rdet wraps the model as mmengine does")
    return found
