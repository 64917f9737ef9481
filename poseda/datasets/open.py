"""Open a pair of domains: a domain file, or the embedded domains."""

from __future__ import annotations

from pathlib import Path

from poseda.datasets.records import Domains
from poseda.geometry.skeleton import Skeleton


def open_domains(
    path: str | Path | None, seed: int = 0, size: float = 1.0, skeleton: Skeleton | None = None
) -> Domains:
    """Open a pair of domains.

    Args:
        path: a domain npz, or None for the embedded domains, which need no file.
        seed: of the embedded domains; without effect on a file.
        size: share of the embedded domains' default size, for quick runs; without effect on a file.
        skeleton: of a file that does not name its own. Default h36m16.

    Raises:
        DataError: if the file cannot be used.
    """
    if path is None:
        from poseda.datasets.synthetic.embedded import EmbeddedDomains

        return EmbeddedDomains(seed=seed, size=size)
    from poseda.datasets.domain_file import DomainFile

    return DomainFile(path, skeleton=skeleton)
