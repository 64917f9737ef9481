// Rows of a few numbers on their way between global and shared memory. A block is a warp or a part of one;
// each thread has one row, that of its pose.
//
// In shared memory, rows are an odd number of slots apart, so that no two threads that read the same slot of
// their rows meet in a bank. A row of odd length keeps its length: the block's rows are then contiguous on
// both sides and move in pieces of 16 bytes. Other rows move number by number, neighbouring threads taking
// neighbouring numbers, so a warp's access is still one transaction of 128 bytes. The copies in are
// asynchronous: all are under way at once, and none goes through a register.
#pragma once

#if defined(__CUDACC__)
#include <cuda_pipeline_primitives.h>
#endif

#include "core/arguments.h"

namespace poseda {

constexpr int kWideBytes = 16;

extern __shared__ float4 block_memory[];

// `size` slots for each thread of the block. Kept as an offset into the block's memory, not as a pointer: the
// compiler then sees that accesses go to shared memory, and 32 bits are enough.
template <class T>
struct Section {
    int offset = -1;  // in numbers; negative: absent
    int size = 0;
    int stride = 1;  // odd: size or size + 1, or the stride of a longer row whose place this one takes

    POSEDA_HD explicit operator bool() const { return offset >= 0; }
    // The first `shorter` slots of each row, for other numbers once these are used up. A thread then writes
    // only where it alone has read.
    POSEDA_HD Section reused(int shorter) const { return {offset, shorter, stride}; }
    __device__ __forceinline__ T* data() const { return reinterpret_cast<T*>(block_memory) + offset; }
    __device__ __forceinline__ Slots<T> own() const { return {{data() + int(threadIdx.x) * stride, 1}}; }
    __device__ __forceinline__ void zero_own() const {
        const Slots<T> slots = own();
        for (int i = 0; i < size; ++i) slots[i] = T(0);
    }
};

// Divides the block's memory into sections, each of which begins at a multiple of 16 bytes.
template <class T>
class Carver {
   public:
    POSEDA_HD explicit Carver(int threads) : threads_(threads) {}

    POSEDA_HD Section<T> take(bool wanted, int size) {
        if (!wanted) return {};
        const Section<T> section = {used_, size, size | 1};
        constexpr int wide = kWideBytes / sizeof(T);
        used_ += (threads_ * section.stride + wide - 1) / wide * wide;
        return section;
    }
    POSEDA_HD size_t bytes() const { return sizeof(T) * size_t(used_); }

   private:
    int used_ = 0;
    int threads_;
};

__device__ __forceinline__ bool is_wide(const void* pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % kWideBytes == 0;
}

// Begin to copy frame t of rows first .. first+count-1 into the section, until wait_for_loads().
template <class T>
__device__ __forceinline__ void load_rows(const Section<T>& section, const Rows<const T>& rows, int64_t first,
                                          int count, int t) {
    const int size = section.size, total = count * size, stride = section.stride;
    const T* from = rows.at(first, t);
    int done = 0;
    if (rows.row == size && stride == size && is_wide(from)) {
        constexpr int wide = kWideBytes / sizeof(T);
        done = total / wide * wide;
        for (int i = int(threadIdx.x) * wide; i < done; i += int(blockDim.x) * wide) {
            __pipeline_memcpy_async(section.data() + i, from + i, kWideBytes);
        }
    }
    for (int i = done + int(threadIdx.x); i < total; i += int(blockDim.x)) {
        const int row = i / size, slot = i - row * size;
        __pipeline_memcpy_async(section.data() + row * stride + slot, from + row * rows.row + slot,
                                sizeof(T));
    }
}

// Wait for this thread's copies. Those of the other threads have arrived after the barrier that must follow.
__device__ __forceinline__ void wait_for_loads() {
    __pipeline_commit();
    __pipeline_wait_prior(0);
}

template <class T>
struct WideOf;
template <>
struct WideOf<float> {
    using Type = float4;
};
template <>
struct WideOf<double> {
    using Type = double2;
};

// Write the section to frame t of rows first .. first+count-1 of a contiguous output, `frames` frames a row.
template <class T>
__device__ __forceinline__ void store_rows(T* data, const Section<T>& section, int64_t first, int count,
                                           int frames, int t) {
    const int size = section.size, total = count * size, stride = section.stride;
    T* to = data + (first * frames + t) * size;
    int done = 0;
    if (frames == 1 && stride == size && is_wide(to)) {
        using Wide = typename WideOf<T>::Type;
        constexpr int wide = kWideBytes / sizeof(T);
        done = total / wide * wide;
        for (int i = int(threadIdx.x) * wide; i < done; i += int(blockDim.x) * wide) {
            *reinterpret_cast<Wide*>(to + i) = *reinterpret_cast<const Wide*>(section.data() + i);
        }
    }
    for (int i = done + int(threadIdx.x); i < total; i += int(blockDim.x)) {
        const int row = i / size, slot = i - row * size;
        to[int64_t(row) * frames * size + slot] = section.data()[row * stride + slot];
    }
}

}  // namespace poseda
