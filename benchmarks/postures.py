"""Learns the postures that the package rehearses: `python -m benchmarks.pretrained --postures-only`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from poseda.datasets import LabelledPoses
from poseda.datasets.upright import find_up
from poseda.geometry.skeleton import Skeleton
from poseda.lifters import mirror
from poseda.method.postures import Postures, upright
from poseda.training.average import Average

STEPS, BATCH, RATE, WARMUP, DECAY = 8000, 256, 1e-3, 200, 0.99
"""Steps, postures a step, highest step size of Adam, steps to reach it, decay of the averaged weights."""

DISTANCES = 2000
"""Postures that are compared with those of training."""


def learn(poses: LabelledPoses, skeleton: Skeleton, steps: int = STEPS, seed: int = 0) -> Postures:
    """Train a network that draws postures like those of a source, and their mirror images.

    Args:
        poses: of the source.
        skeleton: of the poses.
        steps: of the training.
        seed: of all random numbers.
    """
    torch.manual_seed(seed)
    there = upright(poses.pose_3d, find_up(poses, skeleton).up, skeleton)
    network, average = Postures(skeleton), Postures(skeleton)
    whole = network.measure(torch.cat([there, mirror(there, skeleton)]))
    # An axis counts by the square root of its spread: errors in metres, but small movements too.
    weight = (network.spread / network.spread.mean()).sqrt()
    average.load_state_dict(network.state_dict())
    mean = Average(average, network, DECAY)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-4, fused=True)
    for step in range(steps):
        rate = RATE * min(1.0, (step + 1) / WARMUP) * (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate
        end = whole[torch.randint(len(whole), (BATCH,))]
        begin, time = torch.randn_like(end), torch.rand(BATCH)
        velocity = network(begin.lerp(end, time[:, None]), time)
        loss = ((velocity - (end - begin)).square() * weight).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        mean.update(step)
    return average.eval()


def nearest(postures: Tensor, others: Tensor) -> float:
    """Mean distance of postures (N, J, 3) to the nearest of others (M, J, 3), rms over joints, mm."""
    flat = others[:, 1:].flatten(1)
    joints = postures.shape[1] - 1
    parts = [torch.cdist(part[:, 1:].flatten(1), flat).amin(1) for part in postures.split(500)]
    return 1000 * float(torch.cat(parts).mean()) / math.sqrt(joints)


def account(network: Postures, poses: LabelledPoses, held: LabelledPoses, seed: int = 0) -> dict[str, float]:
    """How near drawn postures are to those learned from, and held-out ones to drawn ones, millimetres."""
    skeleton, rng = network.skeleton, torch.Generator().manual_seed(seed)

    def some(table: LabelledPoses, count: int) -> Tensor:
        rows = table.rows(torch.randperm(len(table), generator=rng)[:count])
        return upright(rows.pose_3d, find_up(rows, skeleton).up, skeleton)

    learned, unseen = some(poses, 10 * DISTANCES), some(held, DISTANCES)
    drawn = network.draw(10 * DISTANCES, rng)
    return {
        "drawn_to_learned_mm": round(nearest(drawn[:DISTANCES], learned), 1),
        "held_out_to_learned_mm": round(nearest(unseen, learned), 1),
        "held_out_to_drawn_mm": round(nearest(unseen, drawn), 1),
    }
