"""A frontal chest radiograph: what is dense is bright, and the patient's left, with the heart, is on the right."""

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
    posed,
    segment,
    smooth,
    stripe,
)

CLASSES = ["normal", "pneumonia"]


@dataclass(frozen=True)
class Thorax:
    """Where a lung lies: outer half-width of the rib cage, and the heights of the apex and of both domes (y, down)."""

    half_width: float
    apex: float
    domes: Point  # left and right in the image; the liver lifts the left one


def render(label: int, rng: np.random.RandomState, size: int) -> np.ndarray:
    """One radiograph (size, size) uint8 of class CLASSES[label]."""
    canvas = posed(rng, size, shift=0.04, scale=(0.96, 1.08), turn=0.06)
    dome = between(rng, 0.42, 0.58)
    thorax = Thorax(between(rng, 0.70, 0.82), between(rng, -0.82, -0.72), (dome - 0.05, dome + 0.03))
    lungs = _lungs(canvas, thorax)
    density = _soft_tissue(canvas, rng)
    air = lungs * between(rng, 0.36, 0.46)
    heart = _heart(canvas, rng, thorax)
    density -= air * (1 - 0.92 * heart)
    density += _bones(canvas, rng, thorax) + lungs * _markings(canvas, rng)
    if CLASSES[label] == "pneumonia":
        density += lungs * (1 - heart) * _opacity(canvas, rng, thorax)
    else:
        density += lungs * _haze(rng, size)
    image = between(rng, 0.90, 1.06) * density + between(rng, -0.04, 0.04)
    return finish(image + between(rng, 0.02, 0.06) * grain(rng, (size, size)))


def _soft_tissue(canvas: Canvas, rng: np.random.RandomState) -> np.ndarray:
    """Trunk, shoulders and neck over black air, brighter along the middle where spine and mediastinum add up."""
    x, y = canvas.x, canvas.y
    trunk = ellipse(canvas, (0, 0.55), (between(rng, 1.0, 1.14), 1.5), blur=0.06, square=0.75)
    neck = ellipse(canvas, (0, -1.0), (between(rng, 0.26, 0.34), 0.5), blur=0.08)
    density = np.maximum(trunk * (0.60 + 0.12 * smooth(np.clip(y + 0.4, 0, 1))), 0.55 * neck)
    density += 0.16 * trunk * stripe(x, 0.11, 0.12) + 0.03 * noise(rng, len(x), 4)
    trachea = stripe(x - 0.01, 0.045, canvas.pixel + 0.03) * coverage(-0.25 - y, 0.1)
    return density - 0.12 * trachea


def _lungs(canvas: Canvas, thorax: Thorax) -> np.ndarray:
    """Two fields: rounded apices, outer walls that widen downwards, domes below, the mediastinum between."""
    lungs = np.zeros_like(canvas.x)
    for side, dome in zip((-1, 1), thorax.domes, strict=True):
        x = side * canvas.x
        middle, height = (thorax.apex + dome + 0.25) / 2, (dome + 0.25 - thorax.apex) / 2
        field = ellipse(canvas, (side * 0.36, middle), (thorax.half_width - 0.36, height), blur=0.03, square=0.55)
        bulge = (x - 0.34) / (thorax.half_width - 0.30)
        floor = coverage(dome + 0.22 * bulge * bulge - canvas.y, canvas.pixel + 0.03)
        inner = coverage(x - 0.10, canvas.pixel + 0.05)
        np.maximum(lungs, field * floor * inner, out=lungs)
    return lungs


def _heart(canvas: Canvas, rng: np.random.RandomState, thorax: Thorax) -> np.ndarray:
    """The heart's shadow, mostly right of the middle, with the aortic knob above it."""
    size = between(rng, 0.9, 1.12)
    low = thorax.domes[1]
    shadow = ellipse(canvas, (0.15, low - 0.20), (0.30 * size, 0.27 * size), blur=0.04)
    shadow = np.maximum(shadow, ellipse(canvas, (0.08, low - 0.45), (0.16, 0.30), blur=0.06))
    shadow = np.maximum(shadow, ellipse(canvas, (-0.08, low - 0.25), (0.14, 0.28), blur=0.05))
    return np.maximum(shadow, ellipse(canvas, (0.10, -0.32), (0.08, 0.10), blur=0.05))


