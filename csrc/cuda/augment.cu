// Launches of the augment kernels in float.
#include "cuda/augment.cuh"
#include "cuda/launch.h"
#include "cuda/stream_launch.cuh"

namespace poseda::cuda {

template <>
void augment(const AugmentArguments<float>& arguments, const AugmentOutputs<float>& outputs,
             cudaStream_t stream) {
    launch_augment(arguments, outputs, StreamLaunch{stream});
}

template <>
void augment_backward(const AugmentArguments<float>& arguments, const AugmentGradients<float>& gradients,
                      cudaStream_t stream) {
    launch_augment_backward(arguments, gradients, StreamLaunch{stream});
}

}  // namespace poseda::cuda
