// Launches of the augment kernels in double.
#include "cuda/augment.cuh"
#include "cuda/launch.h"
#include "cuda/stream_launch.cuh"

namespace poseda::cuda {

template <>
void augment(const AugmentArguments<double>& arguments, const AugmentOutputs<double>& outputs,
             cudaStream_t stream) {
    launch_augment(arguments, outputs, StreamLaunch{stream});
}

template <>
void augment_backward(const AugmentArguments<double>& arguments, const AugmentGradients<double>& gradients,
                      cudaStream_t stream) {
    launch_augment_backward(arguments, gradients, StreamLaunch{stream});
}

}  // namespace poseda::cuda
