"""How training ends early; each message is one sentence."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """Training that cannot continue; the message is one sentence."""


class NonFiniteError(TrainingError):
    """A loss, gradient or weight became NaN or infinite; the message names it and the step."""


class CollapseError(TrainingError):
    """Every restart of a phase collapsed; the message says how.

    Args:
        message: one sentence.
        step: of the last collapse.
        reason: what showed it.
    """

    def __init__(self, message: str, step: int, reason: str) -> None:
        super().__init__(message)
        self.step, self.reason = step, reason


class NothingValidError(TrainingError):
    """Not one training pair was valid, so nothing was learned."""
