"""What a run says while it trains and at its end: progress, tables that fit, and what to type next."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console
from runs import short_steps

from poseda.cli import main
from poseda.cli.progress import PERIOD, SOON, ProgressLines, TimeLeft, duration
from poseda.cli.screen import ProgressBars, print_table
from poseda.config import RunConfig, preset
from poseda.report import Summary, by_labels, ranked
from poseda.runs.verdict import why
from poseda.training import PlannedPhase, Sizes, plan
from poseda.training.plan import SCORING, VOTE

pytestmark = pytest.mark.usefixtures("one_thread")

FOOTAGE = Path(__file__).parents[1] / "shared"


class Clock:
    """Seconds that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Noted(ProgressLines):
    """Keeps of every phase how many steps it has, and how many were done when it was over."""

    over: ClassVar[dict[str, tuple[int, int]]] = {}
    steps = done = 0

    def phase_started(self, title: str, steps: int, done: int) -> None:
        super().phase_started(title, steps, done)
        self.steps, self.done = steps, done

    def advanced(self, step: int) -> None:
        super().advanced(step)
        self.done = step

    def phase_finished(self, title: str) -> None:
        super().phase_finished(title)
        self.over[title] = (self.steps, self.done)


@pytest.mark.parametrize("arms", [(), ("wide",), ("gpa", "gpa_lpa_view")])
def test_the_plan_is_what_the_run_does(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arms: tuple[str, ...],
) -> None:
    monkeypatch.setattr("poseda.cli.adapt.ProgressLines", Noted)
    monkeypatch.setattr(Noted, "over", {})
    more = ["--arms", *arms] if arms else []
    line = ["--preset", "tiny", *short_steps(20), "--device", "cpu", "--out", str(tmp_path / "run"), *more]
    assert main(["adapt", *line]) == 0
    from poseda.cli.adapt import parse_run

    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert "is recommended: " in shown and (len(arms) == 1) != ("By the target's labels, " in shown)
    done = [
        title for title, _, rest in (line.partition(": ") for line in lines) if rest.startswith("done in")
    ]
    planned = plan(parse_run(line))
    assert done == [phase.title for phase in planned]
    assert Noted.over == {phase.title: (phase.steps, phase.steps) for phase in planned}


def training(config: RunConfig) -> list[PlannedPhase]:
    """The phases of a run that train."""
    return [phase for phase in plan(config) if phase.work == 1]


def test_the_time_left_is_that_of_all_phases() -> None:
    clock, phases = Clock(), training(preset("tiny"))
    left = TimeLeft(phases, clock)
    assert [phase.name for phase in phases] == ["lifter"] * 3 + ["generator", "lifter"] * 2 + ["lifter"]
    left.begins(phases[0].title, 0)
    assert left.seconds() is None and left.words() == "the rest is not known yet"
    clock.now = 30.0
    left.advanced(30)  # a second a step
    lifters = 30 + 5 * 60
    assert left.seconds() == pytest.approx(lifters + 2 * 40)  # generators are taken to be as fast
    left.begins(phases[3].title, 0)
    clock.now = 110.0
    left.advanced(20)  # four seconds a step
    assert left.seconds() == pytest.approx(4 * (20 + 40) + 3 * 60)
    assert left.position == "phase 4 of 8"
    assert "about 7 min of the run left" in left.words()


def test_the_phases_of_the_wide_arms_take_the_same_time_a_step() -> None:
    clock, phases = Clock(), training(replace(preset("tiny"), arms=("wide", "wide_target", "oracle")))
    left = TimeLeft(phases, clock)
    names = [(phase.arm, phase.name) for phase in phases]
    assert names[1:4] == [("wide", "lifter"), ("wide_target", "round1"), ("wide_target", "lifter")]
    left.begins(phases[0].title, 0)
    clock.now = 60.0
    left.advanced(60)  # a second a step
    left.begins(phases[1].title, 0)
    clock.now = 180.0
    left.advanced(30)  # four seconds a step
    assert left.seconds() == pytest.approx(4 * (30 + 2 * 40) + 60)


def test_the_time_left_counts_what_is_measured_after_training() -> None:
    clock = Clock()
    sizes = Sizes(poses=640, cameras=2, target_cameras=3)
    phases = plan(replace(preset("tiny"), arms=("source_only", "wide")), sizes)
    left = TimeLeft(phases, clock)
    names = [(phase.arm, phase.name) for phase in phases]
    assert names[2:] == [
        ("source_only", "measuring"),
        ("wide", "lifter"),
        ("wide", "measuring"),
        ("target", "measuring"),
        ("target", "predicted errors"),
    ]
    left.begins(phases[3].title, 0)
    clock.now = 60.0
    left.advanced(60)  # a second a step; all training is done
    cameras = 2 * 2 + 3 + 13 * (VOTE * 3 + SCORING)
    assert left.seconds() == pytest.approx(cameras)  # a guess of a second a camera
    left.begins(phases[4].title, 0)
    clock.now += 2 * 9.0
    left.advanced(1)
    cameras -= 2
    assert left.seconds() == pytest.approx(cameras * (1 + 2 * 9) / 3)  # the guess counts as one camera
    left.begins(phases[-1].title, 12)
    assert left.seconds() > 0 and left.position == "phase 7 of 7"  # type: ignore[operator]
    left.advanced(13)
    assert left.seconds() == 0


def test_measuring_takes_longer_where_there_is_more_to_measure_and_predicts_nothing_without_the_gate() -> (
    None
):
    config = replace(preset("tiny"), arms=("source_only", "gpa"))
    few, many = (sum(phase.steps * phase.work for phase in plan(config, Sizes(n))) for n in (100, 10000))
    assert many > 2 * few
    assert plan(replace(config, gate="off")) == plan(config)[:-1]


