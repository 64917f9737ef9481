"""Lifted poses as files: ``npz``, ``json``, ``csv`` and ``bvh``. The file's ending chooses."""

from poseda.export.poses import LiftedPoses
from poseda.export.write import SUFFIXES, planned_files, skipped_tracks, write_poses

__all__ = ["SUFFIXES", "LiftedPoses", "planned_files", "skipped_tracks", "write_poses"]
