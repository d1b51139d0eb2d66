"""A few cases of each promise; ``make trust`` tries many."""

import pytest
from promises import all_promises
from readers import all_readers

SEED = 20261127
READERS = [reader.name for reader in all_readers()]  # test_readers.py has them
SHORT = [promise for promise in all_promises() if promise.short and promise.name not in READERS]


@pytest.mark.parametrize("promise", SHORT, ids=lambda promise: promise.name)
def test_a_promise_is_kept(promise):
    outcome = promise.check(SEED, range(promise.short))
    assert not outcome.failures, "\n".join(outcome.failures)
