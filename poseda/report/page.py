"""report.html: one file that shows a run offline. No script, style, font or picture comes from elsewhere.

Every text that a data file could bring is escaped; the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from statistics import mean, stdev
from typing import Any

import numpy as np

from poseda.report import charts
from poseda.report.alignment import signed
from poseda.report.curves import PANELS, curves
from poseda.report.summary import SPLIT_TITLES, cells, headings, shown_split, summarise
from poseda.runs.record import RunRecord

SCREEN_SCALE, SPACE_SCALE = 10_000, 1000
"""Screen coordinates and metres are kept as whole numbers: ten thousandths, millimetres."""

LABELFREE_COLUMNS = {
    "reprojection_px": ("Reprojection px", 1),
    "reprojection_percent": ("of body size %", 1),
    "asymmetry_percent": ("Bone asymmetry %", 1),
    "inconstancy_percent": ("Bone inconstancy %", 1),
    "implausible_percent": ("Implausible poses %", 1),
    "moved_mm": ("From source model mm", 0),
}
"""Heading and decimals of each label-free number."""

TILES = {
    "reprojection_px": ("Reprojection error", "px", "after the best placement, picture 1000 px wide"),
    "asymmetry_percent": ("Bone asymmetry", "%", "left against right bone length"),
    "inconstancy_percent": ("Bone inconstancy", "%", "bone length within a clip"),
    "implausible_percent": ("Implausible poses", "%", "a joint outside its range"),
}

DISTANCES = {
    "source": ("source as captured", "tone-source"),
    "aligned": ("source after GPA", "tone-aligned"),
    "augmented": ("source after GPA + LPA", "tone-augmented"),
}


PARTS = ("root", "size", "posture")
"""What of a 2D pose the distances compare."""


def build_page(record: RunRecord) -> str:
    """The page of a run; parts that the run lacks are left out."""
    name = record.config["data"]["name"]
    chosen = _recommended(record)
    parts = {
        "title": escape(f"{name} · poseda"),
        "style": _asset("page.css"),
        "script": _asset("viewer.js"),
        "header": _header(record, name),
        "verdict": _verdict(record, chosen),
        "tiles": _tiles(record, chosen),
        "viewer": _asset("viewer.html") if record.clips else "",
        "data": _viewer_data(record, chosen) if record.clips else "null",
        "labelfree": _labelfree(record, chosen),
        "placements": _placements(record),
        "diversity": _diversity(record),
        "alignment": _alignment(record),
        "results": _results(record, chosen),
        "training": _training(record),
        "protocol": _protocol(record),
    }
    # One pass, so that nothing that is filled in is taken for a place to fill in.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found.group(1)], _asset("page.html"))


def json_in_html(content: Any) -> str:
    """JSON that may stand inside a script element, whatever its texts hold."""
    text = json.dumps(content, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _asset(name: str) -> str:
    return (files("poseda.report") / "assets" / name).read_text(encoding="utf-8")


def _recommended(record: RunRecord) -> str | None:
    """The model that the page compares with the source model."""
    if record.gate is not None:
        return str(record.gate["recommended"])
    arms = list(record.config["config"]["arms"])
    return "gpa_lpa" if "gpa_lpa" in arms else arms[0] if arms else None


def _source_model(record: RunRecord) -> str:
    return str(record.labelfree["source_model"]) if record.labelfree else "source_only"


def _compared(record: RunRecord, chosen: str | None) -> str | None:
    """The model beside the source model: the recommended one or, where that is the source, the method."""
    arms = [arm for arm in record.config["config"]["arms"] if arm not in ("source_only", "oracle")]
    if chosen in arms:
        return chosen
    return "gpa_lpa" if "gpa_lpa" in arms else arms[0] if arms else None


def _header(record: RunRecord, name: str) -> str:
    config = record.config["config"]
    seeds = ", ".join(map(str, config["seeds"]))
    facts = [config["lifter"], record.config["data"]["skeleton"], f"seeds {seeds}", config["preset"]]
    items = "".join(f"<li>{escape(str(fact))}</li>" for fact in facts)
    return f'<p class="kicker">poseda run</p><h1>{escape(name)}</h1><ul class="facts">{items}</ul>'


def _verdict(record: RunRecord, chosen: str | None) -> str:
    gate = record.gate
    if gate is None:
        return '<div class="verdict off"><p class="finding">The gate was not asked.</p></div>'
    word = "adapt" if gate["verdict"] == "adapt" else "keep"
    return (
        f'<div class="verdict {word}"><p class="finding">{escape(gate["finding"])}.</p>'
        f'<p class="numbers">{escape(gate["numbers"])}.</p>'
        f'<p class="recommended">Recommended model: <strong>{escape(str(chosen))}</strong></p></div>'
    )


def _tiles(record: RunRecord, chosen: str | None) -> str:
    """The numbers at a glance: source model, then the adapted one."""
    other = _compared(record, chosen)
    if record.labelfree is None or other is None:
        return ""
    models = record.labelfree["models"]
    before, after = models.get(_source_model(record)), models.get(other)
    if before is None or after is None:
        return ""
    rows = [
        (title, unit, note, before[name], after[name])
        for name, (title, unit, note) in TILES.items()
        if before[name] is not None and after[name] is not None
    ]
    split = shown_split(record.results)
    means = {summary.arm: summary.mean["mpjpe"] for summary in summarise(record.results, split)}
    if split == "target_test" and _source_model(record) in means and other in means:
        ends = means[_source_model(record)], means[other]
        rows.insert(0, ("MPJPE", "mm", "where labels exist: the target's test clips", *ends))
    tiles = []
    for title, unit, note, one, two in rows:
        change = round(two, 1) - round(one, 1)  # as they are shown
        better = "better" if change < 0 else "worse" if change > 0 else "even"
        tiles.append(
            f'<div class="tile {better}"><h3>{escape(title)}</h3><p><span class="before">{one:.1f}</span>'
            f'<span class="arrow" aria-label="to">→</span><span class="after">{two:.1f}</span>'
            f'<span class="unit">{unit}</span></p><p class="note">{escape(note)}</p></div>'
        )
    caption = f'<p class="caption">{escape(_source_model(record))} → {escape(other)}</p>'
    tiled = f'<div class="tiles">{"".join(tiles)}</div>'
    return f'<section class="glance" aria-label="At a glance">{caption}{tiled}</section>'


def _viewer_data(record: RunRecord, chosen: str | None) -> str:
    """What the viewer shows, as JSON; coordinates as whole numbers in base64."""
    clips, notes = record.clips, record.clip_notes

    def packed(values: np.ndarray, scale: int) -> str:
        whole = np.clip(np.round(np.nan_to_num(values) * scale), -32767, 32767).astype("<i2")
        return base64.b64encode(whole.tobytes()).decode()

    aspect = clips.get("aspect")
    start, shown = 0, []
    for clip in notes["clips"]:
        height = float(aspect[start]) if aspect is not None else None
        shown.append({**clip, "start": start, "aspect": height})
        start += clip["frames"]
    content = {
        "joints": notes["joint_names"],
        "parents": notes["parents"],
        "left": notes["left"],
        "right": notes["right"],
        "models": notes["models"],
        "source": _source_model(record),
        "chosen": _compared(record, chosen) or _source_model(record),
        "clips": shown,
        "screen": packed(clips["pose_2d"], SCREEN_SCALE),
        "seen": base64.b64encode(clips["seen"].astype("u1").tobytes()).decode(),
        "lifted": {arm: packed(clips[f"lifted.{arm}"], SPACE_SCALE) for arm in notes["models"]},
        "scale": {"screen": SCREEN_SCALE, "space": SPACE_SCALE},
    }
    return json_in_html(content)


def _table(headings: Sequence[str], rows: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """A table; rows are class, name and cells, which are escaped."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(
        f'<tr class="{kind}"><th scope="row">{_swatch(name)}{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in values)
        + "</tr>"
        for kind, name, values in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _swatch(arm: str) -> str:
    return f'<i class="swatch {charts.colour_class(arm)}"></i>' if arm in charts.KNOWN else ""


