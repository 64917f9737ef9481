"""Calibration from people: focal length, pitch and height of a camera that sees people stand on one floor.

A pinhole stands at height H above the floor. A person of stature h has the feet on the ray r, and n is the
unit vector that points up. Then the head lies on the ray

    r - (m . r) m,        m = sqrt(h / H) n.

This is a planar homology from feet to heads. It has three unknowns in each view, besides the focal length
that all rays share. Its fixed line is the horizon, and its centre is the vertical vanishing point. Only the
two together give the focal length. So the camera must look down (or up), and people must stand at different
distances. A level camera, or people who are all equally far away, give the same picture under any focal
length.

The fit takes the feet as exact and leaves all error to the heads. For people lean, by a share of their size
that does not depend on where they stand. Cauchy's weights reduce the influence of people who bend, sit or
jump. The standard error is the sandwich estimator over stretches of time, because errors of neighbouring
frames are alike.

The stature does not affect the focal length. It only gives the height of the camera in metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from poseda.geometry.skeleton import Skeleton

STATURE = 1.62
"""Metres from the ankles to the top of the head of an adult of 1.75 m."""

CALIBRATION_JOINTS = ("left_ankle", "right_ankle", "head_top")
"""Joints that a skeleton needs for the calibration: they give a person's feet and head."""

FIELDS_OF_VIEW = (15.0, 130.0)
"""Degrees; an estimate outside them is refused."""

MAX_ERROR = 0.15
"""Largest standard error of the log focal length of an estimate that is used. The focal lengths of cameras in
use have a standard deviation of 0.35 about the assumed 55 degrees."""

MIN_ROWS = 30
"""Fewest standing poses to estimate from."""

MIN_DEPTH_RATIO = 1.25
"""Least distance of the farthest tenth of the poses over that of the nearest, within a view."""

MAX_MISFIT = 0.15
"""Largest median distance between a head and its prediction, as a share of the person's size. Beyond it,
people do not stand on one floor."""

_MAX_ROWS, _MAX_VIEWS, _STRETCH = 3000, 32, 30
_STEPS, _TOLERANCE = 60, 1e-9
_CAUCHY = 2.385  # 95 % as efficient as least squares on normal errors


@dataclass(frozen=True)
class PeopleCalibration:
    """A camera as calibrated from people.

    Args:
        field_of_view: degrees across the picture's width, or None where the people do not determine it.
        interval: degrees, two standard errors to either side; None without an estimate. It contained the true
            value in about nine of ten simulated scenes.
        pitch: degrees by which the camera looks down, the median over the views; None without an estimate.
        height: metres of the camera above the ankles of people of :data:`STATURE`, the median likewise.
        poses: how many standing poses were fitted.
        reason: why there is no estimate; empty if there is one.
    """

    field_of_view: float | None
    interval: tuple[float, float] | None = None
    pitch: float | None = None
    height: float | None = None
    poses: int = 0
    reason: str = ""

    def sentence(self) -> str:
        """The result in words, without a full stop."""
        if self.field_of_view is None or self.interval is None:
            return f"field of view cannot be estimated: {self.reason}"
        low, high = self.interval
        return (
            f"field of view {self.field_of_view:.0f} degrees ({low:.0f} to {high:.0f}), estimated from "
            f"{self.poses} standing poses; camera looks down by {self.pitch:.0f} degrees from "
            f"{self.height:.1f} m above the ankles"
        )


def calibrate_from_people(
    pose_2d: Tensor, visible: Tensor | None, view: Tensor, track: Tensor, skeleton: Skeleton
) -> PeopleCalibration:
    """Estimate the focal length that all views share, and the pitch and height of each.

    The camera is assumed to be a pinhole with its principal point in the middle of the picture. It must not
    move within a view, and the floor must be level. The roll is estimated too.

    Args:
        pose_2d: (N, J, 2) screen coordinates.
        visible: (N, J) bool, or None where every joint is seen.
        view: (N,) int64, the recording. The camera has one place in each.
        track: (N,) int64, the person of a recording. The rows of a track are in order of time.
        skeleton: of the poses, with :data:`CALIBRATION_JOINTS`.

    Raises:
        ValueError: if the skeleton lacks those joints.
    """
    foot, head, standing = _standing(pose_2d.double(), visible, skeleton)
    rows = _thinned(standing.nonzero()[:, 0], view)
    if len(rows) < MIN_ROWS:
        return PeopleCalibration(None, reason=f"expected {MIN_ROWS} standing poses, found {len(rows)}")
    _, view_of = view[rows].unique(return_inverse=True)
    scene = _Scene(foot[rows], head[rows], view_of, _stretches(track[rows]))
    fit = scene.best_fit()
    return _accepted(scene, fit)


