"""Every option, once: command line flags, help texts, defaults and saved runs derive from these records.

The sentence under each field is its help text. Lengths are in metres, angles in radians unless it says
otherwise.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Arm = Literal["source_only", "gpa", "lpa", "gpa_lpa", "plus", "random", "poseaug", "oracle"]
Preset = Literal["tiny", "default", "full"]
Pair = Literal["p0", "p1", "p2", "dev"]
Loss = Literal["distance", "squared", "absolute"]
Compile = Literal["auto", "on", "off"]

ARMS: tuple[Arm, ...] = get_args(Arm)
PAIRS: tuple[Pair, ...] = get_args(Pair)
TABLE_ARMS: tuple[Arm, ...] = ("source_only", "gpa", "lpa", "gpa_lpa", "oracle")


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the lifter. Lifters registered by others bring their own and ignore these."""

    width: int = 256
    """Features in each hidden layer."""
    blocks: int = 2
    """Residual blocks of simple_baseline."""
    dropout: float = 0.1
    """Share of hidden features dropped in training, 0 to 1."""
    causal: bool = False
    """Let videopose3d look at past frames only, as streams need: its pose is of a window's last frame."""


@dataclass(frozen=True)
class LifterTrainingConfig:
    """How a lifter is trained: on source first, then on the arm's pairs, with as many steps for every arm."""

    pretrain_steps: int = 1500
    """Steps on source poses, shared by all arms of a seed. 0: the lifter brings weights that learned them."""
    adapt_steps: int = 1500
    """Steps on the arm's own pairs."""
    batch: int = 512
    """Poses a step, or windows of frames."""
    learning_rate: float = 1e-3
    """Peak of Adam's step size; a warm-up leads to it and a cosine down to zero."""
    warmup: float = 0.05
    """Share of the steps in which the step size rises, 0 to 1."""
    weight_decay: float = 1e-4
    """Decoupled weight decay of AdamW, per unit of step size."""
    clip: float = 1.0
    """Largest gradient norm; longer gradients are shortened."""
    ema: float = 0.995
    """Decay a step of the averaged weights, which are the result; 0 keeps the last weights."""
    flip: bool = True
    """Mirror half of the training pairs, and average with the mirrored prediction when testing."""
    bone_jitter: float = 0.15
    """Standard deviation, on each axis, of random turns added to a generator's for each bone, radians."""
    body_jitter: float = 0.2
    """The same for the whole body: a generator barely varies what 2D barely shows."""
    source_share: float = 0.5
    """Share of adaptation poses whose posture is left as captured, in arms that change postures, 0 to 1."""
    loss: Loss = "distance"
    """What is minimised, a mean over joints: distance, its square, or absolute differences along the axes."""
    noise_2d: float = 0.0
    """Standard deviation of noise added to training 2D, half screen widths (0.002: a pixel of 1 000)."""


@dataclass(frozen=True)
class GeneratorConfig:
    """What the augmentation generator may propose, and how large it is."""

    width: int = 256
    """Features in each hidden layer."""
    blocks: int = 2
    """Residual blocks of the trunk."""
    bone_angle: float = 1.57
    """Largest turn of one bone, radians."""
    bone_scale: float = 0.2
    """Largest relative change of a bone's length."""
    body_angle: float = 0.5
    """Largest turn of the whole body, radians."""
    angle_mean: float = 0.205
    """Middle of the wanted band of a bone's turn, as 1 - cos of the angle."""
    angle_width: float = 0.165
    """Half width of that band, as 1 - cos of the angle."""
    scale_limit: float = 0.03
    """Relative length change beyond which the generator is penalised."""
    propagate: bool = False
    """Let a bone's turn carry along all that hangs from it, instead of turning each bone alone."""


