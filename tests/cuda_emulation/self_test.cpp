// Tiny kernels that show what the emulation catches. Usage: self_test KERNEL forward|reversed
#include <string>

namespace self_test {

constexpr int kThreads = 96;

extern __shared__ float tile[];

// Each thread takes its neighbours' numbers from shared memory, with or without the barrier that this needs.
template <bool barrier>
__global__ void mirror(const float* in, float* out) {
    const unsigned i = threadIdx.x, at = blockIdx.x * blockDim.x;
    tile[i] = in[at + i];
    if (barrier) __syncthreads();
    out[at + i] = tile[blockDim.x - 1 - i];
}

// The next block element, with or without the bound that the last thread needs.
template <bool bounded>
__global__ void next(const float* in, float* out) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, size = gridDim.x * blockDim.x;
    out[i] = bounded && i + 1 == size ? 0.0f : in[i + 1];
}

// Reads shared memory beyond what the launch asked for.
__global__ void beyond_shared(const float* in, float* out) {
    tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x + 1];
}

// Uses a slot of shared memory that nobody wrote.
__global__ void unwritten(const float* in, float* out) {
    if (threadIdx.x) tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[0];
}

// A barrier that the first thread does not reach.
__global__ void divergent(const float* in, float* out) {
    if (threadIdx.x) __syncthreads();
    out[threadIdx.x] = in[threadIdx.x];
}

// Sums of each warp by shuffles.
__global__ void warp_sum(const float* in, float* out) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = in[i];
    for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, bits);
    out[i] = sum;
}

// Static shared memory keeps one instance a block.
__global__ void block_total(const float* in, float* out) {
    __shared__ float all[kThreads];
    all[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    float total = 0;
    for (int i = 0; i < kThreads; ++i) total += all[i];
    out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

thread_local float tile[emulation::kSharedBytes / sizeof(float)];

}  // namespace self_test

int main(int, char** arguments) {
    using namespace self_test;
    const std::string name = arguments[1];
    const emulation::Order order =
        std::string(arguments[2]) == "forward" ? emulation::Order::kForward : emulation::Order::kReversed;
    const unsigned blocks = 3, size = blocks * kThreads;
    std::unique_ptr<float[]> in(new float[size]), out(new float[size]);
    for (unsigned i = 0; i < size; ++i) in[i] = float(i % 13);
    void (*kernel)(const float*, float*) = name == "mirror"            ? mirror<true>
                                           : name == "mirror_unsynced" ? mirror<false>
                                           : name == "next"            ? next<true>
                                           : name == "next_unbounded"  ? next<false>
                                           : name == "beyond_shared"   ? beyond_shared
                                           : name == "unwritten"       ? unwritten
                                           : name == "divergent"       ? divergent
                                           : name == "warp_sum"        ? warp_sum
                                           : name == "block_total"     ? block_total
                                                                       : nullptr;
    if (!kernel) return 2;
    emulation::launch(blocks, kThreads, tile, kThreads * sizeof(float), order,
                      [&] { kernel(in.get(), out.get()); });
    for (unsigned i = 0; i < size; ++i) std::printf("%g\n", double(out[i]));
}
