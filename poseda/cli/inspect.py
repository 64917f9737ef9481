"""`poseda inspect`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.cli.screen import complain, print_json, say
from poseda.config import InspectConfig
from poseda.config.limits import for_each

PROGRAM = Program(
    "poseda inspect",
    "Account for files of 2D detections: format, joints, people, pictures, and the rows that can be used. No "
    "model is needed.",
    (InspectConfig,),
    positional="files",
)


def run(arguments: list[str]) -> int:
    """Print an account of each file. This loads no torch."""
    config = read(PROGRAM, arguments, lambda given: given.build(InspectConfig))
    with _no_collection():
        sizes = for_each("image_size", config.image_size, len(config.files), "files")
        found = {
            str(path): _found(path, size, config) for path, size in zip(config.files, sizes, strict=True)
        }
    if config.json:
        print_json(found if len(found) > 1 else next(iter(found.values())))
    for path, content in found.items():
        if "error" in content:
            complain(content["error"])
        elif not config.json:
            say("\n".join([f"{path}:", *(f"  {line}" for line in content["lines"])]))
    return 2 if any("error" in content for content in found.values()) else 0


@contextmanager
def _no_collection() -> Iterator[None]:
    """Files make millions of small objects and no circles: looking for circles takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _found(path: Path, size: str | None, config: InspectConfig) -> dict[str, Any]:
    """The account of a file; a sentence on what else it is, or on why it is refused."""
    from poseda.config import picture_size
    from poseda.datasets.account import account_of
    from poseda.datasets.account_words import lines_of
    from poseda.datasets.detection_files import read_detections
    from poseda.datasets.errors import DataError
    from poseda.datasets.joint_map import JointMap
    from poseda.datasets.otherwise import what_else
    from poseda.datasets.people import choose_people

    try:
        joints = JointMap.of(config.joints or None)
        detections = read_detections(
            path,
            picture_size(size),
            layout=config.layout,
            joints=joints,
            strict=config.strict,
        )
        joints.check()
        account = account_of(choose_people(detections, config.people), min_confidence=config.min_confidence)
    except (DataError, OSError) as error:
        try:
            other = what_else(path)
        except DataError as misnamed:
            return {"error": str(misnamed)}
        if other is None:
            return {"error": str(error)}
        return {"what": other} if config.json else {"lines": [f"no detections: {other}"]}
    return account.as_json() if config.json else {"lines": list(lines_of(account))}
