"""Pickles read as data: the part of the format that arrays and plain containers need.

Python's own unpickler calls what the file names. This machine cannot call anything. It knows numpy's arrays,
dtypes and scalars by name and builds them itself. It knows lists, tuples, dicts, sets, text, bytes and
numbers, and refuses the rest. Text of Python 2 is read as latin-1, in which numpy's bytes survive.

The parts stand beside this file. ``pickle_machine`` holds the stack and bounds the memory. ``pickle_opcodes``
holds the operations, ``pickle_names`` the names that are admitted, and ``pickle_arrays`` what numpy writes.
"""

from __future__ import annotations

import struct
from typing import Any

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.pickle_machine import Dtype, Machine, RefusedError
from poseda.datasets.formats.pickle_opcodes import OPCODES, REFUSED_OPCODES

MAX_OPERATIONS = 5_000_000
"""Most operations of a pickle. Each builds at most one small object of its own."""


def unpickle(data: bytes, place: Field) -> Any:
    """Read a pickle that holds arrays and plain containers.

    Args:
        data: the pickle.
        place: where it is, for messages.

    Returns:
        lists, tuples, dicts, sets, text, bytes (bytearray, too), numbers and numpy arrays and scalars.

    Raises:
        DataError: if it holds anything else, by name, or is damaged.
    """
    try:
        return _run(Machine(data))
    except RefusedError as error:
        found = str(error)
    except (ValueError, TypeError, OverflowError, MemoryError, RecursionError, struct.error) as error:
        found = f"a damaged pickle ({error})"
    raise place.fail("a pickle of arrays and plain containers", " ".join(found.split())[:160])


def _run(machine: Machine) -> Any:
    for _ in range(MAX_OPERATIONS):
        opcode = machine.take(1)
        if opcode == b".":
            result = machine.pop()
            return result.value if isinstance(result, Dtype) else result
        if opcode in REFUSED_OPCODES:
            raise RefusedError(REFUSED_OPCODES[opcode])
        if opcode not in OPCODES:
            raise RefusedError(f"the unknown opcode {opcode!r}")
        OPCODES[opcode](machine)
    raise RefusedError(f"more than {MAX_OPERATIONS} operations")
