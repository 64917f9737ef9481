"""SLEAP's analysis h5 (optional: h5py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseda.datasets.formats.field import Field
from poseda.datasets.formats.hdf5 import open_hdf5, read_dataset
from poseda.datasets.formats.sightings import Sightings
from poseda.datasets.joint_names import layout_of_names
from poseda.datasets.layouts import Layout


def is_sleap(path: Path) -> bool:
    """Whether an HDF5 file has SLEAP's tracks or is a project of SLEAP."""
    with open_hdf5(path, "an HDF5 file") as content:
        return {"tracks", "node_names"} <= set(content) or {"frames", "instances", "metadata"} <= set(content)


def read_sleap(path: Path, layout: Layout | None) -> Sightings:
    """``tracks`` (people, 2, joints, frames) in pixels, or the same turned round, with ``node_names``.

    Raises:
        DataError: if the file is a project of SLEAP, or damaged.
    """
    file = Field(path)
    with open_hdf5(path, "SLEAP's analysis h5") as content:
        if "tracks" not in content or "node_names" not in content:
            raise file.fail(
                "SLEAP's analysis h5 (in SLEAP: File, Export Analysis HDF5)", "a project of SLEAP"
            )
        names = [
            one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
            for one in read_dataset(file.at("node_names", content["node_names"])).ravel().tolist()
        ]
        tracks = read_dataset(file.at("tracks", content["tracks"]))
        scores = (
            read_dataset(file.at("point_scores", content["point_scores"]))
            if "point_scores" in content
            else None
        )
    points = _points(file, tracks, scores, len(names))
    found = Sightings(path, "SLEAP analysis h5")
    try:
        found.layout = layout or layout_of_names(names)
    except ValueError as error:
        raise file.at("node_names").fail("each joint once", error) from error
    found.layout_told_by = "names" if layout is None else "flag"
    for person, rows in enumerate(points):
        seen = np.isfinite(rows[..., :2]).all(-1).any(-1)
        for frame in np.flatnonzero(seen).tolist():
            found.add(rows[frame], file.at(f"tracks[{person}]"), frame, person)
    return found


def _points(file: Field, tracks: np.ndarray, scores: Any, joints: int) -> np.ndarray:
    """(people, frames, joints, 3) of x, y, confidence."""
    if tracks.ndim != 4 or tracks.dtype.kind not in "fiu":
        raise file.at("tracks").fail("numbers of shape (people, 2, joints, frames)", f"shape {tracks.shape}")
    if tracks.shape[1] == 2 and tracks.shape[2] == joints:
        place = tracks.transpose(0, 3, 2, 1)
    elif tracks.shape[1] == joints and tracks.shape[2] == 2:
        place = tracks.transpose(3, 0, 1, 2)
    else:
        raise file.at("tracks").fail(f"2 coordinates of {joints} joints", f"shape {tracks.shape}")
    confidence = np.ones(place.shape[:3])
    if scores is not None:
        turned = scores.transpose(0, 2, 1) if scores.ndim == 3 and scores.shape[1] == joints else scores
        turned = scores.transpose(2, 0, 1) if turned.shape != place.shape[:3] and scores.ndim == 3 else turned
        if turned.shape != place.shape[:3] or turned.dtype.kind not in "fiu":
            raise file.at("point_scores").fail(
                f"a number for each of {place.shape[:3]}", f"shape {scores.shape}"
            )
        confidence = turned.astype(np.float64)
    # Labels by hand have no score.
    confidence = np.where(np.isfinite(confidence), confidence, 1.0)
    return np.concatenate([place.astype(np.float64), confidence[..., None]], -1)
