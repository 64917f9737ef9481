// Rotation vectors: Rodrigues' formula by the half angle, and its adjoint by the left Jacobian of SO(3).
#pragma once

#include "core/scalar.h"

namespace poseda {

// Longest rotation vector, radians. Beyond it range reduction loses digits, and the pose is invalid.
constexpr double kMaxRotation = 1.0e4;

// R(w) v = v + sine (w x v) + cosine (w x (w x v)), with sine = sin|w|/|w| and cosine = (1 - cos|w|)/|w|^2.
template <class S>
struct Rotation {
    Vec3<S> vector;
    S sine, cosine;
    S squared;              // |w|^2
    S half_cos, half_sine;  // cos(|w|/2) and sin(|w|/2)/|w|, up to a common sign: the unit quaternion
};

// cos(h) and sin(h)/h as polynomials in y = h^2 on 0 <= y <= (pi/2)^2. Float: minimax, with errors of at most
// 3e-10 and 5e-9. Double: Taylor series, whose first omitted term is below 1e-19.
template <class S>
POSEDA_HD void half_angle_series(S y, S& cos_h, S& sinc_h) {
    if (sizeof(Value<S>) == 4) {
        cos_h = literal<S>(-2.60513485764e-7) * y + literal<S>(2.47601532141e-5);
        cos_h = cos_h * y + literal<S>(-1.38883612441e-3);
        cos_h = cos_h * y + literal<S>(4.1666636246e-2);
        cos_h = cos_h * y + literal<S>(-0.499999993582);
        cos_h = cos_h * y + literal<S>(0.999999999781);
        sinc_h = literal<S>(2.60521026219e-6) * y + literal<S>(-1.98090689672e-4);
        sinc_h = sinc_h * y + literal<S>(8.33305097991e-3);
        sinc_h = sinc_h * y + literal<S>(-0.166666579885);
        sinc_h = sinc_h * y + literal<S>(0.999999995731);
        return;
    }
    constexpr int terms = 12;
    // 1/(2n)! and 1/(2n+1)!, signs alternating.
    constexpr double even[terms] = {1.0,
                                    -1.0 / 2,
                                    1.0 / 24,
                                    -1.0 / 720,
                                    1.0 / 40320,
                                    -1.0 / 3628800,
                                    1.0 / 479001600,
                                    -1.0 / 87178291200.0,
                                    1.0 / 20922789888000.0,
                                    -1.0 / 6402373705728000.0,
                                    1.0 / 2432902008176640000.0,
                                    -1.0 / 1124000727777607680000.0};
    cos_h = literal<S>(even[terms - 1]);
    sinc_h = literal<S>(even[terms - 1] / (2 * terms - 1));
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int n = terms - 2; n >= 0; --n) {
        cos_h = cos_h * y + literal<S>(even[n]);
        sinc_h = sinc_h * y + literal<S>(even[n] / (2 * n + 1));
    }
}

// Whether a rotation vector is short enough; false if it is NaN.
template <class S>
POSEDA_HD Mask<S> in_range(S squared) {
    return squared <= literal<S>(kMaxRotation * kMaxRotation);
}

template <class S>
POSEDA_HD Rotation<S> rotation(Vec3<S> w) {
    const S squared = dot(w, w);
    S y = literal<S>(0.25) * squared;
    S ratio = literal<S>(0.5);
    // R(w) has period 2 pi in the angle: bring it to [-pi, pi], where the series holds. Lanes already inside
    // keep their exact values, so no bit changes where this is skipped because no lane needs it.
    const Mask<S> large = squared > literal<S>(9.869604401089358);
    if (any<S>(large)) {
        const bool single = sizeof(Value<S>) == 4;
        const S angle = square_root(squared);
        const S turns = round_nearest(angle * literal<S>(0.15915494309189535));
        // 2 pi in three parts (Cody and Waite), the first two short enough for exact products.
        S reduced = angle - turns * literal<S>(single ? 6.28125 : 6.28318500518798828128);
        reduced = reduced - turns * literal<S>(single ? 1.93500518798828125e-3 : 3.01991576634463854e-7);
        reduced = reduced - turns * literal<S>(single ? 3.01991597795675e-7 : 2.156121143263247621e-14);
        y = select(large, literal<S>(0.25) * reduced * reduced, y);
        ratio = select(large, quotient(literal<S>(0.5) * reduced, angle), ratio);
    }
    S cos_h, sinc_h;
    half_angle_series(y, cos_h, sinc_h);
    const S half_sine = ratio * sinc_h;
    const S two = literal<S>(2);
    return {w, two * cos_h * half_sine, two * half_sine * half_sine, squared, cos_h, half_sine};
}

template <class S>
POSEDA_HD Vec3<S> rotate(const Rotation<S>& r, Vec3<S> v) {
    const Vec3<S> wv = cross(r.vector, v);
    return v + r.sine * wv + r.cosine * cross(r.vector, wv);
}

// R(w)^T v: the same with the opposite sign of the sine.
template <class S>
POSEDA_HD Vec3<S> rotate_back(const Rotation<S>& r, Vec3<S> v) {
    const Vec3<S> wv = cross(r.vector, v);
    return v - r.sine * wv + r.cosine * cross(r.vector, wv);
}

