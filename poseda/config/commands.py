"""Options of the commands that use what a run has made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from poseda.config.checks import check_ranges, picture_size
from poseda.config.run import Arm


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate every lifter of a run and write RUN/evaluation.json."""

    run: Path
    """Folder that `poseda adapt` wrote."""
    data: Path | None = None
    """Domain file (npz) to evaluate on, or the files of --protocol. Default: the data of the run."""
    protocol: Literal["poseaug-3dhp-2929", "mpi-inf-3dhp-official", "3dpw-14"] | None = None
    """Published evaluation: its joints, frames and counts, on the published files given with --data."""
    cameras: Path | None = None
    """JSON of MPI-INF-3DHP's test cameras, for protocols on that set."""
    split: Literal["target_test", "source_val"] = "target_test"
    """Whose labels to compare with."""
    json: bool = False
    """Print what evaluation.json holds on stdout; all else goes to stderr."""

    def __post_init__(self) -> None:
        if self.protocol is not None and self.data is None:
            raise ValueError(f"protocol: expected --data with the files of {self.protocol}, got none")
        if self.protocol is None and self.cameras is not None:
            raise ValueError("cameras: expected --protocol beside it, got none")


@dataclass(frozen=True)
class InfoConfig:
    """Versions, instruction set, CUDA library, threads."""

    json: bool = False
    """Print them as one JSON object."""


@dataclass(frozen=True)
class SmoothingConfig:
    """A filter over time, off by default. Gaps divide what is filtered."""

    filter: Literal["none", "savgol", "one_euro"] = "none"
    """savgol: Savitzky-Golay, cubic, without delay, for files. one_euro: looks at the past only."""
    window: int = 9
    """Frames of savgol's window, odd and at least 5."""
    cutoff: float = 1.5
    """Cut-off of one_euro for a joint at rest, hertz: lower is smoother and later."""
    beta: float = 0.5
    """How fast one_euro's cut-off rises with a joint's speed, hertz for each metre a second."""


@dataclass(frozen=True)
class LiftConfig:
    """Lift 2D detections with a lifter of a run. Checked as a whole when it is built.

    Raises:
        ValueError: if a value is out of range or two values do not fit; the message names them.
    """

    model: Path
    """Folder that `poseda adapt` wrote."""
    input: Path
    """2D detections, a file or folder, as --target of adapt; or -, to read one JSON object a line from stdin:
    {"keypoints": [[x, y, confidence], ...]}, pixels, confidence optional; "person" and "frame" optional."""
    output: Path | None = None
    """File to write, by its ending: .npz, .json, .csv or .bvh (a file for each person). With --input -: JSON
    lines, default stdout."""
    arm: Arm | None = None
    """Whose lifter. Default: the one that the run's gate.json recommends; without that file the first it has
    of gpa_lpa, gpa, lpa, random, poseaug, source_only, never the oracle."""
    seed: int | None = None
    """Which seed's lifter. Default: the run's first."""
    image_size: str | None = None
    """Pictures in pixels, as 1280x720, where the format does not say. Default: as the run had it."""
    fov: float | Literal["estimate"] | None = None
    """Horizontal field of view, degrees, or estimate, from the people who stand in view. It matters for
    --root alone. Default: as the run had it."""
    intrinsics: Path | None = None
    """JSON of the camera; wins over --fov. Default: as the run had it, unless --fov is given."""
    layout: str | None = None
    """Order of the joints, where the file does not tell. Default: as the run had it."""
    min_confidence: float | None = None
    """Joints detected with less confidence count as unseen, 0 to 1. Default: as the run had it."""
    max_gap: int = 5
    """Most frames over which an unseen joint is filled in, linearly (from stdin: held). Frames of which half
    the joints are unseen, or one for longer, are left out: NaN, null or empty, and marked as not valid."""
    root: Literal["none", "closed_form", "exact"] = "none"
    """Where the root stands, metres, camera frame: the depth at which the lifted pose is as large on the
    screen as the detected one, by GPA's closed form or solved exactly."""
    smooth: SmoothingConfig = field(default_factory=SmoothingConfig)
    """A filter over time."""
    rate: float = 30.0
    """Frames a second, for filters and for BVH."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    overwrite: bool = False
    """Replace files that are there already."""
    json: bool = False
    """Print a summary as one JSON object on stdout; with --input - it goes to stderr."""

    def __post_init__(self) -> None:
        check_ranges(self)
        picture_size(self.image_size)
        if self.smooth.window < 5 or self.smooth.window % 2 == 0:
            raise ValueError(f"smooth.window: expected an odd number of at least 5, got {self.smooth.window}")
        if self.output is None and not self.streams:
            raise ValueError("output: expected a file for --input that is no stream, got none")
        if self.streams and self.smooth.filter == "savgol":
            raise ValueError("smooth.filter: expected one_euro or none for --input -, got savgol")
        if self.streams and self.fov == "estimate":
            raise ValueError("fov: expected degrees for --input -, got estimate, which needs a recording")

    @property
    def streams(self) -> bool:
        """Whether poses come line by line."""
        return str(self.input) == "-"
