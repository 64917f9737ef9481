// The similarity that brings one pose nearest to another. Its rotation is the eigenvector of the largest
// eigenvalue of Horn's symmetric 4 x 4 matrix (Horn 1987), found by Jacobi rotations. Unlike a 3 x 3 singular
// value decomposition it needs no care for mirrored or collinear poses: the result is always a best rotation.
#pragma once

#include "core/row_map.h"

namespace poseda {

template <class S>
struct Symmetric4 {
    S a[4][4];
    S vector[4][4];  // columns: eigenvectors
};

// One Jacobi rotation that makes a[p][q] zero.
template <class S>
POSEDA_HD void jacobi_rotate(Symmetric4<S>& m, int p, int q) {
    const S zero = literal<S>(0), one = literal<S>(1);
    const S off = m.a[p][q];
    const Mask<S> done = off == zero;
    const S theta = (m.a[q][q] - m.a[p][p]) / (literal<S>(2) * select(done, one, off));
    const S size = one / (absolute(theta) + square_root(theta * theta + one));
    const S t = select(done, zero, select(theta < zero, -size, size));
    const S c = one / square_root(t * t + one), s = t * c;
    for (int k = 0; k < 4; ++k) {
        const S kp = m.a[k][p], kq = m.a[k][q];
        m.a[k][p] = c * kp - s * kq;
        m.a[k][q] = s * kp + c * kq;
    }
    for (int k = 0; k < 4; ++k) {
        const S pk = m.a[p][k], qk = m.a[q][k];
        m.a[p][k] = c * pk - s * qk;
        m.a[q][k] = s * pk + c * qk;
        const S vp = m.vector[k][p], vq = m.vector[k][q];
        m.vector[k][p] = c * vp - s * vq;
        m.vector[k][q] = s * vp + c * vq;
    }
}

// Prediction and target to the prediction after the best scale, rotation and shift. A prediction without
// extent becomes the target's mean.
struct ProcrustesAlign {
    int points;

    static constexpr int kMostNumbers = 9 * kMaxJoints;
    POSEDA_HD int in_size(int i) const { return i < 2 ? 3 * points : 0; }
    POSEDA_HD int out_size(int i) const { return i == 0 ? 3 * points : 0; }

    template <class S>
    POSEDA_HD void operator()(const Slots<S>* in, const Slots<S>* out) const {
        const S zero = literal<S>(0), one = literal<S>(1);
        const S share = one / literal<S>(points);
        Vec3<S> mean_p = zero3<S>(), mean_q = zero3<S>();
        for (int j = 0; j < points; ++j) {
            mean_p += in[0].vec3(j);
            mean_q += in[1].vec3(j);
        }
        mean_p = share * mean_p;
        mean_q = share * mean_q;
        S size_p = zero, size_q = zero, c[3][3] = {};
        for (int i = 0; i < 9; ++i) c[i / 3][i % 3] = zero;
        for (int j = 0; j < points; ++j) {
            const Vec3<S> p = in[0].vec3(j) - mean_p, q = in[1].vec3(j) - mean_q;
            size_p += dot(p, p);
            size_q += dot(q, q);
            c[0][0] += p.x * q.x, c[0][1] += p.x * q.y, c[0][2] += p.x * q.z;
            c[1][0] += p.y * q.x, c[1][1] += p.y * q.y, c[1][2] += p.y * q.z;
            c[2][0] += p.z * q.x, c[2][1] += p.z * q.y, c[2][2] += p.z * q.z;
        }
        // In units of the poses' sizes, so that squares neither overflow nor vanish.
        const S product = square_root(size_p) * square_root(size_q);
        const S unit = select(product > zero, one / select(product > zero, product, one), zero);
        Symmetric4<S> m = horn_matrix(c, unit);
        constexpr int sweeps = sizeof(Value<S>) == 4 ? 5 : 7;
        for (int sweep = 0; sweep < sweeps; ++sweep) {
            for (int p = 0; p < 3; ++p) {
                for (int q = p + 1; q < 4; ++q) jacobi_rotate(m, p, q);
            }
        }
        S largest = m.a[0][0];
        Quaternion<S> r = {m.vector[0][0], {m.vector[1][0], m.vector[2][0], m.vector[3][0]}};
        for (int k = 1; k < 4; ++k) {
            const Mask<S> more = m.a[k][k] > largest;
            largest = select(more, m.a[k][k], largest);
            r.w = select(more, m.vector[0][k], r.w);
            r.v = select<S>(more, Vec3<S>{m.vector[1][k], m.vector[2][k], m.vector[3][k]}, r.v);
        }
        // The best scale is the largest eigenvalue over the prediction's own size.
        const S scale =
            select(size_p > zero,
                   largest * square_root(size_q) / square_root(select(size_p > zero, size_p, one)), zero);
        for (int j = 0; j < points; ++j) {
            out[0].set_vec3(j, scale * rotate(r, in[0].vec3(j) - mean_p) + mean_q);
        }
    }

    template <class S>
    static POSEDA_HD Symmetric4<S> horn_matrix(const S (&c)[3][3], S unit) {
        Symmetric4<S> m;
        const S upper[4][4] = {
            {c[0][0] + c[1][1] + c[2][2], c[1][2] - c[2][1], c[2][0] - c[0][2], c[0][1] - c[1][0]},
            {unit, c[0][0] - c[1][1] - c[2][2], c[0][1] + c[1][0], c[2][0] + c[0][2]},
            {unit, unit, c[1][1] - c[0][0] - c[2][2], c[1][2] + c[2][1]},
            {unit, unit, unit, c[2][2] - c[0][0] - c[1][1]}};
        for (int i = 0; i < 4; ++i) {
            for (int k = 0; k < 4; ++k) {
                m.a[i][k] = unit * (i <= k ? upper[i][k] : upper[k][i]);
                m.vector[i][k] = literal<S>(i == k ? 1 : 0);
            }
        }
        return m;
    }
};

}  // namespace poseda
