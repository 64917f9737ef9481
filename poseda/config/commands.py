"""The options of the commands beside `poseda adapt`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from poseda.config.limits import (
    CAMERA,
    FASTEST,
    SLOWEST,
    Above,
    AtLeast,
    AtMost,
    Bare,
    ConfigError,
    Found,
    Gathered,
    Odd,
    OneOrMore,
    People,
    PictureSize,
    Share,
    check_fields,
    for_each,
)
from poseda.config.run import FieldOfView, NamedArm, Seed, VideoDetector
from poseda.config.streams import check_stream

SHORTEST, TALLEST = 0.3, 3.0
"""Metres, standing height of people; other numbers are in other units."""

FEWEST_JOINTS = 8
"""Seen joints from which a pose is lifted by the wide arms, teaches them, and tells the camera's tilt."""

RUN_FILE = "config.json"
"""The file that makes a folder a run folder."""

POSES = (".npz", ".json", ".csv", ".bvh", ".trc", ".c3d", ".mot", ".glb")
"""Endings of the files that `poseda lift` writes."""

MOVIES = (".mp4", ".gif")
"""Endings of the movies that it writes."""


@dataclass(frozen=True)
class FileConfig:
    """Options that every command has."""

    config: Path | None = None
    """Read options from this YAML file, as --print-config writes it. Options on the command line win.
    `adapt` also reads the config.json of a run, and other commands take from it what they share."""
    print_config: bool = False
    """Show the value of every option as YAML, which --config reads, and stop."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate every lifter of a run and write RUN/evaluation.json."""

    run: Annotated[Path, Found(holds=RUN_FILE)]
    """Folder that `poseda adapt` wrote."""
    data: Annotated[Path | None, Found()] = None
    """Domain file (npz) to evaluate on, or the files of --protocol. Default: the data of the run."""
    protocol: Literal["poseaug-3dhp-2929", "mpi-inf-3dhp-official", "3dpw-14"] | None = None
    """Published protocol: its joints, frames and counts, on the published files given with --data."""
    cameras: Annotated[Path | None, Found()] = None
    """JSON of MPI-INF-3DHP's test cameras, for protocols on that set."""
    split: Literal["target_test", "source_val"] = "target_test"
    """Labels to compare with."""
    json: bool = False
    """Print the content of evaluation.json on stdout. All other output goes to stderr."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.protocol is not None and self.data is None:
            files = f"expected <data> with the files of {self.protocol}, got none"
            raise ConfigError("protocol", files, "data")
        if self.protocol is None and self.cameras is not None:
            raise ConfigError("cameras", "expected <protocol> beside it, got none", "protocol")


@dataclass(frozen=True)
class InspectConfig:
    """Account for files of 2D detections: what is in them, how it is read, and what can be used."""

    files: tuple[Annotated[Path, Found()], ...]
    """Files or folders, as for --target of adapt."""
    image_size: Annotated[tuple[Annotated[str, PictureSize()], ...], OneOrMore()] = ()
    """Size of the pictures in pixels, as 1280x720, where the format does not give it. One for all files, or
    one each."""
    layout: str | None = None
    """Order of the joints, where the file does not give it."""
    joints: tuple[str, ...] = ()
    """Our joints and what the files call them, where names do not tell: left_hip=LASI pelvis=0. Or a YAML or
    JSON file of such pairs, or of the names of all joints in order."""
    strict: bool = False
    """Refuse a damaged file of a folder. Without it, the file is left out and named."""
    people: People = "all"
    """People to count: all, the largest of each clip, or the one with this number."""
    min_confidence: Annotated[float, Share(whole=True)] = 0.3
    """Confidence below which a detected joint counts as unseen, 0 to 1."""
    json: bool = False
    """Print the account as one JSON object on stdout; of several files, an object with one for each."""

    def __post_init__(self) -> None:
        check_fields(self)
        for_each("image_size", self.image_size, len(self.files), "files")


@dataclass(frozen=True)
class ViewConfig:
    """Open the report of a run, or a page that plays lifted poses."""

    path: Annotated[Path, Found()]
    """Folder that `poseda adapt` wrote, or an npz of `poseda lift`."""
    page: Path | None = None
    """HTML file to write for an npz. Default: a new file among the temporary ones."""
    browser: bool = True
    """Open the page in the browser. Without it, the page is written and named alone."""
    overwrite: bool = False
    """Replace a page that exists."""
    json: bool = False
    """Print the page's path as one JSON object."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class InfoConfig:
    """Show versions, instruction set, CUDA library and threads."""

    json: bool = False
    """Print them as one JSON object."""


