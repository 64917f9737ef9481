"""A run's lifter at work: on recordings (:mod:`poseda.inference.footage`) and line by line
(:mod:`poseda.inference.stream`)."""

from poseda.inference.estimates import height_lines
from poseda.inference.footage import guessed_frames, lift_footage, why_not_lifted
from poseda.inference.model import AdaptedLifter, LiftOptions
from poseda.inference.serving import StreamSummary, serve
from poseda.inference.stream import LineLifter
from poseda.inference.wide import lift_wide

__all__ = [
    "AdaptedLifter",
    "LiftOptions",
    "LineLifter",
    "StreamSummary",
    "guessed_frames",
    "height_lines",
    "lift_footage",
    "lift_wide",
    "serve",
    "why_not_lifted",
]
