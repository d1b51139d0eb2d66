"""What was found in a folder."""

from collections.abc import Sequence
from dataclasses import dataclass

from rdet.datasets.base import DetDataset
from rdet.errors import DatasetError
from rdet.messages import few
from rdet.registry import DATASETS


@dataclass(frozen=True)
class FoundData:
    """A data set as it lies in a folder.

    Attributes:
        root: The folder.
        kind: What the format is called, ``'COCO json'``.
        splits: ``'train'``, ``'val'``, ``'test'``, or ``'all'`` where nothing is divided -> arguments of the data set
            besides ``data_root``, with its ``type``.
        others: What else is there and is not used.
    """

    root: str
    kind: str
    splits: dict[str, dict]
    others: Sequence[str] = ()

    def read(self, split: str, **options) -> DetDataset:
        """Read a split, without any image; it need not have a box."""
        cfg = {**self.splits[split], "data_root": self.root, "test_mode": True, **options}
        return DATASETS.build(cfg, where=f"{self.root}, {split}")

    def describe(self, images: dict[str, int]) -> str:
        """Say in one line what it is; ``images`` has the number of each split."""
        parts = ", ".join(
            f"{split} {images[split]} images ({cfg['ann_file'] or '.'})" for split, cfg in self.splits.items()
        )
        others = f"; not used: {few(self.others)}" if self.others else ""
        return f"{self.root}: {self.kind}: {parts}{others}"


def by_split(files: dict[str, str | None], where: str, what: str) -> tuple[dict[str, str], list[str]]:
    """Choose one file for each split.

    Args:
        files: File -> the split that its name says, or None.
        where: The folder, for messages.
        what: What the files are, ``'COCO json'``.

    Returns:
        Split -> file, and the files that are not used.

    Raises:
        DatasetError: Several files are of one split.
    """
    chosen: dict[str, str] = {}
    for split in dict.fromkeys(files.values()):
        of_split = [file for file, its in files.items() if its == split]
        preferred = [file for file in of_split if file.rpartition("/")[2].startswith("instances")]
        if len(preferred) == 1:  # beside COCO's captions and key points
            of_split = preferred
        if len(of_split) > 1 and (split is not None or set(files.values()) == {None}):
            raise DatasetError(
                f"{where}: {what} of {f'the {split} part' if split else 'one part'} is there {len(of_split)} times: "
                f"{few(of_split)}; remove all but one, or name them train, val and test"
            )
        if len(of_split) == 1:
            chosen[split or "all"] = of_split[0]
    if "all" in chosen and len(chosen) > 1:
        unnamed = chosen.pop("all")
        chosen.setdefault("train", unnamed)
    order = ("train", "val", "test", "all")
    return {split: chosen[split] for split in order if split in chosen}, sorted(set(files) - set(chosen.values()))
