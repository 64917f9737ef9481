"""report.html: complete, self-contained, safe with hostile names, and alive in a real browser.

The browser is chromium. Without it that part is skipped; with ``POSEDA_REQUIRE_BROWSER=1`` its absence is a
failure.
"""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from poseda.cli import main
from poseda.report import RunRecord, page
from poseda.report.charts import density_map, histogram

SHORT = [
    "--training.pretrain-steps",
    "20",
    "--training.adapt-steps",
    "20",
    "--generator-training.steps",
    "20",
]
HOSTILE = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 2'>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "run"
    arms = ["--arms", "source_only", "gpa", "gpa_lpa", "--domain-size", "0.2"]
    assert main(["adapt", "--preset", "tiny", "--device", "cpu", *SHORT, *arms, "--out", str(out)]) == 0
    torch.set_num_threads(before)
    return out


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    return RunRecord.read(folder)


def hostile(record: RunRecord) -> RunRecord:
    """The run of somebody whose files name everything so as to break out of the page."""
    config = json.loads(json.dumps(record.config))
    config["data"]["name"] = config["data"]["skeleton"] = config["config"]["lifter"] = HOSTILE
    notes = json.loads(json.dumps(record.clip_notes))
    notes["joint_names"] = [f"{HOSTILE}{name}" for name in notes["joint_names"]]
    for clip in notes["clips"]:
        clip["clip"] = HOSTILE
    results = [
        {**row, "per_joint": {f"{HOSTILE}{name}": value for name, value in row["per_joint"].items()}}
        for row in record.results
    ]
    results += [{**row, "arm": HOSTILE} for row in results if row["arm"] == "gpa"]
    assert record.gate is not None
    gate = {**record.gate, "finding": HOSTILE, "numbers": HOSTILE}
    card = {**record.card, HOSTILE: HOSTILE}
    return dataclasses.replace(record, config=config, clip_notes=notes, results=results, gate=gate, card=card)


# --------------------------------------------------------------------------------------------- structure


def test_a_run_leaves_one_page_with_every_part(folder: Path, record: RunRecord) -> None:
    text = (folder / "report.html").read_text()
    assert text == page.build_page(record) and 20_000 < len(text) < 5_000_000
    outline = Outline(text)
    assert not outline.open, "every element is closed"
    shown = " ".join(" ".join(outline.texts).split())
    for title in ("See it", "Without labels", "Where people stand", "With labels", "Training", "Protocol"):
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


def test_names_that_look_like_places_to_fill_in_stay_names(record: RunRecord) -> None:
    config = json.loads(json.dumps(record.config))
    config["data"]["name"] = "{{script}}"
    assert "{{script}}" in Outline(page.build_page(dataclasses.replace(record, config=config))).texts


def test_json_in_a_script_element_comes_back_whole() -> None:
    content = {"name": f"{HOSTILE}<!--\u2028&amp;"}
    text = page.json_in_html(content)
    assert not re.search("[<>&\u2028]", text) and json.loads(text) == content


@pytest.mark.parametrize("missing", ["gate", "labelfree", "clips", "journal", "gallery", "results"])
def test_the_page_does_without_a_part(record: RunRecord, missing: str) -> None:
    empty: Any = {"gate": None, "labelfree": None, "clips": {}, "journal": [], "gallery": {}, "results": []}
    outline = Outline(page.build_page(dataclasses.replace(record, **{missing: empty[missing]})))
    titles = {
        "labelfree": "Without labels",
        "clips": "See it",
        "journal": "Training",
        "gallery": "Where people stand",
        "results": "With labels",
    }
    shown = " ".join(outline.texts)
    assert not outline.open and "Protocol" in shown
    for part, title in titles.items():
        assert (title in shown) == (part != missing), part
    assert ("The gate was not asked." in shown) == (missing == "gate")


def test_marks_lie_where_the_values_are() -> None:
    # All roots in the lower right quarter: one cell, right of and below the middle.
    root = torch.full((10, 2), 0.5).numpy()
    found = re.search(r'<path d="M([\d.]+) ([\d.]+)h', density_map(root, (1.0, 1.0), "tone", "roots"))
    assert found is not None and [float(v) for v in found.groups()] == pytest.approx([180.0, 180.0], abs=9)
    # A flat distribution from 0 to 1 has the same height everywhere.
    even = torch.linspace(0, 1, 4801).numpy()
    heights = set(re.findall(r"V([\d.]+)H", histogram({"even": (even, "tone")}, "size")))
    assert len(heights) <= 3