@dataclass(frozen=True)
class AdversaryConfig:
    """The discriminators, and what they compare a fake with. The paper did not publish these: our choice."""

    anchor: Literal["both", "source_3d", "target_2d", "none"] = "both"
    """Which anchors judge: source 3D poses, target 2D poses, both or none."""
    pairing: Literal["paired", "unpaired"] = "unpaired"
    """Compare each fake with its own anchor (relativistic), or with shuffled ones (LSGAN)."""
    feedback: Literal["none", "hard_ratio"] = "none"
    """Let the lifter's error steer the generator, as PoseAug does."""
    part_width: int = 64
    """Features in each hidden layer of the 3D discriminator, per body part."""
    screen_width: int = 128
    """Features in each hidden layer of the 2D discriminator."""
    layers: int = 3
    """Hidden layers of each discriminator."""
    pool: int = 4096
    """Past fakes kept with their anchors, at least one batch."""


@dataclass(frozen=True)
class GeneratorTrainingConfig:
    """How generator and discriminators are trained against each other."""

    steps: int = 3000
    """Generator steps."""
    batch: int = 512
    """Poses a step."""
    learning_rate: float = 1e-3
    """Adam's step size of the generator."""
    discriminator_rate: float = 1e-3
    """Adam's step size of the discriminators."""
    discriminator_every: int = 2
    """Generator steps for each discriminator step."""
    clip: float = 1.0
    """Largest gradient norm; longer gradients are shortened."""
    weight_2d: float = 3.0
    """Weight of the 2D discriminator's verdict."""
    weight_3d: float = 0.3
    """Weight of the 3D discriminator's verdict."""
    weight_range: float = 3.0
    """Weight of the bone turns' wanted band."""
    weight_scale: float = 10.0
    """Weight of the length changes' soft limit."""
    weight_body: float = 1.0
    """Weight of the body's squared turn, which 2D can judge only in part: it keeps bodies near upright."""
    weight_feedback: float = 0.1
    """Weight of the lifter's feedback, if there is any."""
    hard_ratio: float = 1.2
    """Wanted error on augmented poses over the error on source poses."""


@dataclass(frozen=True)
class HealthConfig:
    """When the training of a generator counts as collapsed. It is then started anew with another seed."""

    windows: int = 5
    """Log lines in a row with the same fault that make a collapse; 0 never looks for one."""
    discriminator_loss: float = 0.02
    """A discriminator with a smaller loss tells every fake: the generator cannot learn from it."""
    bone_spread: float = 0.01
    """A generator whose bone turns vary less over a batch does the same to every pose, radians."""
    valid_share: float = 0.1
    """A generator with a smaller share of valid poses makes what no camera sees, 0 to 1."""
    restarts: int = 3
    """New starts of a phase, each from its last healthy checkpoint or its beginning, before the run stops."""


@dataclass(frozen=True)
class PlacementConfig:
    """Where augmented poses stand."""

    placement: Literal["gpa", "source", "learned"] = "gpa"
    """Root of the generator's poses: a target pose's place, the source's own, or the generator's proposal."""
    gpa: Literal["closed_form", "exact"] = "closed_form"
    """Depth from the paper's closed form, or solved exactly."""


@dataclass(frozen=True)
class AlignmentConfig:
    """How the arm `plus` reads tilt and build of the target off its 2D poses. Ours, beyond the paper."""

    postures: Literal["generated", "random", "captured"] = "generated"
    """What the aligned source's postures undergo: as in gpa_lpa, random or gpa."""
    steps: int = 1000
    """Steps of the scout, a lifter that has seen every tilt and build."""
    pitch: float = 0.45
    """Largest pitch of a target camera up or down, radians."""
    roll: float = 0.14
    """Largest roll of a target camera, radians."""
    build: float = 0.15
    """Largest relative difference of a bone's length between the people of source and target."""
    simulations: int = 150
    """Simulated targets for each view."""
    poses: int = 400
    """Poses of a simulated target."""
    min_poses: int = 50
    """Fewest target poses of a view of its own; smaller ones are taken together."""
    max_views: int = 32
    """Most views; a target with more different lenses counts as one view."""


