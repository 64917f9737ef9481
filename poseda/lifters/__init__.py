"""Lifters: modules that compute root-relative 3D poses from 2D poses.

A lifter is any ``nn.Module`` that maps screen coordinates ``(N, T, J, 2)`` to metres ``(N, T or 1, J, 3)``.
The root is exactly at the origin. A third channel of the input may hold confidence. A lifter may have these
attributes:

- ``any_frames``: true if it also takes windows of other lengths, shorter ones at least;
- ``target_frame``: the frame of a window that its single pose belongs to (default: the middle one);
- ``sequence``: a method that lifts whole recordings (N, T, J, C) of any length to (N, T, J, 3).

**Sizes.** On a CPU ``poseda adapt`` takes small lifters, 0.06 to 1 million parameters. On a GPU and with
``--preset full`` it takes the sizes of their papers, as :func:`build` does. ``--network.width`` and
``--network.blocks`` choose others.

**Sequences.** ``poseda adapt --lifter mixste --frames 27`` trains on windows of consecutive source frames. A
window stays within its clip; at the ends of a clip its first or last frame is repeated. GPA places the middle
frame, and the others keep their displacement from it. The generator sees the middle frame, and its proposal
holds for the whole window. Single 2D poses of the target are enough. Source and footage should have about the
same frame rate; ``--stride`` thins the source. ``--lifter videopose3d --network.causal`` sees past frames
only.

**Your own lifter** in three steps:

1. Adapt the module itself: ``training.prepare(config, domains, lifter=module)``. Every seed begins with its
   weights. ``LifterTrainingConfig(pretrain_steps=0)`` keeps what it has learned from the source.
2. Load it: ``poseda.inference.AdaptedLifter.load(folder, lifter=module)``.
3. Or give it a name. In a program, ``@register_lifter("my_lifter")`` stands above a class or function that
   takes ``(skeleton, frames=1)``. For ``poseda adapt --lifter my_lifter`` its package must have the entry
   point ``my_lifter = "module:Class"`` in the group ``poseda.lifters``.

**How to add a lifter** to this package:

1. Write ``poseda/lifters/NAME.py``: a class below ``registry.Lifter`` with ``@register_lifter("name")``. Its
   defaults are the size of its paper, which its first line names.
2. Import the class here and list it in ``__all__``.
3. Give it an entry in ``_OPTIONS`` and in ``SMALL`` of ``sizes.py``: which of its options follow from
   ``--network``, and a size that a CPU trains in minutes.
4. Name it in the help of ``--lifter`` in ``poseda/config/run.py``.
5. Add it to the tables of ``tests/lifters/test_lifters.py`` and ``test_onnx.py``, and test a number of its
   paper. ``benchmarks/step`` and ``benchmarks/mocap/lifters.py`` name the lifters that they measure.

:class:`FlipAverage` adds the test-time flip, :func:`lift_clip` lifts a recording, and :func:`export_onnx`
writes a file with free batch size (needs ``poseda[onnx]``).
"""

from poseda.lifters.dstformer import DSTformer
from poseda.lifters.flip import FlipAverage, mirror
from poseda.lifters.mixste import MixSTE
from poseda.lifters.onnx import export_onnx, export_wide_onnx
from poseda.lifters.registry import build, names, options, register_lifter
from poseda.lifters.residual import Residual
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
    "Residual",
    "SemGCN",
    "SimpleBaseline",
    "VideoPose3D",
    "build",
    "export_onnx",
    "export_wide_onnx",
    "lift_batch",
    "lift_clip",
    "lift_clips",
    "mirror",
    "names",
    "options",
    "register_lifter",
    "sliding_windows",
]
