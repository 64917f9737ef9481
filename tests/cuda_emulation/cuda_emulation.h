// Runs CUDA kernels on a CPU, unchanged: one fiber a thread, blocks one after another.
//
// A kernel file is compiled by g++ with this header in front (`-include`). Every thread of a block runs
// until it waits (__syncthreads, __syncwarp, a shuffle or a vote) or ends, in thread order or in the
// reverse order: a missing barrier makes one of the two orders see stale or early data. Shared memory is
// filled with NaNs before every block, and under AddressSanitizer the dynamic shared memory beyond what the
// launch asked for may not be touched. The program ends with a message at
//
// - a barrier, shuffle or vote that not all threads reach, or where the lanes of a warp do not do the same;
// - an access by cuda/warp.cuh outside of the shared memory asked for, or misaligned;
// - two threads that so touch a word, one of them changing it, without a barrier between. Shuffles and votes
//   are none: they make all lanes meet here, which would hide a missing wait, but order no memory on a GPU.
//
// What it cannot show: speed, and nvcc's contraction of a * b + c, so results differ from a GPU's by
// rounding.
#pragma once

#undef _FORTIFY_SOURCE  // which refuses jumps from one stack to another
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __builtin_assume(condition) ((void)(condition))
// thread_local, because unlike static it also goes with `extern`: dynamic shared memory.
#define __shared__ thread_local

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulation {

enum class Order { kForward, kReversed };
enum class State { kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };
enum class Meeting { kWait, kShuffle, kVote };  // what the lanes of a warp do together

// A test may turn __syncthreads off, to show that it would be missed.
inline bool barriers = true;

constexpr size_t kStackBytes = 128 * 1024;
constexpr size_t kSharedBytes = 227 * 1024;
constexpr int kMostWarps = 16;  // of a block that uses cuda/warp.cuh

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "cuda_emulation: %s in block (%u, %u, %u), thread (%u, %u, %u)\n", what, blockIdx.x,
                 blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    std::abort();
}

// An asynchronous copy that has been asked for.
struct Copy {
    void* to;
    const void* from;
    size_t bytes;
};

struct Fiber {
    ucontext_t context;
    jmp_buf place;
    bool begun;
    std::unique_ptr<char[]> stack{new char[kStackBytes]};
    State state;
    Meeting meeting;
    uint3 index;
    unsigned rank;
    // What the lane brings to shuffles and votes. Two, taken in turn: a lane may bring a value to the next
    // one while others still read for this one.
    uint64_t lane_value[2];
    unsigned meetings;
    unsigned warp_waits, block_waits;  // barriers passed; those of the block count as the warp's, too
    std::vector<Copy> copies;
    void* fake_stack = nullptr;
};

// Who touched a word of shared memory last, through cuda/warp.cuh, and after how many barriers.
struct Word {
    int writer = -1;
    unsigned warp_waits = 0, block_waits = 0;
    struct Readers {
        uint32_t lanes = 0;
        unsigned warp_waits = 0, block_waits = 0;
    } readers[kMostWarps];
};

// The block that is running.
struct Block {
    std::vector<Fiber> fibers;
    ucontext_t scheduler;
    jmp_buf scheduler_place;
    char* shared = nullptr;
    size_t shared_bytes = 0;
    std::vector<Word> words;
    Fiber* running = nullptr;
    void (*body)(void*) = nullptr;
    void* closure = nullptr;
    const void* scheduler_stack = nullptr;
    size_t scheduler_stack_bytes = 0;
    void* scheduler_fake_stack = nullptr;
};
inline Block block;

