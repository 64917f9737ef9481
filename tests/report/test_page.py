"""report.html: complete, self-contained, and safe with hostile names."""

from __future__ import annotations

import copy
import dataclasses
import html
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from pages import HOSTILE, hostile

from poseda.config import Arm
from poseda.geometry.camera import tilted_up
from poseda.report import RunRecord, headline, page, sections
from poseda.report.arms import ARMS, PAGE, colours
from poseda.report.tables import change_of
from poseda.report.viewer import viewer_data
from poseda.runs.verdict import Margin, Verdict

MOST_WORDS = 25
"""Words of a sentence."""


class Outline(HTMLParser):
    """Elements with their attributes, and the texts outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "input", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


# --------------------------------------------------------------------------------------------- structure


def test_a_run_leaves_one_page_with_every_part(folder: Path, record: RunRecord) -> None:
    text = (folder / "report.html").read_text()
    assert text == page.build_page(record) and 20_000 < len(text) < 5_000_000
    outline = Outline(text)
    assert not outline.open, "every element is closed"
    shown = " ".join(" ".join(outline.texts).split())
    for title in (*TITLES.values(), "Poses at each step", "What the generator changes", "Protocol"):
        assert title in shown
    assert record.gate is not None and record.gate["finding"] in shown
    assert f"Recommended model: {record.gate['recommended']}" in shown
    assert all(value in shown for value in record.card.values())
    # Three canvases; maps of the target, the source, and the source twice aligned.
    assert outline.count("canvas") == 3
    assert sum(attributes.get("class") == "map" for _, attributes in outline.elements) == 4
    mpjpe = next(r for r in record.results if (r["arm"], r["split"]) == ("gpa_lpa", "target_test"))["mpjpe"]
    assert f"{mpjpe:.1f}" in outline.texts


def test_the_page_refers_to_nothing_outside_itself(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    outline = Outline(text)
    for tag, attributes in outline.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "a"), tag
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        if "href" in attributes:
            assert attributes["href"] == "data:,"
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    (policy,) = [a["content"] for tag, a in outline.elements if a.get("http-equiv")]
    assert policy is not None and policy.startswith("default-src 'none';")


def test_names_from_files_are_shown_and_never_run(record: RunRecord) -> None:
    plain, attacked = (Outline(page.build_page(r)) for r in (record, hostile(record)))
    assert attacked.count("script") == plain.count("script") == 2
    assert attacked.count("img") == 0 and not attacked.open
    assert sum(HOSTILE in text for text in attacked.texts) >= 6


@pytest.mark.parametrize("name", ["{{ header }}", "{% include 'viewer.js' %}", "{# away #}"])
def test_names_that_look_like_template_code_stay_names(record: RunRecord, name: str) -> None:
    config = json.loads(json.dumps(record.config))
    config["data"]["name"] = name
    assert name in Outline(page.build_page(dataclasses.replace(record, config=config))).texts


def test_names_in_the_viewers_data_come_back_whole(record: RunRecord) -> None:
    clips = [{**clip, "clip": f"{HOSTILE}<!--\u2028&amp;"} for clip in record.clip_notes["clips"]]
    shown = page.build_page(dataclasses.replace(record, clip_notes={**record.clip_notes, "clips": clips}))
    (data,) = re.findall(r'<script type="application/json" id="viewer-data">(.*?)</script>', shown, re.S)
    assert not re.search("[<>&\u2028]", data)
    assert [clip["clip"] for clip in json.loads(data)["clips"]] == [clip["clip"] for clip in clips]


TITLES = {
    "labelfree": "Without labels",
    "clips": "Predictions on the target",
    "journal": "Training",
    "samples": "Where people stand",
    "results": "With labels",
}
"""Part of a record to the section that shows it."""


@pytest.mark.parametrize("missing", ["gate", *TITLES])
def test_the_page_does_without_a_part(record: RunRecord, missing: str) -> None:
    empty: Any = {"gate": None, "labelfree": None, "clips": {}, "journal": [], "samples": {}, "results": []}
    text = page.build_page(dataclasses.replace(record, **{missing: empty[missing]}))
    outline, titles = Outline(text), re.findall("<h2>([^<]*)", text)
    assert not outline.open and "Protocol" in titles
    for part, title in TITLES.items():
        assert (title in titles) == (part != missing), part
    assert ("No model is recommended" in titles) == (missing == "gate")


# --------------------------------------------------------------------------------------------- readers


def test_no_heading_skips_a_level(folder: Path) -> None:
    tags = [tag for tag, _ in Outline((folder / "report.html").read_text()).elements]
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_section_says_in_short_sentences_how_to_read_it(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    sections = re.findall(r"<section.*?</section>", text, re.S)
    assert len(sections) >= 8
    for section in sections:
        assert section.count('<p class="lead">') >= 1 or 'class="verdict' in section, section[:200]
        for paragraph in re.findall(r"<p(?: [^>]*)?>(.*?)</p>", section, re.S):
            for sentence in re.split(r"[.;:]\s", html.unescape(re.sub("<[^>]*>", "", paragraph))):
                assert len(sentence.split()) <= MOST_WORDS, sentence


def test_every_model_is_explained_where_the_page_names_it_first(folder: Path, record: RunRecord) -> None:
    text = (folder / "report.html").read_text()
    first = Outline(text[text.index("<section") : text.index("</section>")]).texts
    for arm in record.config["config"]["arms"]:
        assert first[first.index(ARMS[arm].meaning) - 1] == arm
    assert set(get_args(Arm)) <= ARMS.keys()
    assert all(len(style.meaning.split()) <= MOST_WORDS for style in ARMS.values())


def luminance(colour: str) -> float:
    """Relative luminance of a colour #rrggbb, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("dark", [0, 1], ids=["light", "dark"])
