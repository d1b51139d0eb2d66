"""Figure 4: over which predictions a trained detector's loss is spread."""

from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from rdet.apis.build import build_datasets
from rdet.apis.inference import init_detector
from rdet.structures.assignment import BACKGROUND
from rdet.structures.ground_truth import GroundTruth

_POINTS = 201


@torch.no_grad()
def window_logits(config: Path, checkpoint: Path, options: dict, max_negatives: int = 10_000_000) -> dict[str, Tensor]:
    """Collect x_t of the predictions at the priors of a data set's validation images (section 5.1).

    A positive window is a prior with the class of its box; a negative one, any class at a prior of the
    background. The other classes of positives and the ignored priors are left out.

    Args:
        config: Of the model.
        checkpoint: Its weights.
        options: Overrides of the config.
        max_negatives: More are thinned out at random; the paper looks at 10^7.

    Returns:
        ``'positives'`` (P,) and ``'negatives'`` (n,) float32.
    """
    model = init_detector(config, checkpoint, cfg_options=options)
    dataset = build_datasets(model.cfg, ("test",))["test"]
    generator = torch.Generator().manual_seed(0)
    positives, negatives = [], []
    for index in range(len(dataset)):
        batch = model.data_preprocessor(pseudo_collate([dataset[index]]))
        predictions = model(batch["inputs"])
        priors = model.anchor_generator(predictions.level_sizes, batch["inputs"].device)
        truth = GroundTruth.of_samples(batch["data_samples"])
        labels = model.match(predictions, priors, truth).labels(truth.labels, 1, len(priors))[0]  # (A,)
        logits = predictions.logits[0].float()  # (A, K)
        positive = labels >= 0
        positives.append(logits[positive, labels[positive]])
        background = -logits[labels == BACKGROUND].flatten()
        share = max_negatives / (len(dataset) * len(background))
        if share < 1:
            background = background[torch.rand(len(background), generator=generator) < share]
        negatives.append(background)
    return {"positives": torch.cat(positives), "negatives": torch.cat(negatives)}


def loss_cdf(losses: Tensor) -> dict[str, list[float]]:
    """Add up the normalised loss over the fraction of the examples, those of least loss first."""
    total = torch.cat([losses.new_zeros(1), losses.sort().values.cumsum(0)])
    at = torch.linspace(0, len(losses), _POINTS).round().long()
    return {"fraction": (at / len(losses)).tolist(), "loss": (total[at] / total[-1]).tolist()}


def hardest_share(losses: Tensor, fraction: float) -> float:
    """Compute the part of the loss that the ``fraction`` of highest losses holds."""
    hardest = losses.topk(max(1, round(fraction * len(losses)))).values
    return (hardest.sum() / losses.sum()).item()
