"""C3D: markers of motion capture systems, read by the library of that name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from poseda.config.limits import FASTEST, SLOWEST
from poseda.datasets.errors import DataError
from poseda.datasets.formats import limits
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import reading
from poseda.datasets.formats.motion import Motion


def read_c3d(path: Path) -> Motion:
    """The markers of a C3D file, by their labels; needs the extra ``c3d``.

    ``POINT:UNITS`` names the unit. ``POINT:Y_SCREEN`` may name the axis that is up; by custom it is z.

    Raises:
        DataError: if the library is not installed, or the file is damaged.
    """
    file = Field(path)
    try:
        import c3d
    except ImportError as error:
        raise file.fail("the library c3d to read C3D files (pip install poseda[c3d])", "none") from error
    with reading(path), path.open("rb") as content:
        size = path.stat().st_size
        if size > limits.MAX_TEXT:
            raise file.fail(f"at most {limits.MAX_TEXT} bytes", f"{size} bytes")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library warns where it repairs; what is read is checked
                return _motion(file, c3d.Reader(content), size)
        except DataError:
            raise
        except Exception as error:  # the library checks nothing, so damage raises whatever Python raises
            raise file.fail("a C3D file", f"a damaged one ({str(error)[:60]})") from error


def _motion(file: Field, content: Any, size: int) -> Motion:
    labels = [label.strip() for label in content.point_labels]
    frames, markers = int(content.last_frame) - int(content.first_frame) + 1, int(content.point_used)
    bytes_a_frame = 8 * markers + 2 * int(content.analog_used) * int(content.analog_per_frame)
    if frames < 1 or markers < 1 or frames * bytes_a_frame > size:
        raise file.at("POINT").fail("frames of markers that the file can hold", f"{frames} of {markers}")
    names = [label or f"marker {at}" for at, label in enumerate(labels[:markers])]
    place = np.full((frames, markers, 3), np.nan)
    read = 0
    for read, (_, points, _) in enumerate(content.read_frames(), 1):
        seen = (points[:, 3] >= 0) & np.isfinite(points[:, :3]).all(1) & points[:, :3].any(1)
        place[read - 1, seen] = points[seen, :3]
    if not read or len(names) != markers or not (np.nan_to_num(np.abs(place)) < 1e9).all():
        raise file.at("POINT").fail("finite frames and a label for each marker", f"{read} and {len(names)}")
    told = f"the header names {frames} frames, the file holds {read}"
    rate = float(content.point_rate)
    up = _up(content)
    return Motion(
        "C3D",
        names,
        place[:read],
        rate=rate if SLOWEST <= rate <= FASTEST else None,
        unit=_text(content, "POINT:UNITS").lower(),
        up=up or "+z",
        up_told_by="POINT:Y_SCREEN" if up else "the format's custom",
        warnings=(told,) if read < frames else (),
    )


def _up(content: Any) -> str:
    """The axis that is up on the screen, as +Z, or empty."""
    axis = _text(content, "POINT:Y_SCREEN").lower()
    return axis if axis in {f"{sign}{name}" for sign in "+-" for name in "xyz"} else ""


def _text(content: Any, name: str) -> str:
    found = content.get(name)
    return "" if found is None else str(found.string_value).strip("\0 ")
