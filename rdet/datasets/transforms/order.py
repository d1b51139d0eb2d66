"""Which transforms may follow one that leaves the pixels to the network's device."""

from collections.abc import Callable, Sequence

from mmcv.transforms import TestTimeAug

from rdet.datasets.transforms.filter_annotations import FilterAnnotations
from rdet.datasets.transforms.flip import RandomFlip
from rdet.datasets.transforms.pack import PackDetInputs
from rdet.datasets.transforms.resize import RandomChoiceResize, RandomResize, Resize
from rdet.errors import ConfigError

_LEAVE = (Resize, RandomChoiceResize, RandomResize)
_MAY_FOLLOW = (RandomFlip, FilterAnnotations, PackDetInputs)


def check_order(steps: Sequence[Callable]) -> None:
    """Check that after a transform with ``on_device=True`` none needs the pixels, and that PackDetInputs hands them on.

    Raises:
        ConfigError: Another transform follows, or none packs.
    """
    if steps and isinstance(steps[-1], TestTimeAug):
        for view in steps[-1].subroutines:
            check_order([*steps[:-1], *view.transforms])
        return
    first = next((index for index, step in enumerate(steps) if isinstance(step, _LEAVE) and step.on_device), None)
    if first is None:
        return
    left = f"{type(steps[first]).__name__} with on_device=True leaves the pixels to the device"
    for step in steps[first + 1 :]:
        if not isinstance(step, _MAY_FOLLOW):
            name = getattr(step, "__name__", type(step).__name__)
            raise ConfigError(
                f"pipeline: {left}, and {name} after it may need them; put {name} before it, or leave on_device out"
            )
    if not isinstance(steps[-1], PackDetInputs):
        raise ConfigError(
            f"pipeline: {left}, which only PackDetInputs hands on; end the pipeline with it, or leave on_device out"
        )
