"""Laws of every postprocess, and each suppression against a plain reading of its paper."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models.detection.anchor_utils import AnchorGenerator as TorchvisionAnchors
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.ops import batched_nms

from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.models.postprocess.greedy import take_best_first
from rdet.registry import MODELS
from rdet.structures import DensePredictions

CODER = DeltaXYWHBBoxCoder()
# Options under which each one's laws are tested.
CASES = {
    "NMSPostprocess": [{}],
    "SoftNMSPostprocess": [{"method": "linear"}, {"method": "gaussian"}],
    "DIoUNMSPostprocess": [{}],
    "ScoreVotingPostprocess": [{}],
    "WBFPostprocess": [{}, {"conf_type": "max"}],
    "YOLOPostprocess": [{"object_thr": 0.0}],
}
NAMES = sorted(name for name, module in MODELS._module_of.items() if module.startswith("rdet.models.postprocess."))
EACH = pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in NAMES for options in CASES.get(name, [{}])], ids=str
)


def build(name, **options) -> DensePostprocess:
    return MODELS.build({"type": name, **options})


def predictions_of(images=2, num_classes=4, with_quality=False, shift=-2.0):
    generator = torch.Generator().manual_seed(3)
    sizes = [(8, 12), (4, 6), (2, 3)]
    priors = torch.cat([cells(*size, 96 // size[1]) for size in sizes])
    logits = torch.randn(images, len(priors), num_classes, generator=generator) * 2 + shift
    deltas = torch.randn(images, len(priors), 4, generator=generator) / 3
    quality = torch.randn(images, len(priors), generator=generator) if with_quality else None
    return DensePredictions(logits, deltas, sizes, quality), priors


def cells(height, width, stride):
    y, x = (v.flatten() for v in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    return torch.stack([x - 0.5, y - 0.5, x + 1.5, y + 1.5], dim=1) * stride


def crowd(count, num_classes=3, seed=0, objects=6):
    """Candidates around a few objects; no two scores are equal."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(objects, 2, generator=generator) * 60
    sides = torch.rand(objects, 2, generator=generator) * 25 + 10
    which = torch.randint(objects, (count,), generator=generator)
    top_left = corners[which] + torch.randn(count, 2, generator=generator) * 3
    boxes = torch.cat([top_left, top_left + sides[which] + torch.randn(count, 2, generator=generator) * 3], dim=1)
    scores = (torch.randperm(count, generator=generator) + 1) / (count + 1)
    return boxes.clamp(0, 90), scores, torch.randint(num_classes, (count,), generator=generator)


def test_every_postprocess_has_a_case():
    assert set(CASES) == set(NAMES)


# Laws of all.


