"""Wide lifters: what they see of a picture, that nothing unseen leaks, and how frames vote."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from poseda import lifters
from poseda.geometry.camera import Camera, project, tilted_up
from poseda.geometry.rotation import angle_between, composed, rotation_matrix, shortest_rotation
from poseda.geometry.skeleton import COCO17, H36M16, Skeleton
from poseda.lifters import directions
from poseda.lifters.observation import Observation, channels, encode, turned
from poseda.lifters.wide import WideLifter

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "residual": {"width": 16, "blocks": 1},
    "simple_baseline": {"width": 16, "blocks": 1},
    "videopose3d": {"channels": 16},
    "semgcn": {"width": 16, "blocks": 1},
    "stgcn": {"width": 8},
    "mixste": {"width": 16, "blocks": 1},
    "dstformer": {"width": 16, "blocks": 1, "representation": 16},
}


def people(count: int = 6, frames: int = 1, skeleton: Skeleton = H36M16) -> tuple[Tensor, Observation]:
    """Random bodies 4 m away, and what a camera sees of them."""
    points = 0.4 * torch.randn(count, frames, skeleton.num_joints, 3) + torch.tensor([0.3, -0.2, 4.0])
    unknown = torch.zeros(count, dtype=torch.bool)
    seen = torch.ones(points.shape[:3], dtype=torch.bool)
    lengths = torch.zeros(count, skeleton.num_groups)
    rays = points[..., :2] / points[..., 2:]
    return points, Observation(rays, seen, torch.zeros(count, 3), unknown, lengths, unknown)


def wide(family: str = "residual", skeleton: Skeleton = H36M16, frames: int = 1) -> WideLifter:
    lifter = WideLifter(skeleton, family, frames, **SMALL[family]).eval()
    with torch.no_grad():
        for parameter in lifter.parameters():  # an untrained output layer is near zero and would show nothing
            parameter.add_(0.1 * torch.randn_like(parameter))
    return lifter


@pytest.mark.parametrize("family", SMALL)
def test_every_family_lifts_behind_the_virtual_camera(family: str) -> None:
    frames = 1 if family in ("residual", "simple_baseline", "semgcn") else 9
    _, observation = people(frames=frames)
    lifted = wide(family, frames=frames)(observation)
    assert lifted.pose_3d.shape[0] == 6 and lifted.pose_3d.shape[2:] == (16, 3)
    assert lifted.pose_3d[:, :, 0].eq(0).all() and lifted.pose_3d[:, :, 1:].abs().gt(0).all()
    assert lifted.log_error.shape == (6, 16) and lifted.up.exp().sum(1).allclose(torch.ones(6))


def test_another_skeleton_is_lifted_too() -> None:
    _, observation = people(skeleton=COCO17)
    assert wide(skeleton=COCO17)(observation).pose_3d.shape == (6, 1, 17, 3)


def test_a_family_without_channels_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"lifter: expected one of .*residual.*, got 'no_such'"):
        WideLifter(H36M16, "no_such")


@pytest.mark.parametrize("value", [0.0, 1e6, math.nan, math.inf])
def test_no_number_of_an_unseen_joint_reaches_the_lifter(value: float) -> None:
    _, observation = people()
    observation.seen[:, :, 5] = observation.seen[0, :, 9] = False
    lifter, other = wide(), observation.rays.clone()
    other[~observation.seen] = value
    hidden = Observation(other, *list(vars(observation).values())[1:])
    one, two = lifter(observation), lifter(hidden)
    for name in one._fields:
        assert torch.equal(getattr(one, name), getattr(two, name)), name


def test_what_is_not_known_is_not_read() -> None:
    _, observation = people()
    lifter = wide()
    told = Observation(
        observation.rays,
        observation.seen,
        torch.randn(6, 3),
        observation.up_known,
        torch.rand(6, 10)[:, : H36M16.num_groups],
        observation.lengths_known,
    )
    assert torch.equal(lifter(observation).pose_3d, lifter(told).pose_3d)
    known = observation.told(tilted_up(torch.zeros(6, 2)), torch.full((6, H36M16.num_groups), 0.3))
    assert not torch.equal(lifter(observation).pose_3d, lifter(known).pose_3d)


def test_the_virtual_camera_turns_with_the_picture() -> None:
    points, observation = people()
    turn = rotation_matrix(torch.tensor([0.2, 0.0, 0.0]))
    turned = points @ turn.T
    other = Observation(turned[..., :2] / turned[..., 2:], *list(vars(observation).values())[1:])
    usual = torch.full((H36M16.num_groups,), 0.25)
    features, first = encode(observation, usual)
    again, second = encode(other, usual)
    # The middle of a box moves a little under a perspective map, so the axes agree to about a degree.
    assert angle_between(second[:, 2], first[:, 2] @ turn.T).max() < 0.02
    assert features.shape == again.shape == (6, 1, 16, channels(H36M16))
    assert (features[..., :2] - again[..., :2]).abs().max() < 0.2


def test_places_and_sizes_in_the_picture_are_normalised() -> None:
    _, observation = people()
    features, turn = encode(observation, torch.full((H36M16.num_groups,), 0.25))
    local = features[..., :2]
    middle = (local.amax((1, 2)) + local.amin((1, 2))) / 2
    assert middle.abs().max() < 1e-5
    assert (local.amax((1, 2)) - local.amin((1, 2))).amax(1).sub(2).abs().max() < 1e-5
    identity = torch.eye(3).expand(6, 3, 3)
    assert (turn @ turn.mT).allclose(identity, atol=1e-5) and turn[:, 0, 1].abs().max() < 1e-6


def test_a_mirrored_person_is_lifted_as_the_mirror_image() -> None:
    _, observation = people()
    observation = observation.told(tilted_up(0.2 * torch.randn(6, 2)))
    lifter = wide()
    one = lifter.averaged(observation).pose_3d
    other = lifter.averaged(observation.mirrored(H36M16)).pose_3d
    assert lifters.mirror(other, H36M16).allclose(one, atol=1e-5)


def test_geometry_is_not_rounded_where_the_layers_are() -> None:
    truth, observation = people(frames=3)
    lengths = torch.full((H36M16.num_groups,), 0.3)
    features, turn = encode(observation, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        rounded, rounded_turn = encode(observation, lengths)
        pose = turned(truth, turn)
    assert rounded.dtype == pose.dtype == torch.float32
    assert torch.equal(rounded, features) and torch.equal(rounded_turn, turn)
    torch.testing.assert_close(pose, truth @ turn[:, None], rtol=0, atol=1e-6)


def test_rays_are_those_of_the_lens() -> None:
    camera = Camera(
        torch.tensor([[2.0, 2.1]]), torch.tensor([[0.1, -0.2]]), torch.tensor([[0.1, 0, 0, 0, 0]])
    )
    points = torch.randn(4, 16, 3) * 0.3 + torch.tensor([0, 0, 3.0])
    seen = Observation.of(project(points, camera), camera, None, H36M16.num_groups)
    assert seen.rays[:, 0].allclose(points[..., :2] / points[..., 2:], atol=1e-5)
    assert seen.seen.all() and not seen.up_known.any()


def test_the_vote_of_frames_finds_the_direction_on_which_they_agree() -> None:
    truth = tilted_up(torch.tensor([0.7, 0.1]))
    noisy = torch.nn.functional.normalize(truth + 0.2 * torch.randn(200, 3), dim=1)
    prior = torch.full((len(directions.GRID),), -math.log(len(directions.GRID)))
    turn = torch.eye(3).expand(200, 3, 3)
    found, error = directions.vote(directions.Ballot(directions.soft_classes(noisy).log(), turn), prior)
    assert angle_between(found, truth) < math.radians(4)
    assert 0 < float(error) < math.radians(15)


def test_likelihoods_read_from_the_map_are_those_of_the_directions() -> None:
    """Directly: the share of each grid point at a candidate, times the frame's likelihood of that point."""
    turn = rotation_matrix(3 * torch.randn(40, 3))
    log = (2 * torch.randn(40, len(directions.GRID))).log_softmax(1)
    prior = torch.randn(len(directions.GRID)).log_softmax(0)
    found = directions.Ballot(log, turn).scores(directions.CANDIDATES, prior)
    ratio = (log.exp() + directions.RARE) / (prior.exp() + directions.RARE)
    there = directions.CANDIDATES @ turn.mT
    likelihood = (
        directions.soft_classes(there.flatten(0, 1)).unflatten(0, there.shape[:2]) @ ratio[:, :, None]
    )[..., 0]
    direct = likelihood.log().clamp_min(directions.SURPRISE).sum(0)
    assert (found - direct).abs().max() < 0.1 * direct.std()