// AddressSanitizer must be told of every change of stack.
inline void leave_for(Fiber* fiber, bool for_ever = false) {
#if defined(__SANITIZE_ADDRESS__)
    if (fiber) {
        __sanitizer_start_switch_fiber(&block.scheduler_fake_stack, fiber->stack.get(), kStackBytes);
    } else {
        __sanitizer_start_switch_fiber(for_ever ? nullptr : &block.running->fake_stack, block.scheduler_stack,
                                       block.scheduler_stack_bytes);
    }
#else
    (void)fiber, (void)for_ever;
#endif
}
inline void arrive_in(Fiber* fiber) {
#if defined(__SANITIZE_ADDRESS__)
    if (fiber) {
        __sanitizer_finish_switch_fiber(fiber->fake_stack, &block.scheduler_stack,
                                        &block.scheduler_stack_bytes);
    } else {
        __sanitizer_finish_switch_fiber(block.scheduler_fake_stack, nullptr, nullptr);
    }
#else
    (void)fiber;
#endif
}

// From a fiber to the scheduler and back. A fiber is entered through its context, then left and resumed by
// jumps, which make no system call. AddressSanitizer does not follow these: there it is the contexts alone.
// Functions of their own, so that no local variable lives across a jump.
__attribute__((noinline)) inline void leave(Fiber* fiber) {
#if defined(__SANITIZE_ADDRESS__)
    swapcontext(&fiber->context, &block.scheduler);
#else
    if (!_setjmp(fiber->place)) _longjmp(block.scheduler_place, 1);
#endif
}

__attribute__((noinline)) inline void enter(Fiber* fiber) {
#if defined(__SANITIZE_ADDRESS__)
    swapcontext(&block.scheduler, &fiber->context);
#else
    if (_setjmp(block.scheduler_place)) return;
    if (fiber->begun) _longjmp(fiber->place, 1);
    fiber->begun = true;
    setcontext(&fiber->context);
#endif
}

inline void wait(State state, Meeting meeting = Meeting::kWait) {
    Fiber* fiber = block.running;
    fiber->state = state;
    fiber->meeting = meeting;
    leave_for(nullptr);
    leave(fiber);
    arrive_in(fiber);
    if (meeting == Meeting::kWait) ++fiber->warp_waits;
    if (state == State::kAtBlockBarrier) ++fiber->block_waits;
}

inline void run_fiber() {
    Fiber* fiber = block.running;
    arrive_in(fiber);
    block.body(block.closure);
    fiber->state = State::kDone;
    leave_for(nullptr, true);
    leave(fiber);
}

inline void resume(Fiber& fiber) {
    block.running = &fiber;
    threadIdx = fiber.index;
    leave_for(&fiber);
    enter(&fiber);
    arrive_in(nullptr);
}

// Make the fibers begin .. end-1 ready if each of them waits at this kind of barrier or has ended, in a warp.
inline bool release(size_t begin, size_t end, State at) {
    bool any = false;
    for (size_t i = begin; i < end; ++i) {
        const State state = block.fibers[i].state;
        if (state == at) {
            any = true;
        } else if (at == State::kAtBlockBarrier || state != State::kDone) {
            return false;
        }
    }
    const Fiber* first = nullptr;
    for (size_t i = begin; any && i < end; ++i) {
        Fiber& fiber = block.fibers[i];
        if (fiber.state != at) {
            if (first && first->meeting != Meeting::kWait) fail("a lane has left before a shuffle or a vote");
            continue;
        }
        if (!first) first = &fiber;
        if (fiber.meeting != first->meeting) fail("the lanes of a warp do not do the same");
        if (fiber.meeting != Meeting::kWait && (i == begin) != (first == &fiber))
            fail("a lane has left before a shuffle or a vote");
        fiber.state = State::kReady;
    }
    return any;
}

inline void run_block(Order order) {
    const size_t size = block.fibers.size();
    for (;;) {
        bool ran = false;
        for (size_t i = 0; i < size; ++i) {
            Fiber& fiber = block.fibers[order == Order::kForward ? i : size - 1 - i];
            if (fiber.state != State::kReady) continue;
            resume(fiber);
            ran = true;
        }
        if (ran) continue;
        bool released = release(0, size, State::kAtBlockBarrier);
        for (size_t i = 0; i < size; i += warpSize) {
            released |= release(i, i + warpSize < size ? i + warpSize : size, State::kAtWarpBarrier);
        }
        if (released) continue;
        for (const Fiber& fiber : block.fibers) {
            if (fiber.state != State::kDone) fail("not every thread reaches a barrier");
        }
        return;
    }
}

