"""docs/custom_parts.md has every attribute of what a part sees, with its shape, and its example parts work."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest
import torch

from rdet.registry import MODELS
from rdet.structures import DensePredictions
from rdet.structures.all_priors import AllPriors
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.match_batch import MatchBatch, MatchImage
from rdet.structures.matches import Matches
from rdet.structures.positives import Positives

PAGE = (Path(__file__).resolve().parents[2] / "docs/custom_parts.md").read_text(encoding="utf-8")
SIZES = {"N": 2, "A": 7, "A'": 7, "P": 3, "G": 2, "I": 1, "K": 5, "D": 6}
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \| (yes|no) \|$", re.MULTILINE)
CLASSES = [MatchImage, MatchBatch, AllPriors, Positives]


class Coder:
    """Six numbers of which the first four are offsets of the sides."""

    def encode(self, priors, boxes):
        return boxes - priors

    def decode(self, priors, deltas):
        return priors + deltas[..., :4]


@pytest.fixture
def seen():
    """What each class shows of two images with seven priors."""
    torch.manual_seed(0)
    corner = torch.rand(7, 2) * 20
    priors = torch.cat([corner, corner + 10], dim=1)
    values = {"logits": (2, 7, 5), "deltas": (2, 7, 6), "quality_logits": (2, 7), "initial_deltas": (2, 7, 6)}
    made = {name: torch.randn(shape, requires_grad=True) for name, shape in values.items()}
    predictions = DensePredictions(**made, level_sizes=[(2, 3), (1, 1)])
    boxes = torch.tensor([[2.0, 2.0, 20.0, 20.0], [5.0, 5.0, 30.0, 30.0], [0.0, 0.0, 15.0, 15.0]])
    sizes = [(40, 60), (30, 20)]
    truth = GroundTruth(boxes, torch.tensor([1, 4, 2]), [2, 1], torch.zeros(1, 4), [1, 0], sizes, sizes)
    matches = Matches(torch.tensor([0, 0, 1]), torch.tensor([1, 4, 6]), torch.tensor([0, 1, 2]), torch.tensor([2]))
    positives = Positives(
        predictions, priors, matches, truth, Coder(), lambda logits: logits, lambda them: them.predicted[:, 0].sigmoid()
    )
    batch = MatchBatch(predictions, priors, truth, None, Coder().decode, lambda logits: logits)
    shown = (batch.image(0), batch, AllPriors(predictions, priors, matches, truth, positives), positives)
    return dict(zip(CLASSES, shown, strict=True))


def rows_of(cls):
    """Name, shape and gradient of each row of the table of a class."""
    _, _, rest = PAGE.partition(f"\n`{cls.__name__}`:\n")
    return ROW.findall(rest.partition("\n\n`")[0].partition("\n\n#")[0])


def public_names(cls):
    """What is set by the constructor, and what the class itself defines."""
    nodes = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls.__init__))))
    stored = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    return {name for name in {*stored, *vars(cls)} if not name.startswith("_")}


@pytest.mark.parametrize("cls", CLASSES)
def test_the_table_has_each_attribute_and_no_other(cls):
    names = [name.partition("(")[0] for name, _, _ in rows_of(cls)]
    assert len(names) == len(set(names))
    assert set(names) == public_names(cls)


@pytest.mark.parametrize("cls", CLASSES)
def test_shapes_and_gradients_are_those_of_the_table(cls, seen):
    for name, shape, gradient in rows_of(cls):
        value = getattr(seen[cls], name.partition("(")[0])
        assert callable(value) == ("(" in name)
        if callable(value) and shape.startswith("("):
            value = value(0)
        assert isinstance(value, torch.Tensor) == shape.startswith("("), name
        if not isinstance(value, torch.Tensor):
            continue
        letters = [letter.strip() for letter in shape.strip("()").split(",") if letter.strip()]
        assert tuple(SIZES.get(letter) or int(letter) for letter in letters) == value.shape, name
        assert value.requires_grad == (gradient == "yes"), name


@pytest.fixture
def parts(monkeypatch):
    """The classes of the page's blocks, unregistered afterwards."""
    MODELS.import_parts()
    monkeypatch.setattr(MODELS, "_module_dict", dict(MODELS._module_dict))
    namespace: dict = {"__name__": "my_more_parts"}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if "\nclass " in code:
            exec(compile(code, "docs/custom_parts.md", "exec"), namespace)
    return namespace


def test_the_parts_of_the_page_work(parts, seen):
    positives, image = seen[Positives], seen[MatchImage]
    quality = parts["SizeQuality"]().of(positives)
    assert quality.shape == (3,)
    assert ((quality >= 0) & (quality <= 1)).all()
    off = (positives.predicted - positives.boxes).abs()
    sides = torch.tensor([[60.0, 40.0] * 2, [60.0, 40.0] * 2, [20.0, 30.0] * 2])
    torch.testing.assert_close(parts["RelativeCornerLoss"](2.0).of(positives), 2 * (off / sides).sum(dim=1))
    assigned = parts["ScoreAssigner"](topk=1).assign(image)
    assert assigned.shape == (7,)
    assert (assigned >= 0).sum() in (1, 2)
    for index in set(assigned.tolist()) - {-1}:
        center = image.priors[assigned == index].view(2, 2).mean(dim=0)
        assert (center > image.boxes[index, :2]).all()
        assert (center < image.boxes[index, 2:]).all()


def test_the_head_of_the_page_has_a_loss_of_its_own(parts, seen):
    head = parts["AreaHead"](in_channels=4, num_classes=5, num_priors=1, box_dim=6)
    predictions = head([torch.randn(2, 4, 2, 3), torch.randn(2, 4, 1, 1)])
    losses = head.extra_losses(predictions, seen[Positives], torch.tensor([2.0, 1.0]))
    assert losses["loss_area"].shape == ()
    losses["loss_area"].backward()
    assert head.conv.weight.grad.abs().sum() > 0
