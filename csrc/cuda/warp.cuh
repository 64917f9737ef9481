// The few operations of a warp and of its memory that the augment kernels need. All inline assembly is
// here: on a CPU, tests/cuda_emulation stands in for it.
#pragma once

#include <cstdint>

#include "core/scalar.h"

#define POSEDA_DEVICE __device__ __forceinline__

namespace poseda {

constexpr uint32_t kAllLanes = 0xffffffffu;

template <class T>
POSEDA_DEVICE T shuffle(T value, int source) {
    return __shfl_sync(kAllLanes, value, source);
}
template <class T>
POSEDA_DEVICE T shuffle_xor(T value, int mask) {
    return __shfl_xor_sync(kAllLanes, value, mask);
}
template <class T>
POSEDA_DEVICE Vec3<T> shuffle(Vec3<T> v, int source) {
    return {shuffle(v.x, source), shuffle(v.y, source), shuffle(v.z, source)};
}
POSEDA_DEVICE uint32_t votes(bool holds) { return __ballot_sync(kAllLanes, holds); }
POSEDA_DEVICE bool any_lane(bool holds) { return __any_sync(kAllLanes, holds); }
POSEDA_DEVICE void sync_warp() { __syncwarp(); }
POSEDA_DEVICE int first_bit(uint32_t bits) { return __ffs(int(bits)) - 1; }

// The larger and the smaller of two; of a number and a NaN, the number.
POSEDA_DEVICE float larger(float a, float b) { return fmaxf(a, b); }
POSEDA_DEVICE float smaller(float a, float b) { return fminf(a, b); }
POSEDA_DEVICE double larger(double a, double b) { return fmax(a, b); }
POSEDA_DEVICE double smaller(double a, double b) { return fmin(a, b); }

POSEDA_DEVICE float magnitude(float x) { return fabsf(x); }
POSEDA_DEVICE double magnitude(double x) { return fabs(x); }

// Four numbers that move together.
template <class T>
struct alignas(16) Quad {
    T x, y, z, w;
};

// To global memory, at a multiple of 16 bytes.
POSEDA_DEVICE void store_quad(float* to, const Quad<float>& v) {
    *reinterpret_cast<float4*>(to) = {v.x, v.y, v.z, v.w};
}
POSEDA_DEVICE void store_quad(double* to, const Quad<double>& v) {
    reinterpret_cast<double2*>(to)[0] = {v.x, v.y};
    reinterpret_cast<double2*>(to)[1] = {v.z, v.w};
}

template <class T>
POSEDA_DEVICE T load(const T* p) {
    return __ldg(p);
}
POSEDA_DEVICE bool load(const bool* p) { return __ldg(reinterpret_cast<const unsigned char*>(p)) != 0; }
template <class T>
POSEDA_DEVICE Vec2<T> load2(const T* p) {
    return {load(p), load(p + 1)};
}
template <class T>
POSEDA_DEVICE Vec3<T> load3(const T* p) {
    return {load(p), load(p + 1), load(p + 2)};
}

// Shared memory by 32-bit addresses: half the registers and address arithmetic of pointers. keep() hides
// where a value comes from, so that the compiler keeps it in a register instead of working it out at each
// use.
#if defined(__CUDACC__)

extern __shared__ float4 block_memory[];

POSEDA_DEVICE uint32_t shared_base() { return uint32_t(__cvta_generic_to_shared(block_memory)); }

template <class T>
POSEDA_DEVICE void keep(T*& p) {
    asm("" : "+l"(p));
}
POSEDA_DEVICE void keep(uint32_t& x) { asm("" : "+r"(x)); }

POSEDA_DEVICE void load_shared(uint32_t at, float& v) {
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(at) : "memory");
}
POSEDA_DEVICE void load_shared(uint32_t at, double& v) {
    asm volatile("ld.shared.f64 %0, [%1];" : "=d"(v) : "r"(at) : "memory");
}
POSEDA_DEVICE void load_shared(uint32_t at, uint32_t& v) {
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(at) : "memory");
}
POSEDA_DEVICE void load_shared(uint32_t at, Quad<float>& v) {
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "r"(at)
                 : "memory");
}
POSEDA_DEVICE void load_shared(uint32_t at, Quad<double>& v) {
    asm volatile("ld.shared.v2.f64 {%0, %1}, [%2];" : "=d"(v.x), "=d"(v.y) : "r"(at) : "memory");
    asm volatile("ld.shared.v2.f64 {%0, %1}, [%2];" : "=d"(v.z), "=d"(v.w) : "r"(at + 16) : "memory");
}
POSEDA_DEVICE void store_shared(uint32_t at, float v) {
    asm volatile("st.shared.f32 [%0], %1;" ::"r"(at), "f"(v) : "memory");
}
POSEDA_DEVICE void store_shared(uint32_t at, double v) {
    asm volatile("st.shared.f64 [%0], %1;" ::"r"(at), "d"(v) : "memory");
}
POSEDA_DEVICE void store_shared(uint32_t at, uint32_t v) {
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(at), "r"(v) : "memory");
}
POSEDA_DEVICE void store_shared(uint32_t at, Quad<float> v) {
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(at), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
                 : "memory");
}
POSEDA_DEVICE void store_shared(uint32_t at, Quad<double> v) {
    asm volatile("st.shared.v2.f64 [%0], {%1, %2};" ::"r"(at), "d"(v.x), "d"(v.y) : "memory");
    asm volatile("st.shared.v2.f64 [%0], {%1, %2};" ::"r"(at + 16), "d"(v.z), "d"(v.w) : "memory");
}

POSEDA_DEVICE uint32_t least_of_warp(uint32_t value) { return __reduce_min_sync(kAllLanes, value); }

#else

inline uint32_t shared_base() { return emulation::kSharedBase; }
template <class T>
void keep(T&) {}
template <class T>
void load_shared(uint32_t at, T& v) {
    v = emulation::shared_at<T>(at);
}
template <class T>
void store_shared(uint32_t at, T v) {
    emulation::shared_at<T>(at, &v) = v;
}
inline uint32_t least_of_warp(uint32_t value) { return emulation::least(value); }

#endif

template <class X>
POSEDA_DEVICE X from_shared(uint32_t at) {
    X v;
    load_shared(at, v);
    return v;
}
template <class T>
POSEDA_DEVICE Vec3<T> vec3_from_shared(uint32_t at) {
    constexpr uint32_t size = sizeof(T);
    return {from_shared<T>(at), from_shared<T>(at + size), from_shared<T>(at + 2 * size)};
}
template <class T>
POSEDA_DEVICE void store_shared(uint32_t at, Vec3<T> v) {
    constexpr uint32_t size = sizeof(T);
    store_shared(at, v.x), store_shared(at + size, v.y), store_shared(at + 2 * size, v.z);
}

}  // namespace poseda
