"""JSON of detectors as each tool writes it: the same two walkers come out of every form."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from detections import SIZE, refused_when_damaged
from keypoint_forms import (
    FRAMES,
    LANDMARKS,
    META,
    ONE_PERSON,
    blaze,
    coco,
    flat,
    instance,
    named,
    shares,
    ultralytics,
)
from walkers import walker

from poseda.datasets import DataError, read_detections
from poseda.datasets.layouts import LAYOUTS


@pytest.mark.parametrize("form", ONE_PERSON)
def test_a_walker_comes_out_of_every_form(write, form):
    told, content = ONE_PERSON[form]
    found = read_detections(write(content), SIZE)
    assert found.format == told and found.layout.name == "coco17"
    assert (
        found.frame.tolist() == list(range(FRAMES)) and set(found.clip) == {0} and len(set(found.person)) == 1
    )
    assert np.allclose(found.pose_2d, [coco(n)[:, :2] for n in range(FRAMES)])
    assert np.allclose(found.confidence, [coco(n)[:, 2] for n in range(FRAMES)])
    named_there = "id2name" in json.dumps(content) or '"nose"' in json.dumps(content).lower()
    assert found.reading.layout_told_by == ("names" if named_there else "number")


@pytest.mark.parametrize("form", LANDMARKS)
def test_mediapipes_landmarks_come_out_of_every_form_in_pixels(write, form):
    found = read_detections(write(LANDMARKS[form]), SIZE)
    assert found.format == "MediaPipe JSON" and found.layout.name == "mediapipe33"
    assert found.frame.tolist() == list(range(FRAMES)) and found.reading.image_size_told_by == "flag"
    assert np.allclose(found.pose_2d, [blaze(n)[:, :2] for n in range(FRAMES)])
    assert np.allclose(found.confidence, [blaze(n)[:, 2] for n in range(FRAMES)])


def test_landmarks_that_are_left_out_are_unseen(write):
    kept = [{"id": at, **p} for at, p in enumerate(shares(blaze(0)))][11:29]
    found = read_detections(write([{"frame": 0, "keypoints": kept}]), SIZE)
    assert found.confidence[0, :11].tolist() == [0] * 11 and (found.confidence[0, 11:29] > 0).all()
    with pytest.raises(DataError, match="keypoints: expected numbers of joints from 0 to 32, found 0 to 40"):
        read_detections(write([{"frame": 0, "keypoints": [kept[0] | {"id": 0}, kept[1] | {"id": 40}]}]), SIZE)
    with pytest.raises(DataError, match="keypoints: expected each joint once, found joint 11 twice"):
        read_detections(write([{"frame": 0, "keypoints": [kept[0], kept[0]]}]), SIZE)


def test_a_picture_without_landmarks_does_not_hide_the_format(write):
    frames = [{"frame": 0, "keypoints": []}, {"frame": 1, "keypoints": shares(blaze(0))}]
    found = read_detections(write(frames), SIZE)
    assert found.format == "MediaPipe JSON" and found.frame.tolist() == [1]


def test_joints_that_some_people_lack_are_unseen_there(write):
    people = [{"keypoints": named(coco(0))[4:]}, {"keypoints": named(coco(0, 1))}]
    found = read_detections(write([people]), SIZE)
    assert set(found.layout.joint_names) == set(LAYOUTS["coco17"].joint_names)
    nose = found.layout.joint_names.index("nose")
    assert sorted(found.confidence[:, nose] > 0) == [False, True]


OPENPOSE = {
    15: "openpose_mpi15",
    17: "coco17",
    18: "coco18",
    25: "body_25",
    26: "halpe26",
    133: "coco17",
    134: "coco18",
    135: "body_25b",
    136: "halpe26",
}


@pytest.mark.parametrize("joints", OPENPOSE)
def test_openpose_of_every_model(write, joints):
    body = walker(OPENPOSE[joints])
    points = np.concatenate([body, np.full((joints - len(body), 3), 500.0)])
    person = {"person_id": [-1], "pose_keypoints_2d": flat(points), "face_keypoints_2d": []}
    found = read_detections(write({"version": 1.3, "people": [person]}), SIZE)
    assert found.format == "OpenPose JSON" and found.layout.name == OPENPOSE[joints]
    assert np.allclose(found.pose_2d[0], body[:, :2]) and found.reading.layout_told_by == "number"
    assert found.reading.tracking != "file"


def test_openposes_old_name_and_a_layout_by_flag(write):
    person = {"pose_keypoints": flat(walker("body_25b"))}
    found = read_detections(write({"version": 0.1, "people": [person]}), SIZE, layout="body_25b")
    assert found.layout.name == "body_25b" and found.reading.layout_told_by == "flag"


def test_names_beside_the_pictures_are_used(write):
    names = LAYOUTS["crowdpose14"].joint_names
    meta = {
        "keypoint_id2name": {str(n): name.replace("head_top", "top_head") for n, name in enumerate(names)}
    }
    frames = [{"frame_id": 7, "instances": [instance(walker("crowdpose14"))]}]
    found = read_detections(write({"meta_info": meta, "instance_info": frames}), SIZE)
    assert found.layout.name == "crowdpose14" and found.reading.layout_told_by == "names"
    with pytest.raises(DataError, match=r"or --layout \(crowdpose14, aic14\), found 14 joints"):
        read_detections(write(frames), SIZE)


def annotations(layout: str, names: list[str], **image: Any) -> dict:
    images = [
        {"id": n + 1, "file_name": f"{n:06}.jpg", "width": SIZE[0], "height": SIZE[1], **image}
        for n in range(2)
    ]
    items = []
    for n in range(2):
        points = walker(layout, n)
        points[:, 2] = 2
        items.append({"image_id": n + 1, "category_id": 1, "id": n, "keypoints": flat(points), "track_id": 5})
    items.append({"image_id": 1, "category_id": 1, "id": 9, "keypoints": [0] * 3 * len(points)})
    return {"images": images, "annotations": items, "categories": [{"id": 1, "keypoints": names}]}


@pytest.mark.parametrize(
    ("layout", "theirs"),
    [
        ("crowdpose14", {"head_top": "head"}),
        ("aic14", {}),
        ("posetrack17", {"upper_neck": "head_bottom"}),
        ("mpii16", {}),
        ("jhmdb15", {"head": "face"}),
        ("halpe26", {"head_top": "head"}),
    ],
)
def test_annotations_of_data_sets_in_cocos_form_are_read_by_name(write, layout, theirs):
    names = [theirs.get(name, name) for name in LAYOUTS[layout].joint_names]
    found = read_detections(write(annotations(layout, names)))
    assert found.layout.name == layout and found.reading.layout_told_by == "names"
    assert found.reading.image_size_told_by == "file" and found.person.tolist() == [5, 5]
    assert dict(found.reading.dropped) == {"without a labelled joint": 1}


@pytest.mark.parametrize("key", ["video_id", "vid_id"])
def test_videos_of_annotations_are_clips_with_names(write, key):
    names = list(LAYOUTS["coco17"].joint_names)
    content = annotations("coco17", names)
    for n, image in enumerate(content["images"]):
        image[key] = n + 30
    found = read_detections(write(content))
    assert found.clip.tolist() == [0, 1] and found.reading.clip_names == {0: "30", 1: "31"}
    content["videos"] = [{"id": 30, "name": "jump"}, {"id": 31, "name": "run"}]
    assert read_detections(write(content)).reading.clip_names == {0: "jump", 1: "run"}


def test_folders_in_names_are_clips_and_names_that_are_times_keep_the_files_order(write):
    results = [
        {"image_id": f"{video}/{n:06}.jpg", "keypoints": flat(coco(n)), "idx": 1, "box": []}
        for video in ("hall", "yard")
        for n in range(3)
    ]
    found = read_detections(write(results), SIZE)
    assert found.clip.tolist() == [0] * 3 + [1] * 3 and found.reading.clip_names == {0: "hall", 1: "yard"}
    times = ["10_06_21.955", "10_06_22.103", "10_06_22.048", "10_06_23.001"]
    results = [{"image_id": f"{t}.png", "keypoints": flat(coco(n))} for n, t in enumerate(times)]
    found = read_detections(write(results), SIZE)
    assert np.allclose(found.pose_2d[:, 0, 0], [coco(n)[0, 0] for n in range(4)])


def test_two_people_with_one_track_are_two_people(write):
    results = [
        {"image_id": f"{n}.jpg", "keypoints": flat(coco(n, who)), "idx": [0.0], "box": []}
        for n in range(3)
        for who in range(2)
    ]
    assert len(read_detections(write(results), SIZE)) == 6


def save_folder(write: Callable, name: str, contents: list[Any], form: str = "img_{:03}.json") -> Any:
    for n, content in enumerate(contents):
        path = write(content, f"{name}/{form.format(n)}")
    return path.parent


FOLDERS: dict[str, tuple[str, Callable[[int], Any], Any]] = {
    "Sapiens, an object a picture": (
        "MMPose JSON",
        lambda n: {"meta_info": META, "instance_info": [instance(coco(n))]},
        {"meta_info": META, "instance_info": []},
    ),
    "MMPose, a list a picture": ("MMPose JSON", lambda n: [instance(coco(n))], []),
    "Ultralytics": ("Ultralytics JSON", lambda n: [ultralytics(coco(n))], []),
    "OpenPifPaf": (
        "OpenPifPaf JSON",
        lambda n: [{"keypoints": flat(coco(n)), "bbox": [0, 0, 9, 9], "score": 0.8, "category_id": 1}],
        [],
    ),
    "TF.js": ("TF.js JSON", lambda n: [{"score": 1, "keypoints": named(coco(n))}], []),
    "EasyMocap": (
        "EasyMocap JSON",
        lambda n: {
            "filename": f"images/1/{n:06}.jpg",
            "height": SIZE[1],
            "width": SIZE[0],
            "isKeyframe": False,
            "annots": [{"bbox": [0, 0, 9, 9, 1], "personID": 0, "keypoints": coco(n).tolist()}],
        },
        {"filename": "x.jpg", "height": SIZE[1], "width": SIZE[0], "annots": []},
    ),
}


@pytest.mark.parametrize("form", FOLDERS)
def test_a_folder_with_a_file_a_picture_is_one_clip_with_gaps(write, form):
    told, picture, empty = FOLDERS[form]
    folder = save_folder(write, "clip", [picture(0), picture(1), empty, picture(3)])
    found = read_detections(folder, SIZE)
    assert found.format == told and found.layout.name == "coco17"
    assert found.frame.tolist() == [0, 1, 3] and set(found.clip) == {0} and len(set(found.person)) == 1
    assert np.allclose(found.pose_2d[2], coco(3)[:, :2])
    assert (found.reading.image_size_told_by == "file") == (told == "EasyMocap JSON")


def test_pictures_that_have_numbers_in_their_files_keep_them(write):
    by_id = [[{"image_id": 3 * n, "category_id": 1, "keypoints": flat(coco(n))}] for n in range(3)]
    by_frame = [{"frame_id": 3 * n, "instances": [instance(coco(n))]} for n in range(3)]
    for name, contents in {"ids": by_id, "frames": by_frame}.items():
        found = read_detections(save_folder(write, name, contents), SIZE)
        assert found.frame.tolist() == [0, 3, 6] and set(found.clip) == {0}
    names = list(LAYOUTS["coco17"].joint_names)
    folder = save_folder(write, "annotated", [annotations("coco17", names) for _ in range(2)])
    assert set(read_detections(folder).clip) == {0, 1}


def test_notes_beside_the_pictures_do_not_make_clips_of_them(write):
    folder = save_folder(write, "clip", [[instance(coco(n))] for n in range(3)])
    write("taken by hand\n", "clip/notes.txt")
    found = read_detections(folder, SIZE)
    assert found.frame.tolist() == [0, 1, 2] and set(found.clip) == {0}
    assert [line for line in found.reading.warnings if "notes.txt" in line]
    with pytest.raises(DataError, match=r"notes\.txt: file: expected a picture's file as the others"):
        read_detections(folder, SIZE, strict=True)


def test_predictions_of_openpifpaf_keep_the_numbers_of_their_pictures(write):
    person = {"keypoints": flat(coco(0)), "bbox": [0, 0, 9, 9], "score": 0.8, "category_id": 1}
    folder = save_folder(write, "pif", [[person]] * 3, "img_{:03}.jpg.predictions.json")
    assert read_detections(folder, SIZE).frame.tolist() == [0, 1, 2]


def test_json_lines_are_pictures(write):
    lines = "\n".join(json.dumps(line) for line in ONE_PERSON["OpenPifPaf video"][1])
    found = read_detections(write(lines + "\n", "video.openpifpaf.json"), SIZE)
    assert found.format == "OpenPifPaf JSON" and found.frame.tolist() == list(range(FRAMES))
    lines = "\n".join(json.dumps([ultralytics(coco(n))]) for n in range(FRAMES))
    assert read_detections(write(lines, "frames.jsonl"), SIZE).frame.tolist() == list(range(FRAMES))
    lines = "\n".join(json.dumps(instance(coco(n), track_id=3)) for n in range(FRAMES))
    found = read_detections(write(lines, "stream.jsonl"), SIZE)
    assert found.frame.tolist() == list(range(FRAMES)) and set(found.person) == {3}


def test_tracks_are_used_under_each_of_their_names(write):
    for key, value in {"track_id": 7, "idx": [7.0], "person_id": 7, "personID": 7, "id_": 7}.items():
        frames = [[instance(coco(n), **{key: value}), instance(coco(n, 1), **{key: 2})] for n in range(3)]
        assert set(read_detections(write([{"instances": f} for f in frames]), SIZE).person) == {2, 7}, key


def test_a_detection_without_joints_is_left_out_and_counted(write):
    people = [{"pose_keypoints_2d": flat(walker("body_25"))}, {"pose_keypoints_2d": []}]
    found = read_detections(write({"people": people}), SIZE)
    assert len(found) == 1 and dict(found.reading.dropped) == {"without joints": 1}


def test_rate_and_size_of_the_file_are_used(write):
    content = {"fps": 50, "width": 1280, "height": 720, "frames": [{"people": [instance(coco(0))]}]}
    found = read_detections(write(content))
    assert found.reading.rate == 50 and found.reading.rate_told_by == "file"
    assert found.image_size.tolist() == [[1280, 720]] and found.reading.image_size_told_by == "file"
    with pytest.raises(DataError, match=r"image size: expected 1920 x 1080 as given.*, found 1280 x 720"):
        read_detections(write(content), SIZE)
    with pytest.raises(DataError, match="width: expected a positive width and height, found 0 x 720"):
        read_detections(write(content | {"width": 0}))


@pytest.mark.parametrize(
    ("content", "nearest"),
    [
        ({"peoples": [{"pose_keypoint_2d": [1, 2, 3]}]}, r"found an object with peoples; .*\(OpenPose\)"),
        (
            [{"imageid": 1, "keypoint": [1, 2, 1], "score": 1}],
            r"a list of objects with imageid, keypoint.*COCO results",
        ),
        ({"pose_world_landmarks": [[{"x": 1, "y": 2, "z": 0, "visibility": 1}]]}, r"\(MediaPipe\)"),
        ({"shapes": [{"label": "cat"}]}, "found an object with shapes$"),
        ([[1, 2], [3, 4]], "found a list of 2 lists of 2 numbers; lists are read as N pictures of J joints"),
        (["walk", "run"], "found a list of 2 texts$"),
    ],
)
def test_an_unknown_file_is_refused_with_its_keys_and_the_nearest_form(write, content, nearest):
    with pytest.raises(DataError, match=nearest):
        read_detections(write(content), SIZE)


def test_damaged_files_raise_nothing_but_data_errors(write):
    forms = {**{form: content for form, (_, content) in ONE_PERSON.items()}, **LANDMARKS}
    files = [write(content, f"{at}.json") for at, content in enumerate(forms.values()) if at % 4 == 0]
    assert refused_when_damaged(files) > 100
