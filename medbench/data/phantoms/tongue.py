"""A photograph of a tongue put out: skin, lips, the dark mouth, and the coating whose colour is the class."""

import numpy as np

from medbench.data.phantoms.drawing import Phantom, coverage, stripe

YELLOWNESS = ((0.26, 0.64), (0.0, 0.36), (0.54, 1.0))  # range by class; neighbours overlap
SKIN, LIP, MOUTH = np.array([(0.80, 0.61, 0.52), (0.70, 0.36, 0.36), (0.14, 0.05, 0.06)])
TEETH, FLESH = np.array([(0.86, 0.82, 0.74), (0.80, 0.43, 0.44)])
WHITE, YELLOW = np.array([(0.87, 0.80, 0.79), (0.80, 0.63, 0.34)])


class Tongue(Phantom):
    title = "Tongue phantom"
    classes = ["light_yellow", "white", "yellow"]
    horizontal_flip = True
    shift, scale, turn, grain = 0.06, (0.88, 1.05), 0.10, 0.05

    def draw(self, label: int) -> None:
        self._mouth()
        self.half_width, self.tip = self.drawn((0.46, 0.58), (0.68, 0.84))
        self.paint(0.45 * MOUTH, 0.6 * self._outline(self.half_width + 0.06, self.tip + 0.07, blur=0.12))
        self.paint(self._surface(label), self._outline(self.half_width, self.tip, blur=0.02))
        light = 1 + self.between(-0.12, 0.12) * self.x + self.between(-0.15, 0.05) * self.y
        tint = self.drawn((0.94, 1.08), (0.95, 1.04), (0.86, 1.10))
        self.image *= (self.between(0.82, 1.06) * light)[..., None] * tint

    def _mouth(self) -> None:
        """Skin, both lips, the cavity and a row of upper teeth."""
        shade = 1 + 0.06 * self.noise(4) - 0.12 * np.abs(self.x)
        self.image = shade[..., None] * (SKIN * self.between(0.72, 1.06))
        top = self.between(-0.72, -0.60)
        lips = self.ellipse((0, -0.10), (0.84, 0.12 - top), blur=0.05, square=0.2)
        self.paint(LIP * (1 + 0.08 * self.noise(20))[..., None], lips)
        cavity = self.ellipse((0, -0.08), (0.69, -0.12 - top), blur=0.05, square=0.2)
        self.paint(MOUTH, cavity)
        teeth = cavity * self.ellipse((0, top + 0.14), (0.54, 0.14), blur=0.03, square=0.7)
        place = self.x / 0.14 + 0.5
        gaps = stripe(place - np.rint(place), 0.06, self.pixel / 0.14)
        visible = self.between(0.3, 0.9) if self.between(0, 1) < 0.6 else 0.0
        self.paint(TEETH, visible * teeth * (1 - 0.3 * gaps))

    def _outline(self, half_width: float, tip: float, blur: float) -> np.ndarray:
        """Wide at the root, a rounded tip below."""
        root = self.ellipse((0, -0.10), (half_width, 0.48), blur, square=0.3)
        return np.maximum(root, self.ellipse((0, 0.10), (half_width * 0.97, tip - 0.10), blur, square=0.15))

    def _surface(self, label: int) -> np.ndarray:
        """Colour (size, size, 3) of flesh, papillae, coating, fissure and wet highlights, rounded by shading."""
        papillae = self.noise(48)
        flesh = FLESH * self.drawn((0.88, 1.08), (0.85, 1.1), (0.88, 1.1))
        colour = flesh * (1 + 0.10 * papillae + 0.06 * self.noise(8))[..., None]
        coat = WHITE + self.between(*YELLOWNESS[label]) * (YELLOW - WHITE)
        colour += self._coating()[..., None] * (coat * (1 + 0.07 * papillae)[..., None] - colour)
        u, v = self.x / self.half_width, self.y / self.tip
        colour *= (1.05 - 0.28 * u * u - 0.14 * v * v - self._fissure())[..., None]
        for _ in range(int(self.between(2, 6))):
            x, y, *axes, gleam = self.drawn((-0.6, 0.6), (-0.1, 0.8), (0.03, 0.08), (0.03, 0.10), (0.1, 0.3))
            colour += (gleam * self.bump((x * self.half_width, y * self.tip), axes))[..., None]
        return colour

    def _coating(self) -> np.ndarray:
        """How thick the coating lies (0 to 1): on the middle and rear, ragged, thin towards edges and tip."""
        wide, long = self.drawn((0.72, 0.98), (0.75, 1.1))
        u, v = self.x / (self.half_width * wide), (self.y + 0.22) / (self.tip * long)
        ragged = 0.35 * self.noise(7) + 0.25 * self.noise(18)
        spread = np.clip(1.25 * (1 - u * u - v * v) + ragged, 0, 1)
        return self.between(0.52, 0.94) * (spread * spread * (3 - 2 * spread))

    def _fissure(self) -> np.ndarray:
        """Darkening along the median line, slightly bent, open between root and tip."""
        bend, root, tip, width, depth = self.drawn((-0.1, 0.1), (0.25, 0.4), (0.45, 0.75), (0.01, 0.022), (0.15, 0.42))
        line = self.x - bend * self.y * (self.y - 0.3)
        ends = coverage(self.y + root, 0.3) * coverage(self.tip * tip - self.y, 0.35)
        return depth * ends * (stripe(line, width, self.pixel + 0.02) + 0.35 * stripe(line, 0.05, 0.10))
