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
        ignored: (M,) int64, ``image * A + prior`` of the priors that are neither positive nor background.
    """

    image: Tensor
    prior: Tensor
    gt_index: Tensor
    ignored: Tensor

    @classmethod
    def from_dense(cls, assigned: Tensor, counts: list[int]) -> "Matches":
        """Read the matches from the number that each prior is assigned.

        Args:
            assigned: (N, A) int64, index of a box among the boxes of the image, ``BACKGROUND`` or ``IGNORE``.
            counts: Boxes of each image, N numbers.

        Raises:
            PartError: A number is no box of the image.
        """
        number = torch.tensor(counts, dtype=torch.int64).to(assigned.device, non_blocking=True)
        wrong = (assigned >= number[:, None]) | (assigned < IGNORE)
        if wrong.any():  # it would be a box of another image; what follows waits for the device anyway
            image, prior = wrong.nonzero()[0].tolist()
            raise PartError(
                f"image {image} of the batch has {counts[image]} boxes, but prior {prior} is assigned "
                f"{int(assigned[image, prior])}; it must be the index of a box, BACKGROUND (-1) or IGNORE (-2)"
            )
        flat = assigned.flatten()
        foreground = (flat != BACKGROUND).nonzero().squeeze(1)  # matched or ignored
        is_match = flat[foreground] >= 0
        positive = foreground[is_match]
        image, prior = positive // assigned.shape[1], positive % assigned.shape[1]
        first = torch.tensor([sum(counts[:index]) for index in range(len(counts))], dtype=torch.int64)
        return cls(
            image, prior, flat[positive] + first.to(flat.device, non_blocking=True)[image], foreground[~is_match]
        )

    def to(self, device: torch.device) -> "Matches":
        """Copy the matches to a device, without waiting for it."""
        return Matches(*(index.to(device, non_blocking=True) for index in self))

    def labels(self, gt_labels: Tensor, num_images: int, num_priors: int) -> Tensor:
        """Label every prior.

        Args:
            gt_labels: (G,) int64, class of each box, on the device of the matches.
            num_images, num_priors: N and A.

        Returns:
            (N, A) int64: a class, ``BACKGROUND`` or ``IGNORE``.
        """
        labels = torch.full((num_images, num_priors), BACKGROUND, device=self.prior.device)
        labels.view(-1).index_fill_(0, self.ignored, IGNORE)  # an assignment would copy the number, and wait
        labels[self.image, self.prior] = gt_labels[self.gt_index]
        return labels
