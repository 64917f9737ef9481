"""As much of h5py as the readers use, for tests without it."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

HEAD = b"\x89HDF\r\n\x1a\n" + bytes(100)
"""What shows that a file is HDF5."""


class FakeGroup(dict):
    """As much of an h5py group as the reader uses."""

    def __init__(self, content: dict, attrs: dict | None = None) -> None:
        super().__init__(content)
        self.attrs = attrs or {}

    def __enter__(self) -> FakeGroup:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def fake_h5py(monkeypatch: pytest.MonkeyPatch, content: FakeGroup) -> None:
    module = ModuleType("h5py")
    module.File = lambda path, mode: content  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "h5py", module)
