// The launcher of the .cu files (see launch.h): onto a stream.
#pragma once

#include "cuda/block_shape.h"

namespace poseda::cuda {

constexpr size_t kDefaultSharedBytes = 48 * 1024;

struct StreamLaunch {
    cudaStream_t stream;

    // Of the current device.
    int multiprocessors() const {
        int device = 0, count = 1;
        cudaGetDevice(&device);
        cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
        return count;
    }

    template <class... Parameters, class... Given>
    void operator()(void (*kernel)(Parameters...), int64_t blocks, BlockShape shape,
                    const Given&... given) const {
        if (shape.bytes > kDefaultSharedBytes) {
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shape.bytes));
        }
        kernel<<<unsigned(blocks), unsigned(shape.threads), shape.bytes, stream>>>(given...);
    }
};

}  // namespace poseda::cuda