@EACH
@pytest.mark.parametrize("with_quality", [False, True])
def test_nothing_found(name, options, with_quality):
    predictions, priors = predictions_of(shift=-90.0, with_quality=with_quality)
    results = build(name, **options)(predictions, priors, CODER, [(64, 96)] * 2)
    assert len(results) == 2
    for found in results:
        assert found.bboxes.shape == (0, 4)
        assert found.scores.shape == found.labels.shape == (0,)
        assert (found.bboxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
        assert found.labels.dtype == torch.int64


@EACH
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("score_thr", [0.0, 0.3])
@pytest.mark.parametrize("with_quality", [False, True])
def test_laws(name, options, class_agnostic, score_thr, with_quality):
    predictions, priors = predictions_of(with_quality=with_quality)
    sizes = [(64, 96), (50, 70)]
    options = {"max_per_img": 30, "score_thr": score_thr, "class_agnostic": class_agnostic, **options}
    results = build(name, **options)(predictions, priors, CODER, sizes)
    for index, (found, (height, width)) in enumerate(zip(results, sizes, strict=True)):
        assert 0 < len(found) <= 30
        assert score_thr > 0 or len(found) == 30
        assert (found.bboxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
        assert found.labels.dtype == torch.int64
        assert torch.equal(found.scores, found.scores.sort(descending=True).values)
        assert (found.bboxes >= 0).all()
        assert (found.bboxes <= torch.tensor([width, height, width, height])).all()
        # No class is invented, nor a score above the best of its class.
        scores = predictions.logits[index].sigmoid()
        if with_quality:
            scores = (scores * predictions.quality_logits[index].sigmoid()[:, None]).sqrt()
        assert (found.scores <= scores.max(dim=0).values[found.labels] + 1e-6).all()
        assert score_thr == 0 or (scores > score_thr).any(dim=0)[found.labels].all()


@EACH
def test_images_do_not_mix(name, options):
    predictions, priors = predictions_of(with_quality=True)
    postprocess = build(name, **options)
    sizes = [(64, 96), (50, 70)]
    together = postprocess(predictions, priors, CODER, sizes)
    for index, size in enumerate(sizes):
        logits, deltas, level_sizes, quality = predictions[:4]
        part = slice(index, index + 1)
        one = DensePredictions(logits[part], deltas[part], level_sizes, quality[part])
        (alone,) = postprocess(one, priors, CODER, [size])
        for key in ("bboxes", "scores", "labels"):
            assert torch.equal(alone[key], together[index][key])


@EACH
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"class_agnostic": True},
        {"score_thr": 0.0, "max_per_img": 3},
        {"rank_by": "class_score", "min_box_size": 20.0},
        {"topk_per_level": 20, "clip": False},
        {"score_thr": 0.9},
    ],
    ids=str,
)
@pytest.mark.parametrize("with_quality", [False, True])
def test_a_batch_at_once_gives_what_each_image_gives(name, options, more, with_quality, monkeypatch):
    """As on a GPU, where the number of candidates is not known."""
    predictions, priors = predictions_of(images=3, with_quality=with_quality)
    predictions.logits[1] -= 90  # nothing is found in one image
    sizes = [(64, 96), (50, 70), (60, 80)]
    postprocess = build(name, **{**options, **more})
    expected = postprocess(predictions, priors, CODER, sizes)
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    found = postprocess(predictions, priors, CODER, sizes)
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        assert len(one) == len(other)
        torch.testing.assert_close(one.bboxes, other.bboxes)
        torch.testing.assert_close(one.scores, other.scores)
        assert torch.equal(one.labels, other.labels)
    assert len(expected[0]) > 0


@pytest.mark.parametrize("more", [{}, {"rank_by": "class_score"}, {"best_class_only": True}])
def test_an_export_ranks_priors_first_and_finds_the_same(more, monkeypatch):
    predictions, priors = predictions_of(with_quality=True)
    rule = build("NMSPostprocess", score_thr=0.3, topk_per_level=20, **more)
    limits = torch.tensor([[96.0, 64.0] * 2] * len(predictions.logits))
    assert max(predictions.level_lengths) > 20
    usual = rule.candidates(predictions, priors, CODER, limits)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    monkeypatch.setattr(torch.Tensor, "topk", looked_at := _Looks(torch.Tensor.topk))
    for found, wanted in zip(rule.candidates(predictions, priors, CODER, limits), usual, strict=True):
        assert torch.equal(found, wanted)
    assert max(looked_at.sizes) == max(*predictions.level_lengths, 20 * predictions.logits.shape[2])


class _Looks:
    """A topk that notes the length of the rows that it is given."""

    def __init__(self, topk):
        self.sizes, self._topk = [], topk

    def __get__(self, tensor, _):
        def topk(*args, **options):
            self.sizes.append(tensor.shape[1])
            return self._topk(tensor, *args, **options)

        return topk


def test_a_class_with_a_suppression_of_its_own_is_asked_for_each_image(monkeypatch):
    class Own(MODELS.get("NMSPostprocess")):
        def suppress(self, boxes, scores, labels):
            return boxes[:1], scores[:1], labels[:1]

    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    found = Own()(*predictions_of(), CODER, [(64, 96)] * 2)
    assert [len(image) for image in found] == [1, 1]


@pytest.mark.parametrize("max_per_img", [1, 5])
def test_a_batch_at_once_looks_at_more_candidates_where_few_of_the_best_stay(max_per_img, monkeypatch):
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(100, 1)
    boxes[60:, ::2] += 20 * torch.arange(40.0)[:, None]
    scores, labels = torch.linspace(0.9, 0.1, 100), torch.zeros(100, dtype=torch.int64)
    postprocess = build("NMSPostprocess", max_per_img=max_per_img)
    (found,) = postprocess.suppress_images(boxes[None], scores[None], labels[None], torch.ones(1, 100).bool())
    assert found[1][:max_per_img].tolist() == [scores[0].item(), *scores[61 : 60 + max_per_img].tolist()]


