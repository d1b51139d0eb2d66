"""Names in pictures and plots are short, and differ where the classes do."""

import pytest

from rdet.visualization.names import names_in_pictures, short_names, told_apart

LONG = "a very long name of a class of sort number {} with more words behind it"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], []),
        (["cat", "dog"], ["cat", "dog"]),
        (["cat", "cat"], ["cat", "cat"]),  # one cannot be told from the other
        (["the first of all kinds of cells", "x"], ["the first …s of cells", "x"]),
        (
            ["ABCDEFGHIJKLMNOPQRS 1 TUVWXYZ0123", "ABCDEFGHIJKLMNOPQRS 2 TUVWXYZ0123"],
            ["…1 TUVWXYZ0123", "…2 TUVWXYZ0123"],
        ),
    ],
)
def test_names_that_are_cut_differ(names, shown):
    assert told_apart(names, 21) == shown


def test_eighty_long_names_differ_however_they_are_cut():
    names = [LONG.format(i) for i in range(80)]
    for longest in (12, 24, 40):
        shown = told_apart(names, longest)
        assert len(set(shown)) == 80
        assert max(map(len, shown)) <= longest
    assert names_in_pictures(names)[17] == "…17 with more words beh…"
    assert short_names(names)[17] == "#17"
    assert short_names(["white blood cell", "red blood cell", "platelet"]) == ["wbc.", "rbc.", "plat…"]
    same_at_both_ends = [f"{'a' * 60}{i % 2}{'b' * 60}{i // 2}{'c' * 60}" for i in range(4)]
    assert len(set(told_apart(same_at_both_ends))) == 4
