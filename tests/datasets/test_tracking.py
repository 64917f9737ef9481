"""People followed from picture to picture, and tracks that jump."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bodies import walk
from scipy.optimize import linear_sum_assignment

from poseda.datasets import read_detections, tracking
from poseda.datasets.bodies import Bodies, assigned
from poseda.datasets.swaps import exchanged_back
from poseda.datasets.tracking import _jumps, cut_jumps, follow, identify


def shuffled(people: list[np.ndarray], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detections (N, J, 2) of people in a list of another order in each picture, frames, and who they are."""
    rng = np.random.default_rng(seed)
    rows = [(frame, who) for frame in range(len(people[0])) for who in rng.permutation(len(people)).tolist()]
    frame, who = np.array(rows).T
    return np.stack([people[b][a] for a, b in rows]), frame, who


def same_people(found: np.ndarray, true: np.ndarray) -> bool:
    """Whether numbers name the same people, under other names."""
    return (
        len({*zip(found.tolist(), true.tolist(), strict=True)})
        == len({*found.tolist()})
        == len({*true.tolist()})
    )


def followed(pose: np.ndarray, seen: np.ndarray, frame: np.ndarray) -> np.ndarray:
    return follow(pose, seen, frame)[0]


def everything(pose: np.ndarray) -> np.ndarray:
    return np.ones(pose.shape[:2], bool)


def test_people_in_any_order_of_the_list_are_followed() -> None:
    pose, frame, who = shuffled([walk(40, (200.0 * at, 300), (3.0 * (-1) ** at, 1)) for at in range(5)])
    assert same_people(followed(pose, everything(pose), frame), who)


def test_people_who_pass_each_other_keep_their_numbers() -> None:
    pose, frame, who = shuffled([walk(60, (100, 300), (8, 0)), walk(60, (560, 330), (-8, 0))])
    assert same_people(followed(pose, everything(pose), frame), who)


def test_someone_hidden_for_a_few_pictures_is_known_again() -> None:
    pose, frame, who = shuffled([walk(40, (100, 300)), walk(40, (500, 300))])
    there = (who == 0) | (frame < 12) | (frame >= 20)
    found = followed(pose[there], everything(pose[there]), frame[there])
    assert same_people(found, who[there])


def test_someone_away_for_long_is_somebody_new() -> None:
    pose, frame, who = shuffled([walk(80, (100, 300), (0, 0)), walk(80, (500, 300), (0, 0))])
    there = (who == 0) | (frame < 12) | (frame >= 50)
    assert len(set(followed(pose[there], everything(pose[there]), frame[there]).tolist())) == 3


def test_half_hidden_people_are_followed() -> None:
    pose, frame, who = shuffled([walk(40, (100, 300)), walk(40, (330, 300))])
    seen = np.random.default_rng(0).random(pose.shape[:2]) > 0.5
    seen[:, :3] = True
    assert same_people(followed(pose, seen, frame), who)


def test_every_third_frame_is_no_gap() -> None:
    pose, frame, who = shuffled([walk(20, (100, 300), (20, 0)), walk(20, (100, 700), (20, 0))])
    assert same_people(followed(pose, everything(pose), 3 * frame), who)


def test_one_person_stays_one_track_also_in_stills() -> None:
    pose = walk(30, (100, 300))
    assert set(followed(pose, everything(pose), np.arange(30))) == {0}
    stills = pose + np.random.default_rng(0).uniform(0, 3000, (30, 1, 2))
    assert set(followed(stills, everything(stills), np.arange(30))) == {0}


def test_a_stranger_in_the_only_track_is_cut_out_and_the_person_goes_on() -> None:
    pose = walk(40, (100, 300))
    pose[20:24] += [900, 0]
    found = followed(pose, everything(pose), np.arange(40))
    assert [*found] == [0] * 20 + [1] * 4 + [0] * 16


def test_tracks_that_swap_are_cut_where_they_swap() -> None:
    one, other = walk(30, (100, 300)), walk(30, (700, 300))
    one[15:], other[15:] = other[15:].copy(), one[15:].copy()
    pose, frame = np.concatenate([one, other]), np.tile(np.arange(30), 2)
    found, cut = cut_jumps(pose, everything(pose), frame, np.repeat([4, 9], 30))
    assert cut == 2
    assert [*found] == [4] * 15 + [10] * 15 + [9] * 15 + [11] * 15


