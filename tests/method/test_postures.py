"""Postures that a small network remembers: those it draws are like those it learned."""

from __future__ import annotations

import torch

from benchmarks.postures import account, learn, nearest
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.datasets.upright import find_up
from poseda.geometry.rotation import angle_between, rotation_matrix
from poseda.geometry.skeleton import H36M16
from poseda.lifters import mirror
from poseda.method.bodies import group_lengths
from poseda.method.postures import UP, Postures, upright

DATA = EmbeddedDomains(size=0.1).adaptation()
THERE = upright(DATA.source.pose_3d, find_up(DATA.source, H36M16).up, H36M16)


def test_upright_postures_do_not_depend_on_the_camera() -> None:
    up = find_up(DATA.source, H36M16).up
    turn = rotation_matrix(torch.randn(len(up), 3, generator=torch.Generator().manual_seed(1)))
    turned = torch.einsum("nij,nkj->nki", turn, DATA.source.root_relative)
    again = upright(turned, torch.einsum("nij,nj->ni", turn, up), H36M16)
    assert torch.allclose(again, THERE, atol=1e-5)
    hips = THERE[:, H36M16.joint("left_hip")] - THERE[:, H36M16.joint("right_hip")]
    assert bool((hips[:, 0] > 0).all()) and float(hips[:, 2].abs().max()) < 1e-5
    head = THERE[:, H36M16.joint("head_top")]
    assert float(angle_between(head, head.new_tensor(UP).expand_as(head)).median()) < 0.3


def test_axes_of_most_spread_keep_every_posture() -> None:
    network = Postures(H36M16)
    point = network.measure(THERE)
    flat = (point * network.spread) @ network.axes + network.mean
    assert torch.allclose(flat, THERE[:, 1:].flatten(1), atol=1e-5)
    wide = network.spread > 2 * 0.003
    assert torch.allclose(point[:, wide].std(0), torch.ones(int(wide.sum())), atol=0.01)


def test_drawn_postures_come_nearer_to_those_learned_and_are_not_their_copies() -> None:
    first, later = (learn(DATA.source, H36M16, steps) for steps in (1, 400))
    learned = torch.cat([THERE, mirror(THERE, H36M16)])
    drawn = [network.draw(500, torch.Generator().manual_seed(2)) for network in (first, later)]
    far, near = (nearest(one, learned) for one in drawn)
    assert 1.0 < near < 0.75 * far
    found = account(later, DATA.source, DATA.source_val)
    assert found["drawn_to_learned_mm"] > 1.0 and found["held_out_to_drawn_mm"] < 1.5 * far
    lengths = group_lengths(drawn[1], H36M16)
    assert torch.allclose(lengths, lengths[:1].expand_as(lengths), atol=1e-5)
    assert torch.equal(drawn[1][:, 0], torch.zeros(500, 3))


def test_draws_follow_their_generator() -> None:
    network = Postures(H36M16, width=8)
    one, same, other = (network.draw(3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