def test_a_batch_at_once_decides_long_chains(monkeypatch):
    """Each box would drop the next alone, so that every second one stays: more rounds than are made at once."""
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    left = 4.0 * torch.arange(90)
    boxes = torch.stack([left, left * 0, left + 12, left * 0 + 10], dim=1)
    scores, labels = torch.linspace(0.9, 0.1, 90), torch.zeros(90, dtype=torch.int64)
    images = boxes.expand(2, 90, 4), scores.expand(2, 90), labels.expand(2, 90)
    is_real = torch.stack([scores > 0, scores > 0.8])
    found = build("NMSPostprocess", iou_threshold=0.4).suppress_images(*images, is_real)
    assert torch.equal(found[0][0], boxes[::2])
    assert torch.equal(found[1][0], boxes[scores > 0.8][::2])


class _Operators(TorchDispatchMode):
    """Names of the operators that a device would be asked to start: not those that only look at memory."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        aliases = [each.alias_info for each in function._schema.returns]
        if any(alias is None or alias.is_write for alias in aliases):
            self.names.append(function.name())
        return result


@pytest.mark.parametrize("mixed_precision", [False, True])
@pytest.mark.parametrize("images", [1, 2, 4])
def test_a_batch_at_once_starts_few_operators_whatever_its_size(images, mixed_precision, monkeypatch):
    """One image is ready on a GPU before the host has started what suppresses its boxes: 266 operators took 7 ms."""
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    predictions, priors = predictions_of(images=images)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed_precision), _Operators() as operators:
        found = build("NMSPostprocess")(predictions, priors, CODER, [(64, 96)] * images)
    assert min(map(len, found)) > 20
    assert 50 < len(operators.names) <= 110
    assert "aten::_local_scalar_dense" not in operators.names
    assert "aten::nonzero" not in operators.names
    assert operators.names.count("aten::_to_copy") <= 2  # and none in each round


@EACH
@pytest.mark.parametrize("images", [1, 3])
def test_a_batch_at_once_is_read_once_whatever_its_size(name, options, images, monkeypatch):
    """Of soft suppression too, which took turns with the device for each image."""
    predictions, priors = predictions_of(images=images)
    options = {"max_per_img": 20, **options}
    expected = build(name, **options)(predictions, priors, CODER, [(64, 96)] * images)
    reads = []
    tolist, to_cpu = torch.Tensor.tolist, torch.Tensor.cpu
    monkeypatch.setattr(DensePostprocess, "_is_host", staticmethod(lambda tensor: False))
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: (reads.append("tolist"), tolist(tensor))[1])
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: (reads.append("cpu"), to_cpu(tensor))[1])
    with _Operators() as operators:
        found = build(name, **options)(predictions, priors, CODER, [(64, 96)] * images)
    if name == "WBFPostprocess":  # one copy to the host, where it goes on
        assert reads == ["cpu", "tolist", *["cpu", "cpu"] * images]
    else:
        assert reads == ["tolist"]
        waits = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero"}
        assert not waits & {*operators.names}
    for one, other in zip(found, expected, strict=True):
        assert len(one) == 20
        torch.testing.assert_close(one.bboxes, other.bboxes)
        torch.testing.assert_close(one.scores, other.scores)
        assert torch.equal(one.labels, other.labels)


@EACH
def test_cap_keeps_the_best(name, options):
    predictions, priors = predictions_of()
    few, many = (build(name, max_per_img=n, **options)(predictions, priors, CODER, [(64, 96)] * 2) for n in (7, 60))
    for a, b in zip(few, many, strict=True):
        assert len(a) == 7 < len(b)
        assert torch.equal(a.scores, b.scores[:7])
        assert torch.equal(a.bboxes, b.bboxes[:7])


@EACH
def test_boxes_far_apart_stay_as_they_are(name, options):
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 60, 10], [60, 0, 60, 10]])
    scores, labels = torch.tensor([0.2, 0.9, 0.5, 0.1, 0.05]), torch.tensor([1, 0, 1, 0, 0])  # the last have no area
    found = build(name, **options).suppress(boxes, scores, labels)
    order = scores.argsort(descending=True)
    for value, expected in zip(found, (boxes, scores, labels), strict=True):
        torch.testing.assert_close(value, expected[order])


@EACH
def test_classes_compete_only_if_agnostic(name, options):
    boxes, scores, labels = torch.tensor([[0.0, 0, 10, 10]] * 2), torch.tensor([0.6, 0.8]), torch.tensor([4, 2])
    apart = build(name, **options).suppress(boxes, scores, labels)
    assert torch.equal(apart[0], boxes)
    assert apart[1].tolist() == pytest.approx([0.8, 0.6])
    assert apart[2].tolist() == [2, 4]
    _, scores, labels = build(name, class_agnostic=True, **options).suppress(boxes, scores, labels)
    assert labels[0] == 2
    assert len(scores) == 1 or scores[1] < 0.6


@EACH
def test_order_of_the_candidates_does_not_matter(name, options):
    boxes, scores, labels = crowd(60)
    expected = build(name, **options).suppress(boxes, scores, labels)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    for value, other in zip(
        build(name, **options).suppress(boxes[order], scores[order], labels[order]), expected, strict=True
    ):
        torch.testing.assert_close(value, other)


@EACH
@pytest.mark.parametrize("score_thr", [-0.1, 1.0])
def test_impossible_threshold(name, options, score_thr):
    with pytest.raises(ValueError, match=rf"score_thr is {score_thr}; it must (lie in \[0, 1\)|be a number from)"):
        build(name, score_thr=score_thr, **options)


@EACH
@pytest.mark.parametrize(
    ("number", "message"),
    [
        ({"max_per_img": 0}, "max_per_img is 0; it must be a whole number of 1 or more"),
        ({"topk_per_level": 0}, "topk_per_level is 0; it must be a whole number of 1 or more"),
    ],
)
def test_impossible_numbers(name, options, number, message):
    with pytest.raises(ValueError, match=message):
        build(name, **{**options, **number})


@pytest.mark.parametrize("name", ["NMSPostprocess", "DIoUNMSPostprocess", "SoftNMSPostprocess", "WBFPostprocess"])
def test_iou_threshold_in_percent(name):
    with pytest.raises(ValueError, match="iou_threshold is 50; it must be a number from 0 to 1"):
        build(name, iou_threshold=50)


@pytest.mark.parametrize("name", NAMES)
def test_an_overlap_of_just_the_threshold_is_not_above_it(name):
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 2, 8, 6]])  # of one centre, so that DIoU is the IoU, 0.5
    scores = build(name, iou_threshold=0.5).suppress(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2).long())[1]
    assert scores.tolist() == pytest.approx([0.9, 0.8])


# Scores with a quality.


def test_quality_hand_computed():
    priors = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    logits = torch.logit(torch.tensor([[[0.9, 0.1], [0.5, 0.3], [0.8, 0.04]]]))
    quality = torch.logit(torch.tensor([[0.1, 0.9, 0.5]]))
    predictions = DensePredictions(logits, torch.zeros(1, 3, 4), [(1, 3)], quality)
    (found,) = build("NMSPostprocess", score_thr=0.31)(predictions, priors, CODER, [(100, 100)])
    # Of (0.3, 0.1), (0.671, 0.520), (0.632, 0.141) those above 0.31.
    assert found.scores.tolist() == pytest.approx([math.sqrt(0.45), math.sqrt(0.4), math.sqrt(0.27)], rel=1e-5)
    assert found.labels.tolist() == [0, 0, 1]
    assert found.bboxes[:, 0].tolist() == [20, 40, 20]
    (found,) = build("NMSPostprocess", score_thr=0.0, topk_per_level=1)(predictions, priors, CODER, [(100, 100)])
    assert found.bboxes.tolist() == [[20, 0, 30, 10]]  # 0.9, the best class score, is not the best score


@pytest.mark.parametrize(("score_thr", "topk", "cap"), [(0.2, 1000, 100), (0.05, 40, 20), (0.6, 10, 100)])
def test_scores_with_quality_are_those_of_torchvision_fcos(score_thr, topk, cap):
    sizes, strides, num_classes = [(8, 12), (4, 6), (2, 3)], [8, 16, 32], 5
    generator = torch.Generator().manual_seed(0)
    lengths = [h * w for h, w in sizes]
    anchors = [cells(h, w, s) for (h, w), s in zip(sizes, strides, strict=True)]
    logits = torch.randn(2, sum(lengths), num_classes, generator=generator) * 2
    deltas = torch.rand(2, sum(lengths), 4, generator=generator)
    quality = torch.randn(2, sum(lengths), generator=generator)

    backbone = torch.nn.Conv2d(3, 32, 1)
    backbone.out_channels = 32
    fcos = FCOS(
        backbone,
        num_classes,
        anchor_generator=TorchvisionAnchors(((8,), (16,), (32,)), ((1.0,),) * 3),
        head=FCOSHead(32, 1, num_classes, num_convs=1),
        score_thresh=score_thr,
        topk_candidates=topk,
        nms_thresh=0.6,
        detections_per_img=cap,
    )

    class Coder:
        """torchvision's, called as rdet calls it."""

        def decode(self, priors, deltas):
            return fcos.box_coder.decode(deltas, priors)

    shapes = [(64, 96), (50, 70)]
    outputs = {"cls_logits": logits, "bbox_regression": deltas, "bbox_ctrness": quality[..., None]}
    expected = fcos.postprocess_detections(
        {key: list(value.split(lengths, dim=1)) for key, value in outputs.items()}, [anchors] * 2, shapes
    )
    postprocess = build("NMSPostprocess", score_thr=score_thr, topk_per_level=topk, iou_threshold=0.6, max_per_img=cap)
    results = postprocess(DensePredictions(logits, deltas, sizes, quality), torch.cat(anchors), Coder(), shapes)
    for found, other in zip(results, expected, strict=True):
        assert len(found) > 0
        assert torch.equal(found.bboxes, other["boxes"])
        assert torch.equal(found.scores, other["scores"])
        assert torch.equal(found.labels, other["labels"])