def test_a_quick_person_is_no_switch() -> None:
    pose = walk(30, (100, 300), (60, 0))  # a third of the body a frame
    assert cut_jumps(pose, everything(pose), np.arange(30), np.zeros(30, np.int64))[1] == 0


def test_a_track_that_returns_elsewhere_after_a_long_absence_is_the_files_word() -> None:
    pose = np.concatenate([walk(15, (100, 300)), walk(15, (900, 300))])
    frame = np.r_[0:15, 60:75]
    found, cut = cut_jumps(pose, everything(pose), frame, np.zeros(30, np.int64))
    assert cut == 0 and set(found) == {0}


def test_a_track_twice_in_a_picture_is_no_track() -> None:
    pose, frame, who = shuffled([walk(20, (100, 300)), walk(20, (600, 300))])
    zeros = np.zeros(len(who), np.int64)
    found = identify(pose, everything(pose), zeros, frame, zeros)
    assert found.tracking == "followed" and same_people(found.person, who)
    assert found.warnings == ("a track comes twice in a picture in 1 clip: people were followed",)


def test_tracks_that_many_detections_lack_are_none() -> None:
    pose, frame, who = shuffled([walk(20, (100, 300)), walk(20, (600, 300))])
    zeros = np.zeros(len(who), np.int64)
    some = identify(pose, everything(pose), zeros, frame, np.where(frame % 3, -1, 7))
    assert some.tracking == "followed" and same_people(some.person, who)
    few = identify(pose, everything(pose), zeros, frame, np.where((frame == 3) & (who == 0), -1, 5 + who))
    assert set(few.person[who == 1]) == {6} and set(few.person[(who == 0) & (frame == 3)]) == {7}


def test_a_detector_that_fails_for_a_picture_or_two_makes_nobody_new() -> None:
    pose = walk(30, (300, 300))
    pose[14] = pose[14].mean(0) + 0.3 * (pose[14] - pose[14].mean(0)) + [80, 0]
    pose[15] = pose[15].mean(0) + 0.3 * (pose[15] - pose[15].mean(0)) - [60, 0]
    assert not followed(pose, everything(pose), np.arange(30)).any()


def test_someone_who_falls_with_confused_joints_stays_one_person() -> None:
    pose = walk(30, (300, 300))
    pose[10:20:2] = pose[10:20:2, ::-1]
    assert not followed(pose, everything(pose), np.arange(30)).any()


def test_someone_of_whom_now_the_head_and_now_the_legs_are_seen_stays_one_track() -> None:
    pose = walk(30, (300, 300))
    seen = everything(pose)
    seen[10:12, 5:], seen[12:14, :13] = False, False
    assert not cut_jumps(pose, seen, np.arange(30), np.zeros(30, np.int64))[0].any()


def test_a_track_that_stays_one_person_over_its_jumps_is_not_cut() -> None:
    # The detector puts the box elsewhere for two pictures: after each jump someone known is near enough.
    pose = walk(30, (300, 300))
    pose[14] += [70, 0]
    pose[15] -= [70, 0]
    assert _jumps(Bodies.of(pose, everything(pose)), np.arange(30), np.zeros(30, np.int64)).any()
    found, cut = cut_jumps(pose, everything(pose), np.arange(30), np.zeros(30, np.int64))
    assert not found.any() and cut == 0


def test_tracks_of_the_file_are_kept_and_each_clip_has_its_own() -> None:
    pose, frame, who = shuffled([walk(20, (100, 300)), walk(20, (600, 300))])
    zeros = np.zeros(len(who), np.int64)
    found = identify(pose, everything(pose), zeros, frame, 7 + who)
    assert found.tracking == "file" and np.array_equal(found.person, 7 + who) and not found.warnings
    one = identify(pose, everything(pose), who, frame, zeros)
    assert one.tracking == "single" and not one.person.any()


