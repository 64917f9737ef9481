// The ops on CUDA: on the device of their tensors, on its current stream, without waiting for it.
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>

#include "cuda/launch.h"
#include "implement.h"

namespace poseda {
namespace {

// Makes a tensor's device current while it lives.
class OnDeviceOf {
   public:
    explicit OnDeviceOf(const Tensor& tensor) : guard_(index_of(tensor)) {
        void* stream;
        TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(index_of(tensor), &stream));
        stream_ = static_cast<cudaStream_t>(stream);
    }
    cudaStream_t stream() const { return stream_; }

   private:
    static int32_t index_of(const Tensor& tensor) {
        int32_t index;
        TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_index(tensor.get(), &index));
        return index;
    }

    torch::stable::accelerator::DeviceGuard guard_;
    cudaStream_t stream_;
};

struct Cuda {
    template <class T>
    static void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs,
                        const Tensor& like) {
        const OnDeviceOf device(like);
        cuda::augment(arguments, outputs, device.stream());
        STD_CUDA_KERNEL_LAUNCH_CHECK();
    }

    template <class T>
    static void augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                                 const Tensor& like) {
        const OnDeviceOf device(like);
        cuda::augment_backward(arguments, gradients, device.stream());
        STD_CUDA_KERNEL_LAUNCH_CHECK();
    }

    template <class Map, class T>
    static void row_map(const Map& map, const MapArguments<T>& arguments, const Tensor& like) {
        const OnDeviceOf device(like);
        cuda::row_map(map, arguments, device.stream());
        STD_CUDA_KERNEL_LAUNCH_CHECK();
    }

    template <class T>
    static void random_parameters(const RandomArguments<T>& arguments, int64_t* state, bool advance,
                                  const Tensor& like) {
        const OnDeviceOf device(like);
        cuda::random_parameters(arguments, state, advance, device.stream());
        STD_CUDA_KERNEL_LAUNCH_CHECK();
    }

    template <class T>
    static void sum_rows(const T* rows, int64_t count, int64_t columns, T* sums, const Tensor& like) {
        const OnDeviceOf device(like);
        const Tensor scratch = allocate(like, ScalarType::Double, {cuda::sum_rows_scratch(count, columns)});
        cuda::sum_rows(rows, count, columns, numbers<double>(scratch), sums, device.stream());
        STD_CUDA_KERNEL_LAUNCH_CHECK();
    }

    template <class T>
    static void sum_picked_rows(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                                int64_t count, int64_t table_rows, T* sums, const Tensor& like) {
        const OnDeviceOf device(like);
        cuda::sum_picked_rows(rows, columns, sorted, order, count, table_rows, sums, device.stream());
        STD_CUDA_KERNEL_LAUNCH_CHECK();
    }
};

}  // namespace
}  // namespace poseda

STABLE_TORCH_LIBRARY_IMPL(poseda, CUDA, m) { poseda::implement_ops<poseda::Cuda>(m); }
