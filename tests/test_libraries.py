"""The compiled libraries are closed: what they need of the C++ standard library stays their own.

Two copies of it in one process that find each other's symbols mix up their tables, and the first formatted
message ends the process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from poseda.ops import _native as native

ROOT = Path(__file__).parents[1]
EXPORTED = {"_host": {"PyInit__host"}}
"""What the system's loader or Python looks up by name; ops register themselves."""

REFUSED = """
import sys
import torch

torch.ops.load_library(sys.argv[1])
for shape in ((2, 3), (1, 2, 4)):
    try:
        torch.ops.poseda.tree_transform(torch.zeros(shape), [-1, 0], False, False)
    except RuntimeError as error:
        print(error)
"""


def exported(library: Path) -> set[str]:
    """The symbols that a library offers to others."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("needs nm")
    listed = subprocess.run(
        [nm, "--dynamic", "--defined-only", "--format=posix", library],
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.split()[0] for line in listed.stdout.splitlines()}


def test_libraries_export_nothing_but_what_is_looked_up() -> None:
    libraries = sorted(native._folder().glob("*.so"))
    assert {"libposeda_ops", "_host"} <= {library.name.split(".")[0] for library in libraries}
    for library in libraries:
        assert exported(library) == EXPORTED.get(library.name.split(".")[0], set()), library.name


@pytest.mark.slow
def test_a_standard_library_linked_in_stays_inside(tmp_path: Path) -> None:
    """As some toolchains link by themselves."""
    for program in ("cmake", "ninja"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    environment = {**os.environ, "LDFLAGS": "-static-libgcc -static-libstdc++"}
    pybind = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    configure = ["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Ninja", "-DPOSEDA_CUDA=OFF"]
    configure += [f"-Dpybind11_DIR={pybind}", f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", tmp_path, "--target", "poseda_ops"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    library = tmp_path / "libposeda_ops.so"
    needed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    assert "libstdc++" not in needed, "it was linked in"
    assert "libgcc_s" in needed, "exceptions need one unwinder in a process"
    assert exported(library) == set()
    refused = subprocess.run(
        [sys.executable, "-P", "-c", REFUSED, library], capture_output=True, text=True, check=True
    )
    assert refused.stdout.splitlines() == [
        "rows: unexpected shape (2, 3)",
        "rows: unexpected shape (1, 2, 4)",
    ]
