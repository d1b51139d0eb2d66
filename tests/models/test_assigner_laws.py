"""What holds for every assigner. A new one needs a line in ``CASES``."""

import importlib
import inspect
import pkgutil

import matching
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rdet.models import assigners
from rdet.models.priors.anchor_generator import AnchorGenerator
from rdet.models.priors.point_generator import PointGenerator
from rdet.registry import MODELS
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import box_coverage
from rdet.structures.matches import Matches

STRIDES, SIZES = [8, 16, 32], [(16, 20), (8, 10), (4, 5)]  # over 160 x 128 pixels
GENERATORS = {
    "points": PointGenerator(STRIDES),
    "anchors": AnchorGenerator(STRIDES, octave_base_scale=2, scales_per_octave=2, ratios=(0.5, 2.0)),
}
PRIORS = {kind: generator(SIZES) for kind, generator in GENERATORS.items()}
EVERYWHERE = torch.tensor([[-1e4, -1e4, 1e4, 1e4]])
NUM_CLASSES = 5

# Name -> the priors it is for.
CASES = {
    "AlignedATSSAssigner": ["points", "anchors"],
    "ATSSAssigner": ["points", "anchors"],
    "BestAnchorAssigner": ["points", "anchors"],
    "DynamicSoftLabelAssigner": ["points", "anchors"],
    "FCOSAssigner": ["points"],
    "GridAssigner": ["points", "anchors"],
    "MaxIoUAssigner": ["points", "anchors"],
    "PAAAssigner": ["points", "anchors"],
    "SimOTAAssigner": ["points", "anchors"],
    "TaskAlignedAssigner": ["points", "anchors"],
    "UniformAssigner": ["points", "anchors"],
}
every_assigner = pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kinds in CASES.items() for kind in kinds]
)


def test_every_assigner_has_a_case():
    modules = [
        importlib.import_module(f"{assigners.__name__}.{module.name}")
        for module in pkgutil.iter_modules(assigners.__path__)
    ]
    registered = set(MODELS.module_dict.values())
    found = {
        name
        for module in modules
        for name, part in inspect.getmembers(module, inspect.isclass)
        if part.__module__ == module.__name__ and part in registered
    }
    assert found - {"SeparateAssigner"} == set(CASES)  # which is made of two of them