def _legend(arms: Sequence[str]) -> str:
    items = "".join(
        f'<li><i class="swatch {charts.colour_class(arm)}"></i>{escape(arm)}</li>' for arm in arms
    )
    return f'<ul class="legend">{items}</ul>'


def _section(title: str, lead: str, body: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="lead">{escape(lead)}</p>{body}</section>'


def _labelfree(record: RunRecord, chosen: str | None) -> str:
    if record.labelfree is None:
        return ""

    def row(numbers: Mapping[str, Any]) -> list[str]:
        return [
            "" if numbers.get(name) is None else f"{abs(numbers[name]):.{decimals}f}"
            for name, (_, decimals) in LABELFREE_COLUMNS.items()
        ]

    models = record.labelfree["models"]
    rows = [("reference", "labels of the source", row(record.labelfree["labels"]))]
    rows += [("chosen" if arm == chosen else "", arm, row(numbers)) for arm, numbers in models.items()]
    table = _table(["model", *(heading for heading, _ in LABELFREE_COLUMNS.values())], rows)
    limits = list(record.labelfree["labels"]["limits"])
    details = ""
    if limits:
        by_limit = [
            (
                "chosen" if arm == chosen else "",
                arm,
                [f"{part['limits'].get(name, 0):.1f}" for name in limits],
            )
            for arm, part in (
                ("labels of the source", record.labelfree["labels"]),
                *record.labelfree["models"].items(),
            )
        ]
        details = (
            "<details><summary>Which joints leave their range, % of poses</summary>"
            f"{_table(['model', *limits], by_limit)}</details>"
        )
    return _section(
        "Without labels",
        "What the target's own 2D says of each model. Low is good and none of it is an error: a pose can fit "
        "the picture, keep its bones even and still be wrong in depth. Labels of the source show what is "
        "within reach.",
        table + details,
    )


def _placements(record: RunRecord) -> str:
    gallery = record.gallery
    if not gallery:
        return ""
    from poseda.report.pictures import root_and_size

    sets = {"target, 2D only": (gallery["target_2d"], "tone-target")}
    sets["source as captured"] = (gallery["source_2d"], "tone-source")
    for name, (title, tone) in DISTANCES.items():
        if f"{name}_2d" in gallery and name != "source":
            valid = gallery[f"{name}_valid"].astype(bool)
            if valid.any():
                sets[title] = (gallery[f"{name}_2d"][valid], tone)
    measured = {title: (*root_and_size(poses), tone) for title, (poses, tone) in sets.items()}
    across, down = (
        1.05 * max(float(np.abs(root[:, axis]).max()) for root, _, _ in measured.values()) for axis in (0, 1)
    )
    reach = (max(across, 1e-3), max(down, 0.3 * across, 1e-3))
    maps = "".join(
        f"<figure>{charts.density_map(root, reach, tone, title)}"
        f"<figcaption>{escape(title)}</figcaption></figure>"
        for title, (root, _, tone) in measured.items()
    )
    sizes = charts.histogram(
        {title: (size, tone) for title, (_, size, tone) in measured.items()},
        "box width + height, half screen widths",
    )
    keys = _tone_legend([(title, tone) for title, (_, _, tone) in measured.items()])
    return _section(
        "Where people stand",
        "Roots on the screen and sizes of the person, before and after alignment to the target.",
        f'<div class="maps">{maps}</div>{keys}{sizes}{_distances(record)}',
    )


def _distances(record: RunRecord) -> str:
    """How far the 2D poses still lie from the target's, as bars."""
    if record.labelfree is None:
        return ""
    found = record.labelfree["distances"]
    head = "".join(f'<th scope="col">{part}</th>' for part in PARTS)
    largest = max((value for parts in found.values() for value in parts.values()), default=0) or 1.0
    body = ""
    for name, (title, tone) in DISTANCES.items():
        if name in found:
            body += f'<tr><th scope="row">{escape(title)}</th>'
            for value in (found[name][part] for part in PARTS):
                width = f"width:{100 * value / largest:.1f}%"
                bar = f'<span class="bar"><span class="{tone}" style="{width}"></span></span>'
                body += f"<td>{bar}{value:.3f}</td>"
            body += "</tr>"
    return (
        '<h3>Distance from the target</h3><p class="lead">Normalised energy distance of the 2D poses: '
        '0 where two distributions agree, 1 at most.</p><div class="scroll"><table class="bars"><thead><tr>'
        f'<th scope="col">2D poses</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _diversity(record: RunRecord) -> str:
    """How much the generator changes, as histograms."""
    from poseda.report.diversity import measure

    found = measure(record.gallery, record.gallery_notes)
    if found is None:
        return ""
    options = record.config["config"]["generator"]
    low, high = (
        math.degrees(math.acos(np.clip(1 - options["angle_mean"] - side * options["angle_width"], -1, 1)))
        for side in (-1, 1)
    )
    before, after = DISTANCES["source"], DISTANCES["augmented"]
    charted = {
        "Turn of each bone against the body, degrees": ({after[0]: (found.turn, after[1])}, False),
        "Change of each bone's length, %": ({after[0]: (found.length, after[1])}, True),
        "Turn of the whole body, degrees": ({after[0]: (found.body, after[1])}, False),
    }
    if found.tilt_before is not None and found.tilt_after is not None:
        tilts = {before[0]: (found.tilt_before, before[1]), after[0]: (found.tilt_after, after[1])}
        charted["Tilt of the body against the camera's vertical, degrees"] = tilts, False
    figures = ""
    for title, (series, both) in charted.items():
        flat = {name: (values.ravel(), tone) for name, (values, tone) in series.items()}
        quartiles = np.quantile(flat[after[0]][0], (0.25, 0.5, 0.75))
        one, middle, other = (f"{value:.1f}" for value in quartiles + 0.0)
        chart = charts.histogram(flat, title, width=480, filled=1, signed=both)
        figures += (
            f"<figure>{chart}<figcaption>Median {middle}, middle half {one} to {other}</figcaption></figure>"
        )
    return _section(
        "What the generator changes",
        f"Source poses after LPA against the same before, as the generator makes them: training adds jitter. "
        f"Bones are drawn to turns of {low:.0f}° to {high:.0f}°, lengths to at most "
        f"{100 * options['scale_limit']:g} %.",
        f'{_tone_legend([before, after])}<div class="curves">{figures}</div>',
    )


def _tone_legend(tones: Sequence[tuple[str, str]]) -> str:
    items = "".join(f'<li><i class="swatch {tone}"></i>{escape(title)}</li>' for title, tone in tones)
    return f'<ul class="legend">{items}</ul>'


def _alignment(record: RunRecord) -> str:
    """The tilt of each view and the build that `gpa_lpa_view` found, means over seeds."""
    found = record.alignment
    if found is None:
        return ""

    def cell(values: Sequence[float]) -> str:
        spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
        return signed(mean(values)) + spread

    views = [
        ("", f"view {number}", [str(view.poses), cell(view.pitch), cell(view.roll)])
        for number, view in enumerate(found.views, 1)
    ]
    build = [("", "change, %", [signed(mean(values)) for values in found.build.values()])]
    if all(len(values) > 1 for values in found.build.values()):
        build.append(("", "sd", [f"{stdev(values):.1f}" for values in found.build.values()]))
    bones = ["bone to the", *(name.replace("_", " ") for name in found.build)]
    return _section(
        "What gpa_lpa_view found",
        "How the target's cameras look and how its people are built, read off 2D poses alone: estimates, "
        "with nothing here to check them against. A view is a lens. Lengths are relative to the source's "
        "people, left and right together.",
        _table(["view", "poses", "pitch down °", "roll °"], views) + "<h3>Build</h3>" + _table(bones, build),
    )


def _results(record: RunRecord, chosen: str | None) -> str:
    if not record.results:
        return ""
    split = shown_split(record.results)
    summaries = summarise(record.results, split)
    rows = [("chosen" if s.arm == chosen else "", s.arm, cells(s)) for s in summaries]
    by_arm: dict[str, list[dict[str, float]]] = {}
    for row in record.results:
        if row["split"] == split and "per_joint" in row:
            by_arm.setdefault(row["arm"], []).append(row["per_joint"])
    joints = list(next(iter(by_arm.values()))[0]) if by_arm else []
    errors = {
        joint.replace("_", " "): {arm: mean(row[joint] for row in rows) for arm, rows in by_arm.items()}
        for joint in joints
    }
    errors = {joint: values for joint, values in errors.items() if max(values.values()) > 0}
    chart = ""
    if errors:
        chart = f"<h3>Error of each joint</h3>{_legend(list(by_arm))}{charts.dots(errors, 'mean error, mm')}"
    several = max(summary.seeds for summary in summaries) > 1
    spread = " Mean ± standard deviation over seeds." if several else ""
    table = _table(headings(summaries), rows)
    return _section("With labels", f"On {SPLIT_TITLES[split]}.{spread}", table + chart)


def _training(record: RunRecord) -> str:
    figures = []
    for title, panel in PANELS.items():
        series = curves(record.journal, panel)
        if series:
            figures.append(
                f"<figure>{charts.lines(series, title)}<figcaption>{escape(title)}</figcaption></figure>"
            )
    if not figures:
        return ""
    arms = list(dict.fromkeys(entry["arm"] for entry in record.journal))
    return _section(
        "Training",
        "Curves of the first seed over steps.",
        f'{_legend(arms)}<div class="curves">{"".join(figures)}</div>{_restarts(record)}',
    )


def _restarts(record: RunRecord) -> str:
    """Every collapse of every seed, and where training went on; empty where there was none."""
    items = "".join(
        f"<li>{escape(entry['arm'])} · {escape(entry['phase'])} · seed {entry['seed']}: collapsed at step "
        f"{entry['collapsed_at']} ({escape(entry['reason'])}); started anew from step {entry['step']}</li>"
        for entry in record.journal
        if "restart" in entry
    )
    if not items:
        return ""
    lead = "Where training collapsed, it went back to its last healthy state with other random numbers."
    return f'<h3>New starts</h3><p class="lead">{lead}</p><ul class="starts">{items}</ul>'


def _protocol(record: RunRecord) -> str:
    def items(table: Mapping[str, Any]) -> str:
        return "".join(
            f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd></div>"
            for name, value in table.items()
        )

    origin = {**record.config["versions"], "data SHA-256": record.config["data"]["sha256"]}
    return _section(
        "Protocol",
        "What a reader must know to compare these numbers with others'.",
        f'<dl class="card">{items(record.card)}</dl>'
        "<details><summary>Versions and data</summary>"
        f'<dl class="card">{items(origin)}</dl>'
        "</details>",
    )
