"""Assembly of a detector from its config; each part gets the facts that follow from the parts before it."""

import inspect
from collections.abc import Mapping
from typing import Any

from rdet.errors import ConfigError, UnknownNameError
from rdet.messages import nearest
from rdet.models.assigners.base import Assigner
from rdet.models.detectors.checks import check_base, check_levels_are_said
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.detectors.phases import Phase, PhasedAssigner, PhasedCriterion
from rdet.models.priors.grid_priors import GridPriors
from rdet.part_keys import parameters_of
from rdet.registry import MODELS, class_of

Cfg = dict[str, Any]
Slots = Mapping[str, Cfg | None]

# The losses of the head's quality branch, which it has if there is one of them.
QUALITY_SLOTS = ("loss_quality", "loss_obj")


def build_part(slot: str, cfg: Cfg | None, **facts: Any) -> Any:
    """Build the part of a slot; its constructor gets those facts that it names. None stays None.

    Raises:
        ConfigError: The config contradicts a fact, or the part does not fit into the slot.
    """
    if cfg is None:
        return None
    if (part_class := _class_of(cfg, slot)) is not None:
        named = parameters_of(part_class)
        if facts.get("with_quality") and named is not None and "with_quality" not in named:
            raise ConfigError(
                f"model.bbox_head: {part_class.__name__} has no quality branch for model.loss_quality or model.loss_obj"
            )
        facts = {key: value for key, value in facts.items() if named is None or key in named}
    part = MODELS.build(cfg, default_args=facts, where=f"model.{slot}")
    check_base(slot, part)
    return part


def _class_of(cfg: Cfg | None, slot: str) -> type | None:
    """Return the class of a part that is still to be built."""
    return class_of(cfg["type"], MODELS, f"model.{slot}") if isinstance(cfg, dict) and "type" in cfg else None


def build_network(
    backbone: Cfg,
    neck: Cfg,
    bbox_head: Cfg,
    anchor_generator: Cfg,
    bbox_coder: Cfg,
    num_classes: int,
    with_quality: bool,
) -> dict[str, Any]:
    """Build backbone, neck, priors, coder and head: slot -> part."""
    parts: dict[str, Any] = {}
    parts["backbone"] = build_part("backbone", backbone)
    check_levels_are_said("backbone", parts["backbone"])
    parts["neck"] = build_part(
        "neck", neck, in_channels=parts["backbone"].out_channels, in_strides=parts["backbone"].strides
    )
    check_levels_are_said("neck", parts["neck"])
    widths = parts["neck"].out_channels
    parts["anchor_generator"] = build_part("anchor_generator", anchor_generator, strides=parts["neck"].strides)
    parts["bbox_coder"] = build_part("bbox_coder", bbox_coder, **_facts_of_priors(parts["anchor_generator"]))
    of_each = getattr(_class_of(bbox_head, "bbox_head"), "width_of_each_level", False)
    if len(set(widths)) != 1 and not of_each:
        raise ConfigError(f"model.neck gives levels of different widths {widths}; a shared head needs one")
    parts["bbox_head"] = build_part(
        "bbox_head",
        bbox_head,
        in_channels=widths if of_each else widths[0],
        num_levels=len(widths),
        num_classes=num_classes,
        num_priors=parts["anchor_generator"].num_priors,
        box_dim=parts["bbox_coder"].box_dim,
        with_quality=with_quality,
    )
    return parts


def _facts_of_priors(generator: Any) -> dict[str, Any]:
    """Say what a coder may want to know of the priors; a generator of another kind may not tell it."""
    facts: dict[str, Any] = {"prior_scale": getattr(generator, "prior_scale", None)}
    if isinstance(generator, GridPriors):
        facts |= {
            "strides": generator.strides,
            "sizes": [[tuple(size) for size in x.tolist()] for x in generator.shapes],
        }
    return {name: value for name, value in facts.items() if value is not None}


def build_training(
    assigner: Cfg, slots: Slots, initial: Cfg | None, num_classes: int, strides: list[int]
) -> tuple[Assigner, DenseCriterion | PhasedCriterion]:
    """Build what only training needs: the assigner, the losses and what weighs and divides them.

    Args:
        assigner: Its config.
        slots: Slot of :class:`DenseCriterion` -> config or None.
        initial: ``epochs``, and what takes the place of the slots in the first epochs; None: all epochs are alike.
        num_classes: K.
        strides: Of the levels.

    Raises:
        UnknownNameError: ``initial`` has a key that is no slot of training.
        ConfigError: Parts do not go together, see :class:`DenseCriterion`.
    """
    later = _build_assigner(assigner, strides), _build_criterion(slots, num_classes, len(strides))
    if initial is None:
        return later
    _check_initial(initial, slots)
    first_slots = {slot: cfg for slot, cfg in initial.items() if slot not in ("epochs", "assigner")}
    phase = Phase(initial["epochs"])
    try:
        first = (
            _build_assigner(initial.get("assigner", assigner), strides),
            _build_criterion({**slots, **first_slots}, num_classes, len(strides)),
        )
    except UnknownNameError as error:
        raise UnknownNameError(f"model.initial: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"model.initial: {error}") from error
    if "normalizer" not in initial:  # one that keeps a running mean goes on with it
        first[1].normalizer = later[1].normalizer
    return PhasedAssigner(first[0], later[0], phase), PhasedCriterion(first[1], later[1], phase)


def _check_initial(initial: Cfg, slots: Slots) -> None:
    valid = {"epochs", "assigner", *inspect.signature(DenseCriterion).parameters}
    for key in initial:
        if key not in valid:
            raise UnknownNameError(f"model.initial has no key {key!r}. {nearest(key, valid)}")
    if "epochs" not in initial:
        raise ConfigError("model.initial has no epochs: say how many epochs it is for")
    if "assigner" in initial and initial["assigner"] is None:
        raise ConfigError("model.initial.assigner is None; leave it out to keep model.assigner")
    for slot in QUALITY_SLOTS:
        if initial.get(slot) is not None and all(slots.get(other) is None for other in QUALITY_SLOTS):
            raise ConfigError(
                f"model.initial has a {slot}, but model.{slot}, with which the head gets its branch, is not set"
            )


def _build_assigner(cfg: Cfg, strides: list[int]) -> Assigner:
    assigner: Assigner = build_part("assigner", cfg, strides=strides)
    return assigner


def _build_criterion(slots: Slots, num_classes: int, num_levels: int) -> DenseCriterion:
    """Build the losses, by default with ``BatchNormalizer`` and, if a part reads the quality, with ``IoUQuality``."""
    slots = {"normalizer": {"type": "BatchNormalizer"}} | {slot: cfg for slot, cfg in slots.items() if cfg is not None}
    facts: dict[str, Cfg] = {
        "loss_cls": {"num_classes": num_classes},
        "loss_obj": {"num_classes": 1},
        "level_weight": {"num_levels": num_levels},
    }
    parts = {slot: build_part(slot, cfg, **facts.get(slot, {})) for slot, cfg in slots.items()}
    for slot in ("loss_cls", "loss_bbox"):
        if slot not in parts:
            raise ConfigError(f"the config has no model.{slot}, which every detector needs")
    if "quality" not in parts and any(getattr(part, "needs_quality", False) for part in parts.values()):
        parts["quality"] = build_part("quality", {"type": "IoUQuality"})
    return DenseCriterion(**parts)
