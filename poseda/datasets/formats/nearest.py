"""What an unknown JSON file holds, and which form that is read is nearest to it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from poseda.datasets.formats.field import kind

LISTS = "lists are read as N pictures of J joints of 2 or 3 numbers, or N of people of J of 2 or 3"
"""The remedy for lists of numbers."""

FORMS = {
    '{"people": [{"pose_keypoints_2d": [x, y, c, …]}]} (OpenPose)': "people pose_keypoints_2d version",
    '[{"image_id": …, "keypoints": [x, y, c, …], "score": …}] (COCO results, AlphaPose)': (
        "image_id keypoints category_id score idx box"
    ),
    '{"images": […], "annotations": […], "categories": […]} (COCO annotations)': (
        "images annotations categories info licenses"
    ),
    '{"instance_info": [{"frame_id": …, "instances": [{"keypoints": [[x, y], …]}]}]} (MMPose)': (
        "meta_info instance_info instances keypoint_scores frame_id bbox"
    ),
    '[{"landmarks": [{"x": …, "y": …, "visibility": …}, …]}] (MediaPipe)': (
        "landmarks pose_landmarks poseLandmarks landmark visibility x y z frames"
    ),
    '[{"keypoints": {"x": […], "y": […], "visible": […]}, "box": …}] (Ultralytics)': (
        "keypoints box class name confidence track_id visible"
    ),
    '[[{"keypoints": [{"x": …, "y": …, "score": …, "name": …}]}]] (TF.js)': (
        "keypoints score name part position"
    ),
    '{"annots": [{"personID": …, "keypoints": [[x, y, c], …]}]} (EasyMocap)': (
        "annots personID keypoints bbox"
    ),
}
"""Forms of JSON that are read, and their keys."""

MOST_SHOWN = 8
"""Keys shown in a message."""


def unknown_json(value: Any) -> str:
    """The keys of an unknown JSON file and the nearest form, for the end of a refusal."""
    keys = list(dict.fromkeys(_keys(value, 4)))
    if not keys:
        return {"[]": "an empty list", "{}": "an empty object"}.get(str(value)) or _in_words(value)
    outer = list(value) if isinstance(value, dict) else keys
    shown = ", ".join(str(key)[:30] for key in outer[:MOST_SHOWN]) + ", …" * (len(outer) > MOST_SHOWN)
    words = f"an object with {shown}" if isinstance(value, dict) else f"a list of objects with {shown}"
    likeness = {form: _likeness(keys, known.split()) for form, known in FORMS.items()}
    nearest = max(likeness, key=lambda form: likeness[form])
    return f"{words}; the nearest form is {nearest}" if likeness[nearest] else words


def _in_words(value: Any) -> str:
    """JSON without any key, by what its first elements are; numbers in lists are joints of a shape."""
    if not isinstance(value, list):
        return f"{kind(value)} alone"
    lengths, deep = list[int](), value
    while isinstance(deep, list) and deep and len(lengths) < MOST_SHOWN:
        lengths.append(len(deep))
        deep = deep[0]
    kinds = {"an integer": "numbers", "a number": "numbers", "text": "texts"}
    inner = kinds.get(kind(deep), "other values")
    shape = " lists of ".join(map(str, lengths))
    words = f"a list of {shape} {inner}"
    return f"{words}; {LISTS}" if inner == "numbers" else words


def _keys(value: Any, depth: int) -> list[str]:
    """Keys of the first objects, from the outside in."""
    if depth == 0 or not isinstance(value, dict | list):
        return []
    inner = list(value.values()) if isinstance(value, dict) else value
    own = [str(key) for key in value] if isinstance(value, dict) else []
    return own + [key for one in inner[:4] for key in _keys(one, depth - 1)]


def _likeness(keys: list[str], known: list[str]) -> float:
    """How many keys are among the known ones; a spelling nearby counts half."""
    exact = sum(key in known for key in keys[:64])
    near = sum(key not in known and bool(get_close_matches(key, known, 1, 0.75)) for key in keys[:64])
    return exact + near / 2