def test_the_map_of_likelihoods_has_no_seam_at_its_ends_and_poles() -> None:
    """Longitude jumps from 180 to -180 degrees behind the first axis, and means nothing on the last one."""
    tiny = torch.tensor([0.0, 1e-7, -1e-7, 1e-3, -1e-3])
    behind = torch.stack([-torch.ones(5), tiny, torch.zeros(5)], 1)
    north = torch.stack([tiny, tiny.flip(0), torch.ones(5)], 1)
    slanted = torch.stack([-torch.ones(5), tiny, torch.full((5,), 0.9)], 1)
    towards = torch.nn.functional.normalize(torch.cat([behind, slanted, north, -north]), dim=1)
    log = (2 * torch.randn(1, len(directions.GRID))).log_softmax(1)
    prior = torch.randn(len(directions.GRID)).log_softmax(0)
    found = directions.Ballot(log, torch.eye(3)[None]).scores(towards, prior)
    ratio = (log[0].exp() + directions.RARE) / (prior.exp() + directions.RARE)
    direct = (directions.soft_classes(towards) @ ratio).log().clamp_min(directions.SURPRISE)
    assert (found - direct).abs().max() < 0.03
    assert (found.view(4, 5).amax(1) - found.view(4, 5).amin(1)).max() < 0.03


