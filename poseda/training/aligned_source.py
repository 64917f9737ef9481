"""The source of the arm `gpa_lpa_view`: turned and built as a scout finds the target to be."""

from __future__ import annotations

from dataclasses import replace

import torch

from poseda.runs.checkpoint import Checkpoint
from poseda.training import view_alignment
from poseda.training.pairs import Resident
from poseda.training.phases import Phases
from poseda.training.stage import Stages, stage_seed
from poseda.training.view_alignment import Estimate


class AlignedSource:
    """Finds tilt and build of the target once for each seed and arm, and keeps them in the run folder.

    Args:
        stages: run the scout's phase.
        phases: build it.
    """

    def __init__(self, stages: Stages, phases: Phases) -> None:
        self._stages, self._phases = stages, phases
        self._found: dict[tuple[int, str], Resident] = {}

    def data_of(self, seed: int, arm: str, data: Resident) -> Resident:
        """What the arm learns from in place of the source as captured.

        Needs the pre-trained lifter of the seed.
        """
        if (seed, arm) not in self._found:
            source = view_alignment.level(data.source, data.skeleton, self._stages.config.alignment)
            levelled = replace(data, source=source)
            self._found[seed, arm] = view_alignment.aligned(levelled, self._estimate(seed, arm, levelled))
        return self._found[seed, arm]

    def _estimate(self, seed: int, arm: str, levelled: Resident) -> Estimate:
        """Tilt and build of the target: trained for, read off, and kept."""
        fabric, folder = self._stages.fabric, self._stages.folder
        file = folder.weights(seed, arm, "view_alignment")
        weights = self._stages.run(seed, arm, "scout", self._phases.scouting(seed, levelled))
        if folder.writes and not file.exists():
            observer, title = self._stages.observer, f"{arm} · view alignment · seed {seed}"
            observer.phase_started(title, 1, 0)
            # Named as in 0.1.0, so that the random numbers stay the same.
            rng = torch.Generator(fabric.device).manual_seed(stage_seed(seed, arm, "alignment"))
            scout = self._phases.lifter_of(weights)
            found = view_alignment.estimate(scout, levelled, self._stages.config, rng)
            file.save(found._asdict(), found.describe(levelled.skeleton))
            observer.advanced(1)
            observer.phase_finished(title)
        fabric.barrier()
        return _read(file, fabric.device)


def _read(file: Checkpoint, device: torch.device) -> Estimate:
    tensors, _ = file.load()
    return Estimate(**{name: value.to(device) for name, value in tensors.items()})
