"""The options of `poseda adapt`, and their presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args

from poseda.config.limits import (
    Above,
    AtLeast,
    AtMost,
    Below,
    ConfigError,
    Distinct,
    Found,
    Odd,
    OneOrMore,
    People,
    PictureSize,
    Renamed,
    Share,
    check_fields,
    for_each,
    problem,
)
from poseda.config.sections import (
    AdversaryConfig,
    AlignmentConfig,
    DetectorConfig,
    GeneratorConfig,
    GeneratorTrainingConfig,
    HealthConfig,
    LifterTrainingConfig,
    NetworkConfig,
    PlacementConfig,
    TargetDataConfig,
    ViewsConfig,
    WideConfig,
)

Arm = Literal[
    "source_only",
    "gpa",
    "lpa",
    "gpa_lpa",
    "gpa_lpa_view",
    "random",
    "poseaug",
    "wide",
    "wide_target",
    "oracle",
]
Precision = Literal["auto", "tf32", "32-true", "bf16-mixed", "16-mixed"]
Preset = Literal["auto", "tiny", "demo", "default", "full"]
Compile = Literal["auto", "on", "off"]
Graphs = Literal["auto", "on", "off"]
VideoDetector = Literal["mediapipe", "rtmpose"]

ARMS: tuple[Arm, ...] = get_args(Arm)
RENAMED_ARMS: dict[str, Arm] = {"plus": "gpa_lpa_view"}
"""Arms under the names they had in 0.1.0, which commands, run folders and records may still hold."""

FieldOfView = Annotated[float, Above(0), Below(180)] | Literal["estimate"]
"""Degrees in the type of an option, or the wish for an estimate."""

Seed = Annotated[int, AtLeast(0)]
"""A seed in the type of an option."""

NamedArm = Annotated[Arm, Renamed(RENAMED_ARMS)]
"""An arm in the type of an option, which also takes the name that the arm had before."""

TABLE_ARMS: tuple[Arm, ...] = ("source_only", "gpa", "lpa", "gpa_lpa", "oracle")
"""The arms of the paper, for any lifter and any number of frames: the default of a configuration."""

LABELLED_ARMS: tuple[Arm, ...] = ("source_only", "gpa_lpa", "wide", "wide_target", "oracle")
"""What `poseda adapt` compares on labelled domains by default: the paper's method, and ours."""

FOOTAGE_ARMS: tuple[Arm, ...] = (*("source_only", "gpa", "gpa_lpa", "gpa_lpa_view", "wide", "wide_target"),)
"""What `poseda adapt` compares on footage by default."""

SINGLE_FRAME_ARMS: tuple[Arm, ...] = ("gpa_lpa_view", "wide", "wide_target")
"""Of these, what a run of lifters of several frames leaves out: the first aligns single frames, the lifter of
the others sees them."""

WIDE_ARMS: tuple[Arm, ...] = ("wide", "wide_target")
"""Arms whose lifter sees rays and masks, from views of everywhere. They are all that a run with the package's
own lifter trains by default."""


def arm_name(name: str) -> str:
    """The name of an arm today, whichever it is given by."""
    return RENAMED_ARMS.get(name, name)


PACKAGED = ("wide.lifter", "wide.width", "wide.blocks")
"""Options that the package's own lifter has decided."""

TEACHING = ("wide.rounds", "wide.target_steps", "wide.target_rate", "wide.target_share", "wide.weak_share")
"""Options of the arm wide_target alone."""


