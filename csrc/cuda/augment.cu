// Launches of the augment kernels.
#include "cuda/augment.cuh"
#include "cuda/launch.h"
#include "cuda/stream_launch.cuh"

namespace poseda::cuda {

template <class T>
void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs, cudaStream_t stream) {
    launch_augment(arguments, outputs, StreamLaunch{stream});
}

template <class T>
void augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                      cudaStream_t stream) {
    launch_augment_backward(arguments, gradients, StreamLaunch{stream});
}

template void augment(const AugmentArguments<float>&, const AugmentOutputs<float>&, cudaStream_t);
template void augment(const AugmentArguments<double>&, const AugmentOutputs<double>&, cudaStream_t);
template void augment_backward(const AugmentArguments<float>&, const AugmentGradients<float>&, cudaStream_t);
template void augment_backward(const AugmentArguments<double>&, const AugmentGradients<double>&,
                               cudaStream_t);

}  // namespace poseda::cuda
