"""The paper's figures from this project's own losses and trainings: pictures, and the numbers in them as json."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from rdet.analysis.paper.claims import FEW_PERCENT, FL
from rdet.analysis.paper.loss_distribution import hardest_share, loss_cdf, window_logits
from rdet.analysis.paper.rows import Row, rows_of
from rdet.analysis.paper.suite import Suite
from rdet.analysis.results_file import read_results
from rdet.errors import ResultsError
from rdet.files import write_text, write_whole
from rdet.models.losses.focal_loss import focal_loss, focal_loss_star

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
GAMMAS_OF_FIGURE_4 = (0.0, 0.5, 1.0, 2.0)
STARS = ((2.0, 1.0), (4.0, 0.0))  # gamma, beta of Table 3
# Figure 2's legend: milliseconds and AP on test-dev of the methods that the paper compares with.
OTHERS = {
    "YOLOv2": (25, 21.6),
    "SSD321": (61, 28.0),
    "DSSD321": (85, 28.0),
    "R-FCN": (85, 29.9),
    "SSD513": (125, 31.2),
    "DSSD513": (156, 33.2),
    "FPN FRCN": (172, 36.2),
}

Curves = dict[str, dict[str, list[float]]]  # label -> {"x": [...], "y": [...]}


def loss_curves() -> Curves:
    """Figure 1: the focal loss without alpha over p_t, for several gamma."""
    p_t = torch.linspace(0.001, 0.999, 500, dtype=torch.float64)
    return {_gamma(gamma): _curve(p_t, focal_loss(torch.logit(p_t), gamma)) for gamma in GAMMAS}


def speed_against_ap(results: dict[str, list[tuple[float, float]]]) -> Curves:
    """Figure 2: AP over milliseconds.

    Args:
        results: Name of a line -> (milliseconds, AP in percent) of its points.
    """
    return {
        name: {"x": [float(x) for x, _ in sorted(points)], "y": [float(y) for _, y in sorted(points)]}
        for name, points in results.items()
    }


def paper_speeds() -> dict[str, list[tuple[float, float]]]:
    """Collect what Figure 2 shows in the paper: Table 1e and the other methods of its legend."""
    speeds = {f"RetinaNet-{depth}": [] for depth in (50, 101)}
    for row in rows_of(["1e"]):
        depth = row.config.split("/r")[1].split("_")[0]
        speeds[f"RetinaNet-{depth}"].append((row.milliseconds, row.paper.ap))
    return speeds | {name: [point] for name, point in OTHERS.items()}


def loss_variants() -> Curves:
    """Figure 5: cross entropy, focal loss and FL* over x_t."""
    return {name: _curve(_x_t(), loss(_x_t())) for name, loss in _variants().items()}


def derivatives() -> Curves:
    """Figure 6: the derivatives of Figure 5's losses with respect to x, for y = 1 (equations 9 to 11)."""
    curves = {}
    for name, loss in _variants().items():
        x_t = _x_t().requires_grad_()
        curves[name] = _curve(x_t.detach(), torch.autograd.grad(loss(x_t).sum(), x_t)[0])
    return curves


def star_settings(aps: dict[tuple[float, float], float], effective: float) -> dict[str, dict]:
    """Figure 7: FL* for several settings, and which of them are effective.

    Args:
        aps: (gamma, beta) -> AP.
        effective: Smallest AP of an effective setting; the paper's is 33.5, half a point below the focal loss.
    """
    x_t = _x_t()
    return {
        f"gamma {gamma:g}, beta {beta:g}": _curve(x_t, focal_loss_star(x_t, gamma, beta))
        | {"AP": ap, "effective": ap >= effective}
        for (gamma, beta), ap in sorted(aps.items())
    }


def write_figures(suite: Suite, out: Path, checkpoint: Path | None, data_root: Path) -> None:
    """Write ``figure_N.png`` and ``figure_N.json`` for N = 1, 2, 4, 5, 6, 7.

    Args:
        suite: With the results of FL* and, for Figure 4, the trained model of gamma 2.
        out: Folder to write to.
        checkpoint: Model for Figure 4 in the setting of gamma 2. By default the suite's own; where that is not
            kept, Figure 4 is drawn from the numbers of ``figure_4.json`` in ``out``.
        data_root: Data set whose validation images Figure 4 looks at.

    Raises:
        MissingFileError: There is neither a model nor numbers for Figure 4; the others are written.
    """
    out.mkdir(parents=True, exist_ok=True)
    axes_of_loss = {"xlabel": "probability of ground truth class", "ylabel": "loss", "ylim": (0, 5)}
    _write(out, 1, loss_curves(), **axes_of_loss)
    _write(out, 2, speed_against_ap(paper_speeds()), xlabel="inference time (ms)", ylabel="COCO AP", style="o-")
    _write(out, 5, loss_variants(), xlabel="x_t = yx", ylabel="loss", ylim=(0, 5))
    _write(out, 6, derivatives(), xlabel="x_t = yx", ylabel="derivative")
    stars = _measured_stars(suite)
    if stars is None:
        print("no figure 7: it needs 'tools/paper.py run 3 star_sweep'")
    else:
        colour = {True: "tab:blue", False: "tab:orange"}
        _write(
            out,
            7,
            star_settings(*stars),
            colour=lambda curve: colour[curve["effective"]],
            xlabel="x_t = yx",
            ylabel="loss",
            ylim=(0, 5),
        )
    row = rows_of([FL])[0]
    numbers = out / "figure_4.json"
    try:
        model = checkpoint or suite.checkpoint(row)
    except FileNotFoundError:
        if not numbers.exists():
            raise
        _draw_figure_4(out, read_figure_4(numbers))
    else:
        logits = window_logits(suite.config_of(row), model, {"data_root": f"{data_root.resolve()}/"})
        source = {"row": FL, "config": suite.fingerprint(row), "checkpoint": model.name}
        _draw_figure_4(out, {"of": source} | distributions(logits))


