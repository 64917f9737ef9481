"""Which random numbers a call draws: others in each process, the same when a checkpoint repeats it."""

from __future__ import annotations

import functools
import hashlib
import itertools
import weakref

import torch
import torch.distributed as distributed
from torch import Tensor
from torch.utils.data import get_worker_info

REMEMBERED = 4096
"""Calls that a checkpoint may repeat. Each takes about 200 bytes."""

_serials = itertools.count()
# By serial: how many calls there were.
_calls: dict[int, int] = {}
_owners: dict[int, weakref.finalize[[int], object]] = {}
# By the number that a call took: its serial, and how many calls were before it.
_remembered: dict[int, tuple[int, int]] = {}


def new_serial(owner: object, old: int | None = None) -> int:
    """A number for the state of a generator, by which its calls are counted.

    The old one is forgotten, and the new one when its owner is gone.
    """
    if old in _owners:
        _owners.pop(old)()
    serial = next(_serials)
    _owners[serial] = weakref.finalize(owner, _forget, serial)
    _owners[serial].atexit = False
    return serial


def _forget(serial: int) -> None:
    _owners.pop(serial, None)
    _calls.pop(serial, None)


def own_rank(inherited: int) -> int:
    """The rank of this process. A DataLoader worker that was spawned knows only that of its parent."""
    grouped = distributed.is_available() and distributed.is_initialized()
    return distributed.get_rank() if grouped else inherited


@functools.lru_cache(maxsize=64)
def _key(rank: int, worker_seed: int | None) -> int:
    """What makes the seed of a process its own: 0 for rank 0 outside of workers."""
    if rank == 0 and worker_seed is None:
        return 0
    digest = hashlib.blake2b(f"{rank} {worker_seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def state_of_call(rng_state: Tensor, serial: int, rank: int) -> tuple[Tensor, bool]:
    """Where a call draws.

    ``rng_state`` is the same on every rank, so any rank's can be saved. The seed of the draws is mixed with
    the rank and, in a DataLoader worker, with the worker's seed, which is a new one in every epoch.

    ``torch.utils.checkpoint`` repeats a call during the backward pass, after setting torch's random numbers
    back. So a call that may be repeated takes one number from torch's CPU generator: it tells which one is.

    Args:
        rng_state: (2,) int64 seed and offset.
        serial: of ``rng_state``, from :func:`new_serial`.
        rank: as for :func:`own_rank`.

    Returns:
        The state (2,) to draw from, and whether the draw shall advance it.

    Raises:
        RuntimeError: if a call is repeated, but torch's random numbers were not set back.
    """
    worker = get_worker_info()
    key = _key(own_rank(rank), worker.seed if worker else None)
    calls = _calls.get(serial, 0)
    repeated = torch._C._current_graph_task_id() != -1  # in a backward pass
    number = int(torch.randint(2**63 - 1, (), device="cpu")) if repeated or _may_be_repeated() else None
    if not repeated:
        if number is not None:
            if len(_remembered) >= REMEMBERED:
                _remembered.pop(next(iter(_remembered)), None)
            _remembered[number] = serial, calls
        _calls[serial] = calls + 1
        if key == 0:
            return rng_state, True
        state = rng_state.clone()
        rng_state[1].add_(1)
    else:
        known, before = _remembered.get(number or 0, (-1, 0))
        if known != serial:
            raise RuntimeError(
                "PoseAugment: repeated in a backward pass without the random numbers of its forward pass; "
                "use torch.utils.checkpoint with preserve_rng_state=True, not within torch.compile, do not "
                "reseed in between, and call it outside of backward hooks"
            )
        state = rng_state.clone()
        state[1].sub_(calls - before)
    if key:
        state[0].bitwise_xor_(key)
    return state, False


def _may_be_repeated() -> bool:
    """Whether a checkpoint may be at work: it turns gradients off, or sees which tensors are saved."""
    return (
        not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    )


def _compiled(rng_state: Tensor, serial: int, rank: int) -> Tensor:
    state, advance = state_of_call(rng_state, serial, rank)
    if advance:
        state = rng_state.clone()
        rng_state[1].add_(1)
    return state


_library = torch.library.Library("poseda", "FRAGMENT")
_library.define(
    "state_of_call(Tensor(a!) rng_state, int serial, int rank) -> Tensor",
    tags=torch.Tag.cudagraph_unsafe,  # a replay would not remember its calls
)
_library.impl("state_of_call", _compiled, "CompositeExplicitAutograd")


@torch.library.register_fake("poseda::state_of_call")
def _state_of_call_fake(rng_state: Tensor, serial: int, rank: int) -> Tensor:
    return rng_state.new_empty((2,))
