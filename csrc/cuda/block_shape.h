// How many threads a block has, and how much shared memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace poseda {

constexpr int kWarp = 32;

// Most shared memory of a block, so that two blocks fit on every supported multiprocessor. Where a warp of
// rows needs more (large skeletons in double precision), blocks have fewer threads instead.
constexpr size_t kBlockBytes = 80 * 1024;

// Kernels of sm_80 have less use of their registers: there a multiprocessor holds a block less.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
constexpr int kOneLess = 1;
#else
constexpr int kOneLess = 0;
#endif

struct BlockShape {
    int threads;
    size_t bytes;

    // The most threads, up to a warp, whose memory, which `bytes_for` states, is small enough.
    template <class BytesFor>
    static BlockShape fit(const BytesFor& bytes_for) {
        int threads = kWarp;
        while (threads > 1 && bytes_for(threads) > kBlockBytes) threads /= 2;
        return {threads, bytes_for(threads)};
    }
    int64_t blocks(int64_t rows) const { return (rows + threads - 1) / threads; }
};

}  // namespace poseda
