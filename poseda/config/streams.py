"""What a stream of poses, from stdin or a camera, cannot have: each pose is lifted as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from poseda.config.limits import ConfigError

if TYPE_CHECKING:
    from poseda.config.commands import LiftConfig

JSON_LINES = (".jsonl", ".ndjson", ".json")
"""Endings of the file that `poseda lift` writes of a stream."""

STDOUT = Path("-")
"""The output of a stream that is no file."""


def check_stream(config: LiftConfig) -> None:
    """Refuse what needs a whole recording, and files that are no JSON lines.

    Raises:
        ConfigError: naming the first option.
    """
    source = f"<input> {config.input}"
    if config.moving_camera:
        wanted = f"expected none for {source}, a stream, whose windows are not known beforehand"
        raise ConfigError("moving_camera", wanted, "input")
    if config.overlay is not None:
        raise ConfigError("overlay", f"expected a recording, got {source}, a stream", "input")
    if config.smooth.filter == "savgol":
        wanted = f"expected one_euro, kalman or none for {source}, got savgol"
        raise ConfigError("smooth.filter", wanted, "input")
    if config.people != "all":
        raise ConfigError("people", f"expected all for {source}, got {config.people}", "input")
    if config.fov == "estimate":
        wanted = f"expected degrees for {source}, got estimate, which needs a recording"
        raise ConfigError("fov", wanted, "input")
    if config.stature is not None:
        wanted = f"expected none for {source}, a stream, which has no fit, got {config.stature:g}"
        raise ConfigError("stature", wanted, "input")
    if len(config.output) > 1:
        wanted = f"expected one file for {source}, a stream, got {len(config.output)}"
        raise ConfigError("output", wanted, "input")
    for path in config.output:
        if path != STDOUT and path.suffix not in JSON_LINES:
            lines = f"a file of JSON lines ({', '.join(JSON_LINES)}) or - for {source}, a stream"
            wanted = f"expected {lines}, got {path}; other kinds are written of files"
            raise ConfigError("output", wanted, "input")