@dataclass(frozen=True)
class RunConfig:
    """The options of one run of `poseda adapt`, checked as a whole when they are built.

    Raises:
        ConfigError: if a value is out of range or two values do not fit; the message names them.
    """

    data: Annotated[Path | None, Found()] = None
    """Domain file (npz) to adapt on. Default: the embedded domains, which need no file."""
    target: Annotated[tuple[Annotated[Path, Found()], ...], OneOrMore(), Distinct(0)] = ()
    """Your own footage, instead of --data: 2D detections or videos, a file or folder for each camera. No
    labels are needed."""
    source: Annotated[Path | None, Found()] = None
    """Labelled 3D poses to learn from, beside --target. Default: the embedded source domain."""
    image_size: Annotated[tuple[Annotated[str, PictureSize()], ...], OneOrMore()] = ()
    """Size of the pictures of --target in pixels, as 1280x720, where its format does not give it. One for
    all its paths, or one each."""
    fov: Annotated[tuple[FieldOfView, ...], OneOrMore()] = ()
    """Horizontal field of view of the camera of --target, degrees. estimate: from people who stand in its
    view. One for all paths, or one each. Default: 55 across the longer side."""
    cameras: Annotated[Path | None, Found()] = None
    """JSON of the cameras of --source, where its format needs one."""
    intrinsics: Annotated[tuple[Annotated[Path, Found()], ...], OneOrMore()] = ()
    """JSON or TOML of the camera of --target: one file for each path, or one of all cameras. It takes
    precedence over --fov. With the cameras' rotations, they find the upward direction together."""
    camera_pitch: Annotated[
        tuple[Annotated[float, AtLeast(-90), AtMost(90, "degrees")], ...], OneOrMore()
    ] = ()
    """How far the camera of --target looks down, degrees, in place of what the wide arms find. One for all
    paths, or one each."""
    camera_roll: Annotated[
        tuple[Annotated[float, AtLeast(-180), AtMost(180, "degrees")], ...], OneOrMore()
    ] = ()
    """How far it is rolled beside --camera-pitch, degrees, clockwise as it looks. One for all paths, or one
    each. Default: 0."""
    layout: str | None = None
    """Order of the joints of --target, where its file does not give it."""
    video_detector: VideoDetector = "mediapipe"
    """2D detector that looks at the videos of --target. Its detections are kept beside --out."""
    video_model: Annotated[Path | None, Found()] = None
    """Pose landmarker (.task) for --video-detector mediapipe. Default: the model in its package."""
    weak_labels: Annotated[tuple[Annotated[Path, Found()], ...], OneOrMore(), Distinct(0)] = ()
    """3D poses of a few frames of --target that another model made. The arm wide_target learns from them.
    npz with pose_3d, joint_names and frame, or what `poseda lift` writes. With several paths, a file for
    each."""
    people: People = "all"
    """People of --target to adapt to: all, the largest of each clip, or the one with this number."""
    joints: tuple[str, ...] = ()
    """Our joints and what --target or --source calls them, where names do not tell: left_hip=LASI pelvis=0.
    Or a YAML or JSON file of such pairs, or of the names of all joints of --target in order."""
    strict: bool = False
    """Refuse a damaged file of a folder. Without it, the file is left out and named."""
    min_confidence: Annotated[float, Share(whole=True)] = 0.3
    """Confidence below which a detected joint of --target counts as unseen, 0 to 1."""
    stride: Annotated[int, Above(0)] = 1
    """Read every N-th frame of --source. 2 takes every second one."""
    arms: Annotated[tuple[NamedArm, ...], Distinct()] = TABLE_ARMS
    """Arms to compare: source_only, gpa, lpa, gpa_lpa (the method), gpa_lpa_view, wide, wide_target (ours),
    random, poseaug, oracle. Default of adapt: source_only, gpa_lpa, wide, wide_target, oracle. With several
    frames: source_only, gpa, lpa, gpa_lpa, oracle. With --target: wide and wide_target. With --source or
    --from-scratch beside it: source_only, gpa, gpa_lpa, gpa_lpa_view, wide, wide_target."""
    gate: Literal["report", "on", "off"] = "report"
    """Ask from 2D alone whether adapting can help. report: train all arms and recommend one.
    on: train the source model alone if the answer is no. off: do not ask."""
    lifter: str = "simple_baseline"
    """Lifter to adapt: simple_baseline, residual, semgcn, videopose3d, stgcn, mixste, dstformer, or one that
    you registered."""
    frames: Annotated[int, Above(0), Odd()] = 1
    """Frames that the lifter sees at once, odd. More than 1 needs source clips with their frames in order."""
    seeds: Annotated[tuple[Seed, ...], Distinct()] = (0,)
    """Seeds of the training. The table shows mean and standard deviation over them."""
    preset: Preset = "auto"
    """Where defaults come from: tiny (a minute), demo (three minutes), default (minutes for an arm) or full
    (hours, on a GPU minutes). auto: full on CUDA. On a CPU it is default, and demo between the embedded
    domains."""
    out: Path = Path("poseda-run")
    """Folder for results, report and checkpoints. It must be new or empty, unless --resume is given."""
    resume: bool = False
    """Continue the run in --out where it stopped. Arms and seeds may be added."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    precision: Precision = "auto"
    """Number format of the layers in training: tf32 (a GPU rounds the factors of matrix products to 10 bits)
    or one of Lightning Fabric's. Geometry always runs in float32. auto: tf32 on GPUs that have it, bf16-mixed
    on CPUs with instructions for it (AVX512-BF16, AMX), else 32-true. On CPUs, attention lifters and lifters
    of your own are trained in 32-true."""
    compile: Compile = "auto"
    """Train under torch.compile, which takes half a minute to start a phase: draws, lifter, losses, and a
    generator that no lifter steers. Dropout then draws other features. auto: on CUDA, in phases of at least
    5 000 steps, where steps are not replayed as graphs."""
    graphs: Graphs = "auto"
    """Replay training steps as CUDA graphs: on one CUDA device, not in 16-mixed. A lifter of your own must do
    the same at every step. auto: where that is so; a phase that cannot be captured says so and goes on
    without."""
    from_scratch: bool = False
    """With --target and no --source: train the arm wide from random weights. Otherwise it is the package's
    own lifter."""
    json: bool = False
    """Print the results as one JSON object on stdout. All other output goes to stderr."""
    domain_size: Annotated[float, Above(0)] = 1.0
    """Size of the embedded domains, relative to their default size. Files are read whole."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Size of the lifter."""
    training: LifterTrainingConfig = field(default_factory=LifterTrainingConfig)
    """How the lifter is trained."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    """What the augmentation generator may change."""
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    """Discriminators and what they compare with."""
    generator_training: GeneratorTrainingConfig = field(default_factory=GeneratorTrainingConfig)
    """How generator and discriminators are trained."""
    placement: PlacementConfig = field(default_factory=PlacementConfig)
    """Where augmented poses stand."""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    """How gpa_lpa_view estimates the target's camera tilt and body proportions."""
    wide: WideConfig = field(default_factory=WideConfig)
    """How the arm wide trains."""
    views: ViewsConfig = field(default_factory=ViewsConfig)
    """From where the arm wide sees source poses, and how it varies them."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """What the 2D detector of the arm wide does."""
    target_data: TargetDataConfig = field(default_factory=TargetDataConfig)
    """How the unlabelled target is degraded, for studies of its quality."""
    health: HealthConfig = field(default_factory=HealthConfig)
    """When a generator's training counts as collapsed, and how often it starts again."""
    logger: Literal["none", "tensorboard", "wandb"] = "none"
    """Also send the logged numbers to TensorBoard, in OUT/tensorboard, or to Weights & Biases."""
    log_every: Annotated[int, Above(0)] = 50
    """Steps between two lines of metrics.jsonl."""
    save_every: Annotated[int, Above(0)] = 500
    """Steps between two checkpoints, a multiple of --log-every."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.target and self.data is not None:
            both = f"expected <target> or <data>, got both {' '.join(map(str, self.target))} and {self.data}"
            raise ConfigError("target", both, "target", "data")
        for name in (
            "source",
            "image_size",
            "fov",
            "cameras",
            "intrinsics",
            "camera_pitch",
            "layout",
            "weak_labels",
        ):
            if not self.target and getattr(self, name) not in (None, ()):
                raise ConfigError(name, "expected <target> beside it, got none", "target")
        for name in ("image_size", "fov", "intrinsics", "camera_pitch", "camera_roll") if self.target else ():
            for_each(name, getattr(self, name), len(self.target))
        if self.camera_roll and not self.camera_pitch:
            raise ConfigError("camera_roll", "expected <camera_pitch> beside it, got none", "camera_pitch")
        if not self.target and self.people != "all":
            raise ConfigError("people", "expected <target> beside it, got none", "target")
        if self.weak_labels and self.gate == "on":
            unread = (
                "expected report or off with <weak_labels>, which a verdict from 2D alone may leave unread"
            )
            raise ConfigError("gate", f"{unread}, got on", "weak_labels")
        if "gpa_lpa_view" in self.arms and self.frames > 1:
            raise ConfigError(
                "frames",
                f"expected 1 with the arm gpa_lpa_view, which aligns single frames, got {self.frames}",
            )
        if "wide_target" in self.arms and self.frames > 1:
            raise ConfigError(
                "frames",
                f"expected 1 with the arm wide_target, which learns from single frames, got {self.frames}",
            )
        if self.wide.generated_share and self.packaged:
            raise ConfigError(
                "wide.generated_share",
                f"expected 0 for the package's lifter, which has no <source> to train a generator on, got "
                f"{self.wide.generated_share:g}",
                "source",
            )
        if self.from_scratch and (not self.target or self.source is not None):
            raise ConfigError(
                "from_scratch",
                "expected <target> without <source>, where it has an effect",
                "target",
                "source",
            )
        pool, batch = self.adversary.pool, self.generator_training.batch
        if pool < batch:
            wanted = f"expected at least <generator_training.batch> = {batch}, got {pool}"
            raise ConfigError("adversary.pool", wanted, "generator_training.batch")
        limit, bound = self.generator.scale_limit, self.generator.bone_scale
        if limit > bound:
            wanted = f"expected at most <generator.bone_scale> = {bound}, got {limit}"
            raise ConfigError("generator.scale_limit", wanted, "generator.bone_scale")
        if self.save_every % self.log_every:
            wanted = f"expected a multiple of <log_every> = {self.log_every}, got {self.save_every}"
            raise ConfigError("save_every", wanted, "log_every")

    @property
    def packaged(self) -> bool:
        """Whether the arm wide is the package's own lifter: footage without a source of its own."""
        own = bool(self.target) and self.source is None
        return own and not self.from_scratch and self.frames == 1


