"""What an evaluation will lack, said before the hours that lead to it."""

from collections.abc import Iterator, Mapping

from mmengine.config import Config

from rdet.apis.data_cfg import evaluator_cfgs
from rdet.datasets.summary import load_report
from rdet.errors import ConfigError
from rdet.evaluation.coco_eval import MAX_DETS, metric_keys
from rdet.evaluation.coco_metric import CocoMetric
from rdet.messages import nearest

_VAL_LOSS = "val/loss"  # how the names of what ValLossHook gives begin


def check_metric_names(cfg: Config) -> None:
    """Raise ConfigError if two evaluators give the same names, or something waits for a name that none gives.

    What evaluators other than CocoMetric give is not known before, so that names are not looked up then.
    """
    evaluators = evaluator_cfgs(cfg, "val")
    if any(evaluator["type"] != "CocoMetric" for evaluator in evaluators):
        return
    prefixes = [evaluator.get("prefix") or CocoMetric.default_prefix for evaluator in evaluators]
    for prefix in prefixes:
        if prefixes.count(prefix) > 1:
            raise ConfigError(
                f"val_evaluator has {prefixes.count(prefix)} metrics with the prefix {prefix!r}, whose numbers would "
                "have the same names; give each its own, prefix='...'"
            )
    given = [
        f"{prefix}/{key}"
        for prefix, evaluator in zip(prefixes, evaluators, strict=True)
        for key in metric_keys(evaluator.get("max_dets", MAX_DETS))
    ]
    has_losses = has_val_loss(cfg)
    for where, name, rule in _names_waited_for(cfg):
        if has_losses and name.startswith(_VAL_LOSS):
            if rule == "greater":
                raise ConfigError(f"{where} is {name!r}, of which less is better; set rule='less'")
            continue
        if name not in given:
            raise ConfigError(f"{where} is {name!r}. {nearest(name, given)}")
        if rule == "less":
            raise ConfigError(
                f"{where} is {name!r}, of which more is better, but its rule is 'less'; set rule='greater'"
            )


def _names_waited_for(cfg: Config) -> Iterator[tuple[str, str, str | None]]:
    checkpoint = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    best = checkpoint.get("save_best")
    for name in [best] if isinstance(best, str) else best or ():
        if name != "auto":
            yield "default_hooks.checkpoint.save_best", name, checkpoint.get("rule")
    for index, hook in enumerate(cfg.get("custom_hooks") or ()):
        if hook["type"] == "EarlyStoppingHook":
            yield f"custom_hooks.{index}.monitor", hook["monitor"], hook.get("rule")
    schedules = cfg.get("param_scheduler") or ()
    for index, schedule in enumerate([schedules] if isinstance(schedules, dict) else schedules):
        if str(schedule["type"]).startswith("ReduceOnPlateau"):
            yield f"param_scheduler.{index}.monitor", schedule.get("monitor", "loss"), schedule.get("rule", "less")


def has_val_loss(cfg: Config) -> bool:
    """Tell whether evaluations give the losses of the val data too."""
    return any(str(hook["type"]).rpartition(".")[2] == "ValLossHook" for hook in cfg.get("custom_hooks") or ())


def with_val_loss(cfg: Config) -> list[dict[str, object]]:
    """Return the custom hooks of a config with that which logs the losses of the val data.

    Raises:
        ConfigError: The config has no evaluation.
    """
    if not cfg.get("val_dataloader"):
        raise ConfigError("--val-loss, but the config has no val_dataloader, so nothing is evaluated; add one")
    hooks = [*(cfg.get("custom_hooks") or ())]
    return hooks if has_val_loss(cfg) else [*hooks, {"type": "ValLossHook"}]


def early_stopping(cfg: Config, patience: int) -> dict[str, object]:
    """Return the hook that ends a run whose best metric does not improve in ``patience`` evaluations.

    Raises:
        ConfigError: The config has such a hook, or no evaluation.
    """
    if any(hook["type"] == "EarlyStoppingHook" for hook in cfg.get("custom_hooks") or ()):
        raise ConfigError("--patience, but the config's custom_hooks has an EarlyStoppingHook; change that one")
    if not cfg.get("val_dataloader"):
        raise ConfigError("--patience, but the config has no val_dataloader, so nothing is evaluated; add one")
    hook = (cfg.get("default_hooks") or {}).get("checkpoint") or {}
    best = hook.get("save_best")
    name = best if isinstance(best, str) else (best or [None])[0]
    monitor = f"{CocoMetric.default_prefix}/{metric_keys()[0]}" if name in (None, "auto") else name
    return {
        "type": "EarlyStoppingHook",
        "monitor": monitor,
        "rule": hook.get("rule") or "greater",
        "patience": patience,
    }


def crowded(datasets: Mapping[str, object], most: int | None) -> Iterator[str]:
    """Say of which data sets to evaluate on an image has more objects than a detector may find.

    Args:
        datasets: Name of each split -> its data set.
        most: ``max_per_img`` of the postprocess; None if that is not known.
    """
    for split, dataset in datasets.items():
        fullest = load_report(dataset).fullest
        if split != "train" and most is not None and fullest > most:
            yield (
                f"{split}: an image has {fullest} objects, but model.postprocess.max_per_img is {most}, so not all can "
                f"be found; raise it, and max_dets of CocoMetric where more than {MAX_DETS} are of one class"
            )
