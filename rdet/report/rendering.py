"""Templates of pages, and how they write numbers."""

import math
from collections.abc import Sequence
from functools import cache
from statistics import fmean, stdev
from typing import Any

import jinja2


@cache
def templates() -> jinja2.Environment:
    """Return what loads the templates of ``rdet/report/templates``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rdet.report"),
        autoescape=True,  # names of classes and files are text, whatever they hold
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        num=_num, signed=_signed, exact=_exact, percent=_percent, mean=_mean, deviation=_deviation
    )
    return environment


def _num(value: float | None, digits: int = 3) -> str:
    return "–" if _is_nothing(value) else f"{value:.{digits}f}"


def _signed(value: float | None, digits: int = 3) -> str:
    if _is_nothing(value):
        return "–"
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if _is_nothing(value) else f"{100 * value:.0f} %"


def _exact(value: float | None) -> str:
    """Return all digits, to sort by and to read in the hint of a cell."""
    return "" if _is_nothing(value) else repr(float(value))


def _is_nothing(value: Any) -> bool:
    return value is None or math.isnan(value)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None
