"""How long to train on how many images: all numbers of a schedule, from two."""

from dataclasses import dataclass

_ITERATIONS = 2000  # after which a detector whose backbone is trained already has learned a small set
_EPOCHS = range(12, 201)  # COCO's schedule, and as often as a few images are worth seeing
_SHORT = 10_000  # iterations of a run in which AdamW gets further than SGD
_WARMUP = 500  # iterations, at most a tenth of the run
_EVALUATIONS = 10


@dataclass(frozen=True)
class Schedule:
    """The numbers of a run.

    Attributes:
        epochs: How often each image is seen.
        iterations: Steps of an epoch.
        warmup: Steps in which the rate rises.
        milestones: Epochs after which the rate is divided by 10.
        interval: Epochs between evaluations, and between checkpoints.
        is_the_configs: Whether the rate is that of the config, which goes by the share of the run that is done; warm-up
            and milestones have no meaning then.
    """

    epochs: int
    iterations: int
    warmup: int
    milestones: tuple[int, ...]
    interval: int
    is_the_configs: bool = False

    @classmethod
    def of(cls, images: int, batch_size: int, epochs: int | None = None, is_the_configs: bool = False) -> "Schedule":
        """Derive it.

        Args:
            images: Images to train on.
            batch_size: Images of a step, of all processes.
            epochs: How often each is seen; None: as often as makes 2000 steps, but 12 to 200 times.
            is_the_configs: See the attribute.
        """
        iterations = -(-images // batch_size)
        if epochs is None:
            epochs = min(max(-(-_ITERATIONS // iterations), _EPOCHS[0]), _EPOCHS[-1])
        milestones = {round(epochs * 8 / 12), round(epochs * 11 / 12)}
        return cls(
            epochs,
            iterations,
            _warmup(epochs * iterations),
            tuple(sorted(m for m in milestones if 0 < m < epochs)),
            max(1, epochs // _EVALUATIONS),
            is_the_configs,
        )

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.iterations

    @property
    def is_short(self) -> bool:
        """Whether it has few steps."""
        return self.steps < _SHORT

    def describe(self) -> str:
        """Say it in one line."""
        lower = f", the rate / 10 after {' and '.join(map(str, self.milestones))}" if self.milestones else ""
        rate = "the rate as the config has it" if self.is_the_configs else f"warm-up {self.warmup} iterations{lower}"
        return (
            f"{_epochs(self.epochs)} of {self.iterations} iterations, {self.steps} in all; {rate}; evaluation and "
            f"checkpoint after every {_epochs(self.interval)}"
        )


def _warmup(steps: int) -> int:
    """Return the steps of the warm-up of a run; one step is none, as the rate would stay where it begins."""
    return min(_WARMUP, steps // 10) if steps >= 20 else 0


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count > 1)}"
