"""Input of all kinds succeeds or ends in one clear line: a promise for each reader."""

from fuzz import Reader, run
from promise import Outcome, Promise
from readers import all_readers


def _promise(reader: Reader) -> Promise:
    def check(seed: int, cases: range) -> Outcome:
        failures = run(reader, seed, cases)
        return Outcome([f"{failure.case}: {failure.why}\n    {failure.shown}" for failure in failures])

    sentence = "Damaged, hostile and odd input of this kind ends in one clear line"
    short = max(reader.cases // 3, min(reader.cases, 10))
    return Promise(reader.name, sentence, check, short, 50 * reader.cases)


PROMISES = [_promise(reader) for reader in all_readers()]