# --------------------------------------------------------------------------------------------- a real browser

WATCH = """<script>
window.complaints = [];
addEventListener("error", (event) => complaints.push(String(event.message)), true);
addEventListener("unhandledrejection", (event) => complaints.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => complaints.push(event.blockedURI));
const loud = console.error;
console.error = (...words) => { complaints.push(words.join(" ")); loud(...words); };
</script>"""

CHECK = """<script>
const painted = (id) => {
  const canvas = document.getElementById(id);
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0, sum = 0;
  for (let at = 0; at < pixels.length; at++) {
    count += at % 4 === 3 && pixels[at] > 0;
    sum = (sum * 31 + pixels[at]) % 1000003;
  }
  return [count, sum];
};
const look = () => ["screen", "before", "after"].map(painted);
setTimeout(() => {
  const canvas = document.getElementById("after"), slider = document.getElementById("frame");
  const first = look();
  slider.value = "7";
  slider.dispatchEvent(new Event("input"));
  const count = document.getElementById("count").textContent;
  const second = look();
  const at = (type, x) =>
    canvas.dispatchEvent(new PointerEvent(type, { clientX: x, clientY: 50, pointerId: 1, bubbles: true }));
  canvas.setPointerCapture = () => {};
  at("pointerdown", 50); at("pointermove", 120); at("pointerup", 120);
  const turned = look();
  document.getElementById("model").value = document.getElementById("before-name").textContent.split(" ")[0];
  document.getElementById("model").dispatchEvent(new Event("change"));
  const same = look();
  document.documentElement.dataset.check = JSON.stringify({
    first, second, turned, same, count, complaints, stolen: window.stolen ?? null,
    apart: document.getElementById("apart").textContent,
    requests: performance.getEntriesByType("resource").map((entry) => entry.name),
    clips: document.getElementById("clip").options.length,
  });
}, 300);
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        missing = f"no {' or '.join(BROWSERS)} to open the page in"
        if os.environ.get("POSEDA_REQUIRE_BROWSER") == "1":
            pytest.fail(f"POSEDA_REQUIRE_BROWSER=1, but {missing}")
        pytest.skip(missing)
    return found


def opened(browser: str, text: str, folder: Path) -> dict[str, Any]:
    """What a page does in a browser: it is watched from its first line and used after its last."""
    page_file = folder / "watched.html"
    watched = text.replace("<meta charset", f"{WATCH}<meta charset", 1)
    page_file.write_text(watched.replace("</body>", f"{CHECK}</body>"))
    command = [
        browser, *QUIET, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
        page_file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'data-check="([^"]*)"', done.stdout)
    assert found is not None, f"the page did not come to its end: {done.stderr[-500:]}"
    result: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return result


@pytest.mark.parametrize("names", ["plain", "hostile"])
def test_the_viewer_draws_moves_and_turns_in_a_browser(
    browser: str, record: RunRecord, tmp_path: Path, names: str
) -> None:
    shown = page.build_page(record if names == "plain" else hostile(record))
    seen = opened(browser, shown, tmp_path)
    assert seen["complaints"] == [] and seen["requests"] == [] and seen["stolen"] is None
    assert all(count > 200 for count, _ in seen["first"])
    assert seen["count"].startswith("8 / ") and seen["clips"] == len(record.clip_notes["clips"])
    for before, after in zip(seen["first"], seen["second"], strict=True):
        assert before != after, "every view follows the slider"
    # Dragging turns both bodies and leaves the picture alone.
    assert seen["second"][0] == seen["turned"][0]
    assert seen["second"][1] != seen["turned"][1] and seen["second"][2] != seen["turned"][2]
    # The source model beside itself: the same picture twice.
    assert seen["same"][1] == seen["same"][2] and seen["apart"] == "0 mm apart in this frame"


def test_a_run_of_one_model_shows_it_alone(browser: str, record: RunRecord, tmp_path: Path) -> None:
    notes = {**record.clip_notes, "models": ["source_only"]}
    config = json.loads(json.dumps(record.config))
    config["config"]["arms"] = ["source_only"]
    alone = dataclasses.replace(record, clip_notes=notes, config=config)
    seen = opened(browser, page.build_page(alone), tmp_path)
    assert seen["complaints"] == []
    assert all(count > 200 for count, _ in seen["first"][:2]) and seen["first"][2][0] == 0
