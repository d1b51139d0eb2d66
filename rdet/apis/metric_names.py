"""Names of metrics that a config waits for, checked before the first evaluation would miss them."""

from collections.abc import Iterator

from mmengine.config import Config

from rdet.apis.data_cfg import evaluator_cfgs
from rdet.errors import ConfigError
from rdet.evaluation.coco_eval import METRIC_KEYS
from rdet.evaluation.coco_metric import CocoMetric
from rdet.messages import nearest


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
    given = [f"{prefix}/{key}" for prefix in prefixes for key in METRIC_KEYS]
    for where, name in _names_waited_for(cfg):
        if name not in given:
            raise ConfigError(f"{where} is {name!r}. {nearest(name, given)}")


def _names_waited_for(cfg: Config) -> Iterator[tuple[str, str]]:
    best = ((cfg.get("default_hooks") or {}).get("checkpoint") or {}).get("save_best")
    for name in [best] if isinstance(best, str) else best or ():
        if name != "auto":
            yield "default_hooks.checkpoint.save_best", name
    for index, hook in enumerate(cfg.get("custom_hooks") or ()):
        if hook["type"] == "EarlyStoppingHook":
            yield f"custom_hooks.{index}.monitor", hook["monitor"]
    schedules = cfg.get("param_scheduler") or ()
    for index, schedule in enumerate([schedules] if isinstance(schedules, dict) else schedules):
        if str(schedule["type"]).startswith("ReduceOnPlateau"):
            yield f"param_scheduler.{index}.monitor", schedule.get("monitor", "loss")
