"""The parts of a recipe: each is a section of the record of a run, and its flags begin with its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Loss = Literal["distance", "squared", "absolute"]


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the lifter. Lifters registered by others bring their own and ignore these.

    On the command line width and blocks are by lifter: that of its paper on a GPU and with --preset full, one
    that a CPU trains in minutes elsewhere.
    """

    width: int = 256
    """Features in each hidden layer. `poseda adapt` has another default for each lifter and device."""
    blocks: int = 2
    """Blocks of the lifter, where it has a choice. `poseda adapt`: by lifter and device, as the width."""
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
    """How the arm `gpa_lpa_view` reads tilt and build of the target off its 2D poses. Ours."""

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


SECTIONS: dict[str, type[Any]] = {
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
