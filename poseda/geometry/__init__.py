"""Skeletons, cameras, rotations and places: the floor that all else stands on."""