def _accepted(scene: _Scene, fit: _Fit) -> PeopleCalibration:
    """The estimate of a fit, or the reason why the fit is not accepted."""
    focal, error, poses = math.exp(fit.log_focal), fit.error, len(scene.foot)
    low, high = FIELDS_OF_VIEW
    reason = ""
    if fit.misfit > MAX_MISFIT:
        reason = f"people do not stand on one floor, or the camera moves (misfit {fit.misfit:.0%})"
    elif fit.depth_ratio < MIN_DEPTH_RATIO:
        reason = f"people stand at one distance (farthest over nearest {fit.depth_ratio:.2f})"
    elif not error <= MAX_ERROR:
        reason = f"the camera looks too level, or people move too little (error {min(error, 9.99):.0%})"
    elif not low < _degrees(focal) < high:
        reason = f"the best fit, {_degrees(focal):.0f} degrees, is outside {low:g} to {high:g} degrees"
    if reason:
        return PeopleCalibration(None, poses=poses, reason=reason)
    bounds = (_degrees(focal * math.exp(2 * error)), _degrees(focal * math.exp(-2 * error)))
    return PeopleCalibration(_degrees(focal), bounds, fit.pitch, fit.height, poses)


def _degrees(focal: float) -> float:
    """Field of view of a focal length in half screen widths."""
    return math.degrees(2 * math.atan(1 / focal))


def _standing(pose_2d: Tensor, visible: Tensor | None, skeleton: Skeleton) -> tuple[Tensor, Tensor, Tensor]:
    """Feet (N, 2), heads (N, 2), and whether a pose may show a standing person (N,).

    A standing body is stretched: the distance from feet to head is about the length of the bones between
    them. Its feet are close together.
    """
    left, right, top = (skeleton.joint(name) for name in CALIBRATION_JOINTS)
    foot, head = (pose_2d[:, left] + pose_2d[:, right]) / 2, pose_2d[:, top]
    size = (head - foot).norm(dim=-1)
    apart = (pose_2d[:, left] - pose_2d[:, right]).norm(dim=-1)
    top_down, *legs = (_path_length(pose_2d, joint, skeleton) for joint in (top, left, right))
    bones = top_down + (legs[0] + legs[1]) / 2
    seen = pose_2d[:, [left, right, top]].isfinite().all(-1).all(-1)
    if visible is not None:
        chain = sorted({joint for end in (left, right, top) for joint in _path(end, skeleton)})
        seen = seen & visible[:, chain].all(-1)
    stretched = size > 0.88 * bones
    return foot, head, seen & stretched & (apart < 0.3 * size) & (size > 0.03)


def _path(joint: int, skeleton: Skeleton) -> list[int]:
    """The joint and its ancestors, up to the root."""
    path = [joint]
    while skeleton.parents[path[-1]] >= 0:
        path.append(skeleton.parents[path[-1]])
    return path


def _path_length(pose_2d: Tensor, joint: int, skeleton: Skeleton) -> Tensor:
    """(N,) length on the screen of the bones from the root to a joint."""
    path = pose_2d[:, _path(joint, skeleton)]
    return (path[:, 1:] - path[:, :-1]).norm(dim=-1).sum(-1)


