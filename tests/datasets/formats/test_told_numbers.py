"""Frames and people that a file numbers or names keep their numbers, in any order of the file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detections import SIZE
from keypoint_forms import coco, flat

from poseda.datasets import DataError, Detections2D, read_detections
from poseda.datasets.layouts import LAYOUTS
from poseda.datasets.people import choose_people

COCO = LAYOUTS["coco17"].joint_names
SHUFFLED = [3, 0, 4, 1, 2]
ORDER_SAID = "pictures listed after a later one: 3 of 5; numbers in the names gave the order"

Write = Callable[..., Path]


def table(rows: list[list[Any]], head: tuple[str, ...] = ("frame", "person"), mark: str = ",") -> str:
    """A CSV with the walker of frame n, person who for rows of n, who, and what stands before the joints."""
    lines = [[*head, *(f"{name}_{axis}" for name in COCO for axis in ("x", "y", "score"))]]
    lines += [[*before, *coco(n, who).ravel().round(3)] for n, who, *before in rows]
    return "".join(mark.join(map(str, line)) + "\n" for line in lines)


def walks(found: Detections2D, first: int = 0) -> bool:
    """Whether frame n of a reading shows the walker of frame n."""
    rows = zip(found.frame - first, found.pose_2d, strict=True)
    return sorted(found.frame - first) == list(range(len(found))) and all(
        np.allclose(pose, coco(n)[:, :2], atol=0.01) for n, pose in rows
    )


@pytest.mark.parametrize("heading", ["frame", "frame_idx", "Frame Number"])
@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], SHUFFLED])
def test_an_integer_column_of_a_table_is_the_frame_in_any_order_of_rows(write: Write, heading, order) -> None:
    rows = [[n, 0, n + 100, 0] for n in order]
    found = read_detections(write(table(rows, (heading, "person")), "table.csv"), SIZE)
    assert walks(found, 100) and not found.reading.warnings
    floats = [[n, 0, f"{n - 2}.0", 0] for n in order]
    assert walks(read_detections(write(table(floats, (heading, "person")), "table.csv"), SIZE), -2)


def test_a_row_a_joint_is_in_the_order_of_its_frames(write: Write) -> None:
    lines = ["frame,joint,x,y"]
    lines += [f"{n},{name},{x},{y}" for n in SHUFFLED for name, (x, y, _) in zip(COCO, coco(n), strict=True)]
    assert walks(read_detections(write("\n".join(lines), "table.csv"), SIZE))


def results(n: int) -> dict[str, Any]:
    return {"image_id": f"frame_{n:06}.jpg", "keypoints": flat(coco(n)), "score": 1}


def annotations() -> dict[str, Any]:
    images = [
        {"id": 50 - at, "file_name": f"frame_{n:06}.jpg", "width": SIZE[0], "height": SIZE[1]}
        for at, n in enumerate(SHUFFLED)
    ]
    people = [{"image_id": 50 - at, "keypoints": flat(coco(n))} for at, n in enumerate(SHUFFLED)]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "keypoints": list(COCO)}]}


FORMS: dict[str, Any] = {
    "COCO results": [results(n) for n in SHUFFLED],
    "AlphaPose": [results(n) | {"idx": 1, "box": []} for n in SHUFFLED],
    "COCO annotations": annotations(),
}


@pytest.mark.parametrize("form", FORMS)
def test_numbered_names_in_any_order_are_frames_and_it_is_said(write: Write, form: str) -> None:
    found = read_detections(write(FORMS[form]), None if form == "COCO annotations" else SIZE)
    assert walks(found) and ORDER_SAID in found.reading.warnings


def test_names_in_a_table_tell_the_frames_too(write: Write) -> None:
    rows = [[n, 0, f"f{n}.png"] for n in SHUFFLED]
    found = read_detections(write(table(rows, ("image_name",)), "table.csv"), SIZE)
    assert walks(found) and found.reading.warnings == (ORDER_SAID,)


@pytest.mark.parametrize("form", [str, float])
def test_integers_that_tell_people_in_a_table_are_kept(write: Write, form: Callable[[int], Any]) -> None:
    rows = [[n, who, n, form([12, 7][who])] for n in range(4) for who in (0, 1)]
    found = read_detections(write(table(rows), "table.csv"), SIZE)
    chosen = choose_people(found, 12)
    assert set(found.person) == {7, 12} and np.allclose(chosen.pose_2d[0], coco(0)[:, :2], atol=0.01)
    assert not found.reading.warnings
    unsure = [[n, 0, n, -1] for n in range(4)]
    assert read_detections(write(table(unsure), "table.csv"), SIZE).reading.tracking == "single"


NAMED = "people with names have numbers: anna is 0, bob is 1"


def test_numbers_of_people_with_names_are_told(write: Write) -> None:
    rows = [[n, who, n, ["anna", "bob"][who]] for n in range(4) for who in (0, 1)]
    found = read_detections(write(table(rows), "table.csv"), SIZE)
    assert set(found.person) == {0, 1} and found.reading.warnings == (NAMED,)
    people = [
        results(n) | {"keypoints": flat(coco(n, who)), "idx": ["anna", "bob"][who]} for n, who, *_ in rows
    ]
    assert NAMED in read_detections(write(people), SIZE).reading.warnings


def lines(**entries: Callable[[int, int], Any]) -> str:
    """JSON lines of two people, as a stream takes them."""
    return "".join(
        json.dumps(
            {"keypoints": coco(n, who).tolist(), "frame": n} | {k: v(n, who) for k, v in entries.items()}
        )
        + "\n"
        for n in range(4)
        for who in (n % 2, 1 - n % 2)
    )


def test_person_of_json_lines_tells_who_it_is(write: Write) -> None:
    found = read_detections(write(lines(person=lambda _, who: 5 - who), "stream.jsonl"), SIZE)
    assert found.reading.tracking == "file" and set(found.person) == {4, 5}
    assert all(np.allclose(found.pose_2d[found.person == 5][n], coco(n)[:, :2]) for n in range(4))
    named = read_detections(write(lines(person=lambda _, who: ["anna", "bob"][who]), "stream.jsonl"), SIZE)
    assert NAMED in named.reading.warnings
    unsure = read_detections(write(lines(person=lambda *_: 0.98), "stream.jsonl"), SIZE)
    assert unsure.reading.tracking == "followed" and len(set(unsure.person)) == 2


def test_a_decimal_comma_is_refused_with_the_remedy(write: Write) -> None:
    text = table([[0, 0, 0, 0]], mark=";").replace(".", ",")
    with pytest.raises(
        DataError, match=r"column \d+, row 1: expected numbers, found \d+,\d+ with a decimal comma; "
    ):
        read_detections(write(text, "table.csv"), SIZE)


def test_lists_in_json_are_read_as_npy(write: Write) -> None:
    alone = [coco(n).tolist() for n in range(5)]
    found = read_detections(write(alone), SIZE)
    assert found.format == "JSON of lists" and walks(found)
    two = [[coco(n, who)[:, :2].tolist() for who in (0, 1)] for n in range(4)]
    assert len(read_detections(write(two), SIZE)) == 8
    alone[2].pop()
    with pytest.raises(
        DataError, match=r"file: expected numbers of shape \(N, J, 2 or 3\), found lists of several lengths"
    ):
        read_detections(write(alone), SIZE)


def test_a_packed_file_is_refused_with_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "poses.json.gz"
    path.write_bytes(gzip.compress(b"[]"))
    with pytest.raises(
        DataError, match=r"expected a file that is not packed, found a gzip file; unpack it first"
    ):
        read_detections(path, SIZE)