def test_the_assignment_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        cost = rng.random((rng.integers(1, 5), rng.integers(1, 5)))
        cost[rng.random(cost.shape) < 0.4] = np.inf
        rows, columns = assigned(cost)
        full = np.where(np.isfinite(cost), cost, 100.0)
        best = full[linear_sum_assignment(full)]
        assert len(set(columns.tolist())) == len(columns) == (best < 100).sum()
        assert cost[rows, columns].sum() == pytest.approx(best[best < 100].sum())


def write_alphapose(path: Path, pose: np.ndarray, frame: np.ndarray, **more: list[object]) -> Path:
    rows = [
        {
            "image_id": f"{at}.jpg",
            "keypoints": np.c_[points, np.ones(17)].ravel().tolist(),
            "score": 1.0,
            "box": [0],
        }
        | {name: values[row] for name, values in more.items()}
        for row, (points, at) in enumerate(zip(pose, frame.tolist(), strict=True))
    ]
    path.write_text(json.dumps(rows))
    return path


def test_a_file_without_a_tracker_has_followed_people(tmp_path: Path) -> None:
    pose, frame, _ = shuffled([walk(20, (200, 400)), walk(20, (800, 400))])
    found = read_detections(
        write_alphapose(tmp_path / "a.json", pose, frame, idx=[0.0] * len(pose)), (1920, 1080)
    )
    assert found.reading.tracking == "followed" and np.bincount(found.person).tolist() == [20, 20]
    left = found.pose_2d[found.person == found.person[np.argmin(found.pose_2d[:, 0, 0])]]
    assert left[:, 0, 0].max() < 700


