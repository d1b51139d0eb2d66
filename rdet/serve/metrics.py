"""Numbers of a service in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number that only grows, one for each set of labels."""

    kind = "counter"

    def __init__(self) -> None:
        self._values: dict[Labels, float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, value: float = 1, **labels: str) -> None:
        """Add to the number of these labels."""
        with self._lock:
            self._values[tuple(labels.items())] += value

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """Yield ending of the name, labels and value of each number."""
        with self._lock:
            values = dict(self._values)
        for labels, value in values.items() or [((), 0.0)]:
            yield "", labels, value


class Gauge:
    """A number that is asked for when it is read."""

    kind = "gauge"

    def __init__(self, read: Callable[[], float]):
        self._read = read

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """Yield the number."""
        yield "", (), self._read()


class Histogram:
    """How many values were up to each bound, how many there were, and their sum.

    Args:
        bounds: Rising.
    """

    kind = "histogram"

    def __init__(self, bounds: Sequence[float]):
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count a value."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """Yield the buckets, the sum and the count."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        reached = 0
        for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
            reached += count
            yield "_bucket", (("le", "+Inf" if bound == float("inf") else f"{bound:g}"),), reached
        yield "_sum", (), total
        yield "_count", (), reached


class Metrics:
    """All numbers of a service.

    Args:
        waiting: Counts the images that wait for the network.
        inside: Counts the requests that are being answered.
    """

    def __init__(self, waiting: Callable[[], int], inside: Callable[[], int]):
        seconds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        self.requests, self.images, self.hung_up = Counter(), Counter(), Counter()
        self.seconds, self.network_seconds = Histogram(seconds), Histogram(seconds)
        self.batches = Histogram((1, 2, 4, 8, 16, 32, 64, 128))
        self._all: dict[str, tuple[str, Counter | Gauge | Histogram]] = {
            "rdet_requests_total": ("Requests that were answered, by path and status.", self.requests),
            "rdet_request_seconds": ("Seconds from the header of a request with images to its answer.", self.seconds),
            "rdet_images_total": ("Images that were looked at.", self.images),
            "rdet_hung_up_total": ("Requests whose client did not wait for the answer.", self.hung_up),
            "rdet_batch_images": ("Images that ran through the network together.", self.batches),
            "rdet_network_seconds": ("Seconds of the network for a batch.", self.network_seconds),
            "rdet_images_waiting": ("Images that wait for the network.", Gauge(waiting)),
            "rdet_requests_inside": ("Requests that are being received or answered.", Gauge(inside)),
        }

    def text(self) -> str:
        """Write all numbers."""
        lines = []
        for name, (does, metric) in self._all.items():
            lines += [f"# HELP {name} {does}", f"# TYPE {name} {metric.kind}"]
            for ending, labels, value in metric.samples():
                inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
                lines.append(f"{name}{ending}{f'{{{inner}}}' if inner else ''} {value:.10g}")
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
