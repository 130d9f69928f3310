"""An axial chest CT slice, feet first as radiologists look at it: front at the top, the patient's left on the right."""

from dataclasses import dataclass

import numpy as np

from medbench.data.phantoms.drawing import (
    Canvas,
    Point,
    between,
    bump,
    chance,
    coverage,
    ellipse,
    finish,
    grain,
    noise,
    paint,
    posed,
    segment,
    unit,
)

CLASSES = ["adenocarcinoma", "large.cell.carcinoma", "normal", "squamous.cell.carcinoma"]
AIR, FAT, MUSCLE, BLOOD, BONE = 0.02, 0.30, 0.52, 0.62, 0.93
BACK = 0.05  # the body's middle lies behind the cavity's: the back carries more muscle than the front


@dataclass(frozen=True)
class Chest:
    """One patient at one slice."""

    body: Point  # half-axes
    cavity: Point  # half-axes of what the lungs fill
    level: float  # how low the slice lies: 0 great vessels, 1 ventricles
    lung: float  # intensity of aerated lung

    def at(self, side: int, tangent: float, fraction: float) -> Point:
        """A point on a ray from the middle through one lung: `fraction` 1 is the pleura."""
        cos, sin = unit(tangent)
        return side * cos * fraction * self.cavity[0], sin * fraction * self.cavity[1]


def render(label: int, rng: np.random.RandomState, size: int) -> np.ndarray:
    """One slice (size, size) uint8 of class CLASSES[label]."""
    canvas = posed(rng, size, shift=0.04, scale=(0.95, 1.03), turn=0.06)
    wide, deep = between(rng, 0.86, 0.95), between(rng, 0.66, 0.76)
    wall = between(rng, 0.77, 0.84)
    chest = Chest((wide, deep), (wide * wall, deep * wall * 0.95), between(rng, 0.1, 0.9), between(rng, 0.08, 0.15))
    image = np.full((size, size), AIR)
    _wall(image, canvas, rng, chest)
    lungs = _lungs(image, canvas, rng, chest)
    _vessels(image, canvas, rng, chest, lungs)
    _mediastinum(image, canvas, rng, chest)
    LESIONS[label](image, canvas, rng, chest)
    _bones(image, canvas, rng, chest)
    contrast = between(rng, 0.88, 1.08)
    brightness = between(rng, -0.02, 0.03)
    image += 0.02 * noise(rng, size, 24)
    return finish(brightness + contrast * image + between(rng, 0.02, 0.06) * grain(rng, (size, size)))


