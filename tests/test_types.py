"""The type checker follows a value from the head into each loss: what it must report, and what it must accept."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[1]

IMPORTS = """
from torch import Tensor

from rdet.models.assigners.base import ImageAssigner
from rdet.models.dense_heads.base import BaseDenseHead
from rdet.models.losses.base import EncodedBoxLoss, HardTargetLoss, PositiveLoss
from rdet.models.losses.focal_loss import FocalLoss
from rdet.models.quality.base import Quality
from rdet.structures import DensePredictions
from rdet.structures.all_priors import AllPriors
from rdet.structures.match_batch import MatchImage
from rdet.structures.positives import Positives
"""

RIGHT = """
class Head(BaseDenseHead):
    def forward(self, levels: list[Tensor]) -> DensePredictions:
        sizes = [(x.shape[-2], x.shape[-1]) for x in levels]
        return DensePredictions(levels[0], levels[1], sizes)


class InnerAssigner(ImageAssigner):
    def assign(self, image: MatchImage) -> Tensor:
        return (image.boxes[:, None] - image.priors).amin(dim=2).argmin(dim=0)


class Loss(PositiveLoss):
    def of(self, positives: Positives) -> Tensor:
        return (positives.deltas - positives.target_deltas).abs().sum(dim=1)


class ClassLoss(HardTargetLoss):
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.sum(dim=-1) * (labels >= 0)


class Score(Quality):
    def of(self, positives: Positives) -> Tensor:
        return positives.scores


def train(head: Head, levels: list[Tensor], all_priors: AllPriors, positives: Positives) -> Tensor:
    logits = head(levels).logits.flatten(1)
    return logits.sum() + FocalLoss().of(all_priors).sum() + (Loss().of(positives) * Score().of(positives)).sum()
"""

# Snippet -> a pattern of the message that it must get, on the line that ends in `# wrong`, and nowhere else.
WRONG = {
    """
class Loss(PositiveLoss):
    def of(self, positives: Positives) -> Tensor:
        return (positives.deltas - positives.target_delta).abs()  # wrong
""": r'"Positives" has no attribute "target_delta"',
    """
class Assigner(ImageAssigner):
    def assign(self, image: MatchImage) -> Tensor:
        return image.ignore  # wrong
""": r'"MatchImage" has no attribute "ignore"',
    """
class Head(BaseDenseHead):
    def forward(self, levels: list[Tensor]) -> DensePredictions:
        return levels[0], levels[1], [(8, 8)]  # wrong
""": r'expected "DensePredictions"',
    """
class Head(BaseDenseHead):
    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:  # wrong
        return levels[0], levels[1]
""": r'incompatible with return type "DensePredictions" in supertype',
    """
def train(loss: FocalLoss, positives: Positives) -> Tensor:
    return loss.of(positives)  # wrong
""": r'incompatible type "Positives"; expected "AllPriors"',
    """
class Loss(EncodedBoxLoss):
    def forward(self, deltas: Tensor, target_deltas: Tensor, weight: Tensor) -> Tensor:  # wrong
        return deltas - target_deltas * weight
""": r'Signature of "forward" incompatible with supertype "rdet.models.losses.base.EncodedBoxLoss"',
    """
def read(head: BaseDenseHead, levels: list[Tensor]) -> Tensor:
    return head(levels).logit  # wrong
""": r'"DensePredictions" has no attribute "logit"',
    """
def read(head: BaseDenseHead, levels: list[Tensor]) -> Tensor:
    return head(levels).quality_logits * 2  # wrong
""": r"Unsupported operand types? for \*",
}


def check(files: list[Path]) -> dict[str, list[tuple[int, str]]]:
    """Run mypy once on all files: name of a file -> (line, message) of its errors.

    The options, which are strict, and the cache are those of `make lint`: what it has read is not read again.
    """
    options = ["--config-file=pyproject.toml", "--hide-error-context", "--no-pretty", "--no-color-output"]
    command = [sys.executable, "-m", "mypy", *options, *map(str, files)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    errors: dict[str, list[tuple[int, str]]] = {}
    for path, line, message in re.findall(r"^(.+?\.py):(\d+): error: (.*)$", run.stdout, re.MULTILINE):
        errors.setdefault(Path(path).name, []).append((int(line), message))
    return errors


def test_a_checker_follows_a_value_from_the_head_into_each_loss(tmp_path):
    snippets = {"right.py": RIGHT, **{f"wrong_{index}.py": code for index, code in enumerate(WRONG)}}
    for name, code in snippets.items():
        (tmp_path / name).write_text(IMPORTS + code, encoding="utf-8")
    example = ROOT / "examples" / "custom_parts" / "my_parts.py"

    errors = check([*(tmp_path / name for name in snippets), example])

    for index, (code, pattern) in enumerate(WRONG.items()):
        found = errors.pop(f"wrong_{index}.py", [])
        lines = (IMPORTS + code).splitlines()
        wrong = {number for number, line in enumerate(lines, start=1) if line.endswith("# wrong")}
        assert {line for line, _ in found} == wrong, (code, found)
        assert any(re.search(pattern, message) for _, message in found), (code, found)
    assert errors == {}  # neither the right parts, nor the example of the documentation, nor rdet itself