def _thinned(rows: Tensor, view: Tensor) -> Tensor:
    """Rows of the views with the most rows, evenly thinned to a number that is fitted quickly."""
    if not len(rows):
        return rows
    names, counts = view[rows].unique(return_counts=True)
    largest = names[counts.argsort(descending=True, stable=True)[:_MAX_VIEWS]]
    enough = names[counts >= 10]
    rows = rows[torch.isin(view[rows], largest) & torch.isin(view[rows], enough)]
    return rows[:: max(1, -(-len(rows) // _MAX_ROWS))]


def _stretches(track: Tensor) -> Tensor:
    """(N,) numbers of stretches of time within tracks: rows of one stretch have like errors."""
    change = torch.ones_like(track, dtype=torch.bool)
    change[1:] = track[1:] != track[:-1]
    number = change.cumsum(0) - 1
    begin = change.nonzero()[:, 0][number]
    within = torch.arange(len(track), device=track.device) - begin
    stretch = number * (len(track) + 1) + within // _STRETCH
    return stretch.unique(return_inverse=True)[1]


@dataclass(frozen=True)
class _Fit:
    log_focal: float
    cost: float
    error: float  # standard error of log_focal
    misfit: float  # median share of a person's size
    depth_ratio: float
    pitch: float  # degrees
    height: float  # metres


class _Scene:
    """Feet and heads of N standing poses in V views.

    Args:
        foot, head: (N, 2) float64 screen coordinates.
        view: (N,) 0 .. V-1.
        stretch: (N,) groups of rows with like errors.
    """

    def __init__(self, foot: Tensor, head: Tensor, view: Tensor, stretch: Tensor) -> None:
        self.foot, self.head, self.view, self.stretch = foot, head, view, stretch
        self.views = int(view.max()) + 1

    def best_fit(self) -> _Fit:
        """The best of fits from several starts, because the cost has several minima."""
        starts = [(fov, pitch) for fov in (30.0, 55.0, 90.0) for pitch in (5.0, 30.0)]
        return min((self._fit(*start) for start in starts), key=lambda fit: fit.cost)

    def residuals(self, log_focal: Tensor, up: Tensor, size: Tensor) -> Tensor:
        """(N, 2) distance of heads from their predictions from the feet, in shares of the person's size.

        Args:
            log_focal: () log of half widths.
            up: (V, 3) m of each view.
            size: (N, 1) of each person on the screen.
        """
        focal, m = log_focal.exp(), up[self.view]
        ray = torch.cat([self.foot / focal, torch.ones_like(self.foot[:, :1])], -1)
        point = ray - (m * ray).sum(-1, keepdim=True) * m
        return (focal * point[:, :2] / point[:, 2:] - self.head) / size

    def _jacobian(self, log_focal: Tensor, up: Tensor, size: Tensor) -> Tensor:
        """(N, 2, 4) derivative of the residuals by the log focal length and the three numbers of ``up``."""
        focal, m = log_focal.exp(), up[self.view]
        ray = torch.cat([self.foot / focal, torch.ones_like(self.foot[:, :1])], -1)
        along = (m * ray).sum(-1, keepdim=True)
        point = ray - along * m
        screen = focal * point[:, :2] / point[:, 2:]

        def column(d_focal: Tensor, d_ray: Tensor, d_m: Tensor) -> Tensor:
            d_along = (d_m * ray + d_ray * m).sum(-1, keepdim=True)
            d_point = d_ray - (d_along * m + d_m * along)
            d_scaled = d_focal * point[:, :2] + d_point[:, :2] * focal
            return (d_scaled - d_point[:, 2:] * screen) / point[:, 2:] / size

        none = torch.zeros_like(ray)
        d_ray = torch.cat([-focal * ray[:, :2] / focal, none[:, :1]], -1)
        columns = [column(focal, d_ray, none)]
        columns += [column(none[:, :1], none, axis.expand_as(m)) for axis in torch.eye(3).to(m)]
        return torch.stack(columns, -1)

    def _size(self, log_focal: Tensor, up: Tensor) -> Tensor:
        """(N, 1) the size of an upright person there; the measured size is smaller when the person leans."""
        expected = self.residuals(log_focal, up, torch.ones_like(self.foot[:, :1])) + self.head
        return (expected - self.foot).norm(dim=-1, keepdim=True)

    def _fit(self, fov: float, pitch: float) -> _Fit:
        """Levenberg-Marquardt steps from one start."""
        down = math.radians(pitch)
        up = self.foot.new_tensor([0.0, -math.cos(down), -math.sin(down)])
        log_focal = self.foot.new_tensor(-math.log(math.tan(math.radians(fov) / 2)))
        m = up * self._start(log_focal.exp(), up)[:, None]
        size, damping = self._size(log_focal, m), 1e-3
        for _ in range(_STEPS):
            residual = self.residuals(log_focal, m, size)
            weight, cost = self._weight(residual)
            normal, gradient, _ = self._normal(log_focal, m, size, residual, weight)
            diagonal = normal.diagonal().clamp(min=1e-12)
            step = torch.linalg.lstsq(normal + damping * diagonal.diag(), -gradient[:, None]).solution[:, 0]
            new_focal, new_m = log_focal + step[0].clamp(-0.5, 0.5), m + step[1:].reshape(-1, 3)
            new_cost = self._cost(self.residuals(new_focal, new_m, size), self._scale(residual))
            if not new_cost < cost:
                damping *= 10
                if damping > 1e8:
                    break
                continue
            small = cost - new_cost < _TOLERANCE * cost
            log_focal, m, damping = new_focal, new_m, max(damping / 10, 1e-12)
            size = self._size(log_focal, m)
            if small:
                break
        return self._described(log_focal, m)

    def _start(self, focal: Tensor, up: Tensor) -> Tensor:
        """(V,) square root of stature over camera height, by least squares along a given vertical."""
        ones = torch.ones_like(self.foot[:, :1])
        foot, head = (torch.cat([point / focal, ones], -1) for point in (self.foot, self.head))
        wanted = torch.linalg.cross(head, foot)
        given = (foot * up).sum(-1, keepdim=True) * torch.linalg.cross(head, up.expand_as(head))
        zero = wanted.new_zeros(self.views)
        ratio = zero.index_add(0, self.view, (wanted * given).sum(-1)) / zero.index_add(
            0, self.view, given.square().sum(-1)
        )
        return ratio.clamp(0.05, 5.0).sqrt()

    def _scale(self, residual: Tensor) -> Tensor:
        """Robust standard deviation of the residuals."""
        return (residual.norm(dim=-1).median() / 1.1774).clamp(min=1e-6)  # Rayleigh's median

    def _cost(self, residual: Tensor, scale: Tensor) -> float:
        cost = torch.log1p(residual.square().sum(-1) / (_CAUCHY * scale) ** 2).sum() * scale**2
        return float(cost) if bool(cost.isfinite()) else math.inf

    def _weight(self, residual: Tensor) -> tuple[Tensor, float]:
        scale = self._scale(residual)
        weight = 1 / (1 + residual.square().sum(-1) / (_CAUCHY * scale) ** 2)
        return weight, self._cost(residual, scale)

    def _normal(
        self, log_focal: Tensor, m: Tensor, size: Tensor, residual: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normal matrix (P, P), gradient (P,) and each stretch's share of it (S, P), P = 1 + 3 V."""
        columns = self._jacobian(log_focal, m, size)
        unknowns = 1 + 3 * self.views
        place = torch.cat(
            [torch.zeros_like(self.view)[:, None], 1 + 3 * self.view[:, None] + torch.arange(3)], -1
        )
        product = torch.einsum("nir,nis,n->nrs", columns, columns, weight)
        normal = m.new_zeros(unknowns * unknowns).index_add(
            0, (place[:, :, None] * unknowns + place[:, None]).flatten(), product.flatten()
        )
        share = torch.einsum("nir,ni,n->nr", columns, residual, weight)
        stretches = int(self.stretch.max()) + 1
        shares = m.new_zeros(stretches * unknowns).index_add(
            0, (self.stretch[:, None] * unknowns + place).flatten(), share.flatten()
        )
        shares = shares.reshape(stretches, unknowns)
        return normal.reshape(unknowns, unknowns), shares.sum(0), shares

    def _described(self, log_focal: Tensor, m: Tensor) -> _Fit:
        size = self._size(log_focal, m)
        residual = self.residuals(log_focal, m, size)
        weight, cost = self._weight(residual)
        normal, _, shares = self._normal(log_focal, m, size, residual, weight)
        inverse = torch.linalg.pinv(normal, hermitian=True, rtol=1e-12)
        stretches = len(shares)
        spread = shares.T @ shares * (stretches / max(stretches - 1 - 3, 1))
        error = float((inverse @ spread @ inverse)[0, 0].clamp(min=0).sqrt())
        rank = int(torch.linalg.matrix_rank(normal, hermitian=True, rtol=1e-12))
        ray = torch.cat([self.foot / log_focal.exp(), torch.ones_like(self.foot[:, :1])], -1)
        toward = (m[self.view] * ray).sum(-1)
        nearness = [toward[self.view == view].abs() for view in range(self.views)]
        ratios = [float(near.quantile(0.9) / near.quantile(0.1).clamp(min=1e-9)) for near in nearness]
        sign = torch.stack([toward[self.view == view].median().sign() for view in range(self.views)])
        up = -m * sign[:, None]  # feet lie below the camera
        length = m.norm(dim=-1)
        pitch = torch.rad2deg(torch.asin((-up[:, 2] / length).clamp(-1, 1)))
        return _Fit(
            float(log_focal),
            cost if math.isfinite(cost) else math.inf,
            error if rank == len(normal) and math.isfinite(error) else math.inf,
            float(residual.norm(dim=-1).median()),
            max(ratios),
            float(pitch.median()),
            float((STATURE / length.square()).median()),
        )
