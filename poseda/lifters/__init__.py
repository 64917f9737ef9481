"""Lifters: modules that turn 2D poses into root-relative 3D poses.

A lifter is any ``nn.Module`` that maps ``(N, T, J, 2)`` screen coordinates (or 3 channels, with confidence)
to ``(N, T or 1, J, 3)`` metres with the root exactly at the origin.
"""

from poseda.lifters.registry import build, names, register_lifter
from poseda.lifters.simple_baseline import SimpleBaseline
from poseda.lifters.videopose3d import VideoPose3D

__all__ = ["SimpleBaseline", "VideoPose3D", "build", "names", "register_lifter"]
