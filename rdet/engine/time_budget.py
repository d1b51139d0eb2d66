"""How many steps of a training fit into a time, as the steps and evaluations so far tell."""

from collections.abc import Callable
from dataclasses import dataclass

_EVALUATING = 0.2  # of the time, at most, the last evaluation aside
_MOST = 0.5  # of the time, for evaluations that seem to take more
_FIRST = 5  # steps that are measured before the first plan, after one that makes everything ready
_PLANS = 20  # of a run: each follows a twentieth of it
_RECENT = 0.5  # weight of the latest steps in the time that a step is expected to take


@dataclass
class TimeBudget:
    """The plan of a run that has a time and no number of steps.

    Args:
        seconds: The time, evaluations among it.
        points: How many times it is evaluated, and saved: at equal shares of its steps, at the end the last time.
        clock: Gives seconds.
        steps_of_evaluation: How many steps an evaluation is taken to be worth until one was made; 0: there is none.
        step: Seconds of a step; None: not known yet.
        evaluation: Seconds of an evaluation; None: none was made.
        evaluated: Seconds of all evaluations so far.
        spent: Seconds that a resumed run took before.
        progress: Share of the steps that is done; each takes an equal part of what is left.
    """

    seconds: float
    points: int
    clock: Callable[[], float]
    steps_of_evaluation: float = 0.0
    step: float | None = None
    evaluation: float | None = None
    evaluated: float = 0.0
    spent: float = 0.0
    progress: float = 0.0

    def begin(self, iteration: int) -> None:
        """Start the clock, of a run that may have gone on from another."""
        self._begun = self.clock()
        self._mark = self._begun, iteration
        self._next = iteration + (1 if self.step is None else _FIRST)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, with those of the runs that it goes on from."""
        return self.spent + self.clock() - self._begun

    def is_due(self, iteration: int) -> bool:
        """Tell whether it is time to plan."""
        return iteration >= self._next

    def plan(self, iteration: int) -> int | None:
        """Look at the steps since the last plan.

        Returns:
            After how many iterations the run ends, of which at least one is to come; 0 before there is a plan.
        """
        now = self.clock()
        if self.step is None and iteration - self._mark[1] < _FIRST:  # nothing but the first step is known
            return 0
        if steps := iteration - self._mark[1]:
            latest = (now - self._mark[0]) / steps
            self.step = latest if self.step is None else _RECENT * latest + (1 - _RECENT) * self.step
        assert self.step is not None
        evaluating = min(self._evaluations_left() * self._expected(), _MOST * self.seconds)
        left = self.seconds - self.elapsed - evaluating
        return iteration + max(1, int(left / max(self.step, 1e-9)))

    def follow(self, iteration: int, end: int) -> None:
        """Measure from here to the next plan.

        Args:
            iteration: Steps so far.
            end: Steps of the run, as all processes have agreed; 0: not known.
        """
        self._mark, self._next = (self.clock(), iteration), iteration + max(_FIRST, end // _PLANS)

    def take_step(self, iteration: int, end: int) -> bool:
        """Count a step that is about to be made; tell whether an evaluation is due after it.

        Args:
            iteration: Steps before it.
            end: Steps of the run.
        """
        before = self._point()
        self.progress += (1 - self.progress) / max(end - iteration, 1)
        return self._point() > before

    def affords_evaluation(self) -> bool:
        """Tell whether an evaluation before the last one fits."""
        return bool(self.steps_of_evaluation) and (self.evaluated + 2 * self._expected() <= _EVALUATING * self.seconds)

    def note_evaluation(self, seconds: float, iteration: int) -> None:
        """Take what an evaluation took out of the time of the steps."""
        self.evaluation = seconds
        self.evaluated += seconds
        self._mark, self._next = (self.clock(), iteration), iteration  # what it took changes the plan

    def _point(self) -> int:
        return int(self.progress * self.points + 1e-6)

    def _expected(self) -> float:
        return self.steps_of_evaluation * (self.step or 0.0) if self.evaluation is None else self.evaluation

    def _evaluations_left(self) -> int:
        if not self.steps_of_evaluation:
            return 0
        room = _EVALUATING * self.seconds - self.evaluated
        return max(1, min(self.points - self._point(), int(room / max(self._expected(), 1e-9))))
