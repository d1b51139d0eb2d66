import pytest
import torch

from rdet.models.losses.normalizers import BatchNormalizer, EMANormalizer, ImageNormalizer, NoNormalizer


@pytest.mark.parametrize(
    ("num_pos", "by_batch", "by_image"),
    [
        ([3], [3], [3]),
        ([0], [1], [1]),
        ([0, 0], [1, 1], [2, 2]),
        ([1, 5], [6, 6], [2, 10]),
        ([0, 4, 2], [6, 6, 6], [3, 12, 6]),
        ([], [], []),
    ],
)
def test_divisors(num_pos, by_batch, by_image):
    num_pos = torch.tensor(num_pos, dtype=torch.int64)
    assert BatchNormalizer()(num_pos).tolist() == by_batch
    assert ImageNormalizer()(num_pos).tolist() == by_image
    assert NoNormalizer()(num_pos).tolist() == [1.0] * len(num_pos)
    assert BatchNormalizer()(num_pos).dtype == ImageNormalizer()(num_pos).dtype == torch.float32


def test_batch_normalizer_counts_all_processes(monkeypatch):
    """Each of two processes divides by half of the joint count, because gradients are averaged over them."""
    elsewhere = 7

    def all_reduce(tensor):
        tensor += elsewhere

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    assert BatchNormalizer()(torch.tensor([1, 2])).tolist() == [5, 5]
    elsewhere = 0
    assert BatchNormalizer()(torch.tensor([0, 0])).tolist() == [0.5, 0.5]


def test_running_mean():
    """Detectron2's: 0.9 of the mean so far and 0.1 of this batch's positives, at least 1."""
    normalizer = EMANormalizer(momentum=0.9, initial=100)
    assert normalizer(torch.tensor([10, 30])).tolist() == pytest.approx([94, 94])
    assert normalizer(torch.tensor([0, 0, 0])).tolist() == pytest.approx([84.7] * 3)
    normalizer.eval()
    assert normalizer(torch.tensor([5])).tolist() == pytest.approx([84.7])


def test_running_mean_is_in_the_checkpoint():
    before, after = EMANormalizer(), EMANormalizer()
    before(torch.tensor([7]))
    after.load_state_dict(before.state_dict())
    assert after(torch.tensor([3])) == before(torch.tensor([3]))


def test_running_mean_does_not_change_what_was_returned():
    """Autograd keeps the divisor until the backward."""
    normalizer = EMANormalizer()
    loss = torch.ones(1, requires_grad=True)
    first = loss / normalizer(torch.tensor([1]))
    normalizer(torch.tensor([50]))
    first.sum().backward()
    assert loss.grad.item() == pytest.approx(1 / 90.1)


@pytest.mark.parametrize(
    ("options", "message"), [({"momentum": 1.0}, "momentum is 1.0"), ({"initial": 0}, "initial is 0")]
)
def test_impossible_running_means(options, message):
    with pytest.raises(ValueError, match=message):
        EMANormalizer(**options)


@pytest.mark.parametrize(
    ("num_pos", "expected"), [([0, 4, 2], 7), ([0, 0], 2), ([3], 3), ([0], 1), ([1, 1], 2), ([], 1)]
)
def test_an_image_counts_at_least_so_much(num_pos, expected):
    """MMDetection's RetinaNet: images without objects count as one positive each."""
    divisors = BatchNormalizer(min_count_per_image=1)(torch.tensor(num_pos, dtype=torch.float32))
    assert divisors.tolist() == [expected] * len(num_pos)


@pytest.mark.parametrize(("mass", "expected"), [([0.2, 0.0], 1e-6), ([0.2, 1.7], 1e-6), ([0.0, 0.0], 1e-6)])
def test_masses_are_clamped_as_a_sum(mass, expected):
    normalizer = BatchNormalizer(min_count_per_image=1, min_mass=1e-6)
    total = max(sum(mass), expected)
    assert normalizer.of_mass(torch.tensor(mass)).tolist() == pytest.approx([total] * 2)
    assert BatchNormalizer().of_mass(torch.tensor(mass)).tolist() == pytest.approx([max(sum(mass), 1.0)] * 2)


@pytest.mark.parametrize("options", [{"min_count_per_image": -1}, {"min_mass": 0.0}])
def test_impossible_minima(options):
    with pytest.raises(ValueError, match="the first must not be negative, the second must be positive"):
        BatchNormalizer(**options)


def test_running_mean_is_of_one_process_share(monkeypatch):
    """Two processes, 30 positives in all: each divides by its half, as gradients are averaged over them.

    Of the smallest mean, 1, too.
    """
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.add_(20))
    assert EMANormalizer(momentum=0.5, initial=100)(torch.tensor([4, 6])).tolist() == [57.5, 57.5]
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor)
    assert EMANormalizer(momentum=0.0, initial=100)(torch.tensor([0, 0])).tolist() == [0.5, 0.5]
