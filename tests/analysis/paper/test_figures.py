"""The numbers in the figures against the paper's equations and statements."""

import json
import math

import numpy as np
import pytest
import torch

from rdet.analysis.paper import figures
from rdet.analysis.paper.loss_distribution import hardest_share, loss_cdf, window_logits
from rdet.structures.assignment import BACKGROUND
from rdet.structures.ground_truth import GroundTruth


def values(curve):
    return np.array(curve["x"]), np.array(curve["y"])


def test_figure_1():
    """Equation 4; gamma 0 is -log(p_t), and every larger gamma is below it."""
    curves = figures.loss_curves()
    assert list(curves) == ["gamma 0 (cross entropy)", "gamma 0.5", "gamma 1", "gamma 2", "gamma 5"]
    for gamma, curve in zip(figures.GAMMAS, curves.values(), strict=True):
        p_t, loss = values(curve)
        np.testing.assert_allclose(loss, -((1 - p_t) ** gamma) * np.log(p_t), rtol=1e-9)


def test_figure_2():
    curves = figures.speed_against_ap(figures.paper_speeds())
    assert curves["RetinaNet-50"] == {"x": [64, 72, 98, 121, 153], "y": [30.5, 32.5, 34.3, 35.1, 35.7]}
    assert curves["RetinaNet-101"]["y"][-1] == 37.8
    assert len(curves) == 2 + len(figures.OTHERS)


def test_figure_5():
    """Equations 7 and 8."""
    curves = figures.loss_variants()
    x, loss = values(curves["FL*, gamma 2, beta 1"])
    np.testing.assert_allclose(loss, np.log1p(np.exp(-(2 * x + 1))) / 2, rtol=1e-9)
    x, loss = values(curves["CE"])
    np.testing.assert_allclose(loss, np.log1p(np.exp(-x)), rtol=1e-9)


def test_figure_6():
    """Equations 9 to 11 for y = 1."""
    curves = figures.derivatives()
    x, cross_entropy = values(curves["CE"])
    p = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(cross_entropy, p - 1, atol=1e-9)
    focal = (1 - p) ** 2 * (2 * p * np.log(p) + p - 1)
    np.testing.assert_allclose(values(curves["FL, gamma 2"])[1], focal, atol=1e-9)
    for gamma, beta in figures.STARS:
        p_star = 1 / (1 + np.exp(-(gamma * x + beta)))
        np.testing.assert_allclose(values(curves[f"FL*, gamma {gamma:g}, beta {beta:g}"])[1], p_star - 1, atol=1e-9)


def test_figure_7():
    settings = figures.star_settings({(2.0, 1.0): 33.8, (1.0, 0.0): 30.0}, effective=33.5)
    assert [(name, s["AP"], s["effective"]) for name, s in settings.items()] == [
        ("gamma 1, beta 0", 30.0, False),
        ("gamma 2, beta 1", 33.8, True),
    ]


def test_loss_cdf():
    curve = loss_cdf(torch.tensor([3.0, 0.0, 1.0, 0.0]))
    fraction, loss = np.array(curve["fraction"]), np.array(curve["loss"])
    assert (fraction[0], loss[0], fraction[-1], loss[-1]) == (0, 0, 1, 1)
    assert loss[np.searchsorted(fraction, 0.5)] == 0
    assert loss[np.searchsorted(fraction, 0.75)] == pytest.approx(0.25)
    assert (np.diff(loss) >= 0).all()


def test_share_of_the_hardest():
    losses = torch.arange(1.0, 101.0)
    assert hardest_share(losses, 0.05) == pytest.approx((96 + 97 + 98 + 99 + 100) / 5050)
    assert hardest_share(losses, 0.001) == pytest.approx(100 / 5050)


@pytest.fixture
def trained(config, tmp_path):
    """The tiny config and a checkpoint of its detector."""
    from rdet.apis.build import build_datasets, build_detector
    from rdet.config import load_config
    from rdet.datasets.summary import classes_of

    cfg = load_config(config)
    torch.manual_seed(0)
    classes = classes_of(build_datasets(cfg, ("train",))["train"])
    model = build_detector(cfg, classes)
    path = tmp_path / "model.pth"
    torch.save({"state_dict": model.state_dict(), "meta": {"dataset_meta": {"classes": classes}}}, path)
    return config, path, model.eval(), build_datasets(cfg, ("test",))["test"]


def test_windows_are_the_predictions_at_the_priors(trained):
    """Positives have the class of their box; every class of a background prior is a negative."""
    config, checkpoint, model, dataset = trained
    found = window_logits(config, checkpoint, {})
    positives = negatives = 0
    for index in range(len(dataset)):
        record = dataset[index]
        with torch.no_grad():
            batch = model.data_preprocessor({"inputs": [record["inputs"]], "data_samples": [record["data_samples"]]})
            predictions = model(batch["inputs"])
            priors = model.anchor_generator(predictions.level_sizes, "cpu")
            truth = GroundTruth.of_samples(batch["data_samples"])
            labels = model.match(predictions, priors, truth).labels(truth.labels, 1, len(priors))
        positives += (labels >= 0).sum().item()
        negatives += (labels == BACKGROUND).sum().item() * predictions.logits.shape[-1]
    assert positives > 0
    assert (len(found["positives"]), len(found["negatives"])) == (positives, negatives)
    # An untrained head: every probability is near the prior.
    assert found["positives"].sigmoid().mean().item() == pytest.approx(0.01, rel=0.1)
    assert found["negatives"].sigmoid().mean().item() == pytest.approx(0.99, rel=0.01)
    fewer = window_logits(config, checkpoint, {}, max_negatives=negatives // 4)
    assert len(fewer["negatives"]) == pytest.approx(negatives / 4, rel=0.1)
    assert torch.equal(fewer["positives"], found["positives"])


def test_figure_4(tmp_path):
    """Losses of a detector that tells easy negatives from hard ones: gamma moves all weight to these."""
    generator = torch.Generator().manual_seed(0)
    logits = {
        "positives": torch.randn(500, generator=generator) + 1,
        "negatives": torch.cat([4 + torch.randn(9900, generator=generator), torch.randn(100, generator=generator)]),
    }
    figures._draw_figure_4(tmp_path, figures.distributions(logits))
    numbers = json.loads((tmp_path / "figure_4.json").read_text())
    share = numbers["hardest_5_percent_of_negatives"]
    assert share["0"] < share["0.5"] < share["1"] < share["2"]
    assert share["2"] > 0.9
    assert numbers["windows"] == {"positives": 500, "negatives": 10000}
    assert (tmp_path / "figure_4.png").read_bytes()[1:4] == b"PNG"
    at_20 = numbers["hardest_20_percent_of_positives"]
    assert math.isclose(1 - at_20["2"], np.interp(0.8, *numbers["positives"]["2"].values()), abs_tol=0.01)
