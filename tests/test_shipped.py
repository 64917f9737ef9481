"""What is shipped: one version, and an archive of the source with all that its tests read."""

from __future__ import annotations

import tomllib
from pathlib import Path

from poseda import __version__
from poseda.ops._native import build_info
from poseda.runs.origin import versions

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())


def test_libraries_records_and_package_name_one_version() -> None:
    assert build_info()["poseda"] == versions()["poseda"] == __version__, "compile the libraries again"
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["scikit-build"]["metadata"]["version"]["input"] == "poseda/__init__.py"


def test_the_source_archive_leaves_nothing_out() -> None:
    """Tests read .ci and the records of the benchmarks, and tests are in the archive."""
    build = PROJECT["tool"]["scikit-build"]
    assert "exclude" not in build.get("sdist", {}) and "sdist.exclude" not in build