def switched(one: np.ndarray, other: np.ndarray, *at: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two tracks that exchange their people in some frames, one after the other; frames; true people."""
    frame, who = np.tile(np.arange(len(one)), 2), np.repeat([0, 1], len(one))
    wrong = np.searchsorted(at, np.arange(len(one)), side="right") % 2 == 1
    one, other = np.where(wrong[:, None, None], [other, one], [one, other])
    return np.concatenate([one, other]), frame, who ^ wrong[frame]


@pytest.mark.parametrize("apart", [60, 190, 700])
def test_tracks_of_a_file_that_exchange_their_people_get_them_back(tmp_path: Path, apart: float) -> None:
    pose, frame, _ = switched(walk(30, (200, 400)), walk(30, (200 + apart, 400)), 15)
    path = write_alphapose(tmp_path / "a.json", pose, frame, idx=[0] * 30 + [1] * 30)
    found = read_detections(path, (1920, 1080))
    assert np.bincount(found.person).tolist() == [30, 30]
    assert np.ptp(found.pose_2d[found.person == 0, :, 0].mean(1)) == pytest.approx(29 * 4, abs=3)
    assert found.reading.warnings == (
        "two tracks exchanged their people 1 time, first at frame 15: they were given back",
    )


def test_a_person_who_turns_into_a_stranger_in_one_track_alone_is_cut_and_said(tmp_path: Path) -> None:
    one, other = walk(30, (200, 400)), walk(30, (900, 400))
    one[15:] += [350, 0]
    pose, frame = np.concatenate([one, other]), np.tile(np.arange(30), 2)
    path = write_alphapose(tmp_path / "a.json", pose, frame, idx=[0] * 30 + [1] * 30)
    found = read_detections(path, (1920, 1080))
    assert np.bincount(found.person).tolist() == [15, 30, 15]
    assert found.reading.warnings == ("1 track cut at a jump from one person to another",)


@pytest.mark.parametrize("at", [(10,), (10, 11), (10, 20, 21, 25)])
def test_every_exchange_is_found_also_two_at_once(at: tuple[int, ...]) -> None:
    pose, frame, who = switched(walk(30, (200, 400)), walk(30, (390, 400)), *at)
    given = np.repeat([4, 9], 30)
    found, frames = exchanged_back(pose, everything(pose), frame, given, 1)
    assert frames == list(at) and np.array_equal(found, np.where(who == 0, 4, 9))
    # A third person, of whom every third picture is missing, keeps the number.
    third = walk(30, (500, 400))[np.arange(30) % 3 > 0]
    pose, frame = np.concatenate([pose, third]), np.r_[frame, np.flatnonzero(np.arange(30) % 3)]
    found, frames = exchanged_back(pose, everything(pose), frame, np.r_[given, np.full(len(third), 7)], 1)
    assert frames == list(at) and (found[60:] == 7).all()


@pytest.mark.parametrize("noise", [0.0, 3.0, 15.0])
@pytest.mark.parametrize("step", [2.0, 8.0, 30.0, 90.0])
@pytest.mark.parametrize("beside", [1.0, -1.0], ids=["side by side", "crossing"])
def test_people_with_right_tracks_exchange_nothing(noise: float, step: float, beside: float) -> None:
    """They are equally far apart, cross or walk side by side, and one in ten pictures is missing."""
    rng = np.random.default_rng(0)
    for apart in (20.0, 90.0, 170.0):
        # Those who cross, and are a step apart, take each other's place in one picture.
        starts = [(500 + apart * at - 14 * step * (beside if at else 1), 400) for at in range(3)]
        people = [walk(30, start, (step * (beside if at else 1), 0)) for at, start in enumerate(starts)]
        pose, frame, who = shuffled(people)
        there = rng.random(len(who)) > 0.1
        pose = pose[there] + rng.normal(0, noise, pose[there].shape)
        found, frames = exchanged_back(pose, everything(pose), frame[there], who[there], 1)
        assert not frames and np.array_equal(found, who[there])


@pytest.mark.parametrize("crossing", [1, 2, 3])
def test_people_who_stand_and_cross_in_a_few_quick_steps_exchange_nothing(crossing: int) -> None:
    one, other = walk(40, (400, 400), (0, 0)), walk(40, (400 + 80 * (2 * crossing + 1), 400), (0, 0))
    ran = 80 * np.clip(np.arange(40) - 20, 0, 5)[:, None]
    one[..., 0] += ran
    other[..., 0] -= ran
    pose, frame, who = switched(one, other)
    middle = pose.mean(1)[:, 0].reshape(2, 40)
    assert np.allclose(middle[0, 20 + crossing], middle[1, 21 + crossing], atol=3), "they change places"
    found, frames = exchanged_back(pose, everything(pose), frame, who, 1)
    assert not frames and np.array_equal(found, who)


def test_people_who_change_places_behind_a_gap_are_the_files_word() -> None:
    pose, frame, _ = switched(walk(30, (200, 400), (0, 0)), walk(30, (390, 400), (0, 0)), 15)
    there = (frame < 12) | (frame >= 16)
    given = np.repeat([0, 1], 30)[there]
    found, frames = exchanged_back(pose[there], everything(pose[there]), frame[there], given, 1)
    assert not frames and np.array_equal(found, given)


def test_sure_links_and_the_memory_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [walk(60, (100.0 + 130 * at, 300), (2.0 * (-1) ** at, 0)) for at in range(4)]
    pose, frame, _ = shuffled(people)
    there = np.random.default_rng(1).random(len(frame)) > 0.03
    pose, frame = pose[there], frame[there]
    found = followed(pose, everything(pose), frame)
    monkeypatch.setattr(tracking, "_links", lambda bodies, starts, times: np.full(len(bodies.size), -1))
    assert same_people(found, followed(pose, everything(pose), frame))


def test_a_crowd_beyond_reason_is_not_followed_and_needs_little_memory() -> None:
    pose = np.concatenate([walk(400, (0, 0), (9, 0)), walk(400, (0, 0), (9, 0))])
    zeros, frame = np.zeros(800, np.int64), np.repeat([0, 1], 400)
    found = identify(pose, everything(pose), zeros, frame, zeros)
    assert len(set(found.person.tolist())) == 800
    assert "400 detections in a picture are too many to follow people" in found.warnings


def test_frame_numbers_at_the_ends_of_the_range_are_followed() -> None:
    pose, _, _ = shuffled([walk(2, (100, 300)), walk(2, (600, 300))])
    frame = np.array([-(1 << 62), -(1 << 62), (1 << 62) - 1, (1 << 62) - 1])
    assert len(followed(pose, everything(pose), frame)) == 4
