"""Loads the compiled libraries and describes them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

INSTRUCTION_SETS = ("generic", "avx2", "avx512")

OLDEST_TORCH = (2, 11)
"""The first release of torch with all of the stable ABI that the extension uses."""

_NO_CUDA = (
    "poseda was installed without its CUDA kernels; reinstall with nvcc on PATH: "
    "`pip install . -C cmake.define.POSEDA_CUDA=ON`"
)

_loaded = False
_cuda_missing: str | None = _NO_CUDA
"""Why the CUDA kernels are not loaded, or None. Decided once, so that no call looks at a file."""


class LibraryError(ImportError):
    """The compiled libraries cannot be used; the message is one sentence and says what to do."""


def load() -> None:
    """Load the op libraries, once.

    Raises:
        LibraryError: if the extension is missing or does not fit this torch.
    """
    global _loaded, _cuda_missing
    if _loaded:
        return
    named = os.environ.get("POSEDA_CPU_ISA")
    if named and named not in INSTRUCTION_SETS:
        raise LibraryError(f"POSEDA_CPU_ISA: expected one of {', '.join(INSTRUCTION_SETS)}, got {named!r}")
    if _numbers(torch.__version__) < OLDEST_TORCH:
        raise LibraryError(
            f"poseda needs torch {'.'.join(map(str, OLDEST_TORCH))} or newer, found {torch.__version__}; "
            f"run `pip install --upgrade torch`"
        )
    folder = _folder()
    try:
        torch.ops.load_library(str(folder / "libposeda_ops.so"))
    except OSError as error:
        raise LibraryError(
            f"poseda's compiled ops do not load with torch {torch.__version__} (built against torch "
            f"{_host().torch_version}): {error}; reinstall with `pip install .`"
        ) from error
    cuda_library = folder / "libposeda_cuda.so"
    if torch.version.cuda is not None and cuda_library.exists():
        _cuda_missing = _load_cuda(cuda_library, _host().cuda_version, torch.version.cuda)
    _loaded = True


def _load_cuda(library: Path, built: str, running: str) -> str | None:
    """Load the CUDA kernels, or say why not: that must not stop the CPU user of a CUDA torch."""
    theirs = f"torch {torch.__version__} (CUDA {running})"
    if _numbers(built)[:1] != _numbers(running)[:1]:
        return f"poseda's CUDA kernels are for CUDA {built}, not for {theirs}; reinstall poseda beside it"
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        return (
            f"poseda's CUDA kernels (CUDA {built}) do not load with {theirs}: {error}; "
            f"reinstall poseda beside it"
        )
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def require_cuda() -> None:
    """Check that the CUDA kernels are there.

    Raises:
        RuntimeError: saying why not, and what to do.
    """
    if not cuda_loaded():
        raise RuntimeError(_cuda_missing or _NO_CUDA)


def cuda_loaded() -> bool:
    """Whether the CUDA kernels are loaded."""
    return _cuda_missing is None


def build_info() -> dict[str, Any]:
    """Versions, instruction set, CUDA library and threads, for `poseda info` and for a run's config."""
    load()
    host = _host()
    return {
        "poseda": host.version,
        "torch": torch.__version__,
        "torch_built_against": host.torch_version,
        "compiler": host.compiler,
        "cpu_instruction_set": torch.ops.poseda.instruction_set(),
        "cuda_built": host.cuda_built,
        "cuda_loaded": cuda_loaded(),
        "cuda_version": host.cuda_version or None,
        "cuda_architectures": host.cuda_architectures.split(),
        "cuda_device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }


def _host() -> Any:
    try:
        from poseda import _host  # compiled
    except ImportError as error:
        raise LibraryError(
            "poseda's compiled extension is missing: you are probably importing the source tree instead of "
            "the installed package; run `pip install .` and start Python elsewhere (or `pip install -e .`)"
        ) from error
    return _host


def _folder() -> Path:
    """The folder of the libraries: that of _host, also in an editable install."""
    return Path(_host().__file__).parent
