"""How much of a file is read: a small file must not fill the memory.

Limits that belong to one format stand in its reader.
"""

from __future__ import annotations

from pathlib import Path

MAX_TEXT = 1 << 29
"""Largest text file, bytes: parsing takes several times as much memory."""

MAX_PICKLE = 1 << 30
"""Largest pickle, bytes."""

MAX_MATLAB = 1 << 31
"""Largest MATLAB 5 file, bytes."""

MAX_ARRAY = 1 << 31
"""Largest array of an npy file, bytes in double precision."""

MAX_EXPANSION = 64
"""A compressed part may become this many times as large as its file. Pose data compress about twofold."""

FREE_BYTES = 1 << 26
"""A compressed part may always become this large, because constant columns compress without bound."""


def most_expanded(path: Path) -> int:
    """Bytes that a compressed part of a file may become."""
    return max(FREE_BYTES, MAX_EXPANSION * path.stat().st_size)