# Each suppression against a reading of its paper without any vector.


def iou_of(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def naive_greedy(boxes, scores, groups, change):
    """``change(box, other, score)`` -> the other's new score, or None to drop it."""
    left = [[b, s, g, i] for i, (b, s, g) in enumerate(zip(boxes, scores, groups, strict=True))]
    found = []
    while left:
        best = max(left, key=lambda entry: entry[1])
        left.remove(best)
        found.append((best[3], best[1]))
        for entry in left:
            if entry[2] == best[2]:
                entry[1] = change(best[0], entry[0], entry[1])
        left = [entry for entry in left if entry[1] is not None]
    return found


def diou_of(a, b):
    centre = [((x[0] + x[2]) / 2, (x[1] + x[3]) / 2) for x in (a, b)]
    between = (centre[0][0] - centre[1][0]) ** 2 + (centre[0][1] - centre[1][1]) ** 2
    corners = (max(a[2], b[2]) - min(a[0], b[0])) ** 2 + (max(a[3], b[3]) - min(a[1], b[1])) ** 2
    return iou_of(a, b) - between / corners


CHANGES = {
    "nms": lambda a, b, score: None if iou_of(a, b) > 0.5 else score,
    "diou": lambda a, b, score: None if diou_of(a, b) > 0.4 else score,
    "linear": lambda a, b, score: score * (1 - iou_of(a, b)) if iou_of(a, b) > 0.3 else score,
    "gaussian": lambda a, b, score: score * math.exp(-(iou_of(a, b) ** 2) / 0.5),
}


@pytest.mark.parametrize(
    ("name", "options", "change"),
    [
        ("NMSPostprocess", {}, "nms"),
        ("DIoUNMSPostprocess", {"iou_threshold": 0.4}, "diou"),
        ("SoftNMSPostprocess", {"min_score": 0.0}, "linear"),
        ("SoftNMSPostprocess", {"min_score": 0.2}, "linear"),
        ("SoftNMSPostprocess", {"method": "gaussian", "min_score": 0.2}, "gaussian"),
    ],
)
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_greedy_ones_equal_the_naive_reference(name, options, change, class_agnostic, seed):
    boxes, scores, labels = crowd(120, seed=seed)
    groups = [0] * 120 if class_agnostic else labels.tolist()
    expected = naive_greedy(boxes.tolist(), scores.tolist(), groups, CHANGES[change])
    expected = [entry for entry in expected if entry[1] >= options.get("min_score", 0)]
    postprocess = build(name, max_per_img=1000, class_agnostic=class_agnostic, **options)
    found = postprocess.suppress(boxes, scores, labels)
    index = [i for i, _ in expected]
    assert len(index) > 3
    assert len(index) < 120 or options.get("min_score") == 0
    assert torch.equal(found[0], boxes[index])
    torch.testing.assert_close(found[1], torch.tensor([score for _, score in expected]))
    assert torch.equal(found[2], labels[index])


def naive_wbf(boxes, scores, groups, threshold, num_views):
    """Solovyev et al., section 3, steps 1 to 7."""
    clusters = []  # [group, members, mean box]
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        rivals = [cluster for cluster in clusters if cluster[0] == groups[i]]
        best = max(rivals, key=lambda cluster: iou_of(cluster[2], boxes[i]), default=None)
        if best is None or iou_of(best[2], boxes[i]) <= threshold:
            best = [groups[i], [], None]
            clusters.append(best)
        best[1].append(i)
        total = sum(scores[j] for j in best[1])
        best[2] = [sum(scores[j] * boxes[j][k] for j in best[1]) / total for k in range(4)]
    found = []
    for _, members, box in clusters:
        mean = sum(scores[j] for j in members) / len(members)
        found.append((mean * min(len(members), num_views) / num_views, box, members[0]))
    return sorted(found, key=lambda entry: -entry[0])


@pytest.mark.parametrize("num_views", [1, 3, 50])
@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_wbf_equals_the_naive_reference(num_views, class_agnostic, seed):
    boxes, scores, labels = crowd(120, seed=seed)
    groups = [0] * 120 if class_agnostic else labels.tolist()
    expected = naive_wbf(boxes.tolist(), scores.tolist(), groups, 0.55, num_views)
    found = build("WBFPostprocess", class_agnostic=class_agnostic).merge_views(boxes, scores, labels, num_views)
    assert 3 < len(expected) < 100
    torch.testing.assert_close(found[1], torch.tensor([entry[0] for entry in expected]))
    torch.testing.assert_close(found[0], torch.tensor([entry[1] for entry in expected]))
    assert found[2].tolist() == [labels[entry[2]].item() for entry in expected]


# What is known of each.


def test_soft_nms_hand_computed():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 2]])  # IoU with the first: 0.8 and 0.2
    scores, labels = torch.tensor([0.9, 0.8, 0.5]), torch.zeros(3, dtype=torch.int64)
    found = build("SoftNMSPostprocess", iou_threshold=0.3).suppress(boxes, scores, labels)
    assert found[1].tolist() == pytest.approx([0.9, 0.5, 0.8 * 0.2])
    assert torch.equal(found[0], boxes[[0, 2, 1]])
    found = build("SoftNMSPostprocess", method="gaussian", sigma=0.5).suppress(boxes, scores, labels)
    third = 0.5 * math.exp(-0.04 / 0.5)  # is taken second; its IoU with the one left is 0.25
    assert found[1].tolist() == pytest.approx([0.9, third, 0.8 * math.exp(-0.64 / 0.5) * math.exp(-0.0625 / 0.5)])
    found = build("SoftNMSPostprocess", min_score=0.2).suppress(boxes, scores, labels)
    assert found[1].tolist() == pytest.approx([0.9, 0.5])


