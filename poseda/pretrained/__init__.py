"""The lifter that is installed with the package, as the folder of a run; card.json says what it is.

`python -m benchmarks.pretrained` trains it and writes this folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from poseda.config import PACKAGED, ConfigError, RunConfig, from_json

FOLDER = Path(__file__).parent
"""The run folder; it is only read."""

CARD = FOLDER / "card.json"
"""What the lifter learned from, who made it, its licence and its errors."""

POSTURES = FOLDER / "postures.safetensors"
"""Draws postures like those that the lifter learned from. It rehearses them while it learns a target."""


@lru_cache(maxsize=1)
def config() -> RunConfig:
    """The options that the lifter was trained with."""
    return from_json(json.loads((FOLDER / "config.json").read_text())["config"])


def size() -> dict[str, Any]:
    """The options that the lifter has decided: its family and size, by name."""
    own = config().wide
    return {name: getattr(own, name.removeprefix("wide.")) for name in PACKAGED}


def check_size(options: Mapping[str, Any]) -> None:
    """Check that a run's options fit the lifter; those that are not there fit.

    Raises:
        ConfigError: naming the first of another family or size.
    """
    for name, there in size().items():
        if options.get(name, there) != there:
            wanted = f"expected {there}, that of the package's lifter, or <from_scratch>, got {options[name]}"
            raise ConfigError(name, wanted, "from_scratch")


def card() -> dict[str, Any]:
    """What the lifter learned from, who made it, its licence and its errors."""
    found: dict[str, Any] = json.loads(CARD.read_text())
    return found


def described() -> dict[str, str]:
    """The card in a few lines, by title."""
    own = card()
    lines = {
        "package's lifter": own["lifter"],
        "learned from": f"{'; '.join(own['trained_on'])} ({own['poses']:,} poses)",
        "attribution": own["attribution"],
    }
    if views := own.get("views"):
        errors = [row["found"] for row in views["mm"]]
        lines["errors by camera"] = (
            f"{len(errors)} real views, tilt found: mean {sum(errors) / len(errors):.0f} mm, "
            f"{min(errors):.0f} to {max(errors):.0f} mm"
        )
        lines |= {
            f"  {row['view']}": f"{row['found']:.0f} mm; one pass {row['one_pass']:.0f}, "
            f"tilt given {row['given']:.0f}"
            for row in views["mm"]
        }
        lines["  not scored"] = ", ".join(views["left_out"]) or "none"
    if domains := own.get("domains"):
        lines |= {f"  {row['domain']}": f"{row['mpjpe']:.0f} mm, simulated 2D" for row in domains["mm"]}
        lines["note"] = domains["note"]
    return lines
