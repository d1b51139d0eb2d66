"""Result of matching a batch."""

from typing import NamedTuple

import torch
from torch import Tensor

from rdet.errors import PartError
from rdet.structures.assignment import BACKGROUND, IGNORE


class Matches(NamedTuple):
    """Which priors of N images are matched to a box, and which take no part; all others are background.

    Attributes:
        image, prior: (P,) int64, the positives, by image and then by prior.
        gt_index: (P,) int64, index of the matched box among the boxes of all images.
        ignored: (M,) int64, ``image * A + prior`` of the priors that are neither positive nor background; or (N * A,)
            bool, which they are.
        counted: (P,) bool; None: all. The others repeat the first positive, so that P is known without waiting for the
            device; if there is none, they are background.
        of_boxes: The positives of the losses of boxes and of their quality, where they are others than those of the
            classes; in any order, and a prior may be among them several times. None: the same.
        amount: (N,) how many positives of each image a divisor counts, where that is not their number; None: it is.
    """

    image: Tensor
    prior: Tensor
    gt_index: Tensor
    ignored: Tensor
    counted: Tensor | None = None
    of_boxes: "Matches | None" = None
    amount: Tensor | None = None

    @classmethod
    def from_dense(cls, assigned: Tensor, counts: list[int], most: int | None = None) -> "Matches":
        """Read the matches from the number that each prior is assigned.

        Args:
            assigned: (N, A) int64, index of a box among the boxes of the image, ``BACKGROUND`` or ``IGNORE``.
            counts: Boxes of each image, N numbers.
            most: There are no more positives. P is this number then, and nothing waits for the device. None: P is
                their number.

        Raises:
            PartError: A number is no box of the image; not with ``most``.
        """
        first = torch.tensor([sum(counts[:index]) for index in range(len(counts))], dtype=torch.int64)
        first = first.to(assigned.device, non_blocking=True)  # (N,)
        flat = assigned.flatten()
        if most is not None:
            return cls._of_size(flat, first, most, assigned.shape[1])
        number = torch.tensor(counts, dtype=torch.int64).to(assigned.device, non_blocking=True)
        wrong = (assigned >= number[:, None]) | (assigned < IGNORE)
        if wrong.any():  # it would be a box of another image; what follows waits for the device anyway
            image, prior = wrong.nonzero()[0].tolist()
            raise PartError(
                f"image {image} of the batch has {counts[image]} boxes, but prior {prior} is assigned "
                f"{int(assigned[image, prior])}; it must be the index of a box, BACKGROUND (-1) or IGNORE (-2)"
            )
        foreground = (flat != BACKGROUND).nonzero().squeeze(1)  # matched or ignored
        is_match = flat[foreground] >= 0
        positive = foreground[is_match]
        image, prior = positive // assigned.shape[1], positive % assigned.shape[1]
        return cls(image, prior, flat[positive] + first[image], foreground[~is_match])

    @classmethod
    def _of_size(cls, flat: Tensor, first: Tensor, size: int, num_priors: int) -> "Matches":
        """Read ``size`` matches from (N * A,); ``first`` (N,) is the index of the first box of each image."""
        found = (flat >= 0).cumsum(0)  # (N * A,)
        torch._assert_async(found[-1] <= size, f"an assigner made more positives than its limit of {size}")
        positive = torch.searchsorted(found, torch.arange(1, size + 1, device=flat.device))  # where it grows
        counted = positive < len(flat)
        positive = torch.where(counted, positive, positive[:1].clamp(max=len(flat) - 1))
        image, prior = positive // num_priors, positive % num_priors
        return cls(image, prior, (flat[positive] + first[image]).clamp(min=0), flat == IGNORE, counted)

    def to(self, device: torch.device) -> "Matches":
        """Copy the matches to a device, without waiting for it."""
        indices: tuple[Tensor, ...] = self.image, self.prior, self.gt_index, self.ignored
        if device.type == "cuda":  # a copy of more than 64 KB of other memory waits for what the GPU has to do before
            indices = tuple(index if index.is_cuda else index.pin_memory() for index in indices)
        image, prior, gt_index, ignored = (index.to(device, non_blocking=True) for index in indices)
        counted = None if self.counted is None else self.counted.to(device, non_blocking=True)
        of_boxes = None if self.of_boxes is None else self.of_boxes.to(device)
        amount = None if self.amount is None else self.amount.to(device, non_blocking=True)
        return Matches(image, prior, gt_index, ignored, counted, of_boxes, amount)

    def without_repeats(self) -> "Matches":
        """Leave out what does not count, which waits for the device."""
        of_boxes = None if self.of_boxes is None else self.of_boxes.without_repeats()
        if self.counted is None:
            return self._replace(of_boxes=of_boxes)
        image, prior, gt_index = (index[self.counted] for index in (self.image, self.prior, self.gt_index))
        return Matches(image, prior, gt_index, self.ignored, None, of_boxes, self.amount)

    def labels(self, gt_labels: Tensor, num_images: int, num_priors: int) -> Tensor:
        """Label every prior.

        Args:
            gt_labels: (G,) int64, class of each box, on the device of the matches.
            num_images, num_priors: N and A.

        Returns:
            (N, A) int64: a class, ``BACKGROUND`` or ``IGNORE``.
        """
        labels = torch.full((num_images, num_priors), BACKGROUND, device=self.prior.device)
        if self.ignored.dtype == torch.bool:
            labels.view(-1).masked_fill_(self.ignored, IGNORE)
        else:
            labels.view(-1).index_fill_(0, self.ignored, IGNORE)  # an assignment would copy the number, and wait
        label = gt_labels[self.gt_index]
        if self.counted is not None:  # the first counts unless there is no positive
            label = torch.where(self.counted[:1], label, labels[self.image, self.prior])
        labels[self.image, self.prior] = label
        return labels