@dataclass(frozen=True)
class TargetDataConfig:
    """What is made worse of the unlabelled target before it is adapted to; test data stay as they are."""

    size: int = 0
    """Poses of the target to adapt to, drawn at random. Default: 0, all there are."""
    noise: float = 0.0
    """Standard deviation of noise added to the target's 2D, half screen widths (0.002: a pixel of 1 000)."""
    focal_error: float = 0.0
    """Relative error of the target's focal length, above -1: 0.1 takes a lens for 10 % longer than it is."""


@dataclass(frozen=True)
class RunConfig:
    """One resolved run: what `poseda adapt` was asked for. Checked as a whole when it is built.

    Raises:
        ValueError: if a value is out of range or two values do not fit; the message names them.
    """

    data: Path | None = None
    """Domain file (npz) to adapt on. Default: the embedded domains, which need no file."""
    target: Path | None = None
    """Your own footage instead of --data: 2D detections without labels. Arms: source_only, gpa, gpa_lpa."""
    source: Path | None = None
    """Labelled poses to go with --target. Default: the embedded studio."""
    image_size: str | None = None
    """Pictures of --target in pixels, as 1280x720, where its format does not say."""
    fov: float | Literal["estimate"] | None = None
    """Horizontal field of view of the camera of --target, degrees, or estimate, from the people who stand in
    its view. Default: 55 across the longer side."""
    cameras: Path | None = None
    """JSON of the cameras of --source, where its format needs one."""
    intrinsics: Path | None = None
    """JSON of the camera of --target; wins over --fov."""
    layout: str | None = None
    """Order of the joints of --target, where its file does not tell."""
    min_confidence: float = 0.3
    """Joints of --target detected with less confidence count as unseen, 0 to 1."""
    stride: int = 1
    """Take every so manieth frame of --source."""
    arms: tuple[Arm, ...] = TABLE_ARMS
    """What to compare: source_only, gpa, lpa, gpa_lpa (the method), plus (ours), random, poseaug,
    oracle."""
    gate: Literal["report", "on", "off"] = "report"
    """Whether 2D alone says that adapting can help. report: train what was asked for and recommend an arm;
    on: train the source model alone where the gate says to keep it; off: do not ask."""
    lifter: str = "simple_baseline"
    """Lifter to adapt, by the name under which poseda.lifters builds it."""
    frames: int = 1
    """Frames the lifter sees at once, odd. Default: 1; more need source clips with their frames in order."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the training; the table shows mean and standard deviation over them."""
    preset: Preset = "default"
    """Where the defaults below come from: tiny (seconds, to try it out), default (minutes), full (hours)."""
    out: Path = Path("poseda-run")
    """Folder for results, plots and checkpoints. Must be new or empty unless the run is resumed."""
    resume: bool = False
    """Continue the run in --out where it stopped; arms and seeds may be added to it."""
    device: str = "auto"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Number format of the lifter's layers, as Lightning Fabric names it. Geometry always runs in float32."""
    compile: Compile = "auto"
    """Whether the lifter trains under torch.compile, which takes half a minute to start. auto: on CUDA in
    phases of at least 5 000 steps, never on a CPU or with --graphs on. Dropout then draws other features."""
    graphs: Literal["off", "on"] = "off"
    """Whether training steps are replayed as CUDA graphs: on one CUDA device, in 32-true or bf16-mixed. A
    lifter of your own must do the same at every step. Off by default: not yet tried or measured on a GPU."""
    json: bool = False
    """Print the results as one JSON object on stdout; all else goes to stderr."""
    domain_size: float = 1.0
    """Size of the embedded domains over their default size. Files are read whole."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Size of the lifter."""
    training: LifterTrainingConfig = field(default_factory=LifterTrainingConfig)
    """How the lifter is trained."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    """What the augmentation generator may propose."""
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    """Discriminators and anchors."""
    generator_training: GeneratorTrainingConfig = field(default_factory=GeneratorTrainingConfig)
    """How generator and discriminators are trained."""
    placement: PlacementConfig = field(default_factory=PlacementConfig)
    """Where augmented poses stand."""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    """How `plus` aligns the source with the target."""
    target_data: TargetDataConfig = field(default_factory=TargetDataConfig)
    """What is made worse of the unlabelled target, to see what it costs."""
    health: HealthConfig = field(default_factory=HealthConfig)
    """When training counts as collapsed, and how often it is started anew."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between two checkpoints, a multiple of --log-every."""

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_lists(self, "arms", "seeds")
        if self.target is not None and self.data is not None:
            raise ValueError(f"target: expected --target or --data, got both {self.target} and {self.data}")
        for name in ("source", "image_size", "fov", "cameras", "intrinsics", "layout"):
            if self.target is None and getattr(self, name) is not None:
                raise ValueError(f"{name}: expected --target beside it, got none")
        picture_size(self.image_size)
        if self.frames % 2 == 0:
            raise ValueError(f"frames: expected an odd number, so that there is a middle, got {self.frames}")
        pool, batch = self.adversary.pool, self.generator_training.batch
        if pool < batch:
            raise ValueError(
                f"adversary.pool: expected at least generator_training.batch = {batch}, got {pool}"
            )
        if "plus" in self.arms and self.frames > 1:
            raise ValueError(
                f"frames: expected 1 with the arm plus, which aligns single frames, got {self.frames}"
            )
        for name in ("pitch", "roll"):
            if getattr(self.alignment, name) > 1:
                raise ValueError(
                    f"alignment.{name}: expected at most 1 rad, got {getattr(self.alignment, name)}"
                )
        if self.alignment.simulations < 2:
            raise ValueError(f"alignment.simulations: expected at least 2, got {self.alignment.simulations}")
        limit, bound = self.generator.scale_limit, self.generator.bone_scale
        if limit > bound:
            raise ValueError(
                f"generator.scale_limit: expected at most generator.bone_scale = {bound}, got {limit}"
            )
        if self.save_every % self.log_every:
            raise ValueError(
                f"save_every: expected a multiple of log_every = {self.log_every}, got {self.save_every}"
            )


