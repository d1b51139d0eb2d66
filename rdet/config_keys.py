"""The top-level keys of a config and those of its dicts that no class reads: what each may hold.

Keys of parts are not here: a part's constructor says them, by its parameters and their annotations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypedDict

from rdet import registry
from rdet.registry import Registry
from rdet.schema import Count, Limits, Natural, NotNegative, Positive

Cfg = dict[str, Any]
_WORKERS = 1024  # processes of a loader; torch would start any number of them


@dataclass(frozen=True)
class Part:
    """Marks a dict that a class reads: ``Annotated[Cfg, Part(MODELS)]``.

    Args:
        registry: Where its ``type`` is looked up.
        default: What says the type of a dict without one.
        also: What says which keys something else than the class reads, or of which more is to be said than the class
            does: name -> annotation.
    """

    registry: Registry
    default: Callable[[Mapping[str, Any]], str | None] = lambda cfg: None
    also: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda cfg: {}


class CustomImports(TypedDict, total=False):
    imports: list[str] | str
    allow_failed_imports: bool


class Randomness(TypedDict, total=False):
    seed: Annotated[int, Limits(0, 2**32 - 1)] | None
    deterministic: bool


class AutoScaleLr(TypedDict, total=False):
    enable: bool
    base_batch_size: Count


class Processes(TypedDict, total=False):
    mp_start_method: Literal["fork", "spawn", "forkserver"]
    opencv_num_threads: Natural


class Distribution(TypedDict, total=False):
    """What torch.distributed is started with; ``timeout`` in seconds."""

    backend: str
    init_backend: Literal["torch", "deepspeed"]
    init_method: str
    timeout: Positive
    port: Count


class Environment(TypedDict, total=False):
    cudnn_benchmark: bool
    mp_cfg: Processes
    dist_cfg: Distribution
    resource_limit: Count


class DataLoader(TypedDict, total=False):
    """Of torch's loader, all but the order of the images, which is rdet's business."""

    dataset: Annotated[Cfg, Part(registry.DATASETS)]
    batch_size: Count
    aspect_ratio_grouping: bool
    num_workers: Annotated[int, Limits(least=0, most=_WORKERS)]
    collate_fn: Callable[..., Any] | None
    pin_memory: bool
    timeout: NotNegative
    worker_init_fn: Callable[..., Any] | None
    multiprocessing_context: Literal["fork", "spawn", "forkserver"] | None
    prefetch_factor: Count | None
    persistent_workers: bool
    pin_memory_device: str
    in_order: bool


class ClipGrad(TypedDict, total=False):
    """``type``, and the arguments of torch's ``clip_grad_norm_`` or ``clip_grad_value_``."""

    type: Literal["norm", "value"]
    max_norm: Annotated[float, Limits(above=0, finite=False)]  # infinite: the norm is logged, and nothing clipped
    norm_type: Positive | Literal["inf"]
    error_if_nonfinite: bool
    foreach: bool | None
    clip_value: Positive


class Multipliers(TypedDict, total=False):
    lr_mult: NotNegative
    decay_mult: NotNegative


class Paramwise(TypedDict, total=False):
    custom_keys: dict[str, Multipliers]
    bias_lr_mult: NotNegative
    bias_decay_mult: NotNegative
    norm_decay_mult: NotNegative
    flat_decay_mult: NotNegative
    dwconv_decay_mult: NotNegative
    bypass_duplicate: bool


Hook = Annotated[Cfg, Part(registry.HOOKS)]
Metric = Annotated[Cfg, Part(registry.METRICS, lambda cfg: "CocoMetric")]


class DefaultHooks(TypedDict, total=False):
    runtime_info: Hook | None
    timer: Hook | None
    logger: Hook | None
    param_scheduler: Hook | None
    checkpoint: Hook | None
    loss_check: Hook | None
    results: Hook | None
    labels: Hook | None
    batches: Hook | None
    curves: Hook | None


def _optim_wrapper_keys(cfg: Mapping[str, Any]) -> dict[str, Any]:
    paramwise = dict if "constructor" in cfg else Paramwise  # a constructor of one's own has keys of its own
    optimizer = Annotated[Cfg, Part(registry.OPTIMIZERS)]
    return {"optimizer": optimizer, "clip_grad": ClipGrad | None, "paramwise_cfg": paramwise | None, "constructor": str}


def train_loop(cfg: Mapping[str, Any]) -> str:
    """Return the type of the loop that a ``train_cfg`` without one asks for."""
    if "minutes" in cfg:
        return "TimedTrainLoop"
    return "EpochBasedTrainLoop" if cfg.get("by_epoch", True) else "IterBasedTrainLoop"


_Training: TypeAlias = Annotated[Cfg, Part(registry.MODELS)] | None


class _Epochs(TypedDict):
    epochs: Count


class Initial(_Epochs, total=False):
    """What takes the place of slots of the model in the first epochs; None empties a slot."""

    assigner: Annotated[Cfg, Part(registry.MODELS)]
    loss_cls: Annotated[Cfg, Part(registry.MODELS)]
    loss_bbox: Annotated[Cfg, Part(registry.MODELS)]
    normalizer: _Training
    loss_bbox_initial: _Training
    loss_dfl: _Training
    loss_quality: _Training
    loss_obj: _Training
    loss_l1: _Training
    quality: _Training
    bbox_weight: _Training
    cls_mass: _Training
    mining: _Training
    level_weight: _Training


Model = Annotated[Cfg, Part(registry.MODELS, also=lambda cfg: {"initial": Initial | None})]
TrainLoop = Annotated[Cfg, Part(registry.LOOPS, train_loop, also=lambda cfg: {"by_epoch": bool})]
OptimWrapper = Annotated[Cfg, Part(registry.OPTIM_WRAPPERS, lambda cfg: "OptimWrapper", _optim_wrapper_keys)]
# mmengine makes one that counts iterations of one that counts epochs.
Scheduler = Annotated[Cfg, Part(registry.PARAM_SCHEDULERS, also=lambda cfg: {"convert_to_iter_based": bool})]


class ConfigKeys(TypedDict, total=False):
    """The top level."""

    model: Model
    data_root: str | None
    train_dataloader: DataLoader | None
    val_dataloader: DataLoader | None
    test_dataloader: DataLoader | None
    val_evaluator: Metric | list[Metric] | None
    test_evaluator: Metric | list[Metric] | None
    train_cfg: TrainLoop | None
    optim_wrapper: OptimWrapper
    param_scheduler: Scheduler | list[Scheduler] | None
    auto_scale_lr: AutoScaleLr
    default_hooks: DefaultHooks
    custom_hooks: list[Hook] | None
    randomness: Randomness
    load_from: str | None
    resume: bool
    work_dir: str | None
    tta_model: Annotated[Cfg, Part(registry.MODELS, lambda cfg: "DetTTAModel")] | None
    tta_pipeline: list[Annotated[Cfg, Part(registry.TRANSFORMS)]] | None
    custom_imports: CustomImports
    env_cfg: Environment
    compile: bool | Cfg | None
    cuda_graphs: bool
    activation_checkpointing: list[str] | str | None
    find_unused_parameters: bool
    sync_bn: Literal["torch", "mmcv"] | None
    visualizer: Annotated[Cfg, Part(registry.VISUALIZERS, lambda cfg: "Visualizer")] | None
    log_processor: Annotated[Cfg, Part(registry.LOG_PROCESSORS, lambda cfg: "LogProcessor")]
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | Natural
    experiment_name: str | None
