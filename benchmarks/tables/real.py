"""Tables of real detections: the wide arms on them, what they miss, and the recommendation."""

from __future__ import annotations

from benchmarks.tables.records import Table, Tables, read


def wide_real(record: str) -> Table:
    """The wide arms on real detections."""
    from benchmarks.real.tables import by_view

    return by_view(read(record))


def wide_weak() -> Table:
    """What weak labels add to what the package's lifter learns."""
    from benchmarks.real.tables import with_weak_labels

    return with_weak_labels(read("real_packaged"), read("real_weak"))


def wide_summary() -> Table:
    """Every lifter on real detections, in a line each."""
    from benchmarks.real.tables import summary

    return summary(
        {
            "package": read("real_packaged"),
            "package, rig": read("real_rig"),
            "of motion capture": read("real"),
        }
    )


def detections(name: str) -> Table:
    """What real detectors miss."""
    from benchmarks import detections

    drawn: Table = getattr(detections, name)(read("detections"))
    return drawn


def verdict() -> Table:
    """The recommendation against labels."""
    from benchmarks.verdict import by_group

    return by_group(read("verdict")["scenes"])


def substitutions() -> Table:
    """Errors that are left where the truth takes the place of what a lift has to find."""
    from benchmarks.substitutions.tables import by_substitution

    return by_substitution(read("substitutions"))


TABLES: Tables = {
    "wide-real": lambda: wide_real("real"),
    "wide-packaged": lambda: wide_real("real_packaged"),
    "wide-rig": lambda: wide_real("real_rig"),
    "wide-weak": wide_weak,
    "wide-summary": wide_summary,
    "substitutions": substitutions,
    "detections-views": lambda: detections("by_view"),
    "detections-runs": lambda: detections("by_joint"),
    "detections-windows": lambda: detections("by_window"),
    "verdict": verdict,
}
"""Those of this module by the name in their mark."""