def test_marks_and_texts_stand_out_from_the_page(dark: int) -> None:
    texts = ("ink", "muted", "good", "bad")
    for name in (*texts, *(name for name in colours() if name.startswith(("arm-", "side-")))):
        for surface in ("paper", "panel"):
            low, high = sorted(luminance(part[dark]) for part in (colours()[name], PAGE[surface]))
            # WCAG 2: 4.5 for text, 3 for graphics.
            assert (high + 0.05) / (low + 0.05) >= (4.5 if name in texts else 3), (name, surface)


def test_better_and_worse_are_told_by_sign_and_word() -> None:
    assert change_of(90.2, 78.9, "mm") == ("better", "\N{MINUS SIGN}11.3 mm, better")
    assert change_of(1.4, 1.9) == ("worse", "+0.5, worse")
    # Both are shown as 1.0.
    assert change_of(1.04, 0.96) == ("even", "no change")


def test_the_headline_says_by_how_much_the_recommended_model_is_better(record: RunRecord) -> None:
    def shown(record: RunRecord) -> str:
        return " ".join(" ".join(Outline(page.build_page(record)).texts).split())

    rows = [
        {**r, "mpjpe": {"source_only": 90.0, "gpa_lpa": 70.0}.get(r["arm"], 80.0)} for r in record.results
    ]
    labelled = shown(dataclasses.replace(record, results=rows))
    assert "its MPJPE is 70.0 mm; that of source_only is 90.0 mm" in labelled
    assert "gpa_lpa is the best arm that saw no label: MPJPE 70.0 mm, then gpa with 80.0 mm" in labelled
    worse = [{**row, "mpjpe": 60.0} if row["arm"] == "gpa" else row for row in rows]
    said = "By the target's labels, gpa is better than gpa_lpa: MPJPE 60.0 mm against 70.0 mm."
    assert said in shown(dataclasses.replace(record, results=worse))
    unlabelled = [row for row in rows if row["split"] == "source_val"]
    assert record.labelfree is not None
    models = {arm: {**numbers} for arm, numbers in record.labelfree["models"].items()}
    models["gpa_lpa"] = {**models["source_only"], "reprojection_px": 0.0, "asymmetry_percent": 99.0}
    labelfree = {**record.labelfree, "models": models}
    told = shown(dataclasses.replace(record, results=unlabelled, labelfree=labelfree))
    assert "Of 4 numbers that need no labels, 1 is better than with source_only, and 1 is worse" in told
    assert "its MPJPE is" not in told and "They do not say which model suits the target." in told