def picture_size(text: str | None) -> tuple[int, int] | None:
    """Width and height in pixels from ``1280x720``, None from None.

    Raises:
        ValueError: if the text is something else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text)
    if found is None:
        raise ValueError(f"image_size: expected WIDTHxHEIGHT as 1280x720, got {text!r}")
    return int(found[1]), int(found[2])


_POSITIVE = {"width", "blocks", "adapt_steps", "steps", "batch", "learning_rate"} | {
    "discriminator_rate",
    "discriminator_every",
    "clip",
    "part_width",
    "screen_width",
    "layers",
    "pool",
    "log_every",
    "save_every",
    "hard_ratio",
    "domain_size",
    "stride",
    "rate",
    "cutoff",
    "poses",
    "min_poses",
    "max_views",
    "frames",
}
SMALLEST_BATCH = 4
"""Spreads and batch norms need two poses, and half of an oracle's batch is of the target."""

_SIGNED = {"focal_error"}
_WHOLE = {"source_share", "warmup", "min_confidence"}
_SHARES = {"dropout", "ema", "warmup", "source_share", "bone_scale", "min_confidence"} | {
    "build",
    "valid_share",
}


def _check_ranges(record: Any, prefix: str = "") -> None:
    for entry in dataclasses.fields(record):
        value, name = getattr(record, entry.name), prefix + entry.name
        if dataclasses.is_dataclass(value):
            _check_ranges(value, f"{name}.")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            continue
        elif entry.name in _POSITIVE and not value > 0:
            raise ValueError(f"{name}: expected a number above 0, got {value}")
        elif entry.name == "batch" and value < SMALLEST_BATCH:
            raise ValueError(f"{name}: expected at least {SMALLEST_BATCH} poses a step, got {value}")
        elif entry.name in _SHARES and not (0 <= value < 1 or (value == 1 and entry.name in _WHOLE)):
            raise ValueError(f"{name}: expected a share from 0 to 1, got {value}")
        elif entry.name in _SIGNED and not value > -1:
            raise ValueError(f"{name}: expected a number above -1, got {value}")
        elif entry.name not in _SIGNED and not value >= 0:
            raise ValueError(f"{name}: expected a number of at least 0, got {value}")


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
        _check_ranges(self)
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


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """What every queue of `poseda reproduce` is told.

    Raises:
        ValueError: if a value is out of range; the message names it.
    """

    out: Path
    """Folder for domains, runs and tables. A queue that was stopped goes on where it stopped."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the training."""
    processes: int = 1
    """Runs trained side by side, each on its share of the processor's cores."""
    dry_run: bool = False
    """List the queue and how much of it is finished; train and write nothing."""
    tables: bool = False
    """Train nothing; print the tables of what is finished, also while a queue is at work."""
    json: bool = False
    """Print JSON instead of Markdown."""

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ValueError(f"processes: expected at least 1, got {self.processes}")
        _check_lists(self, "seeds")


