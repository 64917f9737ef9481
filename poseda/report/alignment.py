"""What the arm `gpa_lpa_view` found of a target, in words."""

from __future__ import annotations

from statistics import mean

from poseda.runs.view_alignment import FoundAlignment

SHOWN = 3
"""Views, and bones, that a line of text has room for."""


def describe_alignment(found: FoundAlignment) -> str:
    """One line: the tilt of the largest views and the bones that differ most, means over seeds."""
    largest = sorted(found.views, key=lambda view: -view.poses)
    tilts = ", ".join(f"{signed(mean(view.pitch))}°/{signed(mean(view.roll))}°" for view in largest[:SHOWN])
    more = f" and {len(largest) - SHOWN} views more" if len(largest) > SHOWN else ""
    changed = sorted(found.proportions, key=lambda name: -abs(mean(found.proportions[name])))[:SHOWN]
    bones = ", ".join(
        f"{name.replace('_', ' ')} {signed(mean(found.proportions[name]))} %" for name in changed
    )
    return f"gpa_lpa_view found pitch/roll of {tilts}{more}; bones to {bones}"


def signed(value: float) -> str:
    """A number with one decimal and a sign; 0 has no sign."""
    return f"{value:+.1f}" if round(value, 1) else "0.0"
