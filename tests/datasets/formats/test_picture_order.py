"""Clips and frames from the names of pictures."""

from __future__ import annotations

import pytest

from poseda.datasets.formats.picture_order import frames_of, order_pictures


def test_numbers_that_rise_with_the_file_are_the_frames() -> None:
    assert frames_of(["img_3.jpg", "img_4.jpg", "img_8.jpg"]) == [3, 4, 8]
    assert frames_of([5, 7, 12]) == [5, 7, 12]


def test_integers_are_the_frames_in_any_order() -> None:
    assert frames_of([30, 10, 20]) == [30, 10, 20]
    assert frames_of([0, 33, 67, 100, 133, 167, 200, 233, 267, 300])[:3] == [0, 33, 67]
    assert frames_of([2, -1, 0]) == [2, -1, 0]


def test_names_that_differ_in_one_number_tell_the_frames_in_any_order() -> None:
    assert frames_of(["x_74.png", "x_55.png", "x_36.png"]) == [74, 55, 36]
    assert frames_of(["cam2_f9_1080p.png", "cam2_f10_1080p.png", "cam2_f8_1080p.png"]) == [9, 10, 8]
    found = order_pictures(["a/1.jpg", "a/3.jpg", "a/2.jpg", "b/7.jpg", "b/6.jpg"])
    assert [found.place(f"a/{n}.jpg") for n in (1, 2, 3)] == [(0, 1), (0, 2), (0, 3)]
    assert found.warnings == (
        "pictures listed after a later one: 2 of 5; numbers in the names gave the order",
    )
    assert order_pictures(["1.jpg", "2.jpg"]).warnings == order_pictures(["f1", "f10", "f2"]).warnings == ()


UNCLEAR = {
    "cameras": ["cam1_0.jpg", "cam2_0.jpg", "cam1_2.jpg", "cam2_1.jpg"],
    "one number twice": ["x_3.png", "x_03.png", "x_1.png"],
    "times": ["10_06_22.103.png", "10_06_22.48.png", "10_06_21.9.png"],
    "words": ["walk_3.jpg", "run_1.jpg", "walk_1.jpg"],
}


@pytest.mark.parametrize("names", UNCLEAR.values(), ids=UNCLEAR)
def test_numbers_that_may_be_no_frames_leave_the_order_of_the_file_and_it_is_said(names: list[str]) -> None:
    found = order_pictures(names)
    assert [found.place(name) for name in names] == [(0, at) for at in range(len(names))]
    assert len(found.warnings) == 1 and "fall in 1 clip: the order of the file was kept" in found.warnings[0]


def test_names_without_falling_numbers_leave_the_order_of_the_file_in_silence() -> None:
    for names in (
        ["kitchen", "hall"],
        ["ab2", "cd1"],
        ["b_7.jpg", "a_7.jpg"],
        ["cam1_8", "cam1_9", "cam2_1"],
    ):
        assert frames_of(names) == list(range(len(names))) and not order_pictures(names).warnings


def test_decimal_numbers_are_times() -> None:
    assert frames_of(["0.1", "0.15", "0.2"]) == [10, 15, 20]
    assert frames_of(["-1", "-3", "2"]) == [-1, -3, 2]
    times = [f"{at / 30:.3f}" for at in range(12)]
    assert frames_of(times[::-1]) == list(range(11, -1, -1))
    assert frames_of(["v.mp4.9.jpg", "v.mp4.10.jpg", "v.mp4.11.jpg"]) == [9, 10, 11]


def test_names_of_times_are_in_the_order_of_time() -> None:
    names = [f"2018-07-04T12_06_{second}.{part:06d}.png" for second in (21, 22) for part in (55_272, 903_902)]
    assert frames_of(names) == [0, 1, 2, 3]


def test_an_alphabetical_list_has_its_numbers_order() -> None:
    assert frames_of(["f1.jpg", "f10.jpg", "f2.jpg"]) == [1, 10, 2]


def test_times_of_an_even_rhythm_are_successive_frames() -> None:
    assert frames_of([f"{t}.jpg" for t in (100, 133, 167, 200, 233, 267, 333, 367, 400, 433)]) == [
        *(0, 1, 2, 3, 4, 5, 7, 8, 9, 10)
    ]
    assert frames_of([139, 285, 632, 724, 776, 785, 802, 872, 885, 1000]) == [
        *(139, 285, 632, 724, 776, 785, 802, 872, 885, 1000)
    ], "ids of stills stay as they are"


def test_folders_in_names_are_clips_without_what_they_share() -> None:
    found = order_pictures(["out/videoA/0.jpg", "out/videoA/1.jpg", "out/videoB/0.jpg"])
    assert found.place("out/videoB/0.jpg") == (1, 0)
    assert found.clip_names == {0: "videoA", 1: "videoB"}
    windows = order_pictures(["a\\0.jpg", "b\\0.jpg"])
    assert windows.clip_names == {0: "a", 1: "b"}


def test_one_folder_is_one_clip() -> None:
    assert order_pictures(["images/0.jpg", "images/1.jpg"]).clip_names == {0: "images"}
    assert order_pictures(["0.jpg", "1.jpg"]).clip_names == {}


def test_videos_of_the_file_are_clips() -> None:
    found = order_pictures([1, 2, 1], ["v7", "v7", "v8"])
    assert (found.place(2, "v7"), found.place(1, "v8")) == ((0, 2), (1, 1))
    assert found.clip_names == {0: "v7", 1: "v8"}


def test_words_before_the_numbers_are_clips_where_each_holds_successive_pictures() -> None:
    found = order_pictures(["walk_0.jpg", "walk_1.jpg", "run_0.jpg", "run_1.jpg"])
    assert found.clip_names == {0: "walk", 1: "run"}
    assert found.place("run_1.jpg") == (1, 1)
    hashes = order_pictures(["ab1.jpg", "cd2.jpg", "ab3.jpg"])
    assert {clip for clip, _ in hashes.places.values()} == {0}


def test_a_picture_that_comes_again_keeps_its_place() -> None:
    found = order_pictures(["a.jpg", "a.jpg", "b.jpg"])
    assert found.place("a.jpg") == (0, 0) and found.place("b.jpg") == (0, 1)


def test_raised_digits_are_no_numbers() -> None:
    assert frames_of(["m\u00b2", "m\u00b3"]) == [0, 1]