def test_a_resumed_phase_counts_only_the_steps_of_this_run() -> None:
    clock, phases = Clock(), training(RunConfig(arms=("source_only",)))
    left = TimeLeft(phases, clock)
    left.begins(phases[0].title, phases[0].steps - 100)
    clock.now = 5.0
    left.advanced(phases[0].steps - 50)
    assert left.seconds() == pytest.approx(0.1 * (50 + phases[1].steps))


def test_without_a_terminal_a_line_comes_soon_and_then_every_thirty_seconds() -> None:
    clock, shown = Clock(), io.StringIO()
    phases = training(preset("tiny"))
    lines = ProgressLines(Console(file=shown, width=80), TimeLeft(phases, clock), clock)
    lines.phase_started(phases[0].title, 60, 0)
    for step in range(1, 61):
        clock.now = step * 1.0
        lines.advanced(step)
    lines.phase_finished(phases[0].title)
    said = shown.getvalue().splitlines()
    assert (SOON, PERIOD) == (5, 30) and len(said) == 3, "the rest of the run is said soon, then seldom"
    assert said[0].startswith("pretrained · lifter · seed 0: step 5 of 60, phase 1 of 8, about ")
    assert "step 35 of 60" in said[1]
    assert said[0].endswith(" of the run left") and said[2] == "pretrained · lifter · seed 0: done in 60 s"


def test_bars_fit_eighty_columns_and_show_the_rest_of_the_run() -> None:
    phases = training(preset("full"))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, record=True)
    with ProgressBars(console, TimeLeft(phases)) as bars:
        title = phases[-3].title
        bars.phase_started(title, 20000, 0)
        bars.advanced(10000)
    # The terminal draws every state over the one before.
    states = [f"{title}{rest}" for rest in console.export_text().split(title)]
    assert max(map(len, states)) <= 80
    assert any("10000/20000" in state and "run: " in state for state in states)


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.4, "4 s"), (89, "89 s"), (600, "10 min"), (12000, "3 h 20 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_widest_table_fits_eighty_columns_without_losing_a_letter() -> None:
    shown, names = io.StringIO(), ("mpjpe", "pa_mpjpe", "pck", "auc", "mpjve", "acceleration_error")
    mean, deviation = dict.fromkeys(names, 123.4), dict.fromkeys(names, 12.3)
    rows = [Summary(arm, 3, mean, deviation, 87.0) for arm in ("source_only", "gpa_lpa_view", "oracle")]
    print_table(Console(file=shown, width=80), rows, "the target's test clips")
    text = shown.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert text.count("123.4") == 18 and text.count("±12.3") == 18 and text.count("gpa_lpa_view") == 1


def summary(arm: str, mpjpe: float) -> Summary:
    return Summary(arm, 1, {"mpjpe": mpjpe}, {"mpjpe": 0.0}, None)


def test_the_best_arm_stands_on_top_and_a_bound_at_the_end() -> None:
    rows = [
        summary("oracle", 40.0),
        summary("source_only", 90.0),
        summary("wide", 60.0),
        summary("gpa", 70.0),
    ]
    assert [row.arm for row in ranked(rows)] == ["wide", "gpa", "source_only", "oracle"]


def test_a_recommended_arm_that_labels_show_to_be_worse_is_said_to_be_worse() -> None:
    rows = [
        summary("source_only", 90.0),
        summary("wide", 70.0),
        summary("gpa", 60.0),
        summary("oracle", 40.0),
    ]
    assert by_labels(rows, "wide") == (
        "By the target's labels, gpa is better than wide: MPJPE 60.0 mm against 70.0 mm."
    )
    assert by_labels(rows, "gpa") == (
        "By the target's labels, gpa is the best arm that saw no label: "
        "MPJPE 60.0 mm, then wide with 70.0 mm."
    )
    assert by_labels(rows, "pretrained") == by_labels(rows[2:], "gpa") == ""


def test_footage_ends_with_numbers_without_labels_a_reason_and_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np
    from bodies import walk

    monkeypatch.chdir(tmp_path)
    clip, out = Path("my clip.npz"), Path("run")
    np.savez(clip, keypoints=np.concatenate([walk(40, (300 + 9 * at, 200)) for at in range(4)]))
    more = ["--image-size", "640x480", "--arms", "source_only", "wide", "--out", str(out)]
    assert (
        main(["adapt", "--preset", "tiny", *short_steps(20), "--device", "cpu", "--target", str(clip), *more])
        == 0
    )
    shown = capsys.readouterr().out
    assert "reprojection" in shown and "MPJPE mm" not in shown and "…" not in shown
    command = shown.rstrip().split("\n")[-1]
    said = " ".join(shown.split())
    assert "wide is recommended: no other arm is predicted to be better by enough. Predicted errors" in said
    words = shlex.split(command)
    assert words[:2] == ["poseda", "lift"] and "my clip.npz" in words
    assert "--overlay" not in words, "there are no pictures"
    assert "poseda view run" in shown.splitlines(), "alone in its line"
    assert main(words[1:]) == 0 and Path("run/my clip.bvh").is_file()


def test_the_reason_is_the_gates_but_for_wide() -> None:
    finding = "By 2D alone, no gap is seen: the target's 2D poses differ by no more than chance explains"
    assert why("source_only", finding) == (
        "source_only is recommended: the target's 2D poses differ by no more than chance explains."
    )
