"""A value in a file that knows where it is, so that every refusal names file and field in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.errors import DataError

Shape = Sequence[int | str | tuple[int, ...]]
"""A shape to expect: a letter stands for any length, a tuple for one of several."""


@dataclass(slots=True)  # not frozen: files of a million poses make millions of these
class Field:
    """A cursor on a value of a file.

    Args:
        path: of the file.
        where: the way to the value, such as ``people[2].pose``; empty for the whole file.
        value: the content, or None where there is no such entry.
    """

    path: Path
    where: str = ""
    value: Any = None

    def at(self, where: str, value: Any = None) -> Field:
        """Another place of the same file."""
        return Field(self.path, where, value)

    def holding(self, value: Any) -> Field:
        """The same place with another value."""
        return Field(self.path, self.where, value)

    __iter__ = None  # or Python would look for the entries 0, 1, 2 … of an object without end

    def __getitem__(self, name: str) -> Field:
        """An entry of an object; its value is None where the object has no such entry.

        Raises:
            DataError: if the value is not an object.
        """
        return self.get(name)

    def get(self, name: str, default: Any = None) -> Field:
        """An entry of an object, or a default where it has none.

        Raises:
            DataError: if the value is not an object.
        """
        value = self.record().get(name, default)
        return Field(self.path, f"{self.where}.{name}" if self.where else name, value)

    def __contains__(self, name: str) -> bool:
        return isinstance(self.value, dict) and name in self.value

    def fail(self, expected: str, found: object = None) -> DataError:
        """The error to raise; its message is one sentence.

        Args:
            expected: what the reader needs here.
            found: the content in its place. Default: the kind of the value.
        """
        found = kind(self.value) if found is None else found
        return DataError(f"{self.path}: {self.where or 'file'}: expected {expected}, found {found}")

    # ------------------------------------------------------------------------------------------- containers

    def record(self) -> dict[str, Any]:
        """The entries of an object as they are.

        Raises:
            DataError: if the value is not an object.
        """
        if not isinstance(self.value, dict):
            raise self.fail("an object")
        return self.value

    def elements(self, expected: str = "a list") -> list[Field]:
        """The elements of a list.

        Raises:
            DataError: if the value is not a list; the message says ``expected``.
        """
        if not isinstance(self.value, list):
            raise self.fail(expected)
        path, where = self.path, self.where
        return [Field(path, f"{where}[{index}]", value) for index, value in enumerate(self.value)]

    def entries(self, expected: str = "an object") -> list[tuple[Any, Field]]:
        """Key and value of each entry, for objects with data as keys.

        Raises:
            DataError: if the value is not an object; the message says ``expected``.
        """
        if not isinstance(self.value, dict):
            raise self.fail(expected)
        return [(key, self.at(f"{self.where}[{key}]", value)) for key, value in self.value.items()]

    # ----------------------------------------------------------------------------------------------- values

    def numbers(self, shape: Shape) -> np.ndarray:
        """A float64 array from nested lists; ``null`` becomes NaN.

        Raises:
            DataError: if the value is not a table of numbers of this shape.
        """
        expected = f"numbers of shape {_shown(shape)}"
        if not isinstance(self.value, list):
            raise self.fail(expected)
        try:
            found = np.asarray(self.value)
            # numpy would read numbers out of text, and 1 out of true.
            odd = found.dtype.kind in "bUS" and found.size > 0
            if odd or (found.dtype.kind == "O" and any(isinstance(v, str | bool) for v in found.flat)):
                raise TypeError("text or booleans")
            array = found.astype(np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            uneven = "inhomogeneous" in str(error)  # numpy's word for a table with rows of several lengths
            found_words = "lists of several lengths" if uneven else f"other values ({str(error)[:60]})"
            raise self.fail(expected, found_words) from error
        if not fits(shape, array.shape):
            raise self.fail(expected, f"shape {array.shape}")
        return array

    def array(self, shape: Shape, finite: bool = True) -> np.ndarray:
        """A float64 array from a numpy array of numbers.

        Raises:
            DataError: if the value is not an array of this shape, or not finite where it must be.
        """
        array = self.value
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or not fits(shape, array.shape):
            raise self.fail(f"numbers of shape {_shown(shape)}")
        if finite and not np.isfinite(array).all():
            raise self.fail("finite numbers", "NaN or Inf")
        return array.astype(np.float64)

    def whole(self) -> int:
        """An integer of at most 62 bits.

        Raises:
            DataError: if the value is not one.
        """
        value = self.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 62:
            shown = isinstance(value, int | float | str) and not isinstance(value, bool)
            raise self.fail("an integer", str(value)[:40] if shown else None)
        return value

    def number(self) -> float:
        """A finite number.

        Raises:
            DataError: if the value is not one.
        """
        value = self.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                if isfinite(number := float(value)):
                    return number
            except OverflowError:  # an integer beyond any float
                pass
        raise self.fail("a finite number", str(value)[:40] if isinstance(value, int | float) else None)

    def name(self) -> str | int:
        """A text or an integer that names something.

        Raises:
            DataError: if the value is neither.
        """
        if not isinstance(self.value, str | int) or isinstance(self.value, bool):
            raise self.fail("an integer or a name")
        return self.value


def fits(shape: Shape, found: tuple[int, ...]) -> bool:
    """Whether a shape is as expected."""
    return len(shape) == len(found) and all(
        isinstance(wanted, str) or length in (wanted if isinstance(wanted, tuple) else (wanted,))
        for wanted, length in zip(shape, found, strict=True)
    )


def _shown(shape: Shape) -> str:
    words = [" or ".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in shape]
    return f"({', '.join(words)})"


def kind(value: object) -> str:
    """What kind of value it is, in words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    for kinds, words in _KINDS:
        if isinstance(value, kinds):
            return words
    return type(value).__name__


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "nothing"),
    (bool, "true or false"),
    (int, "an integer"),
    (float, "a number"),
    (str, "text"),
    ((list, tuple), "a list"),
    (dict, "an object"),
)