inline void start_block(dim3 threads) {
    block.fibers.resize(size_t(threads.x) * threads.y * threads.z);
    for (size_t i = 0; i < block.fibers.size(); ++i) {
        Fiber& fiber = block.fibers[i];
        fiber.state = State::kReady;
        fiber.begun = false;
        fiber.meetings = fiber.warp_waits = fiber.block_waits = 0;
        fiber.rank = unsigned(i);
        fiber.index = {unsigned(i % threads.x), unsigned(i / threads.x % threads.y),
                       unsigned(i / threads.x / threads.y)};
        fiber.fake_stack = nullptr;
        fiber.copies.clear();
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = kStackBytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, run_fiber, 0);
    }
}

// Run body() once in every thread of the grid. `shared` is the kernel's dynamic shared memory of kSharedBytes
// (null if it has none), of which the launch asks for shared_bytes.
template <class Body>
void launch(dim3 grid, dim3 threads, void* shared, size_t shared_bytes, Order order, Body body) {
    gridDim = grid;
    blockDim = threads;
    block.closure = &body;
    block.body = [](void* closure) { (*static_cast<Body*>(closure))(); };
    if (shared_bytes > (shared ? kSharedBytes : 0)) fail("too much dynamic shared memory");
    block.shared = static_cast<char*>(shared);
    block.shared_bytes = shared_bytes;
    for (unsigned i = 0, n = grid.x * grid.y * grid.z; i < n; ++i) {
        blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        if (shared) std::memset(shared, 0xff, shared_bytes);
        block.words.clear();
#if defined(__SANITIZE_ADDRESS__)
        if (shared)
            ASAN_POISON_MEMORY_REGION(static_cast<char*>(shared) + shared_bytes, kSharedBytes - shared_bytes);
#endif
        start_block(threads);
        run_block(order);
#if defined(__SANITIZE_ADDRESS__)
        if (shared) ASAN_UNPOISON_MEMORY_REGION(shared, kSharedBytes);
#endif
    }
}

}  // namespace emulation

#include "warp_emulation.h"

inline void __syncthreads() {
    if (emulation::barriers) emulation::wait(emulation::State::kAtBlockBarrier);
}
inline void __syncwarp(unsigned = 0xffffffffu) { emulation::wait(emulation::State::kAtWarpBarrier); }

template <class T>
T __shfl_sync(unsigned, T value, int lane) {
    return emulation::shuffle(value, lane);
}
inline unsigned __ballot_sync(unsigned, bool holds) { return emulation::vote(holds); }
inline bool __any_sync(unsigned, bool holds) { return emulation::vote(holds) != 0; }
inline unsigned __reduce_min_sync(unsigned, unsigned value) { return emulation::least(value); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int bits) {
    return emulation::shuffle(value, emulation::lane() ^ bits);
}
template <class T>
T __shfl_down_sync(unsigned, T value, int by) {
    const int from = emulation::lane() + by;
    return emulation::shuffle(value, from < warpSize ? from : emulation::lane());
}

// Asynchronous copies arrive as late as they may: when their thread waits for them.
inline void __pipeline_memcpy_async(void* to, const void* from, size_t bytes) {
    const bool sized = bytes == 4 || bytes == 8 || bytes == 16;
    if (!sized || uintptr_t(to) % bytes || uintptr_t(from) % bytes)
        emulation::fail("misaligned asynchronous copy");
    emulation::block.running->copies.push_back({to, from, bytes});
}
inline void __pipeline_commit() {}
inline void __pipeline_wait_prior(unsigned) {
    for (const emulation::Copy& copy : emulation::block.running->copies) {
        std::memcpy(copy.to, copy.from, copy.bytes);
    }
    emulation::block.running->copies.clear();
}

template <class T>
T __ldg(const T* pointer) {
    return *pointer;
}
