"""npz files: members are read one by one, when they are asked for, and checked before they are expanded.

Python's pickle never reads a member: :mod:`poseda.datasets.formats.pickle` reads objects as data.
"""

from __future__ import annotations

import hashlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from poseda.datasets.errors import DataError
from poseda.datasets.formats.field import Field, Shape, fits, kind
from poseda.datasets.formats.limits import most_expanded
from poseda.datasets.formats.pickle import unpickle

BROKEN = (
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
"""What zipfile and numpy raise on damaged archives. RuntimeError stands for encryption and for unknown
compression. The last two come from numpy's parser of headers."""

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
        except BROKEN as error:
            raise DataError(
                f"{self.path}: expected an npz file, found one that does not open ({_brief(error)})"
            ) from error

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def fail(self, name: str, expected: str, found: object) -> DataError:
        """The error to raise about a member; its message is one sentence."""
        return Field(self.path, name).fail(expected, found)

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of a member, from its first bytes.

        Raises:
            DataError: if the member is missing, damaged, holds objects, or would expand beyond the limit.
        """
        with self._opened(name) as member:
            shape, dtype = _read_header(member)
            start = member.tell()
        if dtype.hasobject:
            raise self.fail(name, "plain numbers or text", "Python objects, which are not unpickled")
        size = dtype.itemsize
        for length in shape:
            size *= length
        stored = self.members[name].file_size
        if start + size != stored:
            raise self.fail(name, f"{start + size} bytes for {dtype} {shape}", f"{stored} bytes")
        self._check_expansion(name, size, f"{dtype} {shape}, {size} bytes")
        return shape, dtype

    def objects(self, name: str) -> Field:
        """Read a member that holds Python objects: arrays and plain containers.

        Returns:
            the object itself where the member is a single one (VideoPose3D's files), else the array.

        Raises:
            DataError: if it is missing, damaged, too large, or holds anything else.
        """
        if name in self:
            size = self.members[name].file_size
            self._check_expansion(name, size, f"{size} bytes")
        with self._opened(name) as member:
            shape, dtype = _read_header(member)
            content = member.read(self.members[name].file_size)
        if dtype != np.dtype(object):
            raise self.fail(name, "Python objects", dtype)
        field = Field(self.path, name)
        value = unpickle(content, field)
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise self.fail(name, f"objects of shape {shape}", getattr(value, "shape", kind(value)))
        return field.holding(value[()] if value.ndim == 0 else value)

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        """A member as a file; damage that shows while it is read becomes a refusal."""
        if name not in self:
            near = ", ".join(sorted(self.members)[:8])
            raise self.fail(name, "this member", f"a file with {len(self.members)} others ({near}, ...)")
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.members[name]) as member:
                yield member
        except BROKEN as error:
            raise self.fail(name, "a numpy array", f"a damaged member ({_brief(error)})") from error

    def _check_expansion(self, name: str, size: int, shown: str) -> None:
        allowed = most_expanded(self.path)
        if size > allowed:
            raise self.fail(name, f"at most {allowed} bytes in a file of this size", shown)

    def read(self, name: str, shape: Shape, kinds: str = "f") -> np.ndarray:
        """Read one member.

        Args:
            name: of the member.
            shape: expected; a letter stands for any length above zero.
            kinds: numpy kinds to accept.

        Raises:
            DataError: if shape, dtype or content is not as expected.
        """
        found, dtype = self.header(name)
        if not fits(shape, found) or any(
            isinstance(wanted, str) and length == 0 for wanted, length in zip(shape, found, strict=True)
        ):
            wanted = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
            raise self.fail(name, f"shape {wanted}" + " with N > 0" * ("N" in shape), f"shape {found}")
        if dtype.kind not in kinds:
            raise self.fail(name, _KINDS[kinds], dtype)
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                values = archive[name]
        except BROKEN as error:
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