@dataclass(frozen=True, kw_only=True)
class ReproduceBenchmarkConfig(ReproduceConfig):
    """What the queues on the motion-capture benchmarks are told, too."""

    mocap: Path
    """Folder with cmu.npz, cmu_retargeted.npz, bandai1.npz, bandai2.npz and cameras.json."""


@dataclass(frozen=True, kw_only=True)
class ReproduceMocapConfig(ReproduceBenchmarkConfig):
    """Every arm on the motion-capture benchmarks, over splits and seeds."""

    pairs: tuple[Pair, ...] = ("p1", "p2")
    """Benchmarks: p0 (no gap), p1 (of cameras), p2 (of postures and cameras), dev (for choosing recipes)."""
    splits: tuple[int, ...] = (0, 1, 2)
    """Seeds of the benchmarks' construction: which clips are tested on, where people and cameras stand."""
    arms: tuple[Arm, ...] = ARMS
    """What to compare: source_only, gpa, lpa, gpa_lpa (the method), plus (ours), random, poseaug,
    oracle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_lists(self, "pairs", "splits", "arms")
        if min(self.splits) < 0:
            raise ValueError(f"splits: expected numbers of at least 0, got {self.splits}")


@dataclass(frozen=True, kw_only=True)
class ReproduceLiftersConfig(ReproduceMocapConfig):
    """The method with every lifter on the motion-capture benchmarks, over splits and seeds."""

    lifters: tuple[str, ...] = ()
    """Names of the lifters to adapt, as --dry-run lists them. Default: all."""
    published: bool = False
    """Build lifters in the sizes of their papers, instead of sizes that a CPU trains in minutes."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the training."""
    arms: tuple[Arm, ...] = TABLE_ARMS
    """What to compare: source_only, gpa, lpa, gpa_lpa (the method), plus (ours, for lifters of one frame),
    random, poseaug, oracle."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.lifters)) != len(self.lifters):
            raise ValueError(f"lifters: expected none twice, got {self.lifters}")


@dataclass(frozen=True, kw_only=True)
class ReproduceVariantsConfig(ReproduceBenchmarkConfig):
    """Variants of the recipe, each compared with the recipe itself by the same seeds, on split 0."""

    pairs: tuple[Pair, ...] = ()
    """Benchmarks to study the recipe on. Default: p2 for ablations, p1 and p2 for baseline."""
    variants: tuple[str, ...] = ()
    """Names of the variants to run beside the recipe itself, as --dry-run lists them. Default: all."""


@dataclass(frozen=True, kw_only=True)
class ReproduceStabilityConfig(ReproduceConfig):
    """How often the generator of gpa_lpa collapses on the embedded domains; no lifter is adapted."""

    seeds: tuple[int, ...] = tuple(range(20))
    """Seeds of the generator's training."""