_WINDOWS = ("positives", "negatives")  # of Figure 4
_CURVES = tuple(f"{gamma:g}" for gamma in GAMMAS_OF_FIGURE_4)
_CURVE = {"fraction": [float], "loss": [float]}


def read_figure_4(path: Path) -> dict[str, dict]:
    """Read the numbers of Figure 4. Raise ResultsError if the file holds something else."""
    remedy = "delete it, and give --checkpoint to make it anew"
    found = read_results(path, dict.fromkeys(_WINDOWS, dict.fromkeys(_CURVES, _CURVE)), remedy)
    for curve in (found[name][gamma] for name in _WINDOWS for gamma in _CURVES):
        if len(curve["fraction"]) != len(curve["loss"]):
            raise ResultsError(f"{path}: a curve has more of one coordinate than of the other; {remedy}")
    return found


def distributions(logits: dict[str, Tensor]) -> dict[str, dict]:
    """Figure 4: over which part of the positives and of the negatives the loss is spread, for several gamma.

    Args:
        logits: x_t of the ``positives`` and of the ``negatives``.

    Returns:
        Of each its curves by gamma, what its hardest hold, and how many there are.
    """
    numbers = {"windows": {name: len(x_t) for name, x_t in logits.items()}}
    for name, x_t in logits.items():
        numbers[name] = {f"{gamma:g}": loss_cdf(focal_loss(x_t.double(), gamma)) for gamma in GAMMAS_OF_FIGURE_4}
        for percent in (FEW_PERCENT, 20):
            numbers[f"hardest_{percent}_percent_of_{name}"] = {
                f"{gamma:g}": hardest_share(focal_loss(x_t.double(), gamma), percent / 100)
                for gamma in GAMMAS_OF_FIGURE_4
            }
    return numbers


def _draw_figure_4(out: Path, numbers: dict[str, dict]) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), _WINDOWS, strict=True):
        for gamma in _CURVES:
            curve = numbers[name][gamma]
            axes.plot(curve["fraction"], curve["loss"], label=_gamma(float(gamma)))
        axes.set(xlabel=f"fraction of {name}", ylabel="cumulative normalised loss")
        axes.legend()
    _save(out, 4, figure, numbers)


def _measured_stars(suite: Suite) -> tuple[dict[tuple[float, float], float], float] | None:
    """List the AP of the trained settings of FL*, and that of an effective one: half a point below the focal loss.

    None if there is no setting of FL*, or no focal loss.
    """

    def ap(row: Row) -> float | None:
        outcomes = suite.outcomes(row)
        return float(np.mean([100 * outcome.metrics["AP"] for outcome in outcomes])) if outcomes else None

    stars = [row for row in rows_of(["3", "star_sweep"]) if "/fl_star_" in row.config]
    aps = {_setting(row): found for row in stars if (found := ap(row)) is not None}
    baseline = ap(rows_of(["table_3/focal_loss"])[0])
    return (aps, baseline - 0.5) if aps and baseline is not None else None


def _setting(row: Row) -> tuple[float, float]:
    """Read gamma and beta of a row of FL* from the end of its config's name."""
    gamma, beta = row.config.split("_")[-2:]
    return float(gamma), float(beta)


def _variants() -> dict[str, Callable[[Tensor], Tensor]]:
    stars = {
        f"FL*, gamma {gamma:g}, beta {beta:g}": lambda x, gamma=gamma, beta=beta: focal_loss_star(x, gamma, beta)
        for gamma, beta in STARS
    }
    return {"CE": lambda x: focal_loss(x, 0.0), "FL, gamma 2": lambda x: focal_loss(x, 2.0), **stars}


def _x_t() -> Tensor:
    return torch.linspace(-5, 8, 500, dtype=torch.float64)


def _curve(x: Tensor, y: Tensor) -> dict[str, list[float]]:
    return {"x": x.tolist(), "y": y.tolist()}


def _gamma(gamma: float) -> str:
    return f"gamma {gamma:g}" + (" (cross entropy)" if gamma == 0 else "")


def _write(out: Path, number: int, curves: dict, style: str = "-", colour: Callable | None = None, **axes_of) -> None:
    """Draw one set of axes with all curves."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.plot(curve["x"], curve["y"], style, label=name, color=colour(curve) if colour else None)
    axes.set(**axes_of)
    axes.legend(fontsize="small")
    _save(out, number, figure, curves)


def _save(out: Path, number: int, figure: Figure, numbers: dict) -> None:
    write_whole(out / f"figure_{number}.png", lambda part: figure.savefig(part, dpi=120, format="png"))
    write_text(out / f"figure_{number}.json", json.dumps(numbers) + "\n")
    print(out / f"figure_{number}.png")
