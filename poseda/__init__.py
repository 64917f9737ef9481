"""poseda: adapt 2D-to-3D human pose lifters to footage for which no 3D labels exist."""

__version__ = "0.1.0"
