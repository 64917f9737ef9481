"""What each arm is, in one sentence, and its colour: the same in every table, legend, chart and view."""

from __future__ import annotations

from typing import NamedTuple


class ArmStyle(NamedTuple):
    """How the page shows an arm.

    Args:
        light, dark: its colour on a light and on a dark page.
        meaning: one sentence for readers who meet the name for the first time.
    """

    light: str
    dark: str
    meaning: str


ARMS = {
    "source_only": ArmStyle("#6b7280", "#9aa3b0", "Trained on the source alone: the model to beat."),
    "pretrained": ArmStyle("#3d8591", "#74c6d1", "The lifter after training on the source, before any arm."),
    "gpa": ArmStyle(
        "#2563b8", "#6fb1ea", "Source poses placed on the screen like target poses; nothing is learned."
    ),
    "lpa": ArmStyle(
        "#2e8540", "#63c98a", "Source postures changed by a learned generator; place and camera stay."
    ),
    "gpa_lpa": ArmStyle(
        "#c8324f", "#f0808f", "Both: a generator changes postures, then they are placed like target poses."
    ),
    "gpa_lpa_view": ArmStyle(
        "#7b3fc4", "#b78df0", "gpa_lpa with the target's camera tilt and body proportions, estimated from 2D."
    ),
    "random": ArmStyle(
        "#b2539a", "#d99acb", "gpa with random changes of posture: the control that a generator must beat."
    ),
    "poseaug": ArmStyle(
        "#8f6012", "#e0b04f", "PoseAug: a generator learns postures and places; the lifter's error guides it."
    ),
    "wide": ArmStyle(
        "#0f7f86", "#4cc8cf", "Trained on source poses in views from everywhere, for every camera and mask."
    ),
    "wide_target": ArmStyle(
        "#a33b1c",
        "#f08a63",
        "wide, then taught by the poses that it finds in the target, seen from everywhere.",
    ),
    "oracle": ArmStyle(
        "#22262c", "#e3e6ea", "Trained with the target's labels as well: a bound, out of reach in practice."
    ),
}
"""By name, in the order in which the README introduces them."""

PAGE = {
    "paper": ("#f7f7f5", "#14161a"),
    "panel": ("#ffffff", "#1c1f25"),
    "picture": ("#f1f2f4", "#23272e"),
    "ink": ("#1c2026", "#e9ebee"),
    "muted": ("#59606b", "#a3abb6"),
    "rule": ("#dfe2e6", "#343a43"),
    "floor": ("#e8eaee", "#2b3038"),
    "good": ("#19714f", "#58c79f"),
    "bad": ("#9c5410", "#e9a95f"),
    "accent": ("#2f6fb4", "#7db4ec"),
    "side-left": ("#d9660a", "#f2a057"),
    "side-right": ("#0b86a8", "#4fc3df"),
    "side-middle": ("#5b6470", "#aab2bd"),
}
"""The other colours, light and dark: surfaces and texts, better and worse, the sides of a body."""

TARGET = "tone-target"
"""The class that colours the target's own 2D poses."""


def colours() -> dict[str, tuple[str, str]]:
    """Every CSS variable of the page: its name to the colour on a light and on a dark page."""
    return PAGE | {f"arm-{name}": (style.light, style.dark) for name, style in ARMS.items()}


def tone_of(arm: str) -> str:
    """The class that colours an arm; arms of unknown name share one."""
    return f"arm-{arm}" if arm in ARMS else "arm-other"


def meaning_of(arm: str) -> str:
    """The sentence about an arm; empty for an unknown one."""
    return ARMS[arm].meaning if arm in ARMS else ""
