"""Skeletons, cameras, rotations and placements: the base of all other modules."""
