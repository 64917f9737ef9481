"""Windows and mirrors: against loops, with memory counted, and clips of every awkward length."""

import pytest
import torch
from torch import Tensor, nn

from poseda import lifters
from poseda.geometry.skeleton import COCO17, H36M16, Skeleton

PAIR = Skeleton.declare("pair", {"root": None, "left": "root", "right": "root"}, [("left", "right")])


class Middle(nn.Module):
    """Returns one frame of the window, with depth 0."""

    def __init__(self, frame: int) -> None:
        super().__init__()
        self.frame = frame

    def forward(self, pose_2d: Tensor) -> Tensor:
        return nn.functional.pad(pose_2d[:, self.frame : self.frame + 1], (0, 1))


class Every(nn.Module):
    """Returns every frame of the window, with depth 0."""

    def forward(self, pose_2d: Tensor) -> Tensor:
        return nn.functional.pad(pose_2d, (0, 1))


class Shorter(nn.Module):
    """Returns neither one frame nor all."""

    def forward(self, pose_2d: Tensor) -> Tensor:
        return pose_2d[:, 1:]


def test_rows_of_windows_worked_by_hand():
    windows = lifters.ClipWindows(torch.tensor([7, 7, 7, 2, 2]), frames=3)
    assert len(windows) == 5
    rows = windows.rows(torch.arange(5)).tolist()
    # The first and last frame of a clip are repeated; no window reaches into another clip.
    assert rows == [[0, 0, 1], [0, 1, 2], [1, 2, 2], [3, 3, 4], [3, 4, 4]]
    past = lifters.ClipWindows(torch.tensor([7, 7, 7, 2, 2]), frames=3, target_frame=2)
    assert past.rows(torch.tensor([1, 4])).tolist() == [[0, 0, 1], [3, 3, 4]]


@pytest.mark.parametrize(("frames", "target"), [(1, None), (4, None), (9, None), (9, 8), (5, 0)])
def test_gathered_and_sliding_windows_agree(frames, target):
    lengths = [6, 1, 20]
    clip = torch.arange(3).repeat_interleave(torch.tensor(lengths))
    poses = torch.randn(27, 4, 2)
    gathered = poses[lifters.ClipWindows(clip, frames, target).rows(torch.arange(27))]
    sliding = torch.cat([lifters.sliding_windows(part, frames, target) for part in poses.split(lengths)])
    assert torch.equal(gathered, sliding)
    middle = frames // 2 if target is None else target
    assert torch.equal(gathered[:, middle], poses)


def test_overlapping_windows_are_a_view_of_the_padded_clip():
    clip = torch.randn(100, 16, 2)
    windows = lifters.sliding_windows(clip, 27)
    assert windows.shape == (100, 27, 16, 2)
    assert windows.untyped_storage().nbytes() == (100 + 26) * 16 * 2 * 4
    assert torch.equal(lifters.sliding_windows(clip, 27, stride=7), windows[::7])


