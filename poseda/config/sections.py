"""The sections of a run's options. On the command line a section comes first: ``--training.batch``.

Lengths are in metres and angles in radians unless the text names another unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from poseda.config.limits import Above, AtLeast, AtMost, Share

Loss = Literal["distance", "squared", "absolute"]

SMALLEST_BATCH = 4
"""Standard deviations and batch norms need two poses, and half of an oracle's batch is of the target."""


@dataclass(frozen=True)
class NetworkConfig:
    """Size of the lifter. A lifter of another package has a size of its own and ignores this.

    On the command line, width and blocks follow from the lifter and the device. A GPU and the preset full
    take the size of the lifter's paper. A CPU takes one that it trains in minutes.
    """

    width: Annotated[int, Above(0)] = 256
    """Features in each hidden layer. Default of adapt: by lifter and device."""
    blocks: Annotated[int, Above(0)] = 2
    """Number of blocks, for lifters that have a choice. Default of adapt: by lifter and device."""
    dropout: Annotated[float, Share()] = 0.1
    """Share of hidden features that training drops, 0 to 1."""
    causal: bool = False
    """Let videopose3d see past frames only, as streams need. Its pose is then that of the last frame."""


@dataclass(frozen=True)
class LifterTrainingConfig:
    """How the lifter is trained: on source poses first, then on the pairs of each arm."""

    pretrain_steps: Annotated[int, AtLeast(0)] = 1500
    """Steps on source poses, shared by all arms of a seed. Give 0 if the lifter brings trained weights."""
    adapt_steps: Annotated[int, Above(0)] = 1500
    """Steps on the pairs of each arm. Every arm takes as many."""
    batch: Annotated[int, AtLeast(SMALLEST_BATCH)] = 512
    """Poses per step, or windows of frames per step."""
    learning_rate: Annotated[float, Above(0)] = 1e-3
    """Highest step size of Adam. A warm-up leads to it, then a cosine leads down to zero."""
    warmup: Annotated[float, Share(whole=True)] = 0.05
    """Share of the steps in which the step size rises, 0 to 1."""
    weight_decay: Annotated[float, AtLeast(0)] = 1e-4
    """Decoupled weight decay of AdamW, per unit of step size."""
    clip: Annotated[float, Above(0)] = 1.0
    """Largest gradient norm. Longer gradients are shortened to it."""
    ema: Annotated[float, Share()] = 0.995
    """Decay per step of the averaged weights, which are the result. 0 keeps the last weights."""
    flip: bool = True
    """Mirror half of the training pairs, and average with the mirrored prediction when testing."""
    bone_jitter: Annotated[float, AtLeast(0)] = 0.15
    """Standard deviation of random rotations added to each bone's, per axis, radians."""
    body_jitter: Annotated[float, AtLeast(0)] = 0.2
    """Standard deviation of random rotations added to the whole body's, per axis, radians."""
    source_share: Annotated[float, Share(whole=True)] = 0.5
    """Share of adaptation poses that keep the captured posture, in arms that change postures, 0 to 1."""
    loss: Loss = "distance"
    """Loss, a mean over joints: their distance, its square, or absolute differences per axis."""
    noise_2d: Annotated[float, AtLeast(0)] = 0.0
    """Standard deviation of noise on training 2D, half screen widths. 0.002 is a pixel of 1 000."""


