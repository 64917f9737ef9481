"""The progress of a run: bars in a terminal, lines elsewhere, and how long the whole run will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poseda.training.plan import PlannedPhase

PERIOD = 30.0
"""Seconds between two lines."""

SOON = 5.0
"""Seconds of a phase after which the rest of the run is said for the first time, if it is known."""

Clock = Callable[[], float]


class TimeLeft:
    """Guesses the rest of a run from the work that it has done.

    Phases of one kind take the same time for the same work. A kind of training that has not begun yet is
    taken to be as fast as the others.

    Args:
        phases: of the run in their order.
        clock: seconds.
    """

    def __init__(self, phases: Sequence[PlannedPhase] = (), clock: Clock = time.perf_counter) -> None:
        self.phases, self._clock = list(phases), clock
        self._at, self._first, self._done, self._began = -1, 0, 0, clock()
        self._spent: dict[str, tuple[float, float]] = {}

    def begins(self, title: str, done: int) -> None:
        """A phase begins, with ``done`` of its steps behind it; those before it in the plan are over."""
        self._close()
        titles = [phase.title for phase in self.phases]
        if title in titles:
            self._at = titles.index(title)
        self._first = self._done = done
        self._began = self._clock()

    def advanced(self, step: int) -> None:
        """``step`` steps of the phase are done."""
        self._done = step

    def _close(self) -> None:
        """Keep what the phase has shown about its kind."""
        if self._at >= 0 and self._done > self._first:
            phase = self.phases[self._at]
            seconds, work = self._spent.get(phase.kind, (0.0, 0.0))
            more = phase.work * (self._done - self._first)
            self._spent[phase.kind] = (seconds + self._clock() - self._began, work + more)
            self._first, self._began = self._done, self._clock()

    @property
    def position(self) -> str:
        """Which phase it is: ``phase 3 of 9``."""
        return f"phase {self._at + 1} of {len(self.phases)}"

    def seconds(self) -> float | None:
        """Seconds until the last phase ends; None before enough is known."""
        self._close()
        left = 0.0
        for at, phase in enumerate(self.phases):
            steps = 0 if at < self._at else phase.steps - (self._done if at == self._at else 0)
            pace = self._pace(phase) if steps else 0.0
            if pace is None:
                return None
            left += steps * phase.work * pace
        return left

    def _pace(self, phase: PlannedPhase) -> float | None:
        """Seconds for a unit of a phase's work; None before anything like it was done."""
        seconds, work = self._spent.get(phase.kind, (0.0, 0.0))
        if phase.guess is not None:  # it counts as much as one unit that was done
            return (phase.guess + seconds) / (1 + work)
        trained = {other.kind for other in self.phases if other.guess is None}
        paces = {kind: seconds / work for kind, (seconds, work) in self._spent.items() if kind in trained}
        return paces.get(phase.kind, sum(paces.values()) / len(paces) if paces else None)

    def words(self) -> str:
        """The rest of the run in words."""
        seconds = self.seconds()
        return (
            "the rest is not known yet" if seconds is None else f"about {duration(seconds)} of the run left"
        )


def duration(seconds: float) -> str:
    """A duration as people say it: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class ProgressLines:
    """Shows a run's phases as lines, where there is no terminal: a :class:`poseda.training.Observer`.

    Args:
        console: where the lines go.
        left: guesses the rest of the run.
        clock: seconds.
    """

    def __init__(self, console: Any, left: TimeLeft, clock: Clock = time.perf_counter) -> None:
        self._console, self._clock, self._left = console, clock, left
        self._title, self._steps, self._began, self._said = "", 0, 0.0, clock()
        self._told = False

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self._title, self._steps, self._began = title, steps, self._clock()
        self._left.begins(title, done)

    def advanced(self, step: int) -> None:
        self._left.advanced(step)
        now = self._clock()
        soon = not self._told and now - self._began >= SOON and self._left.seconds() is not None
        if soon or now - self._said >= PERIOD:
            self._said, self._told = now, self._left.seconds() is not None
            self._say(f"step {step} of {self._steps}, {self._left.position}, {self._left.words()}")

    def phase_restarted(self, title: str, step: int, reason: str) -> None:
        self._say(f"collapsed ({reason}); starts again from step {step} with another seed")
        self._left.begins(title, step)

    def phase_finished(self, title: str) -> None:
        self._say(f"done in {duration(self._clock() - self._began)}")

    def _say(self, text: str) -> None:
        self._console.print(f"{self._title}: {text}", highlight=False, markup=False, soft_wrap=True)
