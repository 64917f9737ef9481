// The scalar on which all per-pose maths is templated: float or double on a GPU thread, a vector of either
// (one lane a pose) on a CPU. Both need the same few operations, given here for plain scalars and by
// cpu/lanes.h for vectors. Nothing in csrc/core includes a torch or CUDA header.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define POSEDA_HD __host__ __device__ __forceinline__
#else
#define POSEDA_HD inline __attribute__((always_inline))
#endif

namespace poseda {

// The arithmetic type of one lane, the type that a comparison yields, and whether that holds in any lane.
template <class S>
struct ScalarTraits {
    using Value = S;
    using Mask = bool;
    static POSEDA_HD bool any(bool condition) { return condition; }
};

template <class S>
using Value = typename ScalarTraits<S>::Value;
template <class S>
using Mask = typename ScalarTraits<S>::Mask;

// A literal in the scalar type: constants are written in double and never promote float arithmetic.
template <class S>
POSEDA_HD S literal(double x) {
    return S(static_cast<Value<S>>(x));
}

POSEDA_HD float select(bool condition, float a, float b) { return condition ? a : b; }
POSEDA_HD double select(bool condition, double a, double b) { return condition ? a : b; }
#if defined(__CUDA_ARCH__)
POSEDA_HD float square_root(float x) { return ::sqrtf(x); }
POSEDA_HD double square_root(double x) { return ::sqrt(x); }
#else
POSEDA_HD float square_root(float x) { return __builtin_sqrtf(x); }
POSEDA_HD double square_root(double x) { return __builtin_sqrt(x); }
#endif

template <class S>
POSEDA_HD bool any(Mask<S> condition) {
    return ScalarTraits<S>::any(condition);
}

// Logical and of two comparisons; && does not exist for vectors.
template <class S>
POSEDA_HD Mask<S> both(Mask<S> a, Mask<S> b) {
    return a & b;
}

template <class S>
POSEDA_HD S maximum(S a, S b) {
    return select(a > b, a, b);
}

template <class S>
POSEDA_HD S absolute(S x) {
    return select(x < literal<S>(0), -x, x);
}

// Round to the nearest integer, exact for |x| < 2^22 (float) or 2^51 (double): adding 1.5 * 2^(mantissa bits)
// leaves no room for a fraction.
template <class S>
POSEDA_HD S round_nearest(S x) {
    const S magic = literal<S>(sizeof(Value<S>) == 4 ? 12582912.0 : 6755399441055744.0);
    return (x + magic) - magic;
}

template <class S>
struct Vec3 {
    S x, y, z;
};

template <class S>
POSEDA_HD Vec3<S> operator+(Vec3<S> a, Vec3<S> b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z};
}
template <class S>
POSEDA_HD Vec3<S> operator-(Vec3<S> a, Vec3<S> b) {
    return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class S>
POSEDA_HD Vec3<S> operator*(S s, Vec3<S> a) {
    return {s * a.x, s * a.y, s * a.z};
}
template <class S>
POSEDA_HD S dot(Vec3<S> a, Vec3<S> b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
template <class S>
POSEDA_HD Vec3<S> cross(Vec3<S> a, Vec3<S> b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
template <class S>
POSEDA_HD Vec3<S> zero3() {
    return {literal<S>(0), literal<S>(0), literal<S>(0)};
}
template <class S>
POSEDA_HD Vec3<S> select(Mask<S> condition, Vec3<S> a, Vec3<S> b) {
    return {select(condition, a.x, b.x), select(condition, a.y, b.y), select(condition, a.z, b.z)};
}

// Numbers of one pose, `stride` apart: a GPU thread keeps its pose in shared memory, one column a thread.
template <class S>
struct SlotStorage {
    S* data;
    int stride;

    POSEDA_HD S& operator[](int i) const { return data[i * stride]; }
};

template <class S>
struct Slots : SlotStorage<S> {
    POSEDA_HD Vec3<S> vec3(int i) const { return {(*this)[3 * i], (*this)[3 * i + 1], (*this)[3 * i + 2]}; }
    POSEDA_HD void set_vec3(int i, Vec3<S> v) const {
        (*this)[3 * i] = v.x;
        (*this)[3 * i + 1] = v.y;
        (*this)[3 * i + 2] = v.z;
    }
    POSEDA_HD void add_vec3(int i, Vec3<S> v) const { set_vec3(i, vec3(i) + v); }
};

}  // namespace poseda