def test_the_page_says_which_estimates_stand_at_a_limit(record: RunRecord) -> None:
    assert "Estimates at a limit" not in page.build_page(record)
    sentence = "cam1: the pitch that was found, 81 degrees, stands at the limit of 82."
    assert record.labelfree is not None
    found = copy.deepcopy(record.labelfree)
    for numbers in found["models"].values():
        numbers["at_limits"] = [sentence]
    shown = page.build_page(dataclasses.replace(record, labelfree=found))
    assert "Estimates at a limit" in shown and shown.count(sentence) == 1


def test_the_card_has_the_errors_of_the_recommended_model_by_camera(record: RunRecord) -> None:
    rows = [{**row, "per_camera": {"0": 50.0, "7": 61.26}} for row in record.results]
    models = headline.Models.of(record)
    card = sections.protocol(dataclasses.replace(record, results=rows), models)["card"]
    assert card["errors by camera"] == "gpa_lpa, MPJPE mm by number of camera: 0 50.0, 7 61.3"
    older = [{name: row[name] for name in row if name != "per_camera"} for row in rows]
    assert (
        "errors by camera"
        not in sections.protocol(dataclasses.replace(record, results=older), models)["card"]
    )


@pytest.mark.parametrize("gap", [0.01, 0.05])
def test_the_box_of_the_verdict_gives_no_order_against_its_recommendation(
    record: RunRecord, gap: float
) -> None:
    found = Verdict({"placement": Margin(0.01, 0.02, gap)}, "clips", 10, 7, 5)
    evidence = {"reason": "its predicted error is 26 % lower", "errors": {"gpa": {}}, "sentence": "…"}
    for recommended in ("source_only", "gpa"):
        gate = {**found.to_json(recommended), "evidence": evidence}
        shown = headline.verdict(dataclasses.replace(record, gate=gate), headline.Models.of(record))
        assert shown["reasons"][1].startswith("By 2D alone, ")
        assert not any(re.match("(Keep|Adapt)\\b", reason) for reason in shown["reasons"])


def test_a_run_of_wide_alone_is_not_told_that_it_trained_nothing(record: RunRecord) -> None:
    assert record.gate is not None and record.labelfree is not None
    config = {**record.config, "config": {**record.config["config"], "arms": ["wide"]}}
    found = {**record.labelfree, "source_model": "wide"}
    gate = {**record.gate, "verdict": "adapt", "recommended": "wide"}
    alone = dataclasses.replace(record, config=config, gate=gate, labelfree=found, results=[])
    reasons = headline.verdict(alone, headline.Models.of(alone))["reasons"]
    text = "No model of this run learned from the target. This one is for every camera"
    assert any(reason.startswith(text) for reason in reasons)


def test_the_viewer_stands_people_up_by_the_direction_that_each_model_found(record: RunRecord) -> None:
    up = tilted_up(torch.tensor([25.0, -20.0]).deg2rad()).tolist()
    clips = [{**clip, "up": {"gpa": up}} for clip in record.clip_notes["clips"]]
    shown = viewer_data(
        dataclasses.replace(record, clip_notes={**record.clip_notes, "clips": clips}),
        headline.Models.of(record),
    )
    assert shown is not None
    for clip in shown["clips"]:
        assert list(clip["turn"]) == ["gpa"], "the others know no direction"
        axes = np.reshape(clip["turn"]["gpa"], (3, 3))
        assert np.allclose(axes @ up, [0, -1, 0], atol=1e-5), "the viewer's y points down"
        assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-5) and axes[2, 2] > 0
