"""Installs rdet: pip install -e . or, with all optional parts, pip install -e .[optional]"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

EXTRAS = ("optional", "deploy", "serve", "explain", "integrations", "tests", "docs")


def requirements(name: str) -> list[str]:
    lines = (HERE / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


setup(
    name="rdet",
    version=re.search(r'__version__ = "(.+)"', (HERE / "rdet" / "__init__.py").read_text(encoding="utf-8"))[1],
    description="A modular framework for one-stage dense object detection; reference implementation of RetinaNet",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    # The configs stand beside the package in the repository, and in it once it is installed.
    packages=[*find_packages(include=["rdet", "rdet.*"]), "rdet.configs"],
    package_dir={"rdet.configs": "configs"},
    package_data={
        "rdet": ["py.typed"],
        "rdet.report": ["templates/*"],
        "rdet.serve": ["templates/*"],
        "rdet.configs": ["**/*.py"],
    },
    entry_points={"console_scripts": ["rdet = rdet.__main__:main"]},
    python_requires=">=3.10",
    install_requires=requirements("runtime"),
    extras_require={name: requirements(name) for name in EXTRAS},
)