@dataclass(frozen=True)
class WideConfig:
    """How the arm wide trains: on views from everywhere, with its own lifter."""

    lifter: str = "residual"
    """Family of the lifter behind the virtual camera. Any that takes more than two numbers a joint."""
    width: Annotated[int, Above(0)] = 384
    """Features in each hidden layer of the families residual and simple_baseline."""
    blocks: Annotated[int, Above(0)] = 6
    """Number of blocks, for families that have a choice."""
    steps: Annotated[int, Above(0)] = 6000
    """Steps of the training."""
    batch: Annotated[int, AtLeast(SMALLEST_BATCH)] = 512
    """Views per step."""
    learning_rate: Annotated[float, Above(0)] = 2e-3
    """Highest step size of Adam."""
    weight_decay: Annotated[float, AtLeast(0)] = 1e-3
    """Decoupled weight decay of AdamW, per unit of step size."""
    ema: Annotated[float, Share()] = 0.998
    """Decay per step of the averaged weights, which are the result."""
    known: Annotated[float, Share(whole=True)] = 0.5
    """Share of the views with a known upward direction, and of the views with known lengths."""
    up_error: Annotated[float, AtLeast(0)] = 0.08
    """Standard deviation of a known upward direction in training, radians per axis."""
    length_error: Annotated[float, AtLeast(0)] = 0.04
    """Relative standard deviation of known lengths in training."""
    rounds: Annotated[int, Above(0)] = 2
    """Arm wide_target: how often the target is lifted, and the lifter learns from what it found."""
    target_steps: Annotated[int, Above(0)] = 1500
    """Arm wide_target: steps of a round."""
    target_rate: Annotated[float, Above(0)] = 7e-4
    """Arm wide_target: highest step size of Adam."""
    target_share: Annotated[float, Share()] = 0.5
    """Arm wide_target: share of the poses that are the target's, 0 to 1."""
    near_share: Annotated[float, Share(whole=True)] = 0.5
    """Arm wide_target: share of the views that are seen from where the target's cameras see its people."""
    generated_share: Annotated[float, Share(whole=True)] = 0.0
    """Arm wide_target: share of the source's poses that the generator of gpa_lpa changes, which is trained
    before."""
    weak_share: Annotated[float, Share()] = 0.5
    """Arm wide_target with --weak-labels: share of the target's poses that are weak labels, 0 to 1."""
    agreed: bool = True
    """Arm wide_target: where cameras are calibrated to each other, learn the poses that they agree on, half
    of these in their own pictures. Without it, each camera teaches what it finds by itself."""
    weight_error: Annotated[float, AtLeast(0)] = 0.02
    """Weight of the loss of the joints' expected errors."""
    weight_up: Annotated[float, AtLeast(0)] = 0.03
    """Weight of the loss of the upward direction."""
    weight_reprojection: Annotated[float, AtLeast(0)] = 0.0
    """Arm wide_target: weight of the misfit of the target's poses in its own 2D, a share of their size. 1 for
    footage."""
    weight_lengths: Annotated[float, AtLeast(0)] = 0.0
    """Arm wide_target: weight of relative differences of the bones of two frames of one clip."""
    weight_speed: Annotated[float, AtLeast(0)] = 0.0
    """Arm wide_target: weight of what joints move beyond the fastest speed in neighbouring frames, metres."""
    weight_consistency: Annotated[float, AtLeast(0)] = 0.0
    """Arm wide_target: weight of what lifting the target's poses again, from elsewhere, changes, metres. 0.3
    for footage."""
    fastest: Annotated[float, Above(0)] = 5.0
    """Speed of a joint about the root above which it costs, metres a second. A target without times counts
    as 30 frames per second."""
    target_views: Annotated[int, Above(0)] = 128
    """Arm wide_target: frames of the target a step, where one of these four weights is above 0."""

    @property
    def round_names(self) -> list[str]:
        """Names of the phases of the arm wide_target; the last one ends with the arm's lifter."""
        return [*(f"round{number}" for number in range(1, self.rounds)), "lifter"]


@dataclass(frozen=True)
class ViewsConfig:
    """From where the arm wide sees source poses, and how it varies them. Each range can be switched off."""

    lowest: Annotated[float, AtLeast(-85), AtMost(85, "degrees")] = -25.0
    """Least pitch of a camera, degrees downward. Below 0 it looks up."""
    highest: Annotated[float, AtLeast(-85), AtMost(85, "degrees")] = 82.0
    """Largest pitch of a camera, degrees downward."""
    level_share: Annotated[float, Share(whole=True)] = 0.15
    """Share of the cameras that look almost level."""
    roll: Annotated[float, AtLeast(0), AtMost(180, "degrees")] = 45.0
    """Largest roll of a camera, degrees. Half of the cameras are rolled by little."""
    nearest: Annotated[float, Above(0)] = 1.2
    """Least distance of a person, metres."""
    farthest: Annotated[float, Above(0)] = 12.0
    """Largest distance of a person, metres. Distances are drawn evenly by their logarithm."""
    aside: Annotated[float, AtLeast(0)] = 0.0
    """Standard deviation of the person's place beside the camera's axis, relative to the distance."""
    build: Annotated[float, AtLeast(0)] = 0.08
    """Relative standard deviation of the lengths of single bones."""
    anatomical: Annotated[float, AtLeast(0), AtMost(2)] = 0.0
    """How far people's proportions go from the source's to those of anatomy, on average: 1 is all the way.
    Default of adapt with --target: 0.9."""
    hips: Annotated[float, AtLeast(0)] = 0.0
    """Largest relative widening of the hips: detectors mark them wider than motion capture. Default of adapt
    with --target: 0.45."""
    knees: Annotated[float, AtLeast(0), AtMost(90, "degrees")] = 0.0
    """Most that knees are straightened, degrees: motion capture bends those of people who stand. Default of
    adapt with --target: 25."""
    lean: Annotated[float, AtLeast(0), AtMost(1.5, "rad")] = 0.0
    """Largest standard deviation of rotations of the upper body, in two thirds of the views, radians. Default
    of adapt with --target: 0.5."""
    stature: Annotated[float, AtLeast(0)] = 0.06
    """Relative standard deviation of the size of a person."""
    turn: Annotated[float, AtLeast(0)] = 0.3
    """Largest standard deviation of the rotations of bones, radians per axis. Half of it is usual."""


