"""Clips and frames from the names of pictures."""

from __future__ import annotations

from poseda.datasets.formats.picture_order import frames_of, order_pictures


def test_numbers_that_rise_with_the_file_are_the_frames() -> None:
    assert frames_of(["img_3.jpg", "img_4.jpg", "img_8.jpg"]) == [3, 4, 8]
    assert frames_of([5, 7, 12]) == [5, 7, 12]


def test_numbers_that_do_not_rise_leave_the_order_of_the_file() -> None:
    assert frames_of(["x_74.png", "x_55.png", "x_36.png"]) == [0, 1, 2]
    assert frames_of([30, 10, 20]) == [0, 1, 2]
    assert frames_of(["kitchen", "hall"]) == [0, 1]


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