@pytest.mark.parametrize("frames", [1, 3, 8])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 9, 16, 20, 1100])  # the last in several batches
def test_a_clip_is_lifted_once_a_frame_whatever_its_length(length, frames):
    clip = torch.randn(length, 4, 2)
    expected = nn.functional.pad(clip, (0, 1))
    assert torch.equal(lifters.lift_clip(Every(), clip, frames), expected)
    assert torch.equal(lifters.lift_clip(Middle(frames // 2), clip, frames), expected)
    assert torch.equal(lifters.lift_clip(Middle(frames - 1), clip, frames, target_frame=frames - 1), expected)


@pytest.mark.parametrize("causal", [False, True])
def test_lifting_window_by_window_agrees_with_the_dilated_sequence(causal):
    lifter = lifters.build("videopose3d", H36M16, 9, channels=16, causal=causal).eval()
    clip = torch.randn(30, 16, 2)
    windowed = lifters.lift_clip(nn.Sequential(lifter), clip, 9, lifter.target_frame)
    whole = lifters.lift_clip(lifter, clip, 9)
    torch.testing.assert_close(windowed, whole, rtol=1e-4, atol=1e-6)
    assert torch.equal(whole, lifter.sequence(clip[None])[0])
    # The flip average knows which frame it stands for.
    mirrored = lifters.FlipAverage(lifter, H36M16)(clip[None, 4:13])[0, 0]
    at = 12 if causal else 8
    average = lifters.lift_clip(lifters.FlipAverage(lifter, H36M16), clip, 9)
    torch.testing.assert_close(average[at], mirrored, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("lengths", [[5], [1, 9, 2], [8, 3, 16, 20]])
def test_clips_are_lifted_together_as_each_alone(lengths):
    lifter = lifters.build("mixste", H36M16, 8, width=16, blocks=1).eval()
    with torch.no_grad():
        lifter.frame_place.normal_()
    clip = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    poses = torch.randn(sum(lengths), 16, 2)
    for each in (lifter, lifters.build("videopose3d", H36M16, 9, channels=16).eval()):
        together = lifters.lift_clips(each, poses, clip, each.frames)
        alone = [lifters.lift_clip(each, part, each.frames) for part in poses.split(lengths)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-6)


def test_impossible_windows_are_refused():
    with pytest.raises(
        ValueError, match="clip: expected the frames of each clip to stand together, got clip 3 split"
    ):
        lifters.ClipWindows(torch.tensor([3, 3, 5, 3]), 9)
    with pytest.raises(ValueError, match=r"clip: expected shape \(F,\) with F > 0, got \(0,\)"):
        lifters.ClipWindows(torch.zeros(0, dtype=torch.int64), 9)
    with pytest.raises(ValueError, match="target_frame: expected 0 to 8, got 9"):
        lifters.ClipWindows(torch.zeros(4, dtype=torch.int64), 9, target_frame=9)
    with pytest.raises(ValueError, match="frames: expected at least 1, got 0"):
        lifters.sliding_windows(torch.zeros(4, 16, 2), 0)
    with pytest.raises(ValueError, match=r"pose: expected shape \(L, J, C\) with L > 0, got \(0, 16, 2\)"):
        lifters.sliding_windows(torch.zeros(0, 16, 2), 3)
    with pytest.raises(ValueError, match="lifter: expected 1 or 5 poses from 5 frames, got 4"):
        lifters.lift_clip(Shorter(), torch.zeros(6, 3, 2), 5)


def test_mirrors_swap_sides_and_negate_x():
    pose = torch.tensor([[0.5, 1, 9], [2, 3, 8], [4, 5, 7]])
    assert lifters.mirror(pose, PAIR).tolist() == [[-0.5, 1, 9], [-4, 5, 7], [-2, 3, 8]]
    assert lifters.mirror(pose[:, :2], PAIR).tolist() == [[-0.5, 1], [-4, 5], [-2, 3]]
    batch = torch.randn(2, 3, 17, 2)
    assert torch.equal(lifters.mirror(lifters.mirror(batch, COCO17), COCO17), batch)
    with pytest.raises(ValueError, match=r"pose: expected shape \(\.\.\., 3, C\), got \(2, 3, 17, 2\)"):
        lifters.mirror(batch, PAIR)


@pytest.mark.parametrize("channels", [2, 3])
def test_a_flip_average_lifts_mirrored_people_to_mirrored_poses(channels):
    lifter = lifters.build("mixste", H36M16, 5, width=16, blocks=1, in_channels=channels).eval()
    average = lifters.FlipAverage(lifter, H36M16)
    pose_2d = torch.randn(2, 5, 16, channels)
    mirrored = lifters.mirror(pose_2d, H36M16)
    by_hand = (lifter(pose_2d) + lifters.mirror(lifter(mirrored), H36M16)) / 2
    torch.testing.assert_close(average(pose_2d), by_hand)
    torch.testing.assert_close(average(mirrored), lifters.mirror(average(pose_2d), H36M16))
    assert not torch.allclose(lifter(mirrored), lifters.mirror(lifter(pose_2d), H36M16))
    assert average.any_frames
    assert {name.split(".")[0] for name in average.state_dict()} == {"lifter"}
