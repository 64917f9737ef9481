"""Attaches a gradient to an op, as `torch.library.register_autograd` does, at a tenth of its cost a call.

That function builds the op's default arguments from its schema at every call. For an op of eighteen arguments
that takes 140 us, longer than the op itself takes for a thousand poses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

_library = torch.library.Library("poseda", "FRAGMENT")


def attach(
    op: Any,
    backward: Callable[..., Sequence[Tensor | None]],
    setup_context: Callable[..., None],
) -> Callable[..., Any]:
    """Give an op its gradient.

    Args:
        op: the overload, such as ``torch.ops.poseda.augment.default``.
        backward: called with the context, the positions of the arguments whose gradient is wanted, and the
            gradients of the op's results. Returns the gradient of each argument, None where not wanted.
        setup_context: called with the context, the op's arguments and its results.

    Returns:
        The op for eager callers. Without a wanted gradient it reaches the kernel without the dispatcher's way
        through Python; while compiling it is the plain op.
    """
    plain = op._op
    tensors = [k for k, argument in enumerate(op._schema.arguments) if "Tensor" in str(argument.type)]

    def below(*inputs: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return plain(*inputs)

    # The older form of a Function: of the newer one torch inspects the signature at each call, 20 us. Torch
    # looks at each argument by itself, so those without a gradient come as one.
    def forward(ctx: Any, inputs: tuple[Any, ...], leaves: list[int], *_: Tensor) -> Any:
        output = below(*inputs)
        ctx.leaves = leaves
        setup_context(ctx, inputs, output)
        return output

    def pull_back(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        needs, leaves = ctx.needs_input_grad[2:], ctx.leaves
        wanted = leaves if all(needs) else [k for k, need in zip(leaves, needs, strict=True) if need]
        results = backward(ctx, wanted, *grads)
        return (None, None, *[results[k] for k in leaves])

    name = op.name().replace("::", "_")
    methods = {"forward": staticmethod(forward), "backward": staticmethod(pull_back)}
    function: Any = type(name, (Function,), methods)
    apply = super(Function, function).apply  # torch's own looks for function transforms once more

    def pull_back_all(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        wanted = [k for k, need in enumerate(ctx.needs_input_grad) if need]
        return tuple(backward(ctx, wanted, *grads))

    # Function transforms accept the newer form only.
    newer = {
        "forward": staticmethod(lambda *inputs: op(*inputs)),
        "setup_context": staticmethod(setup_context),
        "backward": staticmethod(pull_back_all),
        "vmap": staticmethod(_refuse(op, NO_VMAP)),
        "jvp": staticmethod(_refuse(op, NO_FORWARD_MODE)),
    }
    transformable: Any = type(f"{name}_transformed", (Function,), newer)

    def differentiable(*inputs: Any) -> Any:
        if forward_ad._current_level >= 0:
            refuse_forward_mode(op.name(), *inputs)
        if torch.is_grad_enabled():
            leaves = [k for k in tensors if (x := inputs[k]) is not None and x.requires_grad]
            if leaves:
                return apply(inputs, leaves, *[inputs[k] for k in leaves])
        return below(*inputs)

    def eager(*inputs: Any) -> Any:
        if torch.compiler.is_compiling():
            return op(*inputs)
        if torch._C._are_functorch_transforms_active():
            return transformable.apply(*inputs)
        return differentiable(*inputs)

    _library.impl(op.name().split("::")[1], differentiable, "Autograd")
    return eager


def refuse_vmap(name: str) -> None:
    """Raise by name within ``torch.func.vmap``, where random numbers would be drawn for one sample only."""
    if torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active():
        return
    levels = torch._C._functorch.get_interpreter_stack() or []
    if any(level.key() == torch._C._functorch.TransformType.Vmap for level in levels):
        raise RuntimeError(f"{name}: {NO_VMAP}")


def refuse_forward_mode(name: str, *inputs: Any) -> None:
    """Raise by name where an input carries a tangent, which would be lost silently."""
    if not torch.compiler.is_compiling() and forward_ad._current_level >= 0:
        for value in inputs:
            if isinstance(value, Tensor) and forward_ad.unpack_dual(value).tangent is not None:
                raise RuntimeError(f"{name}: {NO_FORWARD_MODE}")


NO_VMAP = "vmap is not implemented; the op is batched, use its first dimension"

NO_FORWARD_MODE = (
    "forward-mode differentiation is not implemented; use torch.autograd.grad, or poseda.ops.reference"
)


def _refuse(op: Any, reason: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise RuntimeError(f"{op.name()}: {reason}")

    return refuse


def refuse_second_derivative(op: Any) -> Callable[..., Any]:
    """Make a backward op raise by name instead of returning silent zeros; returns it for eager callers."""
    reason = (
        "the second derivative is not implemented; take the inner gradient with create_graph=False, or use "
        "poseda.ops.reference"
    )
    return attach(op, _refuse(op, reason), lambda ctx, inputs, output: None)


def differentiate_again(plain: Callable[..., Tensor], *inputs: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
    """The gradients of an op by its plain form, which can be differentiated any number of times.

    For ``create_graph=True``, as gradient penalties need it.

    Args:
        plain: computes what the op computes, in plain torch.
        inputs: of ``plain``.
        grad: gradient of its result.
    """
    pull_back: Callable[[Tensor], tuple[Tensor, ...]] = torch.func.vjp(plain, *inputs)[1]
    return pull_back(grad)
