"""Runs as they are recorded beside their results, and what a resumed run may change."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from poseda.config.fields import build, flatten, read_plain
from poseda.config.limits import ConfigError, OneOrMore, hints, notes
from poseda.config.run import WIDE_ARMS, RunConfig


def to_json(config: Any) -> dict[str, Any]:
    """The options of a run, or of any other record, in types that JSON has."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, tuple):
            return [plain(entry) for entry in value]
        return str(value) if isinstance(value, Path) else value

    found = {key: plain(value) for key, value in dataclasses.asdict(config).items()}
    kind: Any = type(config)
    for name, hint in hints(kind).items():
        if notes(hint, OneOrMore):
            found[name] = OneOrMore.written(found[name])
    return found


_FILES = ("target", "source", "cameras", "intrinsics", "weak_labels")
_OWN = (
    *_FILES,
    "from_scratch",
    "image_size",
    "fov",
    "camera_pitch",
    "camera_roll",
    "layout",
    "joints",
    "strict",
    "people",
    "min_confidence",
    "stride",
)
"""Fields of own footage: absent from the records of runs that are older than they are."""

_LATER = (
    *_OWN,
    "alignment",
    "compile",
    "frames",
    "gate",
    "graphs",
    "health",
    "json",
    "logger",
    "target_data",
    "video_detector",
    "video_model",
)
"""Fields and sections that records of older runs may lack."""

RESUMABLE = (
    *("arms", "seeds", "resume", "device", "out", "data", "gate", "graphs", "json", "logger", "strict"),
    *_FILES,
)
"""Fields in which a resumed run may differ: more arms or seeds may be asked for, and files may have moved.
Graphs change rounding only."""


def check_resumable(config: RunConfig, saved: dict[str, Any]) -> None:
    """Check that a run may be continued with this configuration.

    Raises:
        ConfigError: naming the first option that differs.
    """

    # A record older than an option was made with its present default, but trained its wide lifter itself.
    now, then = flatten(to_json(config)), flatten(to_json(RunConfig())) | flatten(saved)
    if "from_scratch" not in saved and config.packaged and set(saved["arms"]) & set(WIDE_ARMS):
        then["from_scratch"] = True
    for name in dict.fromkeys([*now, *then]):
        if name not in RESUMABLE and now.get(name) != then.get(name):
            raise ConfigError(name, f"the run to resume has {then.get(name)!r}, got {now.get(name)!r}")


def from_json(record: dict[str, Any]) -> RunConfig:
    """Rebuild the configuration that :func:`to_json` recorded, also one that version 0.1.0 recorded.

    Raises:
        ConfigError: if an entry is missing, unknown or out of range.
    """
    for entry in dataclasses.fields(RunConfig):
        if entry.name not in record and entry.name not in _LATER:
            raise ConfigError(entry.name, "missing from the recorded configuration")
    return build(RunConfig, read_plain(RunConfig, flatten(record)))