def _wall(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> None:
    """The table's curved top, skin, fat, muscle."""
    wide, deep = chest.body
    bed = canvas.y - BACK - deep - between(rng, 0.05, 0.10) + 0.10 * canvas.x * canvas.x
    table = coverage(bed, canvas.pixel) - coverage(bed - 0.025, canvas.pixel)
    paint(image, 0.45, table * coverage(0.8 - np.abs(canvas.x), canvas.pixel))
    fat = between(rng, 0.04, 0.08)
    muscle = MUSCLE + 0.05 * noise(rng, len(image), 14)
    for value, depth in ((0.50, 0.0), (FAT, 0.02), (muscle, fat)):
        paint(image, value, ellipse(canvas, (0, BACK), (wide - depth, deep - depth), square=0.35))


def _lungs(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> np.ndarray:
    """Both lungs as one dark cavity, a little denser towards the back; the mediastinum is laid over it later."""
    lungs = ellipse(canvas, (0, 0), chest.cavity, square=0.25)
    texture = 0.05 * noise(rng, len(image), 6) + 0.03 * noise(rng, len(image), 18)
    paint(image, chest.lung + 0.05 * canvas.y + texture, lungs)
    return lungs


def _vessels(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest, lungs: np.ndarray) -> None:
    """Branches from each hilum, thinner outwards, and the dots of vessels that cross the slice."""
    vessels = np.zeros_like(image)
    for side in (-1, 1):
        hilum = (side * between(rng, 0.18, 0.24), between(rng, -0.02, 0.08))
        for i in range(6):
            spread = -0.75 + 0.3 * i + between(rng, -0.12, 0.12)
            fork = _partway(hilum, chest.at(side, spread, 0.75), between(rng, 0.35, 0.6))
            radius = between(rng, 0.014, 0.026)
            _lay(vessels, canvas, (hilum, fork), (radius, radius * 0.7), 0.44)
            for _ in range(2):
                tip = chest.at(side, spread + between(rng, -0.25, 0.25), between(rng, 0.65, 0.93))
                _lay(vessels, canvas, (fork, tip), (radius * 0.6, 0.003), 0.34)
        for _ in range(9):
            spot = chest.at(side, between(rng, -0.75, 0.75), between(rng, 0.35, 0.93))
            radius = between(rng, 0.008, 0.02)
            _lay(vessels, canvas, (spot, (spot[0] + 0.01, spot[1])), (radius, radius), between(rng, 0.2, 0.4))
    image += lungs * vessels


def _lay(layer: np.ndarray, canvas: Canvas, ends: tuple[Point, Point], radii: Point, value: float) -> None:
    window, mask = segment(canvas, ends, radii)
    np.maximum(layer[window], value * mask, out=layer[window])


def _partway(a: Point, b: Point, share: float) -> Point:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


def _mediastinum(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> None:
    """Between the lungs: fat, heart or great vessels, aorta, airways. The heart grows as the slice lies lower."""
    low, deep = chest.level, chest.cavity[1]
    blood = between(rng, BLOOD - 0.04, BLOOD + 0.16)
    paint(image, 0.44, ellipse(canvas, (0, -0.1 * deep), (0.13 + 0.03 * low, 1.05 * deep), blur=0.02))
    heart = (0.03 + 0.09 * low, -0.34 * deep + 0.03 * low)
    paint(image, 0.42, ellipse(canvas, heart, (0.22 + 0.13 * low, 0.19 + 0.10 * low), blur=0.02, square=0.2))
    chambers = 0.5 + 0.5 * noise(rng, len(image), 5)
    inside = ellipse(canvas, heart, (0.18 + 0.13 * low, 0.15 + 0.10 * low))
    paint(image, MUSCLE + (blood - MUSCLE) * chambers, low * inside)
    paint(image, blood, (1 - 0.7 * low) * ellipse(canvas, (-0.06, -0.3 * deep), (0.085, 0.085)))
    paint(image, blood, (1 - 0.7 * low) * ellipse(canvas, (0.08, -0.25 * deep), (0.10, 0.065)))
    for side in (-1, 1):
        hilum = (side * between(rng, 0.15, 0.20), between(rng, 0.0, 0.08))
        vessels = ellipse(canvas, hilum, (between(rng, 0.05, 0.08), between(rng, 0.04, 0.07)), blur=0.01)
        paint(image, blood - 0.05, vessels)
        paint(image, AIR + 0.03, ellipse(canvas, (side * (0.03 + 0.06 * low), 0.06), (0.036, 0.036)))
    paint(image, MUSCLE, ellipse(canvas, (0, 0.55 * deep), (0.17, 0.34 * deep), blur=0.02))
    paint(image, blood, ellipse(canvas, (0.13, 0.42 * deep), (0.07, 0.07)))


def _bones(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> None:
    """Vertebra with its canal and processes, sternum, and ribs cut slantwise along the wall."""
    deep = chest.cavity[1]
    spine = 0.80 * deep
    for tip in ((-0.21, spine + 0.12), (0.21, spine + 0.12), (0.0, BACK + chest.body[1] - 0.09)):
        window, mask = segment(canvas, ((0, spine + 0.08), tip), (0.05, 0.02))
        paint(image, BONE - 0.1, mask, window)
    paint(image, BONE, ellipse(canvas, (0, spine), (0.125, 0.105)))
    paint(image, BONE - 0.2, ellipse(canvas, (0, spine), (0.09, 0.07), blur=0.03))
    paint(image, 0.45, ellipse(canvas, (0, spine + 0.135), (0.048, 0.04)))
    paint(image, BONE - 0.1, ellipse(canvas, (0, -1.10 * deep), (0.11, 0.032)))
    for side in (-1, 1):
        start = between(rng, -0.72, -0.62)
        for i in range(5):
            tangent = start + 0.31 * i
            half = between(rng, 0.05, 0.09)
            ends = chest.at(side, tangent - half, 1.08), chest.at(side, tangent + half, 1.08)
            window, mask = segment(canvas, ends, (0.026, 0.026))
            paint(image, BONE - 0.04, mask, window)


def _adenocarcinoma(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> None:
    """Peripheral, small to medium: a ragged core with spicules in a halo of ground glass."""
    side = 1 if chance(rng, 0.5) else -1
    centre = chest.at(side, between(rng, -0.55, 0.55), between(rng, 0.62, 0.82))
    radius = between(rng, 0.085, 0.14)
    halo = radius * between(rng, 2.0, 3.0)
    cavity = ellipse(canvas, (0, 0), chest.cavity, square=0.25)
    mottle = 0.75 + 0.45 * noise(rng, len(image), 22)
    paint(image, 0.45, between(rng, 0.5, 1.0) * np.clip(mottle * cavity * bump(canvas, centre, (halo, halo)), 0, 1))
    for _ in range(int(between(rng, 5, 10))):
        cos, sin = unit(between(rng, -1, 1))
        reach = radius * between(rng, 1.4, 2.3) * (1 if chance(rng, 0.5) else -1)
        tip = centre[0] + cos * reach, centre[1] + sin * reach
        window, mask = segment(canvas, (centre, tip), (0.22 * radius, 0.002))
        paint(image, 0.46, mask * cavity[window], window)
    _mass(image, canvas, rng, cavity, centre, radius * 0.8, lobes=0.22, texture=0.12)


def _large_cell(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> None:
    """Peripheral, large, smooth or lobed, of one density."""
    side = 1 if chance(rng, 0.5) else -1
    centre = chest.at(side, between(rng, -0.5, 0.5), between(rng, 0.55, 0.82))
    cavity = ellipse(canvas, (0, 0), chest.cavity, square=0.25)
    _mass(image, canvas, rng, cavity, centre, between(rng, 0.17, 0.26), lobes=0.12, texture=0.02)


def _normal(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> None:
    """No tumour; now and then a granuloma, bright, tiny and round."""
    if chance(rng, 0.2):
        spot = chest.at(1 if chance(rng, 0.5) else -1, between(rng, -0.5, 0.5), between(rng, 0.5, 0.85))
        window, mask = segment(canvas, (spot, (spot[0] + 0.01, spot[1])), (0.025, 0.025))
        paint(image, 0.75, mask, window)


def _squamous(image: np.ndarray, canvas: Canvas, rng: np.random.RandomState, chest: Chest) -> None:
    """Central, at the hilum, medium, often with a darker cavity."""
    side = 1 if chance(rng, 0.5) else -1
    beside_heart = 0.10 * chest.level if side > 0 else 0.0
    centre = side * between(rng, 0.25, 0.37) + beside_heart, between(rng, -0.08, 0.16)
    radius = between(rng, 0.12, 0.19)
    cavity = ellipse(canvas, (0, 0), chest.cavity, square=0.25)
    _mass(image, canvas, rng, cavity, centre, radius, lobes=0.18, texture=0.08)
    if chance(rng, 0.75):
        hole = radius * between(rng, 0.4, 0.65)
        off = centre[0] + radius * between(rng, -0.25, 0.25), centre[1] + radius * between(rng, -0.25, 0.25)
        paint(image, between(rng, 0.08, 0.3), ellipse(canvas, off, (hole, hole * between(rng, 0.7, 1.2)), blur=0.015))


LESIONS = (_adenocarcinoma, _large_cell, _normal, _squamous)


def _mass(
    image: np.ndarray,
    canvas: Canvas,
    rng: np.random.RandomState,
    cavity: np.ndarray,
    centre: Point,
    radius: float,
    lobes: float,
    texture: float,
) -> None:
    """A solid tumour within the lungs, its radius waved by the 2nd to 5th harmonic of the angle."""
    window = canvas.window(centre, 2 * radius)
    dx, dy = canvas.x[window] - centre[0], canvas.y[window] - centre[1]
    distance = np.sqrt(dx * dx + dy * dy) + 1e-9
    cos, sin = dx / distance, dy / distance
    wave_cos, wave_sin, outline = cos, sin, np.ones_like(cos)
    for k in range(2, 6):
        wave_cos, wave_sin = wave_cos * cos - wave_sin * sin, wave_sin * cos + wave_cos * sin
        outline += 2 / k * lobes * (between(rng, -0.7, 0.7) * wave_cos + between(rng, -0.7, 0.7) * wave_sin)
    mask = coverage(radius * outline - distance, canvas.pixel + 0.01) * cavity[window]
    value = between(rng, 0.54, 0.68) + texture * noise(rng, len(image), 20)[window]
    paint(image, value, mask, window)
