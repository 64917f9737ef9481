// The camera of poseda/camera.py: distortion, its inverse, projection, each beside its adjoint.
#pragma once

#include "core/scalar.h"

namespace poseda {

constexpr int kUndistortSteps = 8;

template <class S>
struct Vec2 {
    S x, y;
};

template <class S>
struct Camera {
    S fx, fy, cx, cy;
    S k1, k2, k3, p1, p2;
};

template <class S>
POSEDA_HD Camera<S> zero_camera() {
    const S zero = literal<S>(0);
    return {zero, zero, zero, zero, zero, zero, zero, zero, zero};
}

// The lens applied to a point on the plane z = 1, with the Jacobian of that map.
template <class S>
struct Distorted {
    Vec2<S> point;
    S xx, xy, yx, yy;  // d point.x / d x, d point.x / d y, ...
    S r2;
};

template <class S>
POSEDA_HD Distorted<S> distort(const Camera<S>& c, Vec2<S> p) {
    const S two = literal<S>(2), three = literal<S>(3);
    const S r2 = p.x * p.x + p.y * p.y;
    const S factor = literal<S>(1) + r2 * (c.k1 + r2 * (c.k2 + r2 * c.k3)) + c.p1 * p.x + c.p2 * p.y;
    const S slope = two * (c.k1 + r2 * (two * c.k2 + r2 * three * c.k3));
    const S factor_x = slope * p.x + c.p1, factor_y = slope * p.y + c.p2;
    return {{p.x * factor + c.p1 * r2, p.y * factor + c.p2 * r2},
            factor + p.x * factor_x + two * c.p1 * p.x,
            p.x * factor_y + two * c.p1 * p.y,
            p.y * factor_x + two * c.p2 * p.x,
            factor + p.y * factor_y + two * c.p2 * p.y,
            r2};
}

// Adds what the five coefficients contribute: the distorted point is linear in each of them.
template <class S>
POSEDA_HD void distort_coefficients_vjp(Vec2<S> p, S r2, Vec2<S> grad, Camera<S>& grad_camera) {
    const S along = p.x * grad.x + p.y * grad.y;
    grad_camera.k1 = grad_camera.k1 + r2 * along;
    grad_camera.k2 = grad_camera.k2 + r2 * r2 * along;
    grad_camera.k3 = grad_camera.k3 + r2 * r2 * r2 * along;
    grad_camera.p1 = grad_camera.p1 + p.x * along + r2 * grad.x;
    grad_camera.p2 = grad_camera.p2 + p.y * along + r2 * grad.y;
}

// Screen coordinates of a point in camera space, and their derivative along a direction (for GPA's Newton
// steps).
template <class S>
struct Projected {
    Vec2<S> screen;
    Vec2<S> along;
};

template <class S>
POSEDA_HD Projected<S> project_along(const Camera<S>& c, bool distorted, Vec3<S> p, Vec3<S> direction) {
    const S inverse = literal<S>(1) / p.z;
    const Vec2<S> xy = {p.x * inverse, p.y * inverse};
    const Vec2<S> d = {(direction.x - xy.x * direction.z) * inverse,
                       (direction.y - xy.y * direction.z) * inverse};
    if (!distorted) return {{c.fx * xy.x + c.cx, c.fy * xy.y + c.cy}, {c.fx * d.x, c.fy * d.y}};
    const Distorted<S> lens = distort(c, xy);
    return {{c.fx * lens.point.x + c.cx, c.fy * lens.point.y + c.cy},
            {c.fx * (lens.xx * d.x + lens.xy * d.y), c.fy * (lens.yx * d.x + lens.yy * d.y)}};
}

template <class S>
POSEDA_HD Vec2<S> project(const Camera<S>& c, bool distorted, Vec3<S> p) {
    const S inverse = literal<S>(1) / p.z;
    Vec2<S> xy = {p.x * inverse, p.y * inverse};
    if (distorted) xy = distort(c, xy).point;
    return {c.fx * xy.x + c.cx, c.fy * xy.y + c.cy};
}

// Gradient of the point; adds the camera's to grad_camera, if wanted.
template <class S>
POSEDA_HD Vec3<S> project_vjp(const Camera<S>& c, bool distorted, Vec3<S> p, Vec2<S> grad, bool want_camera,
                              Camera<S>& grad_camera) {
    const S inverse = literal<S>(1) / p.z;
    const Vec2<S> xy = {p.x * inverse, p.y * inverse};
    const Vec2<S> g = {c.fx * grad.x, c.fy * grad.y};
    Vec2<S> point = xy, grad_xy = g;
    if (distorted) {
        const Distorted<S> lens = distort(c, xy);
        point = lens.point;
        grad_xy = {lens.xx * g.x + lens.yx * g.y, lens.xy * g.x + lens.yy * g.y};
        if (want_camera) distort_coefficients_vjp(xy, lens.r2, g, grad_camera);
    }
    if (want_camera) {
        grad_camera.fx = grad_camera.fx + point.x * grad.x;
        grad_camera.fy = grad_camera.fy + point.y * grad.y;
        grad_camera.cx = grad_camera.cx + grad.x;
        grad_camera.cy = grad_camera.cy + grad.y;
    }
    // d(X/Z) = dX/Z - X/Z dZ/Z
    return {grad_xy.x * inverse, grad_xy.y * inverse, -(grad_xy.x * xy.x + grad_xy.y * xy.y) * inverse};
}

// The ray (x0, y0, 1) through a place on the screen.
template <class S>
POSEDA_HD Vec2<S> unproject(const Camera<S>& c, bool distorted, Vec2<S> screen) {
    const Vec2<S> target = {(screen.x - c.cx) / c.fx, (screen.y - c.cy) / c.fy};
    Vec2<S> p = target;
    if (!distorted) return p;
    // Newton's error is squared at each step: after one this short, what is left is below rounding. Each lane
    // stops for itself, so that its bits do not depend on its neighbours.
    const S last = literal<S>(sizeof(Value<S>) == 4 ? 3e-5 : 1e-9);
    Mask<S> moving = literal<S>(0) == literal<S>(0);
    for (int step = 0; step < kUndistortSteps && any<S>(moving); ++step) {
        const Distorted<S> lens = distort(c, p);
        const S ex = lens.point.x - target.x, ey = lens.point.y - target.y;
        const S inverse = literal<S>(1) / (lens.xx * lens.yy - lens.xy * lens.yx);
        const S dx = (lens.yy * ex - lens.xy * ey) * inverse, dy = (lens.xx * ey - lens.yx * ex) * inverse;
        p = {select(moving, p.x - dx, p.x), select(moving, p.y - dy, p.y)};
        moving = both<S>(moving, maximum(absolute(dx), absolute(dy)) > last);
    }
    return p;
}

// Whether the lens shows the ray at that place, on the branch that holds the centre: beyond its fold a lens
// shows one place twice or not at all, and Newton's steps end anywhere.
template <class S>
POSEDA_HD Mask<S> sees(const Camera<S>& c, Vec2<S> ray, Vec2<S> screen) {
    const Distorted<S> lens = distort(c, ray);
    const S tolerance = literal<S>(sizeof(Value<S>) == 4 ? 1e-5 : 1e-10);
    const S x = (screen.x - c.cx) / c.fx, y = (screen.y - c.cy) / c.fy;
    const S error = maximum(absolute(lens.point.x - x), absolute(lens.point.y - y));
    const S size = literal<S>(1) + maximum(absolute(x), absolute(y));
    const S determinant = lens.xx * lens.yy - lens.xy * lens.yx;
    return both<S>(error <= tolerance * size, both<S>(determinant > literal<S>(0), lens.xx > literal<S>(0)));
}

// Given the solution p, implicit differentiation of distort(p) = (screen - center) / focal. Returns the
// gradient of the place on the screen; adds the camera's.
template <class S>
POSEDA_HD Vec2<S> unproject_vjp(const Camera<S>& c, bool distorted, Vec2<S> screen, Vec2<S> p, Vec2<S> grad,
                                Camera<S>& grad_camera) {
    Vec2<S> adjoint = grad;
    if (distorted) {
        const Distorted<S> lens = distort(c, p);
        const S inverse = literal<S>(1) / (lens.xx * lens.yy - lens.xy * lens.yx);
        // J^-T grad
        adjoint = {(lens.yy * grad.x - lens.yx * grad.y) * inverse,
                   (lens.xx * grad.y - lens.xy * grad.x) * inverse};
        distort_coefficients_vjp(p, lens.r2, Vec2<S>{-adjoint.x, -adjoint.y}, grad_camera);
    }
    const Vec2<S> grad_screen = {adjoint.x / c.fx, adjoint.y / c.fy};
    grad_camera.cx = grad_camera.cx - grad_screen.x;
    grad_camera.cy = grad_camera.cy - grad_screen.y;
    grad_camera.fx = grad_camera.fx - grad_screen.x * (screen.x - c.cx) / c.fx;
    grad_camera.fy = grad_camera.fy - grad_screen.y * (screen.y - c.cy) / c.fy;
    return grad_screen;
}

}  // namespace poseda
