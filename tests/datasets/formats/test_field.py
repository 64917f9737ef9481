"""A value in a file that knows where it is: what it gives, and the sentence with which it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poseda.datasets import DataError
from poseda.datasets.formats.field import Field

CONTENT = {
    "people": [{"pose": [[1, 2, 0.5], [3, 4, None]], "id": 7}, {"pose": "lost", "id": True}],
    "S1": {"Walking 1": np.ones((2, 3))},
    "name": "gym",
    "width": 640.0,
    "nothing": None,
}
FILE = Field(Path("file.json"), value=CONTENT)


def test_the_way_to_a_value_is_written_as_it_is_gone() -> None:
    first, second = FILE["people"].elements()
    assert first["pose"].where == "people[0].pose" and second["id"].where == "people[1].id"
    ((subject, actions),) = FILE.holding({"S1": CONTENT["S1"]}).entries()
    ((action, poses),) = actions.entries()
    assert (subject, action) == ("S1", "Walking 1") and poses.where == "[S1][Walking 1]"
    assert FILE.at("row 3").where == "row 3" and FILE.at("row 3").path == FILE.path


def test_values_come_as_what_was_asked_for() -> None:
    pose = FILE["people"].elements()[0]["pose"].numbers(("N", 3))
    assert pose.dtype == np.float64 and pose[0].tolist() == [1, 2, 0.5] and np.isnan(pose[1, 2])
    assert FILE["people"].elements()[0]["id"].whole() == 7 and FILE["width"].whole() == 640
    assert FILE["width"].number() == 640 and FILE["name"].name() == "gym"
    assert FILE["S1"]["Walking 1"].array((2, "J")).shape == (2, 3)
    assert FILE["absent"].value is None and FILE.get("absent", 5).whole() == 5
    assert FILE.get("nothing", 5).value is None, "null is there"
    assert "name" in FILE and "absent" not in FILE and "x" not in FILE["people"]


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "an entry of a list": (lambda: FILE["people"]["pose"], "people: expected an object, found a list"),
    "elements of an object": (lambda: FILE["S1"].elements(), "S1: expected a list, found an object"),
    "elements with a meaning": (
        lambda: FILE["name"].elements("a list of people"),
        "name: expected a list of people, found text",
    ),
    "entries of nothing": (lambda: FILE["nothing"].entries(), "nothing: expected an object, found nothing"),
    "text for numbers": (
        lambda: FILE["people"].elements()[1]["pose"].numbers(("N", 3)),
        "people[1].pose: expected numbers of shape (N, 3), found text",
    ),
    "another shape": (
        lambda: FILE["people"].elements()[0]["pose"].numbers(("N", "J", (2, 3))),
        "people[0].pose: expected numbers of shape (N, J, 2 or 3), found shape (2, 3)",
    ),
    "words among numbers": (
        lambda: FILE.at("row", [1, "x"]).numbers((2,)),
        "row: expected numbers of shape (2), found other values (text or booleans)",
    ),
    "an array of another shape": (
        lambda: FILE["S1"]["Walking 1"].array((3, 3)),
        "S1.Walking 1: expected numbers of shape (3, 3), found float64 (2, 3)",
    ),
    "an array that is not finite": (
        lambda: FILE.at("pose", np.array([np.nan])).array(("N",)),
        "pose: expected finite numbers, found NaN or Inf",
    ),
    "truth for an integer": (
        lambda: FILE["people"].elements()[1]["id"].whole(),
        "people[1].id: expected an integer, found true or false",
    ),
    "a fraction for an integer": (lambda: FILE.at("n", 1.5).whole(), "n: expected an integer, found 1.5"),
    "an integer of 63 bits": (
        lambda: FILE.at("n", 1 << 62).whole(),
        "n: expected an integer, found 4611686018427387904",
    ),
    "a fraction for a name": (
        lambda: FILE["width"].name(),
        "width: expected an integer or a name, found a number",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_one_sentence_with_file_field_expected_and_found(case: str) -> None:
    ask, sentence = REFUSED[case]
    with pytest.raises(DataError) as caught:
        ask()
    assert str(caught.value) == f"file.json: {sentence}"


def test_the_whole_file_is_called_file() -> None:
    assert str(FILE.fail("JSON", "text")) == "file.json: file: expected JSON, found text"


def test_a_field_is_not_iterated_by_accident() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(FILE)  # type: ignore[call-overload]


@pytest.mark.parametrize("value", [["1", "2"], [True, False], [1.0, "2"], [1.0, None, "3"]])
def test_text_and_booleans_are_no_numbers(value: list[object]) -> None:
    with pytest.raises(DataError, match="expected numbers of shape"):
        FILE.at("n", value).numbers(("N",))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, True, "1", None])
def test_what_is_not_finite_is_no_number(value: object) -> None:
    with pytest.raises(DataError, match="n: expected a finite number, found"):
        FILE.at("n", value).number()
    assert FILE.at("n", 10**20).number() == 1e20
