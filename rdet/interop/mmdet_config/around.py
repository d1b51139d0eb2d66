"""What a head of MMDetection's configs stands in."""

from dataclasses import dataclass

from rdet.interop.mmdet_config.source import Entry

_UNTRAINABLE = "is not there; without it the detector cannot be trained"


@dataclass(frozen=True)
class Around:
    """What a head stands in.

    Attributes:
        strides: Of the levels that the neck gives.
        channels: Of these levels.
        train_cfg: Of the model; None if the source has none.
        fixed_size: Whether batches have one size, beyond whose images MMDetection sees background.
    """

    strides: list[int]
    channels: int
    train_cfg: Entry | None
    fixed_size: bool

    def padding(self, usual: str) -> str:
        """Say what priors beyond an image are."""
        return "background" if self.fixed_size else usual

    def training(self, head: Entry) -> Entry:
        """Give ``train_cfg``, which a detector that trains needs."""
        if self.train_cfg is None:
            head.refuse(_UNTRAINABLE, "assigner")
        return self.train_cfg

    def assigner(self, head: Entry, key: str = "assigner") -> Entry:
        """Give the config of the assigner; a detector that trains needs one."""
        return self.training(head).required(key, reason=_UNTRAINABLE)