// The rotation vector of a turn about y by `yaw`, then a lean: a rotation about an axis across y, whose
// vector has x and z. Angles are at most pi each. The lean turns y by its full angle, whatever the yaw.
template <class S>
POSEDA_HD Vec3<S> turn_then_lean(S yaw, Vec2<S> lean) {
    const S one = literal<S>(1), half = literal<S>(0.5), quarter = literal<S>(0.25);
    // The product of the unit quaternions; `scalar` is the cosine of half its angle, not below 0.
    S yaw_cos, yaw_sine, lean_cos, lean_sine;
    half_angle_series(quarter * yaw * yaw, yaw_cos, yaw_sine);
    half_angle_series(quarter * dot(lean, lean), lean_cos, lean_sine);
    const Vec2<S> a = (half * lean_sine) * lean;
    const S s = half * yaw * yaw_sine, scalar = lean_cos * yaw_cos;
    const Vec3<S> v = {yaw_cos * a.x - s * a.y, lean_cos * s, yaw_cos * a.y + s * a.x};
    // The angle over its sine by the arc tangent of an eighth of it, as tan(h/2) = tan(h) / (1 + sec(h)).
    const S first = one / (one + scalar), squared = dot(v, v) * first * first;
    const S second = one / (one + square_root(one + squared));
    const S third = one / (one + square_root(one + squared * second * second));
    const S y = squared * second * second * third * third;
    const int terms = sizeof(Value<S>) == 4 ? 6 : 12;
    S series = literal<S>(0);
    for (int n = terms - 1; n >= 0; --n) series = literal<S>(1.0 / (2 * n + 1)) - y * series;
    return (literal<S>(16) * first * second * third * series) * v;
}

// A rotation as a matrix: half the work for each vector, worth it where one rotation turns many.
template <class S>
struct Matrix3 {
    Vec3<S> row[3];
};

// R = (1 - cosine |w|^2) I + sine [w]x + cosine w w^T
template <class S>
POSEDA_HD Matrix3<S> matrix(const Rotation<S>& r) {
    const Vec3<S> w = r.vector, a = r.sine * w, b = r.cosine * w;
    const S diagonal = literal<S>(1) - r.cosine * r.squared;
    return {{{diagonal + b.x * w.x, b.x * w.y - a.z, b.x * w.z + a.y},
             {b.x * w.y + a.z, diagonal + b.y * w.y, b.y * w.z - a.x},
             {b.x * w.z - a.y, b.y * w.z + a.x, diagonal + b.z * w.z}}};
}

template <class S>
POSEDA_HD Vec3<S> rotate(const Matrix3<S>& m, Vec3<S> v) {
    return {dot(m.row[0], v), dot(m.row[1], v), dot(m.row[2], v)};
}

template <class S>
POSEDA_HD Vec3<S> rotate_back(const Matrix3<S>& m, Vec3<S> v) {
    return v.x * m.row[0] + v.y * m.row[1] + v.z * m.row[2];
}

// Adjoint of w -> R(w) v given the torque t = (R(w) v) x grad: a change dw turns the result by J dw, where
// J = I + cosine [w]x + c [w]x^2 with c = (1 - sine)/|w|^2 is SO(3)'s left Jacobian; so grad_w = J^T t.
template <class S>
POSEDA_HD Vec3<S> rotation_vjp(const Rotation<S>& r, Vec3<S> torque) {
    constexpr int terms = sizeof(Value<S>) == 4 ? 5 : 9;
    // c = 1/3! - s/5! + s^2/7! - ... with s = |w|^2, free of cancellation below s = 1.
    constexpr double series[9] = {1.0 / 6,
                                  -1.0 / 120,
                                  1.0 / 5040,
                                  -1.0 / 362880,
                                  1.0 / 39916800,
                                  -1.0 / 6227020800.0,
                                  1.0 / 1307674368000.0,
                                  -1.0 / 355687428096000.0,
                                  1.0 / 121645100408832000.0};
    S small = literal<S>(series[terms - 1]);
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int n = terms - 2; n >= 0; --n) small = small * r.squared + literal<S>(series[n]);
    const S one = literal<S>(1);
    const Mask<S> is_small = r.squared < one;
    const S c = select(is_small, small, quotient(one - r.sine, select(is_small, one, r.squared)));
    const Vec3<S> wt = cross(r.vector, torque);
    return torque - r.cosine * wt + c * cross(r.vector, wt);
}

// The same for a torque given in the frame before the rotation, t' = v x R(w)^T grad: grad_w = J(-w)^T t'.
template <class S>
POSEDA_HD Vec3<S> rotation_vjp_before(const Rotation<S>& r, Vec3<S> torque) {
    const Vec3<S> back = {-r.vector.x, -r.vector.y, -r.vector.z};
    return rotation_vjp(Rotation<S>{back, r.sine, r.cosine, r.squared, r.half_cos, r.half_sine}, torque);
}

// Unit quaternions compose rotations along the tree with `propagate`.
template <class S>
struct Quaternion {
    S w;
    Vec3<S> v;
};

template <class S>
POSEDA_HD Quaternion<S> quaternion(const Rotation<S>& r) {
    return {r.half_cos, r.half_sine * r.vector};
}

template <class S>
POSEDA_HD Quaternion<S> operator*(const Quaternion<S>& a, const Quaternion<S>& b) {
    return {a.w * b.w - dot(a.v, b.v), a.w * b.v + b.w * a.v + cross(a.v, b.v)};
}

template <class S>
POSEDA_HD Vec3<S> rotate(const Quaternion<S>& q, Vec3<S> v) {
    const Vec3<S> t = literal<S>(2) * cross(q.v, v);
    return v + q.w * t + cross(q.v, t);
}

template <class S>
POSEDA_HD Vec3<S> rotate_back(const Quaternion<S>& q, Vec3<S> v) {
    const Vec3<S> t = literal<S>(2) * cross(q.v, v);
    return v - q.w * t + cross(q.v, t);
}

}  // namespace poseda
