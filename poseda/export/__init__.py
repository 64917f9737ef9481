"""Lifted poses as files. The file's ending chooses the format.

``npz``, ``json`` and ``csv`` hold all frames of all people, in the axes of the camera. Each other format
holds one person, in a world with y up and a floor.
"""

from poseda.export.movie import can_write_movie, check_movie
from poseda.export.overlay import planned_overlays, write_overlay
from poseda.export.page import poses_page
from poseda.export.poses import BoneLengths, LiftedPoses
from poseda.export.read import read_poses
from poseda.export.write import (
    SUFFIXES,
    bridged_frames,
    check_suffix,
    held_frames,
    planned_files,
    skipped_tracks,
    world_note,
    write_poses,
)

__all__ = [
    "SUFFIXES",
    "BoneLengths",
    "LiftedPoses",
    "bridged_frames",
    "can_write_movie",
    "check_movie",
    "check_suffix",
    "held_frames",
    "planned_files",
    "planned_overlays",
    "poses_page",
    "read_poses",
    "skipped_tracks",
    "world_note",
    "write_overlay",
    "write_poses",
]
