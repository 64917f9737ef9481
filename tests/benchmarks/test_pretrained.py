"""`python -m benchmarks.pretrained` packs a lifter that can be loaded, with a card that says what it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pretrained import main
from poseda.geometry.anatomy import DEGREES, RANGES, posed
from poseda.inference import AdaptedLifter


def test_a_lifter_is_trained_and_packed_with_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    angles = RANGES.mean(1) * 0.3 + 10 * rng.standard_normal((40, len(DEGREES)))
    bodies = posed(angles, np.full((40, 15), 0.3), rng.uniform(0, 360, 40)) + np.array([0, 0, 1.0])
    motion, packed = tmp_path / "motion.npz", tmp_path / "packed"
    np.savez(motion, positions=bodies.astype(np.float32), clip_index=np.arange(40) // 10)
    given = ["--motion", str(motion), "--described", "forty poses", "--attribution", "nobody"]
    folders = ["--out", str(tmp_path / "run"), "--install", str(packed)]
    assert main([*given, *folders, "--preset", "tiny", "--wide.steps", "20", "--device", "cpu"]) == 0
    card = json.loads((packed / "card.json").read_text())
    assert card["trained_on"] == ["embedded source domain", "forty poses"] and card["steps"] == 20
    file = packed / "seed0" / "wide" / "lifter.safetensors"
    assert card["bytes"] == file.stat().st_size and f"{card['bytes']:,} bytes" in capsys.readouterr().out
    assert AdaptedLifter.load(packed).wide
    assert str(tmp_path) not in (packed / "config.json").read_text()