def _bones(canvas: Canvas, rng: np.random.RandomState, thorax: Thorax) -> np.ndarray:
    """Ribs behind and in front, clavicles, vertebrae."""
    x, y = np.abs(canvas.x), canvas.y
    cage = coverage(thorax.half_width + 0.05 - x, 0.06) * coverage(x - 0.07, 0.06) * coverage(0.85 - y, 0.2)
    cage *= coverage(y - thorax.apex + 0.05, 0.1)
    gap, phase = between(rng, 0.145, 0.17), between(rng, 0, 1)
    back = y - 0.10 * x + 0.75 * (x - 0.40) * (x - 0.40)
    front = y - 0.55 * x - 0.35 * x * x
    strength = between(rng, 0.08, 0.14)
    bones = cage * strength * _every(back, gap, phase, 0.036, canvas.pixel + 0.012)
    near = 0.45 * strength * coverage(x - 0.3, 0.2)
    bones += cage * near * _every(front, gap * 1.15, phase + 0.4, 0.034, canvas.pixel + 0.02)
    for side in (-1, 1):
        knee = (side * 0.42, thorax.apex + between(rng, 0.06, 0.12))
        for ends in (((side * 0.07, thorax.apex + 0.20), knee), (knee, (side * 0.78, thorax.apex + 0.02))):
            window, mask = segment(canvas, ends, (0.036, 0.03), blur=0.01)
            np.maximum(bones[window], 0.15 * mask, out=bones[window])
    spine = stripe(canvas.x, 0.075, canvas.pixel + 0.03)
    return bones + 0.06 * spine * _every(y, 0.14, phase, 0.045, canvas.pixel + 0.02)


def _every(height: np.ndarray, gap: float, phase: float, half_width: float, width: float) -> np.ndarray:
    """Bands `gap` apart along a height field: all ribs of a side in one stroke."""
    turns = height / gap + phase
    return stripe((turns - np.rint(turns)) * gap, half_width, width)


def _markings(canvas: Canvas, rng: np.random.RandomState) -> np.ndarray:
    """Hila and the vessels that fan out from them."""
    layer, hila = np.zeros_like(canvas.x), np.zeros_like(canvas.x)
    for side in (-1, 1):
        hilum = (side * between(rng, 0.17, 0.22), between(rng, -0.12, -0.02))
        hila += between(rng, 0.08, 0.18) * bump(canvas, hilum, (0.17, 0.26))
        for i in range(7):
            tip = (side * between(rng, 0.30, 0.62), -0.50 + 0.15 * i + between(rng, -0.06, 0.06))
            window, mask = segment(canvas, (hilum, tip), (between(rng, 0.012, 0.022), 0.002), blur=0.02)
            np.maximum(layer[window], 0.11 * mask, out=layer[window])
    return layer + hila


def _haze(rng: np.random.RandomState, size: int) -> np.ndarray:
    """What a normal lung may show: uneven inflation, less than a pneumonia but not nothing."""
    return between(rng, 0, 0.05) + 0.05 * noise(rng, size, 3)


def _opacity(canvas: Canvas, rng: np.random.RandomState, thorax: Thorax) -> np.ndarray:
    """One patch in a lobe, or several through both lungs, cloudy inside and without a sharp border."""
    size = len(canvas.x)
    cloud = 0.7 + 0.5 * noise(rng, size, 5) + 0.4 * noise(rng, size, 12)
    diffuse = chance(rng, 0.4)
    layer = _haze(rng, size)
    for i in range(4 if diffuse else 1):
        side = (1 if chance(rng, 0.5) else -1) if i < 2 else (-1, 1)[i - 2]
        centre = side * between(rng, 0.28, 0.55), between(rng, -0.35, thorax.domes[0] - 0.02)
        strength = between(rng, 0.10, 0.25) if diffuse else between(rng, 0.16, 0.46)
        layer += strength * cloud * bump(canvas, centre, (between(rng, 0.22, 0.42), between(rng, 0.22, 0.46)))
    return layer