def check_weak_labels(config: RunConfig) -> None:
    """Check that a run with weak labels has the arm that learns from them.

    Raises:
        ConfigError: if not.
    """
    if "wide_target" not in config.arms:
        wanted = (
            f"expected wide_target among <arms>, which alone learns from them, got {' '.join(config.arms)}"
        )
        raise ConfigError("weak_labels", wanted, "arms")


FIELD_VIEWS: dict[str, float] = {
    "views.anatomical": 0.9,
    "views.hips": 0.45,
    "views.knees": 25.0,
    "views.lean": 0.5,
    "detector.cropped": 0.1,
    "detector.burst": 0.85,
}
"""What `poseda adapt` draws for footage by default: detectors mark other joints than motion capture does, and
miss joints that simulated 2D has. Rates of real detections stand in benchmarks/README.md."""


FIELD_TEACHING: dict[str, float] = {"wide.weight_reprojection": 1.0, "wide.weight_consistency": 0.3}
"""What wide_target learns of footage itself by default, beside the pairs. On simulated 2D, whose joints are
where poses say, it has nothing to gain by that (benchmarks/README.md)."""


FIELD: dict[str, float] = FIELD_VIEWS | FIELD_TEACHING
"""All that footage changes in the defaults of `poseda adapt`."""


PACKAGED_TEACHING: dict[str, float] = {"wide.rounds": 2, "wide.target_steps": 300}
"""How the package's own lifter learns a target by default: not for long, as it has seen more already, and so
that 10 000 frames take less than two minutes on two cores."""