def scene(kind, count, seed=0, largest=90.0):
    """Everything that a detector offers of one image."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    priors, levels = PRIORS[kind], len(PRIORS[kind]) // sum(h * w for h, w in SIZES)
    corners = rand(count, 2) * torch.tensor([130.0, 100.0])
    centers = (priors[:, :2] + priors[:, 2:]) / 2
    return {
        "priors": priors,
        "grid": GENERATORS[kind].grid(SIZES),
        "boxes": torch.cat([corners, corners + 6 + rand(count, 2) * largest], dim=1),
        "ignored": torch.zeros(0, 4),
        "labels": torch.randint(NUM_CLASSES, (count,), generator=generator),
        "level_lengths": [h * w * levels for h, w in SIZES],
        "scores": 0.02 + 0.9 * rand(len(priors), NUM_CLASSES),
        "predicted": torch.cat([centers - 2 - rand(len(priors), 2) * 50, centers + 2 + rand(len(priors), 2) * 50], 1),
    }


def assign(name, offered, **options):
    return matching.assign(MODELS.get(name)(**options), **offered)


@every_assigner
def test_no_box_is_all_background(name, kind):
    offered = scene(kind, 0)
    assert assign(name, offered).tolist() == [BACKGROUND] * len(offered["priors"])
    assert assign(name, offered | {"ignored": None}).tolist() == [BACKGROUND] * len(offered["priors"])


@every_assigner
def test_no_box_but_an_ignored_region_everywhere_is_all_ignored(name, kind):
    offered = scene(kind, 0) | {"ignored": EVERYWHERE.expand(3, 4)}
    assert assign(name, offered).tolist() == [IGNORE] * len(offered["priors"])
    assert assign(name, offered, chunk_size=2).tolist() == [IGNORE] * len(offered["priors"])
    assert assign(name, offered, ignore_iof_thr=1.0).tolist() == [BACKGROUND] * len(offered["priors"])


@every_assigner
@pytest.mark.parametrize("threshold", [0.5, 0.0])
def test_ignored_regions_change_background_only(name, kind, threshold):
    offered = scene(kind, 6, seed=1)
    regions = scene(kind, 5, seed=2)["boxes"]
    plain, found = assign(name, offered), assign(name, offered | {"ignored": regions}, ignore_iof_thr=threshold)
    inside = (box_coverage(offered["priors"], regions) > threshold).any(dim=0)
    assert (inside & (plain == BACKGROUND)).any()
    assert torch.equal(found, torch.where(inside & (plain == BACKGROUND), IGNORE, plain))


@every_assigner
@pytest.mark.parametrize("largest", [4.0, 90.0, 400.0])
@pytest.mark.parametrize("more", [{}, {"center_sampling_radius": None}, {"strides": STRIDES}, {"topk": 2}], ids=str)
def test_there_are_no_more_positives_than_the_limit(name, kind, largest, more):
    assigner_class = MODELS.get(name)
    if not set(more) <= set(inspect.signature(assigner_class).parameters):
        return
    assigner = assigner_class(**more)
    for seed in range(8):
        offered = scene(kind, 1 + 3 * seed, seed=seed, largest=largest)
        offered["scores"][:] = 0.9
        offered["predicted"] = offered["boxes"][torch.arange(len(offered["priors"])) % len(offered["boxes"])]
        options = {key: offered.pop(key) for key in ("grid", "level_lengths")}
        batch = matching.batch_of(offered.pop("priors"), [offered], **options)
        limit = assigner.most_positives(batch)
        assert (limit is None) == (name == "MaxIoUAssigner")
        number = len(assigner.match(batch).prior)
        if limit is not None:
            assert number <= limit
            on_a_device = Matches.from_dense(matching.dense(assigner.match(batch), batch), batch.truth.counts, limit)
            assert int(on_a_device.counted.sum()) == number
            assert torch.equal(on_a_device.prior[:number], assigner.match(batch).prior)


@pytest.mark.parametrize("padding", ["background", "unmatched"])
@pytest.mark.parametrize("chunk_size", [1, 7, 64])
@every_assigner
def test_images_together_are_assigned_as_each_alone(name, kind, chunk_size, padding, monkeypatch):
    """As on a GPU; with priors that only some images have, one after the other there, too."""
    assigner_class = MODELS.get(name)
    images = [scene(kind, count, seed=count) for count in (5, 0, 12)]
    images[2]["ignored"] = scene(kind, 3, seed=9)["boxes"]
    options = {key: images[0][key] for key in ("grid", "level_lengths")}
    batch = matching.batch_of(images[0]["priors"], images, **options, padded_sizes=[(128, 160), (128, 160), (96, 128)])
    assigner = assigner_class(chunk_size=chunk_size, padding=padding)
    expected = matching.dense(assigner.match(batch), batch)
    together = []

    class Together(assigners.claims.ClaimsOfImages):
        def add(self, *args):
            together.append(args)
            super().add(*args)

    monkeypatch.setattr(assigners.base, "ClaimsOfImages", Together)
    monkeypatch.setattr(assigners.base, "on_host", lambda device: False)
    assert torch.equal(matching.dense(assigner.match(batch).without_repeats(), batch), expected)
    is_claiming = issubclass(assigner_class, assigners.base.ClaimingAssigner)
    assert bool(together) == (is_claiming and padding == "background")


@pytest.mark.parametrize("name", ["ATSSAssigner", "FCOSAssigner", "TaskAlignedAssigner", "SimOTAAssigner"])
def test_a_class_with_a_rule_of_its_own_is_asked_for_each_image(name, monkeypatch):
    """On a GPU, too: what it inherits of all images together is another rule."""
    monkeypatch.setattr(assigners.base, "on_host", lambda device: False)

    class Own(MODELS.get(name)):
        def assign(self, image):
            return torch.full((len(image.priors),), len(image.boxes) - 1)

    images = [scene("points", 3), scene("points", 2)]
    options = {key: images[0][key] for key in ("grid", "level_lengths")}
    batch = matching.batch_of(images[0]["priors"], images, **options)
    assert Own().most_positives(batch) is None
    assert (matching.dense(Own().match(batch), batch) == torch.tensor([[2], [1]])).all()

    class Renamed(MODELS.get(name)):
        pass

    assert Renamed().most_positives(batch) is not None


def test_more_positives_than_an_assigner_said_are_no_silence():
    with pytest.raises(RuntimeError, match="an assigner made more positives than its limit of 1"):
        Matches.from_dense(torch.tensor([[0, BACKGROUND, 0]]), [1], most=1)


@every_assigner
def test_two_thousand_boxes(name, kind):
    offered = scene(kind, 2000, seed=3, largest=30.0)
    found = assign(name, offered)
    assert found.dtype == torch.int64
    assert found.shape == (len(offered["priors"]),)
    assert found.min() >= IGNORE
    assert found.max() < 2000
    assert found.unique().numel() > (50 if name == "PAAAssigner" else 100)  # one candidate alone is nothing
    assert torch.equal(assign(name, offered, chunk_size=700), found)


@every_assigner
@pytest.mark.parametrize("chunk_size", [7, 50, 128, 300])
def test_chunks_of_any_size(name, kind, chunk_size):
    offered = scene(kind, 300, seed=4)
    assert torch.equal(assign(name, offered, chunk_size=chunk_size), assign(name, offered))


@every_assigner
@pytest.mark.parametrize("count", [1, 5, 40])
def test_chunks_of_one(name, kind, count):
    offered = scene(kind, count, seed=count)
    assert torch.equal(assign(name, offered, chunk_size=1), assign(name, offered))


class _LargestTensor(TorchDispatchMode):
    nbytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        sizes = [value.untyped_storage().nbytes() for value in tree_leaves(result) if torch.is_tensor(value)]
        self.nbytes = max([self.nbytes, *sizes])
        return result


@every_assigner
def test_memory_is_bounded_by_the_chunk(name, kind):
    offered = scene(kind, 600)
    with _LargestTensor() as mode:
        assign(name, offered, chunk_size=8)
    limit = 12 if name == "PAAAssigner" else 4  # it keeps the candidates of all boxes, whose number is bounded by them
    assert 0 < mode.nbytes <= limit * 8 * len(offered["priors"]) * 4  # distances from four sides, float32


@every_assigner
def test_boxes_away_from_every_prior(name, kind):
    offered = scene(kind, 4, seed=5)
    away = offered["boxes"] + 5000
    of_nearest = [IGNORE, BACKGROUND] if name == "UniformAssigner" else [BACKGROUND]
    assert assign(name, offered | {"boxes": away}).unique().tolist() == of_nearest
    assert (assign(name, scene(kind, 4, seed=5)) >= 0).any()
    one_away = torch.cat([away[:1], offered["boxes"][1:]])
    assert not (assign(name, offered | {"boxes": one_away}) == 0).any()


@every_assigner
def test_boxes_without_area_get_nothing_in_the_middle_of_others(name, kind):
    offered = scene(kind, 4, seed=6)
    flat = offered["boxes"].clone()
    flat[2, 2] = flat[2, 0]
    without = offered | {key: offered[key][[0, 1, 3]] for key in ("boxes", "labels")}
    # The square around its centre has an area, and what is nearest to it takes no part.
    if name not in ("SimOTAAssigner", "UniformAssigner"):
        found = assign(name, offered | {"boxes": flat})
        assert torch.equal(found, torch.tensor([0, 1, 3, IGNORE, BACKGROUND])[assign(name, without)])


@every_assigner
@pytest.mark.parametrize("seed", range(3))
def test_order_of_the_boxes_does_not_matter(name, kind, seed):
    # Of boxes that want the same prior, the last gets it.
    if name in ("BestAnchorAssigner", "GridAssigner", "UniformAssigner"):
        return
    offered = scene(kind, 12, seed)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
    found = assign(name, offered | {key: offered[key][order] for key in ("boxes", "labels")})
    assert torch.equal(torch.where(found >= 0, order[found.clamp(min=0)], found), assign(name, offered))


@every_assigner
@pytest.mark.parametrize("side", [12.0, 30.0, 64.0, 100.0])
def test_a_box_among_the_priors_gets_some(name, kind, side):
    box = torch.tensor([[70 - side / 2, 61 - side / 2, 70 + side / 2, 61 + side / 2]])
    found = assign(name, scene(kind, 1) | {"boxes": box})
    if (name, kind, side) == ("UniformAssigner", "points", 100.0):  # whose squares overlap it too little
        assert found.unique().tolist() == [IGNORE, BACKGROUND]
        return
    assert 0 < (found == 0).sum() < len(found) / 2


@every_assigner
def test_gradients_do_not_matter_and_inputs_stay(name, kind):
    offered = scene(kind, 9, seed=7) | {"ignored": torch.tensor([[0.0, 0, 60, 60]])}
    expected = assign(name, offered)
    copies = {
        k: v.clone().requires_grad_(v.is_floating_point()) if torch.is_tensor(v) else v for k, v in offered.items()
    }
    with torch.enable_grad():
        found = assign(name, copies)
    assert torch.equal(found, expected)
    assert not found.requires_grad
    with torch.inference_mode():
        assert torch.equal(assign(name, offered), expected)
    for key, value in scene(kind, 9, seed=7).items():
        if torch.is_tensor(value) and key != "ignored":
            assert torch.equal(offered[key], value)
            assert torch.equal(copies[key], value)


@every_assigner
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name, kind, dtype):
    offered = scene(kind, 9, seed=8)
    half = {key: offered[key].to(dtype) for key in ("scores", "predicted")}
    whole = {key: value.float() for key, value in half.items()}
    assert torch.equal(assign(name, offered | half), assign(name, offered | whole))


@every_assigner
def test_predictions_that_are_not_numbers_raise_nothing(name, kind):
    offered = scene(kind, 5)
    broken = {key: offered[key].clone() for key in ("scores", "predicted")}
    broken["scores"][::3] = torch.nan
    broken["predicted"][::2] = torch.inf
    assert (assign(name, offered | broken) < 5).all()
    assert (assign(name, offered | {key: torch.full_like(value, torch.nan) for key, value in broken.items()}) < 5).all()


@every_assigner
@pytest.mark.parametrize("padding", ["ignored", "unmatched"])
def test_priors_in_the_padding_of_an_image_take_no_part(name, kind, padding):
    """What is left is what a smaller map would give, whose last cells may lie partly beyond the image."""
    offered = scene(kind, 9, seed=3)
    offered["boxes"][0] = torch.tensor([60.0, 20, 150, 60])  # its best priors lie in the padding
    size = (72, 90)  # of 128 x 160
    small = [(9, 12), (5, 6), (3, 3)]
    grid, priors = offered["grid"], offered["priors"]
    within = torch.from_numpy(grid.priors_within(size))
    cropped = GENERATORS[kind](small)
    at_a_cell = len(cropped) // sum(h * w for h, w in small)
    assert torch.equal(priors[within], cropped)
    alone = {**offered, "priors": cropped, "grid": GENERATORS[kind].grid(small)}
    alone |= {key: offered[key][within] for key in ("scores", "predicted")}
    alone["level_lengths"] = [h * w * at_a_cell for h, w in small]
    expected = torch.full((len(priors),), IGNORE if padding == "ignored" else BACKGROUND)
    expected[within] = assign(name, alone)

    image = {key: offered[key] for key in ("boxes", "labels", "ignored", "scores", "predicted")}
    batch = matching.batch_of(priors, [image, image], grid, offered["level_lengths"], [size, (128, 160)])
    assert batch.image(0, within).level_lengths == alone["level_lengths"]
    found = matching.dense(MODELS.get(name)(padding=padding).match(batch), batch)
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], assign(name, offered))  # the largest image of a batch has no padding
    assert not torch.equal(found[0], found[1])
    by_default = matching.dense(MODELS.get(name)().match(batch), batch)
    assert torch.equal(by_default[0], by_default[1])


@every_assigner
def test_ignored_regions_may_be_background(name, kind):
    offered = scene(kind, 6, seed=1) | {"ignored": EVERYWHERE}
    assert torch.equal(assign(name, offered, ignore_iof_thr=None), assign(name, offered | {"ignored": None}))


@every_assigner
def test_padding_needs_to_know_where_the_priors_lie(name, kind):
    with pytest.raises(ValueError, match="does not tell how its priors lie: give it a method `grid`, or leave padding"):
        assign(name, scene(kind, 2) | {"grid": None}, padding="ignored")
    with pytest.raises(ValueError, match="assigner.padding is 'cut'; valid: 'background', 'unmatched', 'ignored'"):
        MODELS.get(name)(padding="cut")
