"""A data set whose pipeline may join several of its images."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from rdet.datasets.transforms.canvas import COLUMNS
from rdet.datasets.transforms.failure import failed_at
from rdet.datasets.transforms.mix_transform import MixTransform
from rdet.datasets.transforms.order import check_order
from rdet.errors import ConfigError, DatasetError, RdetError, UnknownNameError
from rdet.messages import nearest
from rdet.registry import DATASETS, TRANSFORMS
from rdet.schema import Natural


@DATASETS.register_module()
class MultiImageMixDataset:
    """A data set, and transforms such as :class:`Mosaic` that draw other images of it.

    The wrapped data set's pipeline runs for each image that is drawn: it loads, and may resize and
    flip. The pipeline here runs once for what becomes of them, and packs. Other images are drawn from
    numpy's global generator, which the training stream seeds for each image.

    Drawing from the images of the batch, each is loaded once a batch, instead of as often as it is
    drawn. RTMDet has caches of the last images of a worker for that (Lyu et al., arXiv:2212.07784,
    section 3.4), whose contents depend on the number of workers and on where a training was resumed;
    a batch is a function of the seed and the iteration.

    Mixing may end before training does. Whether it has is a function of the iteration that an image
    is for, told by the training stream, so the change is exact with any number of workers and after a
    resume.

    Args:
        dataset: A data set, wrapped or not, whose pipeline ends with ``img`` and boxes.
        pipeline: Transforms of a record, or their configs.
        stop_epoch: Mix in the first so many epochs only. Default: in all.
        stop_iter: The same in iterations.
        skip_type_keys: Names of the transforms that are left out from then on. Default: all that
            join images.
        draw_from: ``'all'`` images, or those of the ``'batch'``, as they left the wrapped data set's
            pipeline. Where nobody tells the batch (a browser, or another data set around this one that
            is none of this kind), all.

    Raises:
        ConfigError: Both ends are given, or one that changes nothing.
        UnknownNameError: ``skip_type_keys`` names a transform that the pipeline does not have.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        pipeline: Iterable[dict | BaseTransform],
        stop_epoch: Natural | None = None,
        stop_iter: Natural | None = None,
        skip_type_keys: str | Sequence[str] | None = None,
        draw_from: str = "all",
    ):
        if draw_from not in ("all", "batch"):
            raise ConfigError(f"MultiImageMixDataset: draw_from is {draw_from!r}; valid: 'all', 'batch'")
        self.dataset = dataset
        self.pipeline = [TRANSFORMS.build(t) if isinstance(t, dict) else t for t in pipeline]
        check_order(self.pipeline)
        self.stop_epoch = stop_epoch
        self.stop_iter = stop_iter
        skipped = self._names_to_skip(skip_type_keys)
        self._last_pipeline = [t for t in self.pipeline if _name(t) not in skipped]
        self._check_stop(skip_type_keys)
        self._iteration: int | None = None
        self._epoch: int | None = None
        self.draw_from = draw_from
        self._batch: Sequence[int] | None = None
        self._of_batch: dict[int, dict] = {}

    @property
    def metainfo(self) -> dict:
        """That of the wrapped data set."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the wrapped data set."""
        self.dataset.full_init()

    def set_progress(self, iteration: int | None, epoch: int | None) -> None:
        """Say which iteration and epoch, counted from 0, the next image is for; None if unknown."""
        self._iteration, self._epoch = iteration, epoch

    def set_batch(self, indices: Sequence[int] | None) -> None:
        """Say which images make the batch that comes next; None: it is done."""
        self._batch = indices if self.draw_from == "batch" else None
        self._of_batch.clear()
        if isinstance(self.dataset, MultiImageMixDataset):
            self.dataset.set_batch(indices)

    def get_data_info(self, idx: int) -> dict:
        """Return the ``idx``-th record of the wrapped data set, before any pipeline."""
        return self.dataset.get_data_info(idx)

    def get_cat_ids(self, idx: int) -> list[int]:
        """List the labels in the ``idx``-th image, not counting those that are mixed in."""
        return self.dataset.get_cat_ids(idx)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        """Return the ``idx``-th record after both pipelines.

        Raises:
            DatasetError: An image cannot be read, a record cannot be mixed, or how far training is
                has to be known and is not.
            PipelineError: A transform failed; the message names the image.
        """
        pipeline = self._last_pipeline if self._has_stopped() else self.pipeline
        data = self._loaded(idx)
        path = data.get("img_path")
        for transform in pipeline:
            try:
                data = transform.mix(data, self._draw) if isinstance(transform, MixTransform) else transform(data)
            except RdetError:
                raise
            except Exception as error:
                raise failed_at(path, _name(transform), error) from error
            if data is None:
                raise DatasetError(f"{path}: {_name(transform)} returned None; make every transform return a record")
        return data

    def _draw(self) -> dict:
        if self._batch is not None:
            return self._loaded(self._batch[np.random.randint(len(self._batch))])
        return self._loaded(np.random.randint(len(self.dataset)))

    def _loaded(self, idx: int) -> dict:
        if self._batch is None:
            return self._load(idx)
        if idx not in self._of_batch:
            self._of_batch[idx] = self._load(idx)
        return deepcopy(self._of_batch[idx])  # transforms change records in place

    def _load(self, idx: int) -> dict:
        record = self.dataset[idx]
        missing = [key for key in ("img", *COLUMNS) if key not in record]
        if missing:
            raise DatasetError(
                f"MultiImageMixDataset: the wrapped data set gives no {missing[0]!r}; its pipeline has to load images "
                "(LoadImageFromFile), and PackDetInputs belongs at the end of the pipeline of MultiImageMixDataset"
            )
        return record

    def _has_stopped(self) -> bool:
        name, stop, now = "stop_iter", self.stop_iter, self._iteration
        if self.stop_epoch is not None:
            name, stop, now = "stop_epoch", self.stop_epoch, self._epoch
        if stop is None:
            return False
        if now is None:
            raise DatasetError(
                f"MultiImageMixDataset: {name} is {stop}, but nobody said how far training is; "
                f"call set_progress(iteration, epoch) first, or leave {name} out"
            )
        return now >= stop

    def _names_to_skip(self, skip_type_keys: str | Sequence[str] | None) -> set[str]:
        if skip_type_keys is None:
            return {_name(t) for t in self.pipeline if isinstance(t, MixTransform)}
        names = {skip_type_keys} if isinstance(skip_type_keys, str) else set(skip_type_keys)
        present = [_name(t) for t in self.pipeline]
        for name in sorted(names - set(present)):
            raise UnknownNameError(
                f"MultiImageMixDataset: skip_type_keys names {name!r}, which its pipeline does not have. "
                f"{nearest(name, present)}"
            )
        return names

    def _check_stop(self, skip_type_keys) -> None:
        ends = {"stop_epoch": self.stop_epoch, "stop_iter": self.stop_iter}
        given = {name: value for name, value in ends.items() if value is not None}
        if len(given) == 2:
            raise ConfigError("MultiImageMixDataset: set stop_epoch or stop_iter, not both")
        for name, value in given.items():
            if not isinstance(value, int) or value < 0:
                raise ConfigError(f"MultiImageMixDataset: {name} must be a whole number from 0 on, got {value!r}")
            if len(self._last_pipeline) == len(self.pipeline):
                raise ConfigError(
                    f"MultiImageMixDataset: {name} is set, but no transform of its pipeline joins images; "
                    f"name those to leave out in skip_type_keys, or leave {name} out"
                )
        if skip_type_keys is not None and not given:
            raise ConfigError("MultiImageMixDataset: skip_type_keys does nothing without stop_epoch or stop_iter")


def _name(transform: Callable) -> str:
    return getattr(transform, "__name__", type(transform).__name__)
