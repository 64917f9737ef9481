"""Readers of 2D detections: each on a small file in the detector's own format, recognised by its content."""

from typing import Any

import numpy as np
import pytest
import torch
from detections import SIZE, person, refused_when_damaged
from walkers import walker

from poseda.datasets import DataError, read_detections
from poseda.datasets.screen import Intrinsics, unlabelled
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import COCO17, Skeleton


def result(image: Any, points: np.ndarray, **more: Any) -> dict:
    return {"image_id": image, "category_id": 1, "keypoints": points.ravel().tolist(), "score": 1.0, **more}


def test_coco_results(write):
    people = [walker("coco17", 4), walker("coco17", 0), walker("coco17", 0, (1300, 900))]
    found = read_detections(write([result(7, people[0]), result(3, people[1]), result(3, people[2])]), SIZE)
    assert found.format == "COCO results JSON" and found.layout.name == "coco17"
    assert found.frame.tolist() == [3, 7, 3] and found.person.tolist() == [0, 0, 1]
    assert np.array_equal(found.pose_2d, [people[1][:, :2], people[0][:, :2], people[2][:, :2]])
    assert np.array_equal(found.confidence[1], people[0][:, 2])
    assert found.image_size.tolist() == [[1920, 1080]] * 3


def annotations(points: np.ndarray, **more: Any) -> dict:
    return {
        "images": [{"id": 5, "file_name": "000005.jpg", "width": 640, "height": 480}],
        "annotations": [{"image_id": 5, "category_id": 1, "id": 1, "keypoints": points.ravel().tolist()}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joint_names)}],
        **more,
    }


def test_coco_annotations(write):
    points = person(17)
    points[:, :2] /= 3
    points[:, 2] = 2
    points[0] = 0  # not labelled
    points[1, 2] = 1  # labelled, hidden
    found = read_detections(write(annotations(points)))
    assert found.format == "COCO annotations JSON" and found.layout.name == "coco17"
    assert found.image_size.tolist() == [[640, 480]] and found.frame.tolist() == [5]
    assert found.confidence[0].tolist() == [0] + [1] * 16
    poses = unlabelled(found, COCO17)
    assert poses.visible[0].tolist() == [False] + [True] * 16
    expected = (2 * points[1, 0] / 640 - 1, (2 * points[1, 1] - 480) / 640)
    assert poses.pose_2d[0, 1].tolist() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(
        DataError, match="expected 1920 x 1080 as given with --image-size, found 640 x 480; leave out"
    ):
        read_detections(write(annotations(points)), SIZE)


def test_coco_annotations_of_a_users_own_joints(write):
    points = np.array([[10.0, 20, 2], [30, 40, 2], [50, 60, 2]])
    category = [{"id": 1, "name": "fly", "keypoints": ["Head", "thorax", "left wing"]}]
    found = read_detections(write(annotations(points, categories=category)))
    assert found.layout.joint_names == ("head", "thorax", "left_wing")
    fly = Skeleton.declare("fly", {"thorax": None, "head": "thorax", "left_wing": "thorax"})
    poses = unlabelled(found, fly)
    assert poses.pose_2d.shape == (1, 3, 2) and poses.visible is None


def test_alphapose(write):
    people = [person(26, seed) for seed in range(3)]
    content = [
        result("9.jpg", people[0], box=[0, 0, 1, 1], idx=[4.0]),
        result("10.jpg", people[1], box=[0, 0, 1, 1], idx=[4.0]),
        result("10.jpg", people[2], box=[0, 0, 1, 1], idx=2),
    ]
    found = read_detections(write(content), SIZE)
    assert found.format == "AlphaPose JSON" and found.layout.name == "halpe26"
    assert found.person.tolist() == [2, 4, 4] and found.frame.tolist() == [10, 9, 10]
    whole_body = [result("0.jpg", person(136), idx=1)]
    assert len(read_detections(write(whole_body), SIZE).layout) == 26


def instance(points: np.ndarray, **more: Any) -> dict:
    return {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist(), **more}


