"""A frontal chest radiograph: what is dense is bright, and the patient's left, with the heart, is on the right."""

import numpy as np

from medbench.data.phantoms.drawing import Phantom, coverage, stripe


class ChestXray(Phantom):
    title = "Chest X-ray phantom"
    classes = ["normal", "pneumonia"]
    scale = (0.96, 1.08)

    def draw(self, label: int) -> None:
        dome, self.half_width, self.apex = self.drawn((0.42, 0.58), (0.70, 0.82), (-0.82, -0.72))
        self.domes = dome - 0.05, dome + 0.03  # heights (y, down): the liver lifts the one on the left
        lungs = np.maximum(self._lung(-1, self.domes[0]), self._lung(1, self.domes[1]))
        density = self._soft_tissue()
        air, heart = lungs * self.between(0.36, 0.46), self._heart()
        density -= air * (1 - 0.92 * heart)
        density += self._bones() + lungs * self._markings()
        density += lungs * (1 - heart) * self._opacity() if label else lungs * self._haze()
        self.image = self.between(0.90, 1.06) * density + self.between(-0.04, 0.04)

    def _soft_tissue(self) -> np.ndarray:
        """Trunk, shoulders and neck over black air, brighter along the middle where spine and mediastinum add up."""
        x, y = self.x, self.y
        trunk = self.ellipse((0, 0.55), (self.between(1.0, 1.14), 1.5), blur=0.06, square=0.75)
        neck = self.ellipse((0, -1.0), (self.between(0.26, 0.34), 0.5), blur=0.08)
        low = np.clip(y + 0.4, 0, 1)
        density = np.maximum(trunk * (0.60 + 0.12 * (low * low * (3 - 2 * low))), 0.55 * neck)
        density += 0.16 * trunk * stripe(x, 0.11, 0.12) + 0.03 * self.noise(4)
        return density - 0.12 * (stripe(x - 0.01, 0.045, self.pixel + 0.03) * coverage(-0.25 - y, 0.1))  # the trachea

    def _lung(self, side: int, dome: float) -> np.ndarray:
        """A rounded apex, an outer wall that widens downwards, the dome below, the mediastinum beside it."""
        x, middle, height = side * self.x, (self.apex + dome + 0.25) / 2, (dome + 0.25 - self.apex) / 2
        field = self.ellipse((side * 0.36, middle), (self.half_width - 0.36, height), blur=0.03, square=0.55)
        bulge = (x - 0.34) / (self.half_width - 0.30)
        floor = coverage(dome + 0.22 * bulge * bulge - self.y, self.pixel + 0.03)
        return field * floor * coverage(x - 0.10, self.pixel + 0.05)

    def _heart(self) -> np.ndarray:
        """The heart's shadow, mostly right of the middle, with the aortic knob above it."""
        size, low = self.between(0.9, 1.12), self.domes[1]
        parts = (
            ((0.15, low - 0.20), (0.30 * size, 0.27 * size), 0.04),
            ((0.08, low - 0.45), (0.16, 0.30), 0.06),
            ((-0.08, low - 0.25), (0.14, 0.28), 0.05),
            ((0.10, -0.32), (0.08, 0.10), 0.05),
        )
        return np.max([self.ellipse(*part) for part in parts], axis=0)

    def _bones(self) -> np.ndarray:
        """Ribs behind and in front, clavicles, vertebrae."""
        x, y, pixel = np.abs(self.x), self.y, self.pixel
        cage = coverage(self.half_width + 0.05 - x, 0.06) * coverage(x - 0.07, 0.06) * coverage(0.85 - y, 0.2)
        cage *= coverage(y - self.apex + 0.05, 0.1)
        gap, phase, strength = self.drawn((0.145, 0.17), (0, 1), (0.08, 0.14))
        back, front = y - 0.10 * x + 0.75 * (x - 0.40) * (x - 0.40), y - 0.55 * x - 0.35 * x * x
        bones = cage * strength * _every(back, gap, phase, 0.036, pixel + 0.012)
        near = 0.45 * strength * coverage(x - 0.3, 0.2)
        bones += cage * near * _every(front, gap * 1.15, phase + 0.4, 0.034, pixel + 0.02)
        for side in (-1, 1):
            inner, outer = (side * 0.07, self.apex + 0.20), (side * 0.78, self.apex + 0.02)
            knee = side * 0.42, self.apex + self.between(0.06, 0.12)
            for ends in ((inner, knee), (knee, outer)):
                bones = np.maximum(bones, 0.15 * self.line(*ends, (0.036, 0.03), blur=0.01))
        return bones + 0.06 * stripe(self.x, 0.075, pixel + 0.03) * _every(y, 0.14, phase, 0.045, pixel + 0.02)

    def _markings(self) -> np.ndarray:
        """Hila and the vessels that fan out from them."""
        vessels, hila = [], np.zeros_like(self.x)
        for side in (-1, 1):
            *hilum, strength = self.drawn((0.17, 0.22), (-0.12, -0.02), (0.08, 0.18)) * (side, 1, 1)
            hila += strength * self.bump(hilum, (0.17, 0.26))
            for i in range(7):
                x, dy, radius = self.drawn((0.30, 0.62), (-0.06, 0.06), (0.012, 0.022))
                tip = side * x, -0.50 + 0.15 * i + dy
                vessels.append(0.11 * self.line(hilum, tip, (radius, 0.002), blur=0.02))
        return np.max(vessels, axis=0) + hila

    def _haze(self) -> np.ndarray:
        """What a normal lung may show: uneven inflation, less than a pneumonia but not nothing."""
        return self.between(0, 0.05) + 0.05 * self.noise(3)

    def _opacity(self) -> np.ndarray:
        """One patch in a lobe, or several through both lungs, cloudy inside and without a sharp border."""
        cloud = 0.7 + 0.5 * self.noise(5) + 0.4 * self.noise(12)
        diffuse = self.between(0, 1) < 0.4
        opacity = self._haze()
        for side in (0, 0, -1, 1) if diffuse else (0,):  # 0: of either lung
            side = side or self.side()
            ranges = (0.28, 0.55), (-0.35, self.domes[0] - 0.02), (0.10, 0.25) if diffuse else (0.16, 0.46)
            x, y, strength, *axes = self.drawn(*ranges, (0.22, 0.42), (0.22, 0.46))
            opacity += strength * cloud * self.bump((side * x, y), axes)
        return opacity


def _every(height: np.ndarray, gap: float, phase: float, half_width: float, width: float) -> np.ndarray:
    """Bands `gap` apart along a height field: all ribs of a side in one stroke."""
    turns = height / gap + phase
    return stripe((turns - np.rint(turns)) * gap, half_width, width)
