"""A run folder: its files, who may write to them, and how they are read.

:class:`RunFolder` is the one place that knows the names of the files.
"""

from __future__ import annotations

from poseda.runs.folder import RunFolder
from poseda.runs.lock import FolderError

__all__ = ["FolderError", "RunFolder"]
