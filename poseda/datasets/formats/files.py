"""Files as bytes, text and JSON; what kind of file one is; files in natural order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from poseda.datasets.errors import DataError
from poseda.datasets.formats import limits
from poseda.datasets.formats.field import Field

Read = TypeVar("Read")

MOST_NAMED = 3
"""Most files that a sentence names."""


PACKED = {
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
}
"""First bytes of files that hold others. A zip may be an npz, and is read as one."""


@contextmanager
def reading(path: Path) -> Iterator[Field]:
    """Give the file as a field. An error of the file system becomes a refusal.

    Raises:
        DataError: if the file cannot be read.
    """
    try:
        yield Field(path)
    except OSError as error:
        raise Field(path).fail("a file that can be read", error.strerror or error) from error


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes.

    Raises:
        DataError: if it cannot be read or is larger.
    """
    with reading(path) as file:
        size = path.stat().st_size
        if size > most:
            raise file.fail(f"at most {most} bytes", f"{size} bytes")
        return path.read_bytes()


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        DataError: if it cannot be read, is too large or is not UTF-8.
    """
    content = read_bytes(path, limits.MAX_TEXT)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x} at position {error.start}"
        raise Field(path).fail("UTF-8 text", found) from error


def read_json(path: Path) -> Field:
    """Read a JSON file. A file of JSON lines is the list of its lines.

    Raises:
        DataError: if it cannot be read or is not JSON.
    """
    text = read_text(path)
    try:
        return Field(path, value=json.loads(text))
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        try:
            if len(lines) > 1 and lines[0].rstrip().endswith(("}", "]")):
                values = [json.loads(line) for line in lines]
                return Field(path, value=[one if isinstance(one, list) else [one] for one in values])
        except (ValueError, RecursionError):
            pass
        raise Field(path).fail("JSON", f"other text ({error})") from error


def kind_of(path: Path) -> str:
    """What a file is by its first bytes: npz, hdf5, mat5, pickle, c3d, bvh, trc, json or text.

    Raises:
        DataError: if it cannot be read, is empty, or is packed.
    """
    with reading(path) as field, path.open("rb") as file:
        head = file.read(1024)
    if not head.strip():
        raise field.fail("content", "an empty file")
    packed = next((name for start, name in PACKED.items() if head.startswith(start)), None)
    if packed is not None:
        raise field.fail("a file that is not packed", f"{packed}; unpack it first")
    if head.startswith(b"MATLAB 5.0"):
        return "mat5"
    if head.startswith((b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3")):
        return "hdf5"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if len(head) >= 512 and head[1:2] == b"\x50" and 1 < head[0] < 32:
        return "c3d"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"HIERARCHY"):
        return "bvh"
    if text.startswith(b"PathFileType"):
        return "trc"
    if text[:1] in (b"{", b"["):
        return "json"
    if head[:1] == b"\x80" or head[:2] in (b"(d", b"(l", b"(i"):
        return "pickle"
    return "text"


def read_each(
    files: Sequence[Path], read: Callable[[int, Path], Read], strict: bool = False
) -> tuple[list[Read], dict[str, str]]:
    """Read files one by one. A bad one is left out as long as another is good.

    Args:
        files: to read.
        read: reads one, given its number among the files.
        strict: refuse a bad file.

    Returns:
        the results of the good files, and why each bad one was left out, by its path.

    Raises:
        DataError: of the first bad file, if no file is good or ``strict`` is set.
    """
    good, bad = list[Read](), dict[str, str]()
    first: DataError | None = None
    for number, path in enumerate(files):
        try:
            good.append(read(number, path))
        except DataError as error:
            first = first or error
            if strict:
                raise
            bad[str(path)] = str(error).removeprefix(f"{path}: ")
    if first is not None and not good:
        raise first
    return good, bad


def left_out(bad: Mapping[str, str], below: Path) -> str:
    """A sentence on the files that were left out, the first few with the reason.

    Args:
        bad: why each file was left out, by its path.
        below: folder from which they are named.
    """
    count = f"{len(bad)} file{'s' * (len(bad) != 1)} left out, which --strict refuses"
    first = [
        f"{Path(path).relative_to(below) if Path(path).is_relative_to(below) else path} ({reason[:160]})"
        for path, reason in list(bad.items())[:MOST_NAMED]
    ]
    more = f" and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
    remedy = (
        f"mend {'it' if len(bad) == 1 else 'them'}, or move {'it' if len(bad) == 1 else 'them'} elsewhere"
    )
    return f"{count}: {', '.join(first)}{more}; {remedy}"


def in_natural_order(paths: Sequence[Path]) -> list[Path]:
    """Sort by name with numbers in order of value: frame 10 comes after frame 9."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [
            (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,18})", path.name)
        ]

    return sorted(paths, key=key)