def usual_arms(config: RunConfig) -> tuple[Arm, ...]:
    """The arms that `poseda adapt` compares where none are named."""
    if not config.target:
        return LABELLED_ARMS if config.frames == 1 else TABLE_ARMS
    if config.packaged:
        return WIDE_ARMS
    left_out = SINGLE_FRAME_ARMS if config.frames > 1 else ()
    return tuple(arm for arm in FOOTAGE_ARMS if arm not in left_out)


def preset(name: Preset) -> RunConfig:
    """The options of a preset; those of auto are those of default. `poseda adapt` resolves it by the device.

    Raises:
        ConfigError: if no preset has that name.
    """
    if name == "tiny":
        return RunConfig(
            preset="tiny",
            domain_size=0.05,
            network=NetworkConfig(width=32, blocks=1),
            training=LifterTrainingConfig(pretrain_steps=60, adapt_steps=60, batch=64, ema=0.9),
            generator=GeneratorConfig(width=32, blocks=1),
            adversary=AdversaryConfig(part_width=16, screen_width=16, pool=256),
            generator_training=GeneratorTrainingConfig(steps=40, batch=64),
            alignment=AlignmentConfig(steps=40, simulations=20, poses=50),
            wide=WideConfig(width=32, blocks=1, steps=60, batch=64, ema=0.9, target_steps=40),
            log_every=20,
            save_every=20,
        )
    if name == "demo":
        return RunConfig(
            preset="demo",
            training=LifterTrainingConfig(pretrain_steps=450, adapt_steps=450, ema=0.99),
            generator_training=GeneratorTrainingConfig(steps=550),
            alignment=AlignmentConfig(steps=400),
            wide=WideConfig(width=256, blocks=4, steps=1200, ema=0.995, target_steps=300),
        )
    if name == "full":
        return RunConfig(
            preset="full",
            network=NetworkConfig(width=1024),  # that of simple_baseline
            training=LifterTrainingConfig(pretrain_steps=20000, adapt_steps=20000, batch=1024, ema=0.999),
            generator_training=GeneratorTrainingConfig(steps=20000, batch=1024),
            alignment=AlignmentConfig(steps=10000),
            wide=WideConfig(width=768, steps=40000, batch=1024, ema=0.999, target_steps=8000),
            save_every=1000,
        )
    if name in ("auto", "default"):
        return RunConfig(preset=name)
    raise ConfigError("preset", problem(Preset, name) or "expected the name of a preset")
