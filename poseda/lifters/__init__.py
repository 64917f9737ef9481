"""Lifters: modules that turn 2D poses into root-relative 3D poses.

A lifter is any ``nn.Module`` that maps ``(N, T, J, 2)`` screen coordinates (or 3 channels, with confidence)
to ``(N, T or 1, J, 3)`` metres with the root exactly at the origin. It may have these attributes:

- ``any_frames``: true if it also takes windows of other lengths, shorter ones at least;
- ``target_frame``: the frame of a window that its single pose belongs to (default: the middle one);
- ``sequence``: a method that lifts whole recordings (N, T, J, C) of any length to (N, T, J, 3).
"""

from poseda.lifters.dstformer import DSTformer
from poseda.lifters.flip import FlipAverage, mirror
from poseda.lifters.mixste import MixSTE
from poseda.lifters.onnx import export_onnx
from poseda.lifters.registry import build, names, options, register_lifter
from poseda.lifters.semgcn import SemGCN
from poseda.lifters.simple_baseline import SimpleBaseline
from poseda.lifters.stgcn import STGCN
from poseda.lifters.videopose3d import VideoPose3D
from poseda.lifters.windows import ClipWindows, lift_batch, lift_clip, lift_clips, sliding_windows

__all__ = [
    "STGCN",
    "ClipWindows",
    "DSTformer",
    "FlipAverage",
    "MixSTE",
    "SemGCN",
    "SimpleBaseline",
    "VideoPose3D",
    "build",
    "export_onnx",
    "lift_batch",
    "lift_clip",
    "lift_clips",
    "mirror",
    "names",
    "options",
    "register_lifter",
    "sliding_windows",
]
