"""Tables of the arms on the pairs of motion capture, and the results of the first README."""

from __future__ import annotations

from benchmarks.tables.records import Table, Tables, percent, read, spread
from poseda.config import WIDE_ARMS, arm_name

OURS = ("gpa_lpa", "gpa_lpa_view")
"""Arms whose rows stand out."""

DOOR_ARMS = ("source_only", "gpa_lpa", "gpa_lpa_view", "oracle", "wide", "wide_target")
"""Arms that the first README shows."""


def arms(pair: str) -> Table:
    """Every arm of a benchmark."""
    metrics = {"mpjpe": "MPJPE mm", "pa_mpjpe": "PA-MPJPE mm", "pck": "PCK %", "auc": "AUC %"}
    cells = []
    for line in read("mocap")["pairs"][pair]["lines"]:
        name = arm_name(line["name"])
        row = [
            name,
            *(spread(line, metric) for metric in metrics),
            f"{line['seed_deviation']:.1f}",
            percent(line["gap_closed"]),
        ]
        if name in OURS:
            row[0], row[1], row[-1] = (f"**{row[at]}**" for at in (0, 1, -1))
        cells.append(row)
    return ("arm", *metrics.values(), "seed sd mm", "gap closed"), cells


def door_results() -> Table:
    """MPJPE of the arms people use: on both benchmarks, and of the package's lifter on real views."""
    from benchmarks.real.tables import BEST, TOGETHER, over_views

    others, own, real = read("mocap")["pairs"], read("wide")["pairs"], read("real_packaged")
    lines = {
        pair: {arm_name(line["name"]): line for line in [*others[pair]["lines"], *own[pair]["lines"]]}
        for pair in ("p1", "p2")
    }
    cells = [
        [
            name,
            *(spread(lines[pair][name], "mpjpe") for pair in lines),
            over_views(real, (name, BEST[1])) if name in WIDE_ARMS else "",
        ]
        for name in DOOR_ARMS
    ]
    rig = ["wide_target of calibrated cameras", "", "", over_views(read("real_rig"), TOGETHER)]
    cells.append(rig)
    return ("arm", "p1: MPJPE mm", "p2: MPJPE mm", "21 real views: MPJPE mm"), cells


def rivals(arm: str) -> Table:
    """One arm against others, run by run."""
    cells = []
    for pair, result in read("mocap")["pairs"].items():
        for found in result["against"]:
            if arm_name(found["ours"]) == arm:
                lower, wins = f"{found['lower']:.1f} %", f"{found['wins']} of {found['runs']}"
                cells.append((pair, arm_name(found["other"]), lower, wins))
    return ("pair", f"{arm} against", "MPJPE lower by", "runs in which it is lower"), cells


def wide_pairs() -> Table:
    """The wide arms on the pairs, beside the best of the other arms and the oracle."""
    others = read("mocap")["pairs"]
    cells = []
    for pair, result in (read("wide")["pairs"] | read("wide_back")["pairs"]).items():
        lines = {arm_name(line["name"]): line for line in others[pair]["lines"]} if pair in others else {}
        own = {line["name"]: line for line in result["lines"]}
        cells.append(
            [pair]
            + [spread(own[arm], metric) for arm in WIDE_ARMS for metric in ("mpjpe", "pa_mpjpe")]
            + [
                spread(lines[name], "mpjpe") if name in lines else ""
                for name in ("source_only", "gpa_lpa_view", "oracle")
            ]
        )
    ours = [heading for arm in WIDE_ARMS for heading in (f"{arm}: MPJPE mm", "PA-MPJPE mm")]
    return ("pair", *ours, "source_only", "gpa_lpa_view", "oracle"), cells


def bf16() -> Table:
    """The same arms in two number formats; p1, split 0."""
    half = {line["name"]: line for line in read("mocap_bf16")["pairs"]["p1"]["lines"]}
    full = [
        row for row in read("mocap")["rows"] if (row["run"], row["split"]) == ("p1_split0", "target_test")
    ]
    cells = []
    for name, line in half.items():
        own = [row["mpjpe"] for row in full if row["arm"] == name]
        cells.append((name, f"{sum(own) / len(own):.1f}", f"{line['mean']['mpjpe']:.1f}"))
    return ("arm", "float32 mm", "bf16-mixed mm"), cells


TABLES: Tables = {
    "door-results": door_results,
    "arms-p1": lambda: arms("p1"),
    "arms-p2": lambda: arms("p2"),
    "rivals-gpa_lpa": lambda: rivals("gpa_lpa"),
    "rivals-gpa_lpa_view": lambda: rivals("gpa_lpa_view"),
    "wide-pairs": wide_pairs,
    "bf16": bf16,
}
"""Those of this module by the name in their mark."""
