"""Domain npz files: one archive holds the four splits, a member a field, named ``{split}_{field}``.

Members are read one by one and only when asked for, so :meth:`ArchiveDomains.adaptation` works on a file
without the target's 3D poses. Nothing is unpickled, and no member is expanded before its header is checked.
"""

from __future__ import annotations

import hashlib
import tokenize
import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from poseda.datasets.formats.unpickle import unpickle
from poseda.datasets.records import (
    DataError,
)

MAX_EXPANSION = 64
"""A pose member may be this many times larger than the whole file; real poses compress about twofold."""

FREE_BYTES = 1 << 26
"""Members up to this size are read whatever the file's size: constant columns compress without bound."""


_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    KeyError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,
    tokenize.TokenError,
)
"""What zipfile and numpy raise on damaged archives (RuntimeError: encryption, unknown compression; the last
two: numpy's parser of headers)."""


_KINDS = {
    "f": "floating point",
    "fiu": "numbers",
    "iu": "integers",
    "b": "bool",
    "U": "text",
    "fiubU": "plain values",
}


class Archive:
    """Checked access to the members of one npz.

    Args:
        path: the file.

    Raises:
        DataError: if it is missing or not an npz.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            found = "a folder" if self.path.is_dir() else "nothing"
            raise DataError(f"{self.path}: expected an npz file, found {found}")
        try:
            with zipfile.ZipFile(self.path) as archive:
                self.members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        except _BROKEN as error:
            raise DataError(
                f"{self.path}: expected an npz file, found one that does not open ({_brief(error)})"
            ) from error

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def fail(self, name: str, expected: str, found: object) -> DataError:
        """The one sentence in which every complaint about a member is made."""
        return DataError(f"{self.path}: {name}: expected {expected}, found {found}")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of a member, from its first bytes.

        Raises:
            DataError: if the member is missing, damaged, holds objects, or would expand beyond reason.
        """
        if name not in self:
            raise self._absent(name)
        info = self.members[name]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as member:
                shape, dtype = _read_header(member)
                start = member.tell()
        except _BROKEN as error:
            raise self.fail(name, "a numpy array", f"a damaged member ({_brief(error)})") from error
        if dtype.hasobject:
            raise self.fail(name, "plain numbers or text", "Python objects, which are not unpickled")
        self._check_size(name, start, shape, dtype)
        return shape, dtype

    def read_objects(self, name: str) -> object:
        """Read a member that holds Python objects: arrays and plain containers, through our own unpickler.

        Returns:
            the object itself where the member is a single one (VideoPose3D's files), else the array.

        Raises:
            DataError: if it is missing, damaged, too large, or holds anything else.
        """
        if name not in self:
            raise self._absent(name)
        info = self.members[name]
        allowed = self._allowed()
        if info.file_size > allowed:
            raise self.fail(
                name, f"at most {allowed} bytes in a file of this size", f"{info.file_size} bytes"
            )
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as member:
                shape, dtype = _read_header(member)
                content = member.read(info.file_size)
        except _BROKEN as error:
            raise self.fail(name, "a numpy array", f"a damaged member ({_brief(error)})") from error
        if dtype != np.dtype(object):
            raise self.fail(name, "Python objects", dtype)
        value = unpickle(content, f"{self.path}: {name}")
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise self.fail(name, f"objects of shape {shape}", getattr(value, "shape", type(value).__name__))
        return value[()] if value.ndim == 0 else value

    def _absent(self, name: str) -> DataError:
        near = ", ".join(sorted(self.members)[:8])
        return self.fail(name, "this member", f"a file with {len(self.members)} others ({near}, ...)")

    def _allowed(self) -> int:
        return max(FREE_BYTES, MAX_EXPANSION * self.path.stat().st_size)

    def _check_size(self, name: str, start: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        info, size = self.members[name], dtype.itemsize
        for length in shape:
            size *= length
        if start + size != info.file_size:
            raise self.fail(name, f"{start + size} bytes for {dtype} {shape}", f"{info.file_size} bytes")
        allowed = self._allowed()
        if size > allowed:
            raise self.fail(
                name, f"at most {allowed} bytes in a file of this size", f"{dtype} {shape}, {size} bytes"
            )

    def read(self, name: str, shape: tuple[int | str, ...], kinds: str = "f") -> np.ndarray:
        """Read one member.

        Args:
            name: of the member.
            shape: expected; a letter stands for any length above zero.
            kinds: numpy kinds to accept.

        Raises:
            DataError: if shape, dtype or content is not as expected.
        """
        found, dtype = self.header(name)
        fits = len(found) == len(shape) and all(
            length > 0 if isinstance(wanted, str) else length == wanted
            for wanted, length in zip(shape, found, strict=True)
        )
        if not fits:
            wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
            raise self.fail(name, f"shape {wanted}" + " with N > 0" * ("N" in shape), f"shape {found}")
        if dtype.kind not in kinds:
            raise self.fail(name, _KINDS[kinds], dtype)
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                values = archive[name]
        except _BROKEN as error:
            raise self.fail(name, f"{dtype} {found}", f"a damaged member ({_brief(error)})") from error
        if values.shape != found or values.dtype != dtype:
            raise self.fail(
                name, f"one member of that name with {dtype} {found}", f"{values.dtype} {values.shape}"
            )
        return values

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _brief(error: Exception) -> str:
    """What a library says of damaged content, which it may quote at length."""
    return " ".join(str(error).split())[:120]


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"npy version {version}")
    if any(length < 0 for length in shape):
        raise ValueError(f"negative length in shape {shape}")
    return shape, dtype
