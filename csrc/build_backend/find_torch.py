"""Find the torch to compile against, without importing it. Shared by the build backend and CMake.

Run as a script it prints ``root;version;cuda`` for CMake, so that the two can never disagree.
"""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

MINIMUM = (2, 11)
"""The first torch whose stable ABI has all that the ops use."""

HEADER = Path("include", "torch", "csrc", "stable", "library.h")


class Torch(NamedTuple):
    root: Path
    version: str
    cuda: str  # empty for a CPU build


def find_torch() -> Torch | None:
    """Return the first torch that is new enough and has headers, or None."""
    for root in _candidates():
        torch = _read(root)
        if torch is not None:
            return torch
    return None


def _candidates() -> list[Path]:
    named = os.environ.get("POSEDA_TORCH_ROOT")
    roots = [Path(named)] if named else []
    searched: list[list[str] | None] = [None]
    # pip's isolated build hides the target's site-packages from sys.path but runs the target's interpreter,
    # whose sysconfig still names them: so a torch that is installed is found, and none is downloaded.
    searched.append([sysconfig.get_path("platlib"), sysconfig.get_path("purelib")])
    if _sees_system_packages():
        base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
        searched.append([sysconfig.get_path("platlib", vars=base), sysconfig.get_path("purelib", vars=base)])
    searched.append([site.getusersitepackages()])
    for path in searched:
        spec = PathFinder.find_spec("torch", path)
        if spec is not None and spec.origin:
            roots.append(Path(spec.origin).parent)
    return roots


def _sees_system_packages() -> bool:
    config = Path(sys.prefix, "pyvenv.cfg")
    if not config.is_file():
        return False
    return bool(
        re.search(
            r"^include-system-site-packages\s*=\s*true", config.read_text(), re.MULTILINE | re.IGNORECASE
        )
    )


def _read(root: Path) -> Torch | None:
    version_file = root / "version.py"
    if not (root / HEADER).is_file() or not version_file.is_file():
        return None
    text = version_file.read_text()
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
    cuda = re.search(r"^cuda\s*(?::[^=]+)?=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
    if version is None:
        return None
    numbers = tuple(int(part) for part in re.findall(r"\d+", version.group(1))[:2])
    if numbers < MINIMUM:
        return None
    return Torch(root, version.group(1), cuda.group(1) if cuda else "")


if __name__ == "__main__":
    found = find_torch()
    if found is None:
        sys.exit(
            f"poseda: no torch >= {'.'.join(map(str, MINIMUM))} with headers was found for {sys.executable}; "
            "install one, or set POSEDA_TORCH_ROOT to the folder of its package"
        )
    print(f"{found.root};{found.version};{found.cuda}", end="")