def test_mmpose_video_in_both_forms(write):
    people = [walker("coco17", 0), walker("coco17", 2), walker("coco17", 2, (1300, 900))]
    frames = [
        {"frame_id": 0, "instances": [instance(people[0], bbox=[[0, 0, 1, 1]], bbox_score=1.0)]},
        {"frame_id": 1, "instances": []},
        {"frame_id": 2, "instances": [instance(people[1]), instance(people[2])]},
    ]
    meta = {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(COCO17.joint_names))}
    for content in (frames, {"meta_info": meta, "instance_info": frames}):
        found = read_detections(write(content), SIZE)
        assert found.format == "MMPose JSON" and found.layout.name == "coco17"
        assert found.frame.tolist() == [0, 2, 2] and found.person.tolist() == [0, 0, 1]
        assert np.array_equal(found.pose_2d, [p[:, :2] for p in people])
        assert np.array_equal(found.confidence, [p[:, 2] for p in people])


def test_mmpose_picture_and_folder_of_pictures(write):
    one = read_detections(write([instance(person(26))]), SIZE)
    assert one.layout.name == "halpe26" and one.frame.tolist() == [0]
    for frame in range(12):
        path = write([instance(person(17, frame))] if frame else [], f"pictures/img_{frame}.json")
    found = read_detections(path.parent, SIZE)
    assert found.frame.tolist() == list(range(1, 12))  # 10 after 9
    assert np.array_equal(found.pose_2d[9], person(17, 10)[:, :2])


def test_videopose3d_2d(tmp_path):
    rng = np.random.default_rng(0)
    positions = {
        subject: {"Walking": [rng.uniform(0, 1000, (3, 17, 2)).astype(np.float32) for _ in range(2)]}
        for subject in ("S1", "S9")
    }
    metadata = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": [[4, 5], [1, 2]]}
    np.savez_compressed(tmp_path / "data_2d_h36m_gt.npz", positions_2d=positions, metadata=metadata)
    found = read_detections(tmp_path / "data_2d_h36m_gt.npz", (1000, 1002))
    assert found.format == "VideoPose3D 2D npz" and found.layout.name == "h36m17" and len(found) == 12
    assert found.clip.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert np.array_equal(found.pose_2d[3:6], positions["S1"]["Walking"][1].astype(np.float64))
    one = read_detections(tmp_path / "data_2d_h36m_gt.npz", (1000, 1002), subjects=("S9",))
    assert np.array_equal(one.pose_2d, found.pose_2d[6:])
    with pytest.raises(DataError, match="positions_2d: expected subject S5, found S1, S9"):
        read_detections(tmp_path / "data_2d_h36m_gt.npz", (1000, 1002), subjects=("S5",))


def test_plain_npz_in_pixels_and_on_screen(tmp_path):
    points = np.stack([person(17, seed) for seed in range(3)])
    np.savez(tmp_path / "pixels.npz", keypoints=points, image_size=np.array(SIZE), clip=np.array([1, 0, 0]))
    pixels = read_detections(tmp_path / "pixels.npz")
    assert pixels.layout.name == "coco17" and pixels.units == "pixels" and pixels.clip.tolist() == [1, 0, 0]
    screen = (2 * points[..., :2] - SIZE) / SIZE[0]
    np.savez(tmp_path / "screen.npz", pose_2d=screen, confidence=points[..., 2])
    plain = read_detections(tmp_path / "screen.npz")
    assert plain.units == "screen"
    one, two = unlabelled(pixels, COCO17), unlabelled(plain, COCO17)
    assert torch.allclose(one.pose_2d, two.pose_2d, atol=1e-6)
    assert two.camera.aspect is None and one.camera.aspect.tolist() == pytest.approx([0.5625] * 3)


@pytest.mark.parametrize(("rate", "seconds"), [(50.0, [0.0, 0.06, 0.08]), (None, [0.0, 0.1, 4 / 30])])
def test_frames_have_times_by_the_rate_of_the_file_or_the_usual_one(tmp_path, rate, seconds):
    points = np.stack([person(17, seed) for seed in range(3)])
    known = {} if rate is None else {"rate": np.float64(rate)}
    np.savez(
        tmp_path / "f.npz", keypoints=points, image_size=np.array(SIZE), frame=np.array([0, 3, 4]), **known
    )
    poses = unlabelled(read_detections(tmp_path / "f.npz"), COCO17)
    assert poses.time.tolist() == pytest.approx(seconds)


