"""The Dockerfile copies what is there, and all that the installation reads."""

import json
import re
import runpy
from pathlib import Path

import pytest
import setuptools

from rdet.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()


def copied() -> set[str]:
    return {name for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}


def test_what_is_copied_is_there_and_not_ignored():
    assert all((ROOT / name).exists() for name in copied())
    ignored, *rest = [
        line for line in (ROOT / "docker/Dockerfile.dockerignore").read_text().splitlines() if line[0] != "#"
    ]
    assert ignored == "*"
    assert {line[1:] for line in rest if line.startswith("!")} == copied()


def test_the_installation_reads_no_more_than_is_copied(monkeypatch):
    read = set()
    read_text = Path.read_text

    def note(self, *args, **options):
        read.add(self.resolve().relative_to(ROOT).parts[0])
        return read_text(self, *args, **options)

    given = {}
    monkeypatch.setattr(Path, "read_text", note)
    monkeypatch.setattr(setuptools, "setup", lambda **options: given.update(options))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    assert read <= copied()
    assert set(given["package_dir"].values()) <= copied()
    assert "serve" in given["extras_require"]
    assert '".[serve]"' in DOCKERFILE


def test_its_command_is_one_and_not_run_by_root():
    command = json.loads(re.search(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)[1])
    assert command[:2] == ["rdet", "serve"]
    assert "serve" in COMMANDS
    assert DOCKERFILE.index("USER rdet") < DOCKERFILE.index("ENTRYPOINT")
    port = command[command.index("--port") + 1]
    assert f"EXPOSE {port}" in DOCKERFILE
    assert f"127.0.0.1:{port}/ready" in DOCKERFILE


def test_torch_is_as_new_as_rdet_asks_for():
    runtime = (ROOT / "requirements/runtime.txt").read_text()
    for name in ("torch", "torchvision"):
        wanted = re.search(rf"^{name}>=.*$", runtime, re.MULTILINE)
        if wanted is None:
            pytest.fail(f"requirements/runtime.txt does not ask for {name}")
        assert f'"{wanted[0]}"' in DOCKERFILE
