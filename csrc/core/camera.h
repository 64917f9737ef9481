// The camera of poseda/geometry/camera.py: distortion, its inverse and projection, each beside its adjoint.
#pragma once

#include "core/scalar.h"

namespace poseda {

constexpr int kUndistortSteps = 8;

// Also the type of a camera's gradient, whose `distorted` is not read.
template <class S>
struct Camera {
    Vec2<S> focal, center;
    S k1, k2, k3;
    Vec2<S> tangential;  // p1, p2
    bool distorted;      // false: a pinhole, whose five coefficients are not read
};

template <class S>
POSEDA_HD Camera<S> zero_camera() {
    const S zero = literal<S>(0);
    return {zero2<S>(), zero2<S>(), zero, zero, zero, zero2<S>(), false};
}

template <class S>
struct Matrix2 {
    S xx, xy, yx, yy;

    POSEDA_HD S determinant() const { return xx * yy - xy * yx; }
    POSEDA_HD Matrix2 transposed() const { return {xx, yx, xy, yy}; }
};

template <class S>
POSEDA_HD Vec2<S> operator*(const Matrix2<S>& m, Vec2<S> v) {
    return {m.xx * v.x + m.xy * v.y, m.yx * v.x + m.yy * v.y};
}

// The v for which m * v = b.
template <class S>
POSEDA_HD Vec2<S> solve(const Matrix2<S>& m, Vec2<S> b) {
    const S inverse = reciprocal(m.determinant());
    return {(m.yy * b.x - m.xy * b.y) * inverse, (m.xx * b.y - m.yx * b.x) * inverse};
}

// A point on the plane z = 1 after the lens, and the derivative of that map.
template <class S>
struct Distorted {
    Vec2<S> point;
    Matrix2<S> jacobian;  // xy: the derivative of point.x by y
    S r2;
};

template <class S>
POSEDA_HD Distorted<S> distort(const Camera<S>& c, Vec2<S> p) {
    const S two = literal<S>(2), three = literal<S>(3);
    const Vec2<S> t = c.tangential;
    const S r2 = dot(p, p);
    const S factor = literal<S>(1) + r2 * (c.k1 + r2 * (c.k2 + r2 * c.k3)) + t.x * p.x + t.y * p.y;
    const S slope = two * (c.k1 + r2 * (two * c.k2 + r2 * three * c.k3));
    const Vec2<S> factor_slope = slope * p + t;
    return {factor * p + r2 * t,
            {factor + p.x * factor_slope.x + two * t.x * p.x, p.x * factor_slope.y + two * t.x * p.y,
             p.y * factor_slope.x + two * t.y * p.x, factor + p.y * factor_slope.y + two * t.y * p.y},
            r2};
}

// Adds the gradients of the five coefficients. The distorted point is linear in each of them.
template <class S>
POSEDA_HD void distort_coefficients_vjp(Vec2<S> p, S r2, Vec2<S> grad, Camera<S>& grad_camera) {
    const S along = dot(p, grad);
    grad_camera.k1 += r2 * along;
    grad_camera.k2 += r2 * r2 * along;
    grad_camera.k3 += r2 * r2 * r2 * along;
    grad_camera.tangential += along * p;
    grad_camera.tangential += r2 * grad;
}

template <class S>
POSEDA_HD Vec2<S> project(const Camera<S>& c, Vec3<S> p) {
    const S inverse = reciprocal(p.z);
    Vec2<S> xy = inverse * Vec2<S>{p.x, p.y};
    if (c.distorted) xy = distort(c, xy).point;
    return times(c.focal, xy) + c.center;
}

// Screen coordinates of a point, and their derivative along a direction for GPA's Newton steps.
template <class S>
struct Projected {
    Vec2<S> screen;
    Vec2<S> along;
};

template <class S>
POSEDA_HD Projected<S> project_along(const Camera<S>& c, Vec3<S> p, Vec3<S> direction) {
    const S inverse = reciprocal(p.z);
    const Vec2<S> xy = inverse * Vec2<S>{p.x, p.y};
    const Vec2<S> d = inverse * Vec2<S>{direction.x - xy.x * direction.z, direction.y - xy.y * direction.z};
    if (!c.distorted) return {times(c.focal, xy) + c.center, times(c.focal, d)};
    const Distorted<S> lens = distort(c, xy);
    return {times(c.focal, lens.point) + c.center, times(c.focal, lens.jacobian * d)};
}

// Adjoint of project. Returns the gradient of the point and adds the camera's, if wanted.
template <class S>
POSEDA_HD Vec3<S> project_vjp(const Camera<S>& c, Vec3<S> p, Vec2<S> grad, bool want_camera,
                              Camera<S>& grad_camera) {
    const S inverse = reciprocal(p.z);
    const Vec2<S> xy = inverse * Vec2<S>{p.x, p.y};
    const Vec2<S> g = times(c.focal, grad);
    Vec2<S> point = xy, grad_xy = g;
    if (c.distorted) {
        const Distorted<S> lens = distort(c, xy);
        point = lens.point;
        grad_xy = lens.jacobian.transposed() * g;
        if (want_camera) distort_coefficients_vjp(xy, lens.r2, g, grad_camera);
    }
    if (want_camera) {
        grad_camera.focal += times(point, grad);
        grad_camera.center += grad;
    }
    // d(X/Z) = dX/Z - X/Z dZ/Z
    return {grad_xy.x * inverse, grad_xy.y * inverse, -dot(grad_xy, xy) * inverse};
}

// The ray (x0, y0, 1) through a place on the screen.
template <class S>
POSEDA_HD Vec2<S> unproject(const Camera<S>& c, Vec2<S> screen) {
    const Vec2<S> target = over(screen - c.center, c.focal);
    Vec2<S> p = target;
    if (!c.distorted) return p;
    // Newton's method squares the error at each step. After a step this short, the rest is below rounding.
    // Each lane stops by itself, so that its bits do not depend on its neighbours.
    const S last = literal<S>(sizeof(Value<S>) == 4 ? 3e-5 : 1e-9);
    Mask<S> moving = all_true<S>();
    for (int step = 0; step < kUndistortSteps && any<S>(moving); ++step) {
        const Distorted<S> lens = distort(c, p);
        const Vec2<S> d = solve(lens.jacobian, lens.point - target);
        p = select<S>(moving, p - d, p);
        moving = both<S>(moving, maximum(absolute(d.x), absolute(d.y)) > last);
    }
    return p;
}

// Whether the lens shows the ray at that place, on the branch that holds the centre. Beyond its fold a lens
// shows one place twice or not at all, and Newton's steps end anywhere.
template <class S>
POSEDA_HD Mask<S> sees(const Camera<S>& c, Vec2<S> ray, Vec2<S> screen) {
    const Distorted<S> lens = distort(c, ray);
    const S tolerance = literal<S>(sizeof(Value<S>) == 4 ? 1e-5 : 1e-10);
    const Vec2<S> target = over(screen - c.center, c.focal), e = lens.point - target;
    const S error = maximum(absolute(e.x), absolute(e.y));
    const S size = literal<S>(1) + maximum(absolute(target.x), absolute(target.y));
    const Mask<S> unfolded =
        both<S>(lens.jacobian.determinant() > literal<S>(0), lens.jacobian.xx > literal<S>(0));
    return both<S>(error <= tolerance * size, unfolded);
}

// Adjoint of unproject, whose solution is p, by implicit differentiation of distort(p) = (screen - center) /
// focal. Returns the gradient of the place on the screen and adds the camera's.
template <class S>
POSEDA_HD Vec2<S> unproject_vjp(const Camera<S>& c, Vec2<S> screen, Vec2<S> p, Vec2<S> grad,
                                Camera<S>& grad_camera) {
    Vec2<S> adjoint = grad;
    if (c.distorted) {
        const Distorted<S> lens = distort(c, p);
        adjoint = solve(lens.jacobian.transposed(), grad);
        distort_coefficients_vjp(p, lens.r2, -adjoint, grad_camera);
    }
    const Vec2<S> grad_screen = over(adjoint, c.focal);
    grad_camera.center -= grad_screen;
    grad_camera.focal -= over(times(grad_screen, screen - c.center), c.focal);
    return grad_screen;
}

}  // namespace poseda
