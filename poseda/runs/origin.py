"""Where the numbers of a run come from: the versions they were computed with, and the data."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from poseda import __version__
from poseda.datasets import Domains, OwnDomains

PACKAGES = ("torch", "numpy", "lightning", "safetensors")


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version(), "poseda": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    # With the build, such as +cu130, which the metadata of torch's wheels leaves out.
    found["torch"] = str(torch.__version__)
    return found


def describe_data(domains: Domains) -> dict[str, Any]:
    """Which data: its name, skeleton and content hash; files of weak labels and what was used of them."""
    found = {"name": domains.name, "skeleton": domains.skeleton.name, "sha256": domains.fingerprint()}
    weak = domains.weak if isinstance(domains, OwnDomains) else None
    if weak is None:
        return found
    return {**found, "weak_labels": {"sha256": dict(weak.files), "account": list(weak.account)}}
