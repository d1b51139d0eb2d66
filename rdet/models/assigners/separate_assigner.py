"""One rule for the classes and another one for the boxes."""

from typing import Any

from torch import nn

from rdet.errors import ConfigError
from rdet.models.assigners.base import Assigner
from rdet.part_keys import parameters_of
from rdet.registry import MODELS, build_from_cfg, class_of
from rdet.schema import Count
from rdet.structures.match_batch import MatchBatch
from rdet.structures.matches import Matches


@MODELS.register_module()
class SeparateAssigner(nn.Module, Assigner):
    """Two rules: the positives of ``classes`` are those of the classes, the positives of ``boxes`` those of the boxes.

    What is good to learn a class from need not be what is good to learn a box from (DDOD, Chen et al., ACM MM 2021).
    ``loss_quality`` and the losses of boxes are of the positives of ``boxes``; ``loss_cls`` and ``loss_obj``, with
    their quality, of those of ``classes``. Which priors take no part, the rule of the classes says. It is a module, as
    the two may be.

    Args:
        classes, boxes: The two assigners.
    """

    def __init__(self, classes: Assigner, boxes: Assigner):
        super().__init__()
        self.classes = classes
        self.boxes = boxes

    @classmethod
    def from_cfg(
        cls, classes: dict[str, Any], boxes: dict[str, Any], strides: list[Count] | None = None
    ) -> "SeparateAssigner":
        """Build both from their configs.

        Args:
            classes, boxes: Configs of assigners.
            strides: Of the levels (inferred), for rules that ask for them.

        Raises:
            ConfigError: One is no assigner.
        """
        return cls(_built(classes, strides, "model.assigner.classes"), _built(boxes, strides, "model.assigner.boxes"))

    def match(self, batch: MatchBatch) -> Matches:
        of_boxes = self.boxes.match(batch)
        of_boxes = of_boxes if of_boxes.of_boxes is None else of_boxes.of_boxes
        return self.classes.match(batch)._replace(of_boxes=of_boxes)


def _built(cfg: dict[str, Any], strides: list[Count] | None, where: str) -> Assigner:
    """Build an assigner; it is told the strides if it asks for them."""
    named = parameters_of(class_of(cfg["type"], MODELS, where)) if isinstance(cfg, dict) and "type" in cfg else None
    facts = {} if strides is None or named is None or "strides" not in named else {"strides": strides}
    found = build_from_cfg(cfg, MODELS, facts, where=where)
    if not isinstance(found, Assigner):
        raise ConfigError(f"{where}: {type(found).__name__} does not derive from Assigner; take an assigner")
    return found