@dataclass(frozen=True)
class DetectorConfig:
    """What the 2D detector of the arm wide does to the joints of a view."""

    noise: Annotated[float, AtLeast(0)] = 0.008
    """Standard deviation of the place of a joint, relative to the person's size in the picture."""
    misplaced: Annotated[float, Share(whole=True)] = 0.02
    """Share of joints that are far off."""
    swapped: Annotated[float, Share(whole=True)] = 0.02
    """Share of people whose sides are exchanged."""
    masked: Annotated[float, Share(whole=True)] = 0.6
    """Share of views in which joints are hidden at random."""
    hidden: Annotated[float, Share(whole=True)] = 0.25
    """Largest share of joints that are hidden one by one in such a view."""
    hidden_part: Annotated[float, Share(whole=True)] = 0.25
    """Share of such views in which a limb, the trunk or both legs are hidden as a whole."""
    burst: Annotated[float, Share(whole=True)] = 0.0
    """With several frames: share of such views in which joints are hidden for some of the frames, in a row.
    Default of adapt with --target: 0.85."""
    cropped: Annotated[float, Share(whole=True)] = 0.0
    """Share of views whose picture ends before the person, on one side, mostly below. Joints beyond are
    unseen. Default of adapt with --target: 0.1."""
    as_target: Annotated[float, Share(whole=True)] = 0.5
    """Share of views with the joints that some detection of the target shows, where there is a target."""
    fewest: Annotated[int, AtLeast(3)] = 6
    """Fewest seen joints of a view. Views with fewer show all joints."""


@dataclass(frozen=True)
class GeneratorConfig:
    """What the augmentation generator may change, and how large its network is."""

    width: Annotated[int, Above(0)] = 256
    """Features in each hidden layer."""
    blocks: Annotated[int, Above(0)] = 2
    """Number of residual blocks."""
    bone_angle: Annotated[float, AtLeast(0)] = 1.57
    """Largest rotation of a bone, radians."""
    bone_scale: Annotated[float, Share()] = 0.2
    """Largest relative change of a bone's length."""
    body_angle: Annotated[float, AtLeast(0)] = 0.5
    """Largest rotation of the whole body, radians."""
    angle_mean: Annotated[float, AtLeast(0)] = 0.205
    """Middle of the wanted range of a bone's rotation, as 1 - cos of the angle."""
    angle_width: Annotated[float, AtLeast(0)] = 0.165
    """Half the width of the wanted range, as 1 - cos of the angle."""
    scale_limit: Annotated[float, AtLeast(0)] = 0.03
    """Relative change of length beyond which the generator is penalised."""
    propagate: bool = False
    """Rotate the bones below a bone with it, instead of each bone alone."""


@dataclass(frozen=True)
class AdversaryConfig:
    """The discriminators and what they compare generated poses with. The paper does not give these values."""

    anchor: Literal["both", "source_3d", "target_2d", "none"] = "both"
    """What the discriminators take as real: source 3D poses, target 2D poses, both or none."""
    pairing: Literal["paired", "unpaired"] = "unpaired"
    """Compare each generated pose with its own real pose (relativistic), or with shuffled ones (LSGAN)."""
    feedback: Literal["none", "hard_ratio"] = "none"
    """Let the lifter's error steer the generator, as PoseAug does."""
    part_width: Annotated[int, Above(0)] = 64
    """Features in each hidden layer of the 3D discriminator, per body part."""
    screen_width: Annotated[int, Above(0)] = 128
    """Features in each hidden layer of the 2D discriminator."""
    layers: Annotated[int, Above(0)] = 3
    """Hidden layers of each discriminator."""
    pool: Annotated[int, Above(0)] = 4096
    """How many past generated poses are kept with their real poses, at least one batch."""