def _check_lists(record: Any, *names: str) -> None:
    for name in names:
        values = getattr(record, name)
        if not values or len(set(values)) != len(values):
            raise ValueError(f"{name}: expected at least one and none twice, got {values}")


def preset(name: Preset) -> RunConfig:
    """Return the defaults of a preset.

    Raises:
        ValueError: if there is none of that name.
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
            log_every=20,
            save_every=20,
        )
    if name == "full":
        return RunConfig(
            preset="full",
            network=NetworkConfig(width=1024),
            training=LifterTrainingConfig(pretrain_steps=20000, adapt_steps=20000, batch=1024, ema=0.999),
            generator_training=GeneratorTrainingConfig(steps=20000, batch=1024),
            alignment=AlignmentConfig(steps=10000),
            save_every=1000,
        )
    if name == "default":
        return RunConfig()
    raise ValueError(f"preset: expected one of {', '.join(get_args(Preset))}, got {name!r}")


def to_json(config: RunConfig) -> dict[str, Any]:
    """Everything a saved run records, in types that JSON has."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, tuple):
            return [plain(entry) for entry in value]
        return str(value) if isinstance(value, Path) else value

    return {key: plain(value) for key, value in dataclasses.asdict(config).items()}


_FILES = ("target", "source", "cameras", "intrinsics")
_OWN = (*_FILES, "image_size", "fov", "layout", "min_confidence", "stride")
"""Fields of own footage: absent from the records of runs that are older than they are."""

_LATER = (*_OWN, "alignment", "compile", "frames", "gate", "graphs", "health", "json", "target_data")
"""Fields and sections that records of older runs may lack."""

RESUMABLE = ("arms", "seeds", "resume", "device", "out", "data", "gate", "json", *_FILES)
"""Fields in which a resumed run may differ: more arms or seeds may be asked for, and files may have moved."""


def check_resumable(config: RunConfig, saved: dict[str, Any]) -> None:
    """Check that a run may be continued with this configuration.

    Raises:
        ValueError: naming the first option that differs.
    """

    def flatten(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in record.items():
            flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        return flat

    # A record older than an option was made with what is now its default.
    now, then = flatten(to_json(config)), flatten(to_json(RunConfig())) | flatten(saved)
    for name in dict.fromkeys([*now, *then]):
        if name not in RESUMABLE and now.get(name) != then.get(name):
            raise ValueError(f"{name}: the run to resume has {then.get(name)!r}, got {now.get(name)!r}")


def from_json(record: dict[str, Any]) -> RunConfig:
    """Rebuild the configuration that :func:`to_json` recorded.

    Raises:
        ValueError: if an entry is missing, unknown or out of range.
    """
    values = dict(record)
    for entry in dataclasses.fields(RunConfig):
        if entry.name not in values:
            if entry.name in _LATER:
                continue
            raise ValueError(f"{entry.name}: missing from the recorded configuration")
        section = SECTIONS.get(entry.name)
        if section is not None:
            values[entry.name] = section(**values[entry.name])
        elif isinstance(values[entry.name], list):
            values[entry.name] = tuple(values[entry.name])
        elif entry.name in ("data", "out", *_FILES) and values[entry.name] is not None:
            values[entry.name] = Path(values[entry.name])
    return RunConfig(**values)


SECTIONS = {
    "network": NetworkConfig,
    "training": LifterTrainingConfig,
    "generator": GeneratorConfig,
    "adversary": AdversaryConfig,
    "generator_training": GeneratorTrainingConfig,
    "placement": PlacementConfig,
    "alignment": AlignmentConfig,
    "target_data": TargetDataConfig,
    "health": HealthConfig,
}
"""The nested records of RunConfig by field."""
