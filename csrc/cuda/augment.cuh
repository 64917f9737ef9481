// The augment kernels and how they are launched. A block is one warp; a thread takes one pose.
#pragma once

#include <type_traits>

#include "cuda/augment_io.cuh"
#include "cuda/block_shape.h"

namespace poseda {

template <class T, int kJoints, bool kSequence>
__global__ void __launch_bounds__(kWarp, 1)
    augment_kernel(const __grid_constant__ AugmentArguments<T> arguments,
                   const __grid_constant__ AugmentOutputs<T> outputs) {
    ForwardIo<T, kJoints, kSequence> io(arguments, outputs);
    augment_sequence<T>(arguments.tree, arguments.options, io);
}

template <class T, int kJoints, bool kSequence>
__global__ void __launch_bounds__(kWarp, 1)
    augment_backward_kernel(const __grid_constant__ AugmentArguments<T> arguments,
                            const __grid_constant__ AugmentGradients<T> gradients) {
    BackwardIo<T, kJoints, kSequence> io(arguments, gradients);
    augment_sequence_vjp<T>(arguments.tree, arguments.options, io);
}

// The kernel for a call. In float, single poses of 16 and 17 joints have their own; the rest share one.
#define POSEDA_KERNEL_FOR(name)                                         \
    template <class T>                                                  \
    auto name##_for(const AugmentArguments<T>& arguments) {             \
        if (arguments.frames > 1) return name<T, 0, true>;              \
        if constexpr (std::is_same_v<T, float>) {                       \
            if (arguments.tree.joints == 16) return name<T, 16, false>; \
            if (arguments.tree.joints == 17) return name<T, 17, false>; \
        }                                                               \
        return name<T, 0, false>;                                       \
    }
POSEDA_KERNEL_FOR(augment_kernel)
POSEDA_KERNEL_FOR(augment_backward_kernel)
#undef POSEDA_KERNEL_FOR

// `launch`: see launch.h.
template <class T, class Launch>
void launch_augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs,
                    const Launch& launch) {
    const BlockShape shape =
        BlockShape::fit([&](int threads) { return ForwardSections<T, 0>(arguments, threads).bytes; });
    launch(augment_kernel_for(arguments), shape.blocks(arguments.batch), shape, arguments, outputs);
}

template <class T, class Launch>
void launch_augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                             const Launch& launch) {
    const BlockShape shape = BlockShape::fit(
        [&](int threads) { return BackwardSections<T, 0>(arguments, gradients, threads).bytes; });
    launch(augment_backward_kernel_for(arguments), shape.blocks(arguments.batch), shape, arguments,
           gradients);
}

}  // namespace poseda