def test_a_folder_of_recordings_numbers_its_clips_on(write):
    folder = write([result(0, person(17)), result(1, person(17, 1))], "many/a.json").parent
    write([result(0, person(17, 2))], "many/b.json")
    found = read_detections(folder, SIZE)
    assert found.clip.tolist() == [0, 0, 1]
    write([result(0, person(26, 2))], "many/c.json")
    with pytest.raises(
        DataError, match=r"c\.json: joints: expected coco17 in pixels as a\.json, found halpe26"
    ):
        read_detections(folder, SIZE)


def test_cameras_from_intrinsics_field_of_view_or_the_size_alone(write):
    found = read_detections(write([result(0, person(17)), result(1, person(17, 1))]), SIZE)
    wide = unlabelled(found, fov=90).camera
    assert len(wide) == 2 and wide.focal[1].tolist() == pytest.approx([1, 1])
    assumed = unlabelled(found).camera  # 55 degrees across the longer side
    assert assumed.focal[0, 0].item() == pytest.approx(1 / np.tan(np.radians(27.5)))
    upright = unlabelled(read_detections(write([result(0, person(17))]), (1080, 1920))).camera
    assert upright.focal[0, 0].item() == pytest.approx(1920 / 1080 / np.tan(np.radians(27.5)))
    given = Intrinsics(Camera.from_pixels(1500, 1510, 960, 540, *SIZE, [0.1, 0, 0, 0, 0]), SIZE)
    own = unlabelled(found, intrinsics=given).camera
    assert own.focal[1].tolist() == pytest.approx([3000 / 1920, 3020 / 1920]) and own.distortion.shape == (
        2,
        5,
    )
    with pytest.raises(DataError, match="image size: expected the intrinsics' 640x480, found 1920x1080"):
        unlabelled(found, intrinsics=Intrinsics(given.camera, (640, 480)))
    with pytest.raises(DataError, match="--fov: horizontal_degrees: expected 0 to 180 degrees, got 200"):
        unlabelled(found, fov=200)


def test_confidence_decides_what_is_seen(write):
    points = person(17)
    points[:, 2] = np.linspace(0, 0.8, 17)
    found = read_detections(write([result(0, points)]), SIZE)
    assert unlabelled(found, COCO17, min_confidence=0.5).visible.sum() == 7
    assert unlabelled(found, COCO17, min_confidence=0).visible.sum() == 16  # confidence 0 is never seen
    with pytest.raises(
        DataError, match=r"confidence: expected a joint of at least 0\.9, found none in 1 detections"
    ):
        unlabelled(found, COCO17, min_confidence=0.9)


def test_a_joint_beyond_all_numbers_is_unseen(write):
    points = person(17)
    points[3, 0] = 1e300
    poses = unlabelled(read_detections(write([result(0, points)]), SIZE), COCO17)
    assert poses.visible[0].tolist() == [joint != 3 for joint in range(17)]
    assert poses.pose_2d[0, 3].tolist() == [0, 0]


def test_unknown_size_and_wrong_units_are_named(write):
    with pytest.raises(
        DataError, match=r"image size: expected width x height in pixels \(--image-size\), found none in COCO"
    ):
        unlabelled(read_detections(write([result(0, person(17))])))
    with pytest.raises(
        DataError, match="image size: expected a picture that holds the joints, found 100% of the seen"
    ):
        unlabelled(read_detections(write([result(0, person(17))]), (64, 48)))
    small = person(17)
    small[:, :2] /= 2000
    with pytest.raises(DataError, match=r"keypoints: expected pixels, found normalised coordinates \(100%"):
        unlabelled(read_detections(write([result(0, small)]), SIZE))


