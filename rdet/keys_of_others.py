"""What the signatures of other libraries' parts do not say: keys behind ``**kwargs``, limits, and what a run gives."""

from typing import Annotated, Any, Literal

from rdet.schema import Ascending, Count, Fraction, Limits, Natural, NotNegative, Positive

_Average = Annotated[float, Limits(above=0, below=1)]

# Class -> key -> what it may hold. A key holds for a class that has it, and for its children.
KEYS: dict[str, dict[str, Any]] = {
    # mmengine's schedules, and torch's optimizers.
    "_ParamScheduler": {
        "begin": Natural,
        "end": Count,
        "by_epoch": bool,
        "factor": Fraction,
        "start_factor": Annotated[float, Limits(above=0, most=1)],
        "end_factor": Fraction,
        "gamma": NotNegative,
        "step_size": Count,
        "milestones": Annotated[list[Natural], Ascending()],
        "T_max": Count | None,
        "eta_min": NotNegative | None,
        "eta_min_ratio": NotNegative | None,
        "eta_max": Positive,
        "periods": list[Count],
        "restart_weights": list[NotNegative],
        "power": NotNegative,
        "total_steps": Count | None,
        "pct_start": Fraction,
        "div_factor": Positive,
        "final_div_factor": Positive,
        "patience": Natural,
        "cooldown": Natural,
        "threshold": NotNegative,
        "min_value": NotNegative,
        "eps": NotNegative,
    },
    "Optimizer": {
        "lr": NotNegative,
        "momentum": Fraction,
        "dampening": Fraction,
        "weight_decay": NotNegative,
        "betas": tuple[Fraction, Fraction],
        "eps": NotNegative,
        "alpha": Fraction,
        "rho": Fraction,
        "lr_decay": NotNegative,
    },
    "OptimWrapper": {"accumulative_counts": Count},
    # mmengine's hooks, which pass keys on behind `**kwargs`.
    "EMAHook": {
        "momentum": _Average,
        "gamma": Count,
        "interval": Count,
        "device": str | None,
        "update_buffers": bool,
        "begin_iter": Natural,
        "begin_epoch": Natural,
    },
    "EarlyStoppingHook": {"rule": Literal["greater", "less"] | None},
    "LoggerHook": {"interval": Count, "interval_exp_name": Count},
    "BaseAveragedModel": {"interval": Count, "momentum": _Average, "gamma": Count},
    # torch's normalisation layers.
    "_NormBase": {"eps": NotNegative, "momentum": Fraction | None},
    "GroupNorm": {"eps": NotNegative, "num_groups": Count},
    # mmcv's transforms.
    "BaseTransform": {
        "prob": Fraction,
        "crop_size": tuple[Count, Count] | Count,
        "size": tuple[Count, Count] | None,
        "size_divisor": Count | None,
        "std": list[Positive],
    },
    "RandomChoice": {"prob": list[Fraction] | None},
}
# Behind whose `**kwargs` nothing but these keys is read.
BEHIND_KWARGS = {"EMAHook": ("momentum", "gamma", "interval", "device", "update_buffers")}
# Class -> keys that the run itself gives, and no config.
GIVEN = {
    "_ParamScheduler": ("optimizer", "last_step"),
    "Optimizer": ("params",),
    "BaseLoop": ("runner", "dataloader"),
}
