"""Brushes for the phantoms: soft shapes and smooth noise in coordinates that do not depend on the image size.

Every value comes from `RandomState.random_sample` through + - * / and sqrt alone, one operation at a time. IEEE 754
rounds each of these in one way only, so images are equal to the bit on every platform; sin, exp or a normal draw would
add an ulp of the local libm, a sum or a matrix product the order of the local BLAS.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

Point = Sequence[float] | np.ndarray


class Phantom(ABC):
    """One image in the making. Pixel centres x, y (size, size) are about [-1, 1], y downwards, moved by its pose."""

    title: ClassVar[str]
    classes: ClassVar[list[str]]  # label k is classes[k], as in the dataset that the subject imitates
    horizontal_flip: ClassVar[bool] = False  # whether mirroring an image keeps its meaning
    # The pose: moved and turned (radians) by up to these, scaled within these; the most that grain weighs.
    shift, scale, turn, grain = 0.04, (1.0, 1.0), 0.06, 0.06
    image: np.ndarray  # what `draw` makes: intensities 0 to 1, (size, size) or (size, size, 3)

    @classmethod
    def render(cls, label: int, rng: np.random.RandomState, size: int) -> np.ndarray:
        """One image of class classes[label], uint8 (size, size) or (size, size, 3)."""
        phantom = cls(rng, size)
        phantom.draw(label)
        shape, amount = phantom.image.shape, phantom.between(0.02, cls.grain)
        # White noise of standard deviation 1/√6, last: what depends on the size must not move the anatomy.
        grainy = phantom.image + amount * (rng.random_sample(shape) - rng.random_sample(shape))
        return np.rint(np.clip(grainy, 0, 1) * 255).astype(np.uint8)

    def __init__(self, rng: np.random.RandomState, size: int) -> None:
        self.rng, self.size = rng, size
        dx, dy = self.between(-self.shift, self.shift), self.between(-self.shift, self.shift)
        zoom = self.between(*self.scale)
        cos, sin = unit(self.between(-self.turn, self.turn) / 2)
        centres = (2 * np.arange(size) + 1) / size - 1
        x, y = (centres[None, :] - dx) / zoom, (centres[:, None] - dy) / zoom
        self.x, self.y = cos * x + sin * y, cos * y - sin * x
        self.pixel = 2 / size / zoom  # its side in these coordinates

    @abstractmethod
    def draw(self, label: int) -> None:
        """Makes `image`, of class classes[label]."""

    def paint(self, value: ArrayLike, mask: np.ndarray) -> None:
        """Blends a grey value or a colour into the image where `mask` (size, size) is 1."""
        self.image += mask.reshape(mask.shape + (1,) * (self.image.ndim - 2)) * (value - self.image)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.rng.random_sample())

    def drawn(self, *ranges: tuple[float, float]) -> np.ndarray:
        """A value between the ends of each range."""
        return np.array([self.between(*ends) for ends in ranges])

    def side(self) -> int:
        return 1 if self.rng.random_sample() < 0.5 else -1

    def noise(self, cells: int) -> np.ndarray:
        """A smooth random field (size, size) within [-1, 1]: quadratic B-splines on a lattice of `cells` a side."""
        field = 2 * self.rng.random_sample((cells + 2, cells + 2)) - 1
        place = (np.arange(self.size) + 0.5) / self.size * cells
        cell = place.astype(np.int64)
        t = (place - cell)[:, None]
        for _ in range(2):  # along the rows, then along the columns
            before, here, after = field[cell], field[cell + 1], field[cell + 2]
            field = ((1 - t) * (1 - t) / 2 * before + (0.5 + t * (1 - t)) * here + t * t / 2 * after).T
        return field

    def ellipse(self, centre: Point, axes: Point, blur: float = 0, square: float = 0) -> np.ndarray:
        """Coverage (size, size); `blur` widens the border beyond a pixel, `square` < 1 fills the corners."""
        u, v = (self.x - centre[0]) / axes[0], (self.y - centre[1]) / axes[1]
        uu, vv = u * u, v * v
        # Squared, the curve has a second branch where u and v both exceed 1; the other term is below 0 there.
        level = np.minimum(1 - uu - vv + square * uu * vv, 2 - uu - vv)
        du, dv = u * (1 - square * vv) / axes[0], v * (1 - square * uu) / axes[1]
        # Level over slope is the distance near the border, to first order; the constant keeps the centre finite.
        return coverage(level / (2 * np.sqrt(du * du + dv * dv) + 1e-6), self.pixel + blur)

    def bump(self, centre: Point, axes: Point) -> np.ndarray:
        """(1 - r²)² within an ellipse: a Gaussian's look without exp."""
        u, v = (self.x - centre[0]) / axes[0], (self.y - centre[1]) / axes[1]
        inside = np.maximum(1 - u * u - v * v, 0)
        return inside * inside

    def line(self, start: Point, end: Point, radii: Point, blur: float = 0) -> np.ndarray:
        """Coverage (size, size) of a line whose half-width runs from radii[0] to radii[1]."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        px, py = self.x - start[0], self.y - start[1]
        along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
        px, py = px - along * dx, py - along * dy
        half_width = radii[0] + along * (radii[1] - radii[0])
        return stripe(np.sqrt(px * px + py * py), half_width, self.pixel + blur)


def unit(half_angle_tangent: float) -> np.ndarray:
    """Cosine and sine of 2 atan(t), rationally."""
    t = half_angle_tangent
    return np.array([1 - t * t, 2 * t]) / (1 + t * t)


def coverage(distance: np.ndarray, width: float) -> np.ndarray:
    """0 outside, 1 inside a border, from the signed distance (inside positive) and the border's width."""
    return np.clip(distance / width + 0.5, 0, 1)


def stripe(distance: np.ndarray, half_width: float | np.ndarray, width: float) -> np.ndarray:
    """Coverage of a band |distance| < half_width: a pixel's exact share, so thin bands fade and never vanish."""
    distance = np.abs(distance)
    return coverage(half_width - distance, width) - coverage(-half_width - distance, width)
