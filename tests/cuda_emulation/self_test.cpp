// Tiny kernels that show what the emulation catches. Usage: self_test KERNEL forward|reversed
#include <map>
#include <string>

#include "cuda/warp.cuh"

namespace self_test {

using poseda::any_lane;
using poseda::from_shared;
using poseda::shared_base;
using poseda::shuffle;
using poseda::store_shared;
using poseda::sync_warp;
using poseda::votes;

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

// How many lanes of the warp have a number above 6.
__global__ void count_votes(const float* in, float* out) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = float(__builtin_popcount(votes(in[i] > 6)));
}

// Each lane takes a neighbour's number from shared memory, or that of a lane in the next warp. A shuffle makes all lanes meet, but orders no memory.
enum Between { kShuffle, kWarp, kBlock };
template <Between between, bool other_warp>
__global__ void neighbour(const float* in, float* out) {
    const unsigned i = threadIdx.x, at = blockIdx.x * blockDim.x;
    store_shared(shared_base() + 4 * i, in[at + i]);
    if (between == kShuffle) shuffle(in[at + i], 0);
    if (between == kWarp) sync_warp();
    if (between == kBlock) __syncthreads();
    out[at + i] = from_shared<float>(shared_base() + 4 * (other_warp ? (i + 32) % blockDim.x : i ^ 1));
}

// Half of a warp votes where the other half shuffles.
__global__ void mixed(const float* in, float* out) {
    out[threadIdx.x] = threadIdx.x & 1 ? float(any_lane(in[0] > 0)) : shuffle(in[threadIdx.x], 0);
}

// A lane that has left does not vote.
__global__ void left_early(const float* in, float* out) {
    if (threadIdx.x == 3) return;
    out[threadIdx.x] = float(any_lane(in[0] > 0));
}

template <int first_byte>
__global__ void store_at(const float* in, float* out) {
    store_shared(shared_base() + first_byte + 4 * threadIdx.x, in[threadIdx.x]);
    out[threadIdx.x] = 0;
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
    using Kernel = void (*)(const float*, float*);
    const std::map<std::string, Kernel> kernels = {
        {"mirror", mirror<true>},
        {"mirror_unsynced", mirror<false>},
        {"next", next<true>},
        {"next_unbounded", next<false>},
        {"beyond_shared", beyond_shared},
        {"unwritten", unwritten},
        {"divergent", divergent},
        {"warp_sum", warp_sum},
        {"block_total", block_total},
        {"count_votes", count_votes},
        {"lane_waits", neighbour<kWarp, false>},
        {"lane_shuffles", neighbour<kShuffle, false>},
        {"warp_waits", neighbour<kBlock, true>},
        {"warp_waits_alone", neighbour<kWarp, true>},
        {"mixed", mixed},
        {"left_early", left_early},
        {"outside", store_at<4>},
        {"misaligned", store_at<2>},
    };
    const auto found = kernels.find(name);
    const Kernel kernel = found == kernels.end() ? nullptr : found->second;
    if (!kernel) return 2;
    emulation::launch(blocks, kThreads, tile, kThreads * sizeof(float), order,
                      [&] { kernel(in.get(), out.get()); });
    for (unsigned i = 0; i < size; ++i) std::printf("%g\n", double(out[i]));
}