def test_soft_nms_with_a_huge_sigma_suppresses_nothing():
    boxes, scores, labels = crowd(80)
    found = build("SoftNMSPostprocess", method="gaussian", sigma=1e12).suppress(boxes, scores, labels)
    order = scores.argsort(descending=True)
    for value, expected in zip(found, (boxes, scores, labels), strict=True):
        torch.testing.assert_close(value, expected[order])


@pytest.mark.parametrize("options", [{"method": "gaussian", "sigma": 1e-6}, {"method": "linear"}])
def test_soft_nms_takes_no_box_twice(options):
    """Copies fall to a score of exactly 0, which min_score=0 keeps."""
    boxes, scores = torch.tensor([[0.0, 0, 10, 10]] * 5), torch.tensor([0.5, 0.4, 0.3, 0.2, 0.0])
    found = build("SoftNMSPostprocess", min_score=0.0, **options).suppress(boxes, scores, torch.arange(5) // 5)
    assert found[1].tolist() == [0.5, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cubic"}, "no method 'cubic'; valid: linear, gaussian"),
        ({"sigma": 0.5}, "sigma is not read by method='linear'; leave it out"),
        ({"method": "gaussian", "iou_threshold": 0.3}, "iou_threshold is not read by method='gaussian'; leave it out"),
        ({"method": "gaussian", "sigma": 0.0}, "sigma is 0.0; it must be a number above 0"),
    ],
)
def test_soft_nms_says_what_it_cannot_do(options, message):
    with pytest.raises(ValueError, match=message):
        build("SoftNMSPostprocess", **options)


