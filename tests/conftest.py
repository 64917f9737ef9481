"""What all tests share: devices and skips, tolerances, random numbers, and comparison.

* ``device`` runs a test on the CPU and on CUDA. Skipping is decided here and nowhere else; with
  ``POSEDA_REQUIRE_CUDA=1`` a missing GPU or CUDA library is a failure instead.
* ``@pytest.mark.needs_cuda`` is for a test that makes sense on CUDA alone.
* ``@pytest.mark.slow`` is for a check of minutes; ``pytest --slow`` runs it.
* ``assert_close`` and ``assert_gradient_close`` compare at the tolerances of the one table below. Loosening
  one in a test (``rtol=``, ``atol=``) needs a comment with the worst case seen and where.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from poseda.datasets import Domains, open_domains
from poseda.ops import _native as native
from poseda.ops.samples import augment_arguments

# benchmarks is a package of the checkout. Last, as the checkout's poseda has no compiled libraries.
sys.path.append(str(Path(__file__).parents[1]))

# Programs that tests start import the installed package, too, not the source tree they are started in.
os.environ["PYTHONSAFEPATH"] = "1"

REQUIRE_CUDA = os.environ.get("POSEDA_REQUIRE_CUDA") == "1"

# dtype -> (rtol, atol). Atol is for lengths of metres and screen coordinates around 1.
TOLERANCES: dict[torch.dtype, tuple[float, float]] = {
    torch.float32: (1e-4, 1e-5),
    torch.float64: (1e-9, 1e-11),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the checks of minutes, too")
    parser.addoption("--backwards", action="store_true", help="run the last test first: none needs another")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_cuda: skipped without a GPU, failed with POSEDA_REQUIRE_CUDA=1")
    config.addinivalue_line("markers", "slow: takes minutes; runs with --slow only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--backwards"):
        items.reverse()


def _missing_cuda() -> str | None:
    """Why CUDA tests cannot run here, or None if they can."""
    if not torch.cuda.is_available():
        return "no CUDA GPU"
    native.load()
    return None if native.cuda_loaded() else "poseda's CUDA library is not built or does not load"


def _need_cuda() -> None:
    missing = _missing_cuda()
    if missing is None:
        return
    if REQUIRE_CUDA:
        pytest.fail(f"POSEDA_REQUIRE_CUDA=1, but {missing}")
    pytest.skip(missing)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("slow") and not item.config.getoption("--slow"):
        pytest.skip("takes minutes; run with --slow")
    if item.get_closest_marker("needs_cuda"):
        _need_cuda()


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, then the current CUDA device."""
    if request.param == "cuda":
        _need_cuda()
    return torch.device(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.fixture(autouse=True)
def restore_random_state() -> Iterator[None]:
    """Start every test from the same random state and leave none behind."""
    state = random.getstate()
    random.seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    random.setstate(state)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For tests of tensors so small that threads would only get in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def domains() -> Domains:
    """The embedded domains, small."""
    return open_domains(None, size=0.05)


@pytest.fixture(scope="session")
def members(domains: Domains) -> dict[str, np.ndarray]:
    """The embedded domains as the members of a domain file."""
    data = domains.adaptation()
    splits = {
        "source": data.source,
        "source_val": data.source_val,
        "target_train": domains.oracle(),
        "target_test": domains.evaluation(),
    }
    table = {}
    for split, poses in splits.items():
        fields = {
            "pose_3d": poses.pose_3d,
            "pose_2d": poses.pose_2d,
            "focal": poses.camera.focal,
            "center": poses.camera.center,
            "clip": poses.clip,
        }
        table |= {f"{split}_{name}": value.numpy() for name, value in fields.items()}
    return table


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(content, name)``: a file of text, or of JSON."""

    def write(content: Any, name: str = "file.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture
def arguments() -> Callable[..., dict[str, Any]]:
    """``arguments(batch, skeleton, give=…, dtype=…, device=…)``: see poseda.ops.samples.augment_arguments."""
    return augment_arguments


@pytest.fixture
def assert_close() -> Callable[..., None]:
    """``assert_close(actual, expected)`` at the table's tolerance for the coarser of the two dtypes."""

    def check(actual: Tensor, expected: Tensor, rtol: float | None = None, atol: float | None = None) -> None:
        # Booleans and integers are not in the table: they must be equal.
        table_rtol, table_atol = max(TOLERANCES.get(value.dtype, (0.0, 0.0)) for value in (actual, expected))
        torch.testing.assert_close(
            actual,
            expected.to(actual.device, actual.dtype),
            rtol=table_rtol if rtol is None else rtol,
            atol=table_atol if atol is None else atol,
        )

    return check


@pytest.fixture
def assert_gradient_close(assert_close: Callable[..., None]) -> Callable[..., None]:
    """``assert_gradient_close(actual, expected)``: elementwise relative to the gradient's own size, and in
    aggregate (direction, norm, signed bias), because an elementwise tolerance can hide a missing term."""

    def check(actual: Tensor, expected: Tensor, rtol: float | None = None) -> None:
        table_rtol, _ = TOLERANCES[actual.dtype]
        rtol = table_rtol if rtol is None else rtol
        size = expected.abs().max().item() if expected.numel() else 0.0
        assert_close(actual, expected, rtol=rtol, atol=rtol * size)
        if size == 0.0:
            return
        a, e = actual.double().cpu().flatten(), expected.double().cpu().flatten()
        cosine = torch.dot(a, e) / (a.norm() * e.norm())
        assert 1 - cosine <= rtol, f"gradients point apart: cosine {cosine:.12f}"
        assert (a - e).norm() <= rtol * e.norm(), f"relative L2 error {(a - e).norm() / e.norm():.3e}"
        bias = (a - e).sum().abs() / e.abs().sum()
        assert bias <= rtol, f"signed bias {bias:.3e} of the gradient's size"

    return check
