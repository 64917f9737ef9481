"""Functions of a test file, run in a process of their own, where no call before has filled a cache."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

STRICT = r"import warnings; warnings.filterwarnings('error', module=r'poseda(\.|$)')"


def run_fresh(function: Callable[..., None], *arguments: Any) -> None:
    """Run ``function(*arguments)`` in a new process; fail with what it says if it does.

    Only the function's source goes there: it imports what it uses. Warnings of poseda are errors.
    """
    call = f"{function.__name__}({', '.join(map(repr, arguments))})"
    program = f"{STRICT}\n{textwrap.dedent(inspect.getsource(function))}\n{call}\n"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