def check_outputs(output: tuple[Path, ...]) -> None:
    """Refuse files of poses of an unknown kind, and the same file twice.

    Raises:
        ConfigError: naming the first.
    """
    for at, path in enumerate(output):
        if path.suffix not in POSES:
            raise ConfigError("output", f"expected a file ending in {', '.join(POSES)}, got {path}")
        if path in output[:at]:
            raise ConfigError("output", f"expected each file once, got {path} twice")


@dataclass(frozen=True)
class ExportConfig:
    """Write lifted poses in other formats, or a lifter of a run as an ONNX file."""

    path: Annotated[Path, Found()] | None = None
    """An npz of `poseda lift`, to be written in other formats as `poseda lift` would write it."""
    model: Annotated[Path, Found(holds=RUN_FILE)] | None = None
    """Folder that `poseda adapt` wrote, whose lifter becomes an ONNX file, for runtimes without torch."""
    output: Annotated[tuple[Path, ...], OneOrMore(), Gathered()] = ()
    """Of poses the files to write, as for `poseda lift`. Of a lifter one file ending in .onnx: arm wide reads
    rays and a mask, the others screen coordinates."""
    arm: NamedArm | None = None
    """Arm of the lifter. Default: the one that the run recommends, as for `poseda lift`."""
    seed: Seed | None = None
    """Seed of the lifter. Default: the first of the run."""
    overwrite: bool = False
    """Replace files that exist."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.output:
            raise ConfigError("output", "expected a file to write, got none")
        if self.path is not None:
            for name in ("model", "arm", "seed"):
                if (value := getattr(self, name)) is not None:
                    raise ConfigError(name, f"expected none beside <path> {self.path}, got {value}", "path")
            check_outputs(self.output)
            return
        if self.model is None:
            wanted = "expected an npz of `poseda lift`, or <model> with the folder of a run, got neither"
            raise ConfigError("path", wanted, "model")
        if len(self.output) > 1 or self.output[0].suffix != ".onnx":
            came = " ".join(map(str, self.output))
            raise ConfigError("output", f"expected a file ending in .onnx for <model>, got {came}", "model")
        if self.output[0].exists() and not self.overwrite:
            wanted = f"expected a new file, got {self.output[0]}, which exists; <overwrite> replaces it"
            raise ConfigError("output", wanted, "overwrite")


@dataclass(frozen=True)
class DoctorConfig:
    """Show versions, devices and extras, and test op and lifter."""

    json: bool = False
    """Print all as one JSON object."""


@dataclass(frozen=True)
class BenchConfig:
    """Time the fused op against its rivals."""

    device: str = "cpu"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    batches: tuple[Annotated[int, Above(0)], ...] = (1, 1024, 262_144)
    """Numbers of poses per call."""
    threads: tuple[Annotated[int, Above(0)], ...] = (1, 2)
    """Numbers of CPU threads. On CUDA the first alone is used."""
    quick: bool = False
    """Take short rounds and one compile mode."""
    pose_gradient: bool = False
    """Ask for the gradient of pose_3d too."""
    json: Annotated[Path | None, Bare("-")] = None
    """Record the results in this file. Without a file, they go to stdout and the table to stderr."""
    markdown: Annotated[Path | None, Found()] = None
    """Measure nothing, but print this record as Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class SmoothingConfig:
    """A filter over time, off by default. Gaps interrupt filters; kalman runs on for --max-gap frames."""

    filter: Literal["none", "savgol", "one_euro", "kalman"] = "none"
    """savgol: Savitzky-Golay, cubic, without delay, for files. one_euro and kalman: from past frames only.
    kalman weighs the lifter's errors, and joints that are not seen move on."""
    window: Annotated[int, AtLeast(5), Odd()] = 9
    """Frames in the window of savgol, odd and at least 5."""
    cutoff: Annotated[float, Above(0)] = 1.5
    """Cut-off frequency of one_euro for a joint at rest, hertz. Lower is smoother, with more delay."""
    beta: Annotated[float, AtLeast(0)] = 0.5
    """How fast the cut-off of one_euro rises with a joint's speed, hertz per metre per second."""


