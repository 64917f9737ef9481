"""results.json: a row for each arm, seed and split that was evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from poseda.config import RunConfig
from poseda.runs.atomic import JsonFile
from poseda.runs.renamed import with_arm_of_today


@dataclass(frozen=True)
class Results:
    """The rows of a run.

    Args:
        file: where they are kept.
        config: reads the configuration of the run. Its seeds and arms order the rows.
    """

    file: JsonFile
    config: Callable[[], RunConfig]

    def read(self) -> list[dict[str, Any]]:
        """The rows so far; none where no arm is finished.

        Raises:
            ValueError: if the file is damaged; the message names it.
        """
        try:
            return [with_arm_of_today(row) for row in self.file.read()] if self.file.exists() else []
        except (KeyError, TypeError) as error:
            raise ValueError(f"{self.file.path}: expected rows of results, found others") from error

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows, in place of earlier ones of the same arm and seed."""
        new = {(row["seed"], row["arm"]) for row in rows}
        kept = [row for row in self.read() if (row["seed"], row["arm"]) not in new]
        config = self.config()
        order = {unit: at for at, unit in enumerate(product(config.seeds, config.arms))}
        # Rows of seeds and arms that the run does not name come first.
        self.file.write(sorted([*kept, *rows], key=lambda row: order.get((row["seed"], row["arm"]), -1)))
