"""Brushes for the phantoms: soft shapes and smooth noise in coordinates that do not depend on the image size.

Every value comes from `RandomState.random_sample` through + - * / and sqrt alone, one operation at a
time. IEEE 754 rounds each of these in one way only, so images are equal to the bit on every platform; sin, exp or a
normal draw would add an ulp of the local libm, a sum or a matrix product the order of the local BLAS.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]
GreyWindow = tuple[slice, slice]


@dataclass(frozen=True)
class Canvas:
    """Pixel centres x, y (size, size) in the subject's coordinates: about [-1, 1], y downwards, moved by its pose."""

    x: np.ndarray
    y: np.ndarray
    pixel: float  # side of a pixel in the subject's coordinates
    origin: Point  # where the subject's (0, 0) lies, in pixels
    turn: Point  # cosine and sine of the subject's rotation

    @property
    def whole(self) -> GreyWindow:
        return slice(None), slice(None)

    def window(self, centre: Point, radius: float) -> GreyWindow:
        """The pixels that a shape of this centre and radius can touch: small shapes cost little."""
        (cx, cy), (cos, sin) = centre, self.turn
        column = self.origin[0] + (cos * cx - sin * cy) / self.pixel
        row = self.origin[1] + (sin * cx + cos * cy) / self.pixel
        reach = radius / self.pixel + 1
        return _span(row, reach), _span(column, reach)


def _span(middle: float, reach: float) -> slice:
    return slice(max(0, int(middle - reach)), max(0, int(middle + reach) + 1))


def between(rng: np.random.RandomState, low: float, high: float) -> float:
    return low + (high - low) * float(rng.random_sample())


def chance(rng: np.random.RandomState, probability: float) -> bool:
    return bool(rng.random_sample() < probability)


def unit(half_angle_tangent: float) -> Point:
    """Cosine and sine of 2 atan(t), rationally."""
    t = half_angle_tangent
    return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)


def posed(rng: np.random.RandomState, size: int, shift: float, scale: Point, turn: float) -> Canvas:
    """A canvas whose subject is moved by up to `shift`, scaled within `scale`, rotated by up to `turn` radians."""
    dx, dy = between(rng, -shift, shift), between(rng, -shift, shift)
    zoom = between(rng, *scale)
    cos, sin = unit(between(rng, -turn, turn) / 2)
    centres = (2 * np.arange(size) + 1) / size - 1
    x, y = (centres[None, :] - dx) / zoom, (centres[:, None] - dy) / zoom
    origin = ((dx + 1) * size / 2 - 0.5, (dy + 1) * size / 2 - 0.5)
    return Canvas(cos * x + sin * y, cos * y - sin * x, 2 / size / zoom, origin, (cos, sin))


def coverage(distance: np.ndarray, width: float) -> np.ndarray:
    """0 outside, 1 inside a border, from the signed distance (inside positive) and the border's width."""
    return np.clip(distance / width + 0.5, 0, 1)


def smooth(t: np.ndarray) -> np.ndarray:
    """Smoothstep of values in [0, 1]."""
    return t * t * (3 - 2 * t)


def ellipse(canvas: Canvas, centre: Point, axes: Point, blur: float = 0, square: float = 0) -> np.ndarray:
    """Coverage (size, size) of an ellipse; `blur` widens its border beyond a pixel, `square` < 1 fills its corners."""
    u, v = (canvas.x - centre[0]) / axes[0], (canvas.y - centre[1]) / axes[1]
    uu, vv = u * u, v * v
    # Squared, the curve has a second branch where u and v both exceed 1; the other term is below 0 there.
    level = np.minimum(1 - uu - vv + square * uu * vv, 2 - uu - vv)
    du, dv = u * (1 - square * vv) / axes[0], v * (1 - square * uu) / axes[1]
    # Level over slope is the distance near the border, to first order; the constant keeps the centre finite.
    return coverage(level / (2 * np.sqrt(du * du + dv * dv) + 1e-6), canvas.pixel + blur)


def bump(canvas: Canvas, centre: Point, axes: Point) -> np.ndarray:
    """(1 - q)², 1 at the centre and 0 from the ellipse q = 1 on: a Gaussian's look without exp."""
    u, v = (canvas.x - centre[0]) / axes[0], (canvas.y - centre[1]) / axes[1]
    inside = np.maximum(1 - u * u - v * v, 0)
    return inside * inside


def stripe(distance: np.ndarray, half_width: float | np.ndarray, width: float) -> np.ndarray:
    """Coverage of a band |distance| < half_width: a pixel's exact share, so thin bands fade and never vanish."""
    distance = np.abs(distance)
    return coverage(half_width - distance, width) - coverage(-half_width - distance, width)


def segment(canvas: Canvas, ends: tuple[Point, Point], radii: Point, blur: float = 0) -> tuple[GreyWindow, np.ndarray]:
    """A window and in it the coverage of a line whose half-width runs from radii[0] to radii[1]."""
    (ax, ay), (bx, by) = ends
    dx, dy = bx - ax, by - ay
    reach = (abs(dx) + abs(dy)) / 2 + max(radii) + blur
    window = canvas.window(((ax + bx) / 2, (ay + by) / 2), reach)
    px, py = canvas.x[window] - ax, canvas.y[window] - ay
    along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
    px, py = px - along * dx, py - along * dy
    return window, stripe(np.sqrt(px * px + py * py), radii[0] + along * (radii[1] - radii[0]), canvas.pixel + blur)


def paint(image: np.ndarray, value: float | np.ndarray, mask: np.ndarray, window: GreyWindow | None = None) -> None:
    """Blends `value` into `image` in place where `mask` is 1."""
    part = image if window is None else image[window]
    part += mask * (value - part)


def noise(rng: np.random.RandomState, size: int, cells: int) -> np.ndarray:
    """A smooth random field (size, size) within [-1, 1]: quadratic B-splines on a lattice of `cells` a side."""
    lattice = 2 * rng.random_sample((cells + 2, cells + 2)) - 1
    place = (np.arange(size) + 0.5) / size * cells
    cell = place.astype(np.int64)
    t = place - cell
    weights = ((1 - t) * (1 - t) / 2, 0.5 + t * (1 - t), t * t / 2)
    rows = _blend(lattice, cell, [w[:, None] for w in weights])
    return _blend(rows.T, cell, [w[:, None] for w in weights]).T


def _blend(lattice: np.ndarray, cell: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    return weights[0] * lattice[cell] + weights[1] * lattice[cell + 1] + weights[2] * lattice[cell + 2]


def grain(rng: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    """White noise of standard deviation 1/√6. Drawn last: what depends on the size must not move the anatomy."""
    return rng.random_sample(shape) - rng.random_sample(shape)


def finish(image: np.ndarray) -> np.ndarray:
    """Intensities 0 to 1 as uint8: the one place where a phantom is rounded."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
