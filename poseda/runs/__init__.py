"""A run folder: its files, who may write to them, and how they are read.

:class:`RunFolder` is the one place that knows the names of the files. Beside it stand:

- ``atomic``, ``checkpoint``, ``journal``: files of JSON, of tensors and of lines, whole or not there;
- ``results``, ``verdict``, ``view_alignment``: what the files hold;
- ``card``, ``origin``: what a reader must know to compare the numbers, and the versions and data behind them;
- ``lock``: one writer at a time;
- ``renamed``: names of 0.1.0, which are read and kept;
- ``record``: all of a finished run at once, for reports.
"""

from __future__ import annotations

from poseda.runs.folder import RunFolder
from poseda.runs.lock import FolderError

__all__ = ["FolderError", "RunFolder"]