def test_diou_nms_equals_nms_for_concentric_boxes():
    generator = torch.Generator().manual_seed(0)
    half = torch.rand(100, 2, generator=generator) * 40 + 5
    boxes = torch.cat([50 - half, 50 + half], dim=1)
    scores, labels = torch.rand(100, generator=generator), torch.randint(3, (100,), generator=generator)
    index = batched_nms(boxes, scores, labels, 0.6)
    found = build("DIoUNMSPostprocess", iou_threshold=0.6).suppress(boxes, scores, labels)
    assert 3 < len(index) < 60
    assert torch.equal(found[0], boxes[index])
    assert torch.equal(found[1], scores[index])
    assert torch.equal(found[2], labels[index])


@pytest.mark.parametrize(
    ("other", "diou"),
    [
        ([0.0, 0, 10, 6], 0.6 - 4 / 200),  # centres 2 apart, 10 x 10 around both
        ([2.0, 0, 12, 10], 80 / 120 - 4 / 244),  # centres 2 apart, 12 x 10 around both
    ],
)
def test_diou_nms_hand_computed(other, diou):
    boxes = torch.tensor([[0.0, 0, 10, 10], other])
    for threshold, count in ((diou + 0.001, 2), (diou - 0.001, 1)):
        postprocess = build("DIoUNMSPostprocess", iou_threshold=threshold)
        assert len(postprocess.suppress(boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 0]))[0]) == count


