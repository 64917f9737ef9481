// The scalar on which all maths of a pose is templated. On a GPU it is a thread's float or double, on a CPU a
// vector of either, one pose a lane. Both need the same few operations: this file has them for plain scalars,
// cpu/lanes.h for vectors. Nothing in csrc/core includes a header of torch or CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define POSEDA_HD __host__ __device__ __forceinline__
#else
#define POSEDA_HD inline __attribute__((always_inline))
#endif

namespace poseda {

// The arithmetic type of one lane, the type of a comparison, and whether a comparison holds in any lane.
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

// 1 / x and a / b. For a GPU's float, one instruction that is good to about a unit in the last place: an IEEE
// division is eight and a branch. Everything else divides.
template <class S>
POSEDA_HD S reciprocal(S x) {
    return S(static_cast<Value<S>>(1)) / x;
}
template <class S>
POSEDA_HD S quotient(S a, S b) {
    return a / b;
}
#if defined(__CUDACC__)
POSEDA_HD float reciprocal(float x) {
#if defined(__CUDA_ARCH__)
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#else
    return 1.0f / x;
#endif
}
POSEDA_HD float quotient(float a, float b) { return a * reciprocal(b); }
#endif

template <class S>
POSEDA_HD bool any(Mask<S> condition) {
    return ScalarTraits<S>::any(condition);
}

template <class S>
POSEDA_HD Mask<S> all_true() {
    return literal<S>(0) == literal<S>(0);
}

// Logical and of two comparisons; && does not exist for vectors.
template <class S>
POSEDA_HD Mask<S> both(Mask<S> a, Mask<S> b) {
    return a & b;
}

template <class S>
POSEDA_HD Mask<S> negated(Mask<S> a) {
    return a == Mask<S>{};
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
struct Vec2 {
    S x, y;
};

template <class S>
POSEDA_HD Vec2<S> operator+(Vec2<S> a, Vec2<S> b) {
    return {a.x + b.x, a.y + b.y};
}
template <class S>
POSEDA_HD Vec2<S> operator-(Vec2<S> a, Vec2<S> b) {
    return {a.x - b.x, a.y - b.y};
}
template <class S>
POSEDA_HD Vec2<S> operator-(Vec2<S> a) {
    return {-a.x, -a.y};
}
template <class S>
POSEDA_HD Vec2<S> operator*(S s, Vec2<S> a) {
    return {s * a.x, s * a.y};
}
template <class S>
POSEDA_HD Vec2<S>& operator+=(Vec2<S>& a, Vec2<S> b) {
    return a = a + b;
}
template <class S>
POSEDA_HD Vec2<S>& operator-=(Vec2<S>& a, Vec2<S> b) {
    return a = a - b;
}
template <class S>
POSEDA_HD S dot(Vec2<S> a, Vec2<S> b) {
    return a.x * b.x + a.y * b.y;
}
// Product and quotient of each axis by itself.
template <class S>
POSEDA_HD Vec2<S> times(Vec2<S> a, Vec2<S> b) {
    return {a.x * b.x, a.y * b.y};
}
template <class S>
POSEDA_HD Vec2<S> over(Vec2<S> a, Vec2<S> b) {
    return {quotient(a.x, b.x), quotient(a.y, b.y)};
}
template <class S>
POSEDA_HD Vec2<S> zero2() {
    return {literal<S>(0), literal<S>(0)};
}
template <class S>
POSEDA_HD Vec2<S> select(Mask<S> condition, Vec2<S> a, Vec2<S> b) {
    return {select(condition, a.x, b.x), select(condition, a.y, b.y)};
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
POSEDA_HD Vec3<S>& operator+=(Vec3<S>& a, Vec3<S> b) {
    return a = a + b;
}
template <class S>
POSEDA_HD Vec3<S>& operator-=(Vec3<S>& a, Vec3<S> b) {
    return a = a - b;
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

// Numbers of one pose, `stride` apart.
template <class S>
struct SlotStorage {
    S* data;
    int stride;

    POSEDA_HD S& operator[](int i) const { return data[i * stride]; }
};

template <class S>
struct Slots : SlotStorage<S> {
    POSEDA_HD Vec2<S> vec2(int i) const { return {(*this)[2 * i], (*this)[2 * i + 1]}; }
    POSEDA_HD void set_vec2(int i, Vec2<S> v) const {
        (*this)[2 * i] = v.x;
        (*this)[2 * i + 1] = v.y;
    }
    POSEDA_HD Vec3<S> vec3(int i) const { return {(*this)[3 * i], (*this)[3 * i + 1], (*this)[3 * i + 2]}; }
    POSEDA_HD void set_vec3(int i, Vec3<S> v) const {
        (*this)[3 * i] = v.x;
        (*this)[3 * i + 1] = v.y;
        (*this)[3 * i + 2] = v.z;
    }
    POSEDA_HD void add_vec3(int i, Vec3<S> v) const { set_vec3(i, vec3(i) + v); }
    POSEDA_HD void subtract_vec3(int i, Vec3<S> v) const { set_vec3(i, vec3(i) - v); }
    POSEDA_HD void zero(int size) const {
        for (int i = 0; i < size; ++i) (*this)[i] = literal<S>(0);
    }
};

}  // namespace poseda