@dataclass(frozen=True)
class GeneratorTrainingConfig:
    """How generator and discriminators are trained against each other."""

    steps: Annotated[int, Above(0)] = 3000
    """Generator steps."""
    batch: Annotated[int, AtLeast(SMALLEST_BATCH)] = 512
    """Poses per step."""
    learning_rate: Annotated[float, Above(0)] = 1e-3
    """Step size of Adam for the generator."""
    discriminator_rate: Annotated[float, Above(0)] = 1e-3
    """Step size of Adam for the discriminators."""
    discriminator_every: Annotated[int, Above(0)] = 2
    """Generator steps for each discriminator step."""
    clip: Annotated[float, Above(0)] = 1.0
    """Largest gradient norm. Longer gradients are shortened to it."""
    weight_2d: Annotated[float, AtLeast(0)] = 3.0
    """Weight of the 2D discriminator's loss."""
    weight_3d: Annotated[float, AtLeast(0)] = 0.3
    """Weight of the 3D discriminator's loss."""
    weight_range: Annotated[float, AtLeast(0)] = 3.0
    """Weight of the loss that keeps bone rotations in their wanted range."""
    weight_scale: Annotated[float, AtLeast(0)] = 10.0
    """Weight of the penalty on changes of length."""
    weight_body: Annotated[float, AtLeast(0)] = 1.0
    """Weight of the squared rotation of the body, which keeps bodies near upright."""
    weight_feedback: Annotated[float, AtLeast(0)] = 0.1
    """Weight of the lifter's feedback, where there is any."""
    hard_ratio: Annotated[float, Above(0)] = 1.2
    """Wanted ratio of the error on augmented poses to the error on source poses."""


@dataclass(frozen=True)
class HealthConfig:
    """When the training of a generator counts as collapsed. It then starts again with another seed."""

    windows: Annotated[int, AtLeast(0)] = 5
    """Number of log lines in a row with the same fault that make a collapse. 0 switches the check off."""
    discriminator_loss: Annotated[float, AtLeast(0)] = 0.02
    """Loss below which a discriminator has won: it recognises every generated pose."""
    bone_spread: Annotated[float, AtLeast(0)] = 0.01
    """Standard deviation of bone rotations over a batch, radians. A generator below it has collapsed."""
    valid_share: Annotated[float, Share()] = 0.1
    """Share of generated poses that a camera can see, 0 to 1. A generator below it has collapsed."""
    restarts: Annotated[int, AtLeast(0)] = 3
    """How often a phase may start again, from its last healthy checkpoint, before the run stops."""


@dataclass(frozen=True)
class PlacementConfig:
    """Where augmented poses stand."""

    placement: Literal["gpa", "source", "learned"] = "gpa"
    """Where the root stands: at a target pose's place, at the source's own, or as the generator proposes."""
    gpa: Literal["closed_form", "exact"] = "closed_form"
    """How depth is computed: by the paper's closed form, or exactly."""


@dataclass(frozen=True)
class AlignmentConfig:
    """How the arm gpa_lpa_view estimates the target's camera tilt and body proportions from 2D. Ours."""

    postures: Literal["generated", "random", "captured"] = "generated"
    """How the postures of the aligned source are changed: as in gpa_lpa, as in random, or not at all."""
    steps: Annotated[int, Above(0)] = 1000
    """Steps of the estimating lifter, which is trained on all tilts and proportions."""
    pitch: Annotated[float, AtLeast(0), AtMost(1, "rad")] = 0.45
    """Largest pitch of a target camera up or down, radians."""
    roll: Annotated[float, AtLeast(0), AtMost(1, "rad")] = 0.14
    """Largest roll of a target camera, radians."""
    build: Annotated[float, Share()] = 0.15
    """Largest relative difference in bone length between the people of source and target."""
    simulations: Annotated[int, AtLeast(2)] = 150
    """Number of simulated targets for each view."""
    poses: Annotated[int, Above(0)] = 400
    """Poses of a simulated target."""
    min_poses: Annotated[int, Above(0)] = 50
    """Fewest target poses that make a view. Smaller views are merged."""
    max_views: Annotated[int, Above(0)] = 32
    """Most views. A target with more different lenses counts as one view."""


@dataclass(frozen=True)
class TargetDataConfig:
    """How the unlabelled target is degraded, for studies of its quality. Test data stay as they are."""

    size: Annotated[int, AtLeast(0)] = 0
    """Number of target poses to adapt to, drawn at random. 0 takes all."""
    noise: Annotated[float, AtLeast(0)] = 0.0
    """Standard deviation of noise on the target's 2D, half screen widths. 0.002 is a pixel of 1 000."""
    focal_error: Annotated[float, Above(-1)] = 0.0
    """Relative error of the target's focal length, above -1. With 0.1 the lens counts as 10 % longer."""