def test_a_camera_that_little_speaks_of_is_taken_to_be_hardly_rolled() -> None:
    """One posture, seen for long, tells less of a roll than people who move; cameras are mostly level."""
    rolled = tilted_up(torch.deg2rad(torch.tensor([[20.0, 30.0]])))
    # Frames that are torn between a level camera and a rolled one, and lean towards the rolled one.
    level = tilted_up(torch.deg2rad(torch.tensor([[20.0, 0.0]])))
    torn = 0.6 * directions.soft_classes(rolled) + 0.4 * directions.soft_classes(level)
    log, turn = torn.expand(100, -1).log(), torch.eye(3).expand(100, 3, 3)
    prior = torch.full((len(directions.GRID),), -math.log(len(directions.GRID)))
    many, sure = directions.vote(directions.Ballot(log, turn), prior)
    few, unsure = directions.vote(directions.Ballot(log, turn, 2.0), prior)
    assert angle_between(many, rolled[0]) < math.radians(5)
    assert angle_between(few, level[0]) < math.radians(5)
    assert unsure > 2 * sure


def test_a_vote_does_not_follow_what_is_usual() -> None:
    """Frames that know nothing repeat the prior; they must not pull the vote of those that know."""
    truth = tilted_up(torch.tensor([0.9, 0.0]))
    usual = directions.soft_classes(tilted_up(torch.tensor([[0.0, 0.0]])))[0]
    knowing = 0.5 * directions.soft_classes(truth[None]).expand(20, -1) + 0.5 * usual
    ignorant = usual.expand(100, -1)
    turn = torch.eye(3).expand(120, 3, 3)
    found, _ = directions.vote(directions.Ballot(torch.cat([knowing, ignorant]).log(), turn), usual.log())
    assert angle_between(found, truth) < math.radians(4)


def ballot(up: Tensor, noise: float, frames: int = 20) -> directions.Ballot:
    """Frames that see upward somewhere near a direction in the camera's axes."""
    noisy = torch.nn.functional.normalize(up + noise * torch.randn(frames, 3), dim=1)
    return directions.Ballot(directions.soft_classes(noisy).log(), torch.eye(3).expand(frames, 3, 3), 3.0)


def test_cameras_that_vote_together_are_nearer_the_truth_than_each_alone() -> None:
    prior = torch.full((len(directions.GRID),), -math.log(len(directions.GRID)))
    world = tilted_up(torch.tensor([0.4, 0.05]))
    ups = tilted_up(torch.tensor([[0.1, 0.0], [0.4, 0.05], [0.7, -0.05]]))
    headings = torch.tensor([[0.0], [1.2], [-2.0]]) * world
    rotation = rotation_matrix(composed(shortest_rotation(world.expand(3, 3), ups), headings))
    alone, together = [], []
    for _ in range(5):
        ballots = [ballot(up, 0.5) for up in ups]
        alone += [
            angle_between(directions.vote(one, prior)[0], up) for one, up in zip(ballots, ups, strict=True)
        ]
        together.append(angle_between(directions.vote_together(ballots, rotation, prior)[0], world))
    assert torch.stack(together).mean() < 0.7 * torch.stack(alone).mean()


def test_one_camera_alone_votes_as_several_do() -> None:
    truth = tilted_up(torch.tensor([0.7, 0.1]))
    prior = torch.full((len(directions.GRID),), -math.log(len(directions.GRID)))
    turn, one = rotation_matrix(torch.tensor([[0.3, -0.8, 0.4]])), ballot(truth, 0.1)
    found, _ = directions.vote_together([one], turn, prior)
    assert angle_between(turn[0] @ found, directions.vote(one, prior)[0]) < math.radians(4)


def test_a_camera_on_its_side_votes_with_the_others() -> None:
    """No camera alone may be rolled by a right angle; beside others that know better, it may."""
    prior = torch.full((len(directions.GRID),), -math.log(len(directions.GRID)))
    rotation = rotation_matrix(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, math.pi / 2]]))
    world = tilted_up(torch.tensor([0.2, 0.0]))
    unknowing = directions.Ballot(prior.expand(30, -1), torch.eye(3).expand(30, 3, 3))
    found, _ = directions.vote_together([ballot(world, 0.1), unknowing], rotation, prior)
    assert angle_between(found, world) < math.radians(4)