SETTINGS = {"window": "savgol", "cutoff": "one_euro", "beta": "one_euro"}
"""Settings of a filter, and the filter."""


@dataclass(frozen=True)
class LiftConfig:
    """Lift 2D detections with a lifter of a run, from files or line by line.

    Raises:
        ConfigError: if a value is out of range or two values do not fit; the message names them.
    """

    input: Annotated[Path, Found(dash=True)]
    """2D detections or videos, a file or folder, as for --target of adapt. With - one JSON object per line is
    read from stdin: {"keypoints": [[x, y, confidence], ...]} in pixels, "person" and "frame" optional. With
    camera:0 the largest person in each picture of a camera is lifted."""
    model: Annotated[Path, Found(holds=RUN_FILE)] | None = None
    """Folder that `poseda adapt` wrote. Default: the package's own lifter, which is made for every camera."""
    output: Annotated[tuple[Path, ...], OneOrMore(), Gathered()] = ()
    """Files to write, one of each kind: .npz, .json or .csv; .bvh, .trc, .mot or .c3d (one per person); .glb
    (one per clip). Of a stream one file of JSON lines, .jsonl, .ndjson or .json, or - for stdout, the
    default."""
    overlay: Path | None = None
    """Movie to write as well, .mp4 or .gif, one per clip: the skeleton on the picture and the people in 3D.
    Joints that were not detected are hollow. It needs poseda[overlay]."""
    video: Annotated[Path | None, Found()] = None
    """Video in whose pictures --overlay draws the skeleton, where --input holds its detections. Of several
    clips, a folder of videos with their names. Frames count from 0. Default: the videos of --input."""
    arm: NamedArm | None = None
    """Arm of the lifter. Default: the one that the run recommends. After --gate off, the first there is of
    wide_target, wide, gpa_lpa_view, gpa_lpa, gpa, lpa, random, poseaug, source_only; never the oracle."""
    seed: Seed | None = None
    """Seed of the lifter. Default: the first of the run."""
    image_size: Annotated[str, PictureSize()] | None = None
    """Size of the pictures in pixels, as 1280x720, where the format does not give it. Default: as in the
    run."""
    fov: FieldOfView | None = None
    """Horizontal field of view, degrees. estimate: from people who stand in view. The arm wide and --root
    need it. Default: as in the run."""
    intrinsics: Annotated[Path | None, Found()] = None
    """JSON or TOML of the camera. It takes precedence over --fov. Of a file of several cameras, the one that
    is named as the input. Default: as in the run, unless --fov is given."""
    layout: str | None = None
    """Order of the joints, where the file does not give it. Default: as in the run."""
    video_detector: VideoDetector | None = None
    """2D detector that looks at videos and cameras. Default: as in the run."""
    video_model: Annotated[Path | None, Found()] = None
    """Pose landmarker (.task) for --video-detector mediapipe. Default: as in the run."""
    people: People = "all"
    """People to lift: all, the largest of each clip, or the one with this number."""
    joints: tuple[str, ...] = ()
    """Our joints and what the input calls them, where names do not tell: left_hip=LASI pelvis=0. Or a YAML or
    JSON file of such pairs, or of the names of all joints in order. Default: as in the run."""
    strict: bool = False
    """Refuse a damaged file of a folder. Without it, the file is left out and named."""
    min_confidence: Annotated[float, Share(whole=True)] | None = None
    """Confidence below which a detected joint counts as unseen, 0 to 1. Default: as in the run."""
    max_gap: Annotated[int, AtLeast(0)] = 5
    """Most frames over which an unseen joint is filled in, linearly (from stdin: held). Frames that lack half
    the joints, or a joint for longer, are marked as not valid and hold NaN, null or nothing. Arm wide: most
    frames without a pose that the fit bridges by motion. So does --smooth.filter kalman, for every arm."""
    min_joints: Annotated[int, AtLeast(3)] = FEWEST_JOINTS
    """Arm wide: fewest seen joints of a frame that is lifted. The others stay gaps."""
    two_passes: bool = True
    """Arm wide: find the camera's tilt in the footage, then lift it again."""
    camera_pitch: Annotated[float, AtLeast(-90), AtMost(90, "degrees")] | None = None
    """How far the camera looks down, degrees, for the arm wide and for files of people on a floor. It takes
    precedence over the angle that is found."""
    camera_roll: Annotated[float, AtLeast(-180), AtMost(180, "degrees")] = 0.0
    """How far the camera is rolled beside --camera-pitch, degrees, clockwise as it looks."""
    moving_camera: bool = False
    """Arm wide, files: the camera pans or tilts. Its tilt is found second by second, with a smooth path
    between."""
    fit: bool = True
    """Arm wide, files: give each person of a clip bones of one length, and a smooth motion on the seen rays.
    The root, if asked for, is then that of the fit."""
    stature: Annotated[float, AtLeast(SHORTEST), AtMost(TALLEST, "metres")] | None = None
    """Arm wide, files: standing height of the people, metres, which sets the scale of the fit. Default: that
    of the people the lifter learned from."""
    root: Literal["none", "closed_form", "exact"] = "none"
    """Compute where the root stands, metres, camera frame. With --fit (arm wide, files) it is that of the
    fit, a smooth path. Otherwise each frame is placed alone, by GPA's closed form or exactly. There the
    lifted pose is as large as the detected one. That path trembles; --smooth.filter steadies it."""
    smooth: SmoothingConfig = field(default_factory=SmoothingConfig)
    """A filter over time."""
    rate: Annotated[float, AtLeast(SLOWEST), AtMost(FASTEST, "frames per second")] | None = None
    """Frames per second, for filters, motion files and movies. Default: as in the file, else 30."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    overwrite: bool = False
    """Replace files that exist."""
    verbose: bool = False
    """Print the whole account of what was read, not its first lines."""
    json: bool = False
    """Print a summary as one JSON object on stdout. With --input - it goes to stderr."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.output and not self.streams:
            raise ConfigError("output", "expected a file, as <input> is not a stream, got none", "input")
        if not self.streams:
            check_outputs(self.output)
        if self.overlay is not None and self.overlay.suffix not in MOVIES:
            raise ConfigError("overlay", f"expected a file ending in {', '.join(MOVIES)}, got {self.overlay}")
        if self.moving_camera and self.camera_pitch is not None:
            wanted = f"expected none with <moving_camera>, got {self.camera_pitch:g}"
            raise ConfigError("camera_pitch", wanted, "moving_camera")
        if self.moving_camera and not self.two_passes:
            raise ConfigError("two_passes", "expected true with <moving_camera>, got false", "moving_camera")
        self._check_idle()
        if self.streams:
            check_stream(self)

    def _check_idle(self) -> None:
        """Refuse options that others leave without effect."""
        if self.camera_roll != 0 and self.camera_pitch is None:
            wanted = f"expected <camera_pitch> beside it, got {self.camera_roll:g} alone"
            raise ConfigError("camera_roll", wanted, "camera_pitch")
        if self.video is not None and self.overlay is None:
            raise ConfigError("video", f"expected <overlay> beside it, got {self.video} alone", "overlay")
        if self.stature is not None and not self.fit:
            raise ConfigError(
                "stature", f"expected none without <fit>, which it scales, got {self.stature:g}", "fit"
            )
        for name, used_by in SETTINGS.items():
            value = getattr(self.smooth, name)
            if value != getattr(SmoothingConfig, name) and self.smooth.filter != used_by:
                wanted = f"expected <smooth.filter> {used_by} beside it, got {self.smooth.filter}"
                raise ConfigError(f"smooth.{name}", wanted, "smooth.filter")

    @property
    def streams(self) -> bool:
        """Whether poses come one by one, from stdin or a camera."""
        return Found(dash=True).is_stream(self.input)

    @property
    def camera(self) -> bool:
        """Whether they come from a camera."""
        return str(self.input).startswith(CAMERA)
