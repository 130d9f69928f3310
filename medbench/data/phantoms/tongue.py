"""A photograph of a tongue put out: skin, lips, the dark mouth, and the coating whose colour is the class."""

import numpy as np

from medbench.data.phantoms.drawing import (
    Canvas,
    between,
    bump,
    chance,
    coverage,
    ellipse,
    finish,
    grain,
    noise,
    posed,
    smooth,
    stripe,
)

CLASSES = ["light_yellow", "white", "yellow"]
YELLOWNESS = ((0.26, 0.64), (0.0, 0.36), (0.54, 1.0))  # range by class; neighbours overlap

SKIN = np.array([0.80, 0.61, 0.52])
LIP = np.array([0.70, 0.36, 0.36])
MOUTH = np.array([0.14, 0.05, 0.06])
TONGUE = np.array([0.80, 0.43, 0.44])
WHITE = np.array([0.87, 0.80, 0.79])
YELLOW = np.array([0.80, 0.63, 0.34])


def render(label: int, rng: np.random.RandomState, size: int) -> np.ndarray:
    """One photograph (size, size, 3) uint8 of class CLASSES[label]."""
    canvas = posed(rng, size, shift=0.06, scale=(0.88, 1.05), turn=0.10)
    image = _mouth(canvas, rng)
    half_width, tip = between(rng, 0.46, 0.58), between(rng, 0.68, 0.84)
    body = _body(canvas, half_width, tip)
    _blend(image, 0.45 * MOUTH, 0.6 * _body(canvas, half_width + 0.06, tip + 0.07, blur=0.12))
    _blend(image, _surface(canvas, rng, label, half_width, tip), body)
    light = 1 + between(rng, -0.12, 0.12) * canvas.x + between(rng, -0.15, 0.05) * canvas.y
    tint = np.array([between(rng, 0.94, 1.08), between(rng, 0.95, 1.04), between(rng, 0.86, 1.10)])
    image *= (between(rng, 0.82, 1.06) * light)[..., None] * tint
    return finish(image + between(rng, 0.02, 0.05) * grain(rng, (size, size, 3)))


def _blend(image: np.ndarray, colour: np.ndarray, mask: np.ndarray) -> None:
    image += mask[..., None] * (colour - image)


def _mouth(canvas: Canvas, rng: np.random.RandomState) -> np.ndarray:
    """Skin, both lips, the cavity and a row of upper teeth."""
    size = len(canvas.x)
    shade = 1 + 0.06 * noise(rng, size, 4) - 0.12 * np.abs(canvas.x)
    image = shade[..., None] * (SKIN * between(rng, 0.72, 1.06))
    top = between(rng, -0.72, -0.60)
    lips = ellipse(canvas, (0, -0.10), (0.84, 0.12 - top), blur=0.05, square=0.2)
    _blend(image, LIP * (1 + 0.08 * noise(rng, size, 20))[..., None], lips)
    cavity = ellipse(canvas, (0, -0.08), (0.69, -0.12 - top), blur=0.05, square=0.2)
    _blend(image, MOUTH, cavity)
    teeth = cavity * ellipse(canvas, (0, top + 0.14), (0.54, 0.14), blur=0.03, square=0.7)
    gaps = stripe((canvas.x / 0.14 + 0.5) - np.rint(canvas.x / 0.14 + 0.5), 0.06, canvas.pixel / 0.14)
    visible = between(rng, 0.3, 0.9) if chance(rng, 0.6) else 0.0
    _blend(image, np.array([0.86, 0.82, 0.74]), visible * teeth * (1 - 0.3 * gaps))
    return image


def _body(canvas: Canvas, half_width: float, tip: float, blur: float = 0.02) -> np.ndarray:
    """The tongue's outline: wide at the root, a rounded tip below."""
    root = ellipse(canvas, (0, -0.10), (half_width, 0.48), blur=blur, square=0.3)
    front = ellipse(canvas, (0, 0.10), (half_width * 0.97, tip - 0.10), blur=blur, square=0.15)
    return np.maximum(root, front)


def _surface(canvas: Canvas, rng: np.random.RandomState, label: int, half_width: float, tip: float) -> np.ndarray:
    """Colour (size, size, 3) of the tongue: flesh, papillae, coating, fissure, wet highlights, rounded by shading."""
    size = len(canvas.x)
    papillae = noise(rng, size, 48)
    flesh = TONGUE * np.array([between(rng, 0.88, 1.08), between(rng, 0.85, 1.1), between(rng, 0.88, 1.1)])
    colour = flesh * (1 + 0.10 * papillae + 0.06 * noise(rng, size, 8))[..., None]
    yellowness = between(rng, *YELLOWNESS[label])
    coat = WHITE + yellowness * (YELLOW - WHITE)
    _blend(colour, coat * (1 + 0.07 * papillae)[..., None], _coating(canvas, rng, half_width, tip))
    u, v = canvas.x / half_width, canvas.y / tip
    shade = 1.05 - 0.28 * u * u - 0.14 * v * v
    shade -= _fissure(canvas, rng, tip)
    colour *= shade[..., None]
    for _ in range(int(between(rng, 2, 6))):
        spot = between(rng, -0.6, 0.6) * half_width, between(rng, -0.1, 0.8) * tip
        gleam = bump(canvas, spot, (between(rng, 0.03, 0.08), between(rng, 0.03, 0.10)))
        colour += (between(rng, 0.1, 0.3) * gleam)[..., None]
    return colour


def _coating(canvas: Canvas, rng: np.random.RandomState, half_width: float, tip: float) -> np.ndarray:
    """How thick the coating lies (0 to 1): on the middle and rear, ragged, thin towards edges and tip."""
    size = len(canvas.x)
    u, v = canvas.x / (half_width * between(rng, 0.72, 0.98)), (canvas.y + 0.22) / (tip * between(rng, 0.75, 1.1))
    ragged = 0.35 * noise(rng, size, 7) + 0.25 * noise(rng, size, 18)
    spread = smooth(np.clip(1.25 * (1 - u * u - v * v) + ragged, 0, 1))
    return between(rng, 0.52, 0.94) * spread


def _fissure(canvas: Canvas, rng: np.random.RandomState, tip: float) -> np.ndarray:
    """Darkening along the median line, slightly bent, open between root and tip."""
    bend = between(rng, -0.10, 0.10)
    line = canvas.x - bend * canvas.y * (canvas.y - 0.3)
    ends = coverage(canvas.y + between(rng, 0.25, 0.4), 0.3) * coverage(tip * between(rng, 0.45, 0.75) - canvas.y, 0.35)
    groove = stripe(line, between(rng, 0.010, 0.022), canvas.pixel + 0.02) + 0.35 * stripe(line, 0.05, 0.10)
    return between(rng, 0.15, 0.42) * ends * groove
