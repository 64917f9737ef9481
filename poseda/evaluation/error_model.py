"""From numbers that need no labels to errors: a regression over simulated targets.

The log of an arm's error is its mean over simulated targets, plus a weighted sum of how far its numbers are
from their means there. The weights are the same for all arms and never negative: a worse number never
predicts a smaller error. They are fitted by ridge regression, and checked by leaving out one simulated
target at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

RIDGE = 1.0
"""Weight of the squared coefficients: a prior worth one simulated target."""

FLOOR = 0.05
"""Least standard deviation of a number's log that is believed: below it numbers count as equal."""

Scores = Mapping[str, np.ndarray]
"""(K,) logs of numbers by arm; NaN where nothing determines one."""


@dataclass(frozen=True)
class ErrorModel:
    """What simulated targets taught.

    Args:
        arms: names.
        error: (A,) mean log of each arm's error.
        score: (A, K) mean of each arm's scores.
        weight: (K,) of the scores.
        spread: (K, K) covariance of the weights for residuals of unit variance.
        residual: (S, A) log errors minus predictions for each simulated target, when it was left out.
    """

    arms: tuple[str, ...]
    error: np.ndarray
    score: np.ndarray
    weight: np.ndarray
    spread: np.ndarray
    residual: np.ndarray

    @classmethod
    def fit(cls, scores: Sequence[Scores], errors: Sequence[Mapping[str, float]]) -> ErrorModel:
        """Learn from simulated targets.

        Args:
            scores: of each target.
            errors: of each target, by arm, above 0.
        """
        arms = tuple(errors[0])
        x = np.stack([[one[arm] for arm in arms] for one in scores])
        y = np.log([[one[arm] for arm in arms] for one in errors])
        residual = np.empty_like(y)
        for left_out in range(len(y)):
            kept = np.arange(len(y)) != left_out
            error, score, weight, _ = _regression(x[kept], y[kept])
            residual[left_out] = y[left_out] - error - _away(x[left_out], score) @ weight
        error, score, weight, spread = _regression(x, y)
        return cls(arms, error, score, weight, spread, residual)

    def predict(self, scores: Scores) -> tuple[np.ndarray, np.ndarray]:
        """Log errors (A,) on a target with these scores, and their covariance (A, A)."""
        away = _away(np.stack([scores[arm] for arm in self.arms]), self.score)
        targets = len(self.residual)
        chance = self.residual.T @ self.residual / targets
        unit = float(np.trace(chance)) / len(self.arms)
        return self.error + away @ self.weight, chance * (
            1 + 1 / targets
        ) + unit * away @ self.spread @ away.T


def _regression(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means (A,) and (A, K), weights (K,) and their covariance, of scores (S, A, K) and log errors (S, A)."""
    known = np.isfinite(x)
    count = known.sum(0)
    score = np.where(known, x, 0).sum(0) / np.maximum(count, 1)
    score = np.where(count > 0, score, np.nan)
    error = y.mean(0)
    away, rest = _away(x, score).reshape(-1, x.shape[2]), (y - error).reshape(-1)
    # In units of the scores' own deviation, so that one ridge fits all.
    scale = np.maximum(away.std(0), FLOOR)
    away = away / scale
    ridge = np.sqrt(RIDGE * y.shape[1])
    weight, _ = nnls(np.concatenate([away, ridge * np.eye(len(scale))]), np.concatenate([rest, 0 * scale]))
    spread = np.linalg.inv(away.T @ away + ridge**2 * np.eye(len(scale)))
    return error, score, weight / scale, spread / np.outer(scale, scale)


def _away(x: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Scores minus their means; 0 where either is unknown."""
    return np.nan_to_num(x - score)
