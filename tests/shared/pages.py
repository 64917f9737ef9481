"""Pages that tests look at: of a run with hostile names, and opened in a browser."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.report_picture import QUIET
from poseda.report import RunRecord

HOSTILE = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 2'>"


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
  const gaps = document.getElementById("gaps").textContent;
  const second = look();
  const at = (type, x) =>
    canvas.dispatchEvent(new PointerEvent(type, { clientX: x, clientY: 50, pointerId: 1, bubbles: true }));
  canvas.setPointerCapture = () => {};
  at("pointerdown", 50); at("pointermove", 120); at("pointerup", 120);
  const turned = look();
  document.getElementById("model").value = document.getElementById("before-name").textContent.split(" ")[0];
  document.getElementById("model").dispatchEvent(new Event("change"));
  const same = look();
  const apart = document.getElementById("apart").textContent;
  const arms = [...document.getElementById("first").options].map((option) => option.value);
  document.getElementById("first").value = arms[arms.length - 1];
  document.getElementById("first").dispatchEvent(new Event("change"));
  const other = look();
  const closer = document.getElementById("closer");
  closer.checked = false;
  closer.dispatchEvent(new Event("change"));
  const whole = look();
  document.documentElement.dataset.check = JSON.stringify({
    first, second, turned, same, other, whole, arms, count, gaps, complaints, apart,
    stolen: window.stolen ?? null,
    picture: document.getElementById("picture").textContent,
    order: document.getElementById("order").textContent,
    name: document.getElementById("before-name").textContent,
    requests: performance.getEntriesByType("resource").map((entry) => entry.name),
    clips: document.getElementById("clip").options.length,
  });
}, 300);
</script>"""


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
