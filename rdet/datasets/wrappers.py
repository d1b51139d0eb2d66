"""mmengine's data set wrappers, around any data set: mmengine's own refuse another wrapper."""

from collections.abc import Sequence

from mmengine import dataset as mm

from rdet.datasets.summary import check_same_classes
from rdet.registry import DATASETS
from rdet.schema import Count


@DATASETS.register_module()
class RepeatDataset(mm.RepeatDataset):
    """A data set, ``times`` times over, so that an epoch of a small set is long enough.

    Args:
        dataset: A data set, wrapped or not.
        times: How often it comes in an epoch.
    """

    def __init__(self, dataset: mm.BaseDataset, times: Count):
        self.dataset = dataset
        self.times = times
        self._metainfo = dataset.metainfo
        self._fully_initialized = False
        self.full_init()

    def get_cat_ids(self, idx: int) -> list[int]:
        """List the labels in the ``idx``-th image."""
        return self.dataset.get_cat_ids(self._get_ori_dataset_idx(idx))


@DATASETS.register_module()
class ConcatDataset(mm.ConcatDataset):
    """Several data sets, one after the other.

    Args:
        datasets: Data sets of the same classes in the same order, wrapped or not.

    Raises:
        DatasetError: Two of them differ in their classes.
    """

    def __init__(self, datasets: Sequence[mm.BaseDataset]):
        for index, dataset in enumerate(datasets[1:], start=1):
            check_same_classes(datasets[0], dataset, ("datasets.0", f"datasets.{index}"))
        self.datasets = list(datasets)
        self._metainfo = self.datasets[0].metainfo
        self._fully_initialized = False
        self.full_init()

    def get_cat_ids(self, idx: int) -> list[int]:
        """List the labels in the ``idx``-th image."""
        which, inner = self._get_ori_dataset_idx(idx)
        return self.datasets[which].get_cat_ids(inner)
