"""Memory that was freed goes back to the system."""

import asyncio

from rdet.serve import memory


def test_it_is_given_back_after_work_alone(monkeypatch):
    calls, work = [], iter((0, 0, 5, 5, 6))
    monkeypatch.setattr(memory, "_trim", lambda: calls.append)

    async def until_there_is_no_more():
        try:
            await memory.give_back(lambda: next(work), seconds=0)
        except (StopIteration, RuntimeError):  # what a StopIteration becomes in a coroutine
            return

    asyncio.run(until_there_is_no_more())
    assert calls == [0, 0]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory._trim() is None
    asyncio.run(asyncio.wait_for(memory.give_back(lambda: 1, seconds=100), 5))


def test_freed_memory_of_a_service_is_given_back(serve, monkeypatch):
    seen = []
    monkeypatch.setattr("rdet.serve.app.give_back", lambda used: _note(used, seen))
    client = serve()
    assert client.post("/detect", content=b"no image").status_code == 415
    assert [used() for used in seen] == [1]


async def _note(used, seen):
    seen.append(used)