def test_wbf_of_identical_boxes_is_the_box():
    box = torch.tensor([[3.3, 4.7, 20.1, 30.9]])
    scores = torch.tensor([0.9, 0.5, 0.1])
    labels = torch.full((3,), 2)
    found = build("WBFPostprocess").suppress(box.expand(3, 4), scores, labels)
    assert torch.equal(found[0], box)
    assert found[1].tolist() == pytest.approx([0.5])
    assert found[2].tolist() == [2]
    assert build("WBFPostprocess", conf_type="max").suppress(box.expand(3, 4), scores, labels)[1].tolist() == (
        pytest.approx([0.9])
    )
    zero = build("WBFPostprocess").suppress(box.expand(3, 4), torch.zeros(3), labels)  # weights that sum to 0
    assert torch.equal(zero[0], box)
    assert zero[1].tolist() == [0]


def test_wbf_hand_computed():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]])
    scores, labels = torch.tensor([0.75, 0.25, 0.6]), torch.zeros(3, dtype=torch.int64)
    found = build("WBFPostprocess").merge_views(boxes, scores, labels, num_views=2)
    # (0.75 * 10 + 0.25 * 8) / 1 = 9.5; both views saw it: 0.5. One of two saw the other: 0.3.
    assert found[0].tolist() == [[0, 0, 10, 9.5], [50, 50, 60, 60]]
    assert found[1].tolist() == pytest.approx([0.5, 0.3])
    # More boxes than views count as all views.
    assert build("WBFPostprocess").suppress(boxes, scores, labels)[1].tolist() == pytest.approx([0.6, 0.5])


def test_wbf_says_what_it_cannot_do():
    with pytest.raises(ValueError, match="no conf_type 'sum'; valid: avg, max"):
        build("WBFPostprocess", conf_type="sum")


def test_greedy_loop_takes_what_was_asked():
    boxes, scores, labels = crowd(50)
    index, values = take_best_first(boxes, scores, labels, lambda box, boxes, scores: scores, 4)
    assert torch.equal(values, scores.topk(4).values)
    assert torch.equal(index, scores.topk(4).indices)
    index, values = take_best_first(boxes[:0], scores[:0], labels[:0], lambda box, boxes, scores: scores, 4)
    assert (index.dtype, index.shape, values.shape) == (torch.int64, (0,), (0,))
