import pytest
import torch

from rdet.models.losses.normalizers import BatchNormalizer, ImageNormalizer


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
