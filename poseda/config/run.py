"""What `poseda adapt` is asked for, and its presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from poseda.config.checks import check_lists, check_ranges, picture_size
from poseda.config.sections import (
    AdversaryConfig,
    AlignmentConfig,
    GeneratorConfig,
    GeneratorTrainingConfig,
    HealthConfig,
    LifterTrainingConfig,
    NetworkConfig,
    PlacementConfig,
    TargetDataConfig,
)

Arm = Literal["source_only", "gpa", "lpa", "gpa_lpa", "gpa_lpa_view", "random", "poseaug", "oracle"]
Preset = Literal["tiny", "default", "full"]
Compile = Literal["auto", "on", "off"]

ARMS: tuple[Arm, ...] = get_args(Arm)
RENAMED_ARMS: dict[str, Arm] = {"plus": "gpa_lpa_view"}
"""Arms under the names they had in 0.1.0, which commands, run folders and records may still hold."""

TABLE_ARMS: tuple[Arm, ...] = ("source_only", "gpa", "lpa", "gpa_lpa", "oracle")


def arm_name(name: str) -> str:
    """The name of an arm today, whichever it is given by."""
    return RENAMED_ARMS.get(name, name)


@dataclass(frozen=True)
class RunConfig:
    """One resolved run: what `poseda adapt` was asked for. Checked as a whole when it is built.

    Raises:
        ValueError: if a value is out of range or two values do not fit; the message names them.
    """

    data: Path | None = None
    """Domain file (npz) to adapt on. Default: the embedded domains, which need no file."""
    target: Path | None = None
    """Your own footage instead of --data: 2D detections without labels. Default of --arms beside it:
    source_only, gpa, gpa_lpa, gpa_lpa_view."""
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
    """What to compare: source_only, gpa, lpa, gpa_lpa (the method), gpa_lpa_view (ours), random, poseaug,
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
    """Folder for results, report and checkpoints. Must be new or empty unless the run is resumed."""
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
    """How `gpa_lpa_view` aligns the source with the target."""
    target_data: TargetDataConfig = field(default_factory=TargetDataConfig)
    """What is made worse of the unlabelled target, to see what it costs."""
    health: HealthConfig = field(default_factory=HealthConfig)
    """When training counts as collapsed, and how often it is started anew."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between two checkpoints, a multiple of --log-every."""

    def __post_init__(self) -> None:
        check_ranges(self)
        object.__setattr__(self, "arms", tuple(map(arm_name, self.arms)))
        check_lists(self, "arms", "seeds")
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
        if "gpa_lpa_view" in self.arms and self.frames > 1:
            raise ValueError(
                f"frames: expected 1 with the arm gpa_lpa_view, which aligns single frames, got {self.frames}"
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
            network=NetworkConfig(width=1024),  # that of simple_baseline
            training=LifterTrainingConfig(pretrain_steps=20000, adapt_steps=20000, batch=1024, ema=0.999),
            generator_training=GeneratorTrainingConfig(steps=20000, batch=1024),
            alignment=AlignmentConfig(steps=10000),
            save_every=1000,
        )
    if name == "default":
        return RunConfig()
    raise ValueError(f"preset: expected one of {', '.join(get_args(Preset))}, got {name!r}")
