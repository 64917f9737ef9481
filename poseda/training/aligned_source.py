"""The source of the arm `gpa_lpa_view`: with the target's tilt and body proportions.

A probe lifter, called the scout, estimates both (:mod:`poseda.training.view_alignment`).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from poseda.runs.checkpoint import Checkpoint
from poseda.training import view_alignment
from poseda.training.pairs import TrainingData
from poseda.training.phases import Phases
from poseda.training.stage import Stages, stage_seed
from poseda.training.view_alignment import Estimate


class AlignedSource:
    """Estimates the target's tilt and body proportions, once for each seed and arm.

    The estimates are saved in the run folder.

    Args:
        stages: runs the phase of the probe lifter.
        phases: makes that phase.
    """

    def __init__(self, stages: Stages, phases: Phases) -> None:
        self._stages, self._phases = stages, phases
        self._aligned: dict[tuple[int, str], TrainingData] = {}

    def data_of(self, seed: int, arm: str, data: TrainingData) -> TrainingData:
        """The data of the arm, with the aligned source in place of the captured one.

        Needs the pre-trained lifter of the seed.
        """
        if (seed, arm) not in self._aligned:
            source = view_alignment.remove_tilt(data.source, data.skeleton, self._stages.config.alignment)
            without_tilt = replace(data, source=source)
            found = self._estimate(seed, arm, without_tilt)
            self._aligned[seed, arm] = view_alignment.align_source(without_tilt, found)
        return self._aligned[seed, arm]

    def _estimate(self, seed: int, arm: str, without_tilt: TrainingData) -> Estimate:
        """Train the probe lifter, estimate with it, and save the estimate; or read the saved one."""
        fabric, folder = self._stages.fabric, self._stages.folder
        file = folder.weights(seed, arm, "view_alignment")
        weights = self._stages.run(seed, arm, "scout", self._phases.probing(seed, without_tilt))
        if folder.writes and not file.exists():
            with self._stages.shown(seed, arm, "alignment"):
                # Named as in 0.1.0, so that the random numbers stay the same.
                rng = torch.Generator(fabric.device).manual_seed(stage_seed(seed, arm, "alignment"))
                scout = self._phases.lifter_of(weights)
                found = view_alignment.estimate(scout, without_tilt, self._stages.config, rng)
            file.save(found.pack(), found.describe(without_tilt.skeleton, self._stages.config.alignment))
        fabric.barrier()
        return _read(file, fabric.device)


def _read(file: Checkpoint, device: torch.device) -> Estimate:
    tensors, _ = file.load()
    return Estimate.unpack({name: value.to(device) for name, value in tensors.items()})