BAD: dict[str, tuple[Any, str]] = {
    "empty": ("", "file: expected content, found an empty file"),
    "no JSON": ("{ nothing", "file: expected JSON, found other text"),
    "deep": ("[" * 100_000, "file: expected JSON, found other text"),
    "other JSON": ({"a": 1}, "file: expected COCO results .*, found an object with a"),
    "a list of numbers": ([1, 2], "file: expected COCO results .*, found a list of 2 numbers; lists are"),
    "15 joints": (
        [result(0, person(15))],
        r"\[0\]\.keypoints: expected 17, 18, .* or --layout \(openpose_mpi15, jhmdb15\), found 15 joints",
    ),
    "joints that change": (
        [result(0, person(17)), result(1, person(26))],
        r"\[1\]\.keypoints: expected 17 joints of coco17, found 26",
    ),
    "not in threes": (
        [{"image_id": 0, "keypoints": [1, 2]}],
        "expected three numbers a joint, found 2 numbers",
    ),
    "words": (
        [{"image_id": 0, "keypoints": ["x"] * 51}],
        r"expected numbers of shape \(N\), found other values",
    ),
    "ragged": (
        [instance(person(17)) | {"keypoints": [[1, 2], [3]]}],
        r"expected numbers of shape \(N, 2\), found lists of several lengths",
    ),
    "nothing seen": ({"images": [], "annotations": []}, "detections: expected at least one pose"),
    "unknown image": (
        {"images": [], "annotations": [{"image_id": 3, "keypoints": []}]},
        r"annotations\[0\]\.image_id: expected the id of one of the images, found 3",
    ),
    "no id": (
        [{"image_id": None, "keypoints": [1, 2, 3]}],
        "image_id: expected an integer or a name, found nothing",
    ),
    "frame without number": (
        [{"frame_id": "x", "instances": []}],
        r"\[0\]\.frame_id: expected an integer, found x",
    ),
    "huge frame": (
        [{"frame_id": 10**30, "instances": []}],
        r"\[0\]\.frame_id: expected an integer, found 1000",
    ),
    "scores of others": (
        [{"keypoints": [[1, 2]], "keypoint_scores": [1, 2]}],
        r"keypoint_scores: expected numbers of shape \(1\), found shape \(2,\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gets_one_sentence_with_file_field_expected_and_found(write, case):
    content, message = BAD[case]
    with pytest.raises(DataError, match=rf"file\.json: .*{message}|file\.json: {message}") as caught:
        read_detections(write(content), SIZE)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"absent\.json: file: expected a file that can be read, found No such file"
    ):
        read_detections(tmp_path / "absent.json")
    with pytest.raises(
        DataError, match=r"folder: expected files ending in \.json, .*\.csv, \.h5, \.npz, .*, found none"
    ):
        read_detections(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(DataError, match="file: expected UTF-8 text, found byte 0xe9 at position 7"):
        read_detections(tmp_path / "latin.json")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(DataError, match="members: expected positions_2d, keypoints or pose_2d, found a"):
        read_detections(tmp_path / "other.npz")
    np.savez(tmp_path / "odd.npz", keypoints=np.ones((2, 5, 2)))
    with pytest.raises(
        DataError, match="joint_names: expected names of the 5 joints, or --layout, found none"
    ):
        read_detections(tmp_path / "odd.npz")


def test_large_text_is_refused_before_it_is_read(write, monkeypatch):
    monkeypatch.setattr("poseda.datasets.formats.limits.MAX_TEXT", 100)
    with pytest.raises(DataError, match="file: expected at most 100 bytes, found"):
        read_detections(write([result(0, person(17))]), SIZE)


def test_damaged_files_raise_nothing_but_data_errors(write):
    """Truncated and flipped at random: it reads, or says why not, and nothing else."""
    files = [
        write(
            [result("9.jpg", person(26), box=[0], idx=[4.0]), result("10.jpg", person(26), idx=[1])],
            "alpha.json",
        ),
        write(annotations(person(17)), "coco.json"),
        write([{"frame_id": 0, "instances": [instance(person(17))]}], "mm.json"),
    ]
    assert refused_when_damaged(files) > 150


def test_damaged_npz_files_raise_nothing_but_data_errors(tmp_path):
    positions = {"S1": {"Walking": [np.full((2, 17, 2), 500.0)]}}
    rng, refused = np.random.default_rng(0), 0
    for content in ({"keypoints": np.full((2, 17, 3), 0.5)}, {"positions_2d": positions}):
        path = tmp_path / "poses.npz"
        np.savez(path, **content)
        whole = path.read_bytes()
        for trial in range(150):
            damaged = bytearray(whole[: int(rng.integers(4, len(whole)))] if trial % 4 == 0 else whole)
            for at in rng.integers(0, len(damaged), size=int(rng.integers(1, 20))):
                damaged[at] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                read_detections(path, SIZE)
            except DataError:
                refused += 1
    assert refused > 200
