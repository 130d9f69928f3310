"""An axial chest CT slice, feet first as radiologists look at it: front at the top, the patient's left on the right."""

import numpy as np

from medbench.data.phantoms.drawing import Phantom, coverage, unit

AIR, FAT, MUSCLE, BLOOD, BONE = 0.02, 0.30, 0.52, 0.62, 0.93
DOT = np.array([0.01, 0])  # the length of a line that is seen as a dot
BACK = 0.05  # the body's middle lies behind the cavity's: the back carries more muscle than the front


class ChestCt(Phantom):
    title = "Chest CT phantom"
    classes = ["adenocarcinoma", "large.cell.carcinoma", "normal", "squamous.cell.carcinoma"]
    scale = (0.95, 1.03)

    def draw(self, label: int) -> None:
        wide, deep, wall = self.drawn((0.86, 0.95), (0.66, 0.76), (0.77, 0.84))
        self.cavity = np.array([wide * wall, deep * wall * 0.95])  # half-axes of what the lungs fill
        self.level = self.between(0.1, 0.9)  # how low the slice lies: 0 great vessels, 1 ventricles
        aerated = self.between(0.08, 0.15)
        self.image = np.full_like(self.x, AIR)
        self._wall(wide, deep)
        self.lungs = self.ellipse((0, 0), self.cavity, square=0.25)  # one cavity, the mediastinum is laid over it
        self.paint(aerated + 0.05 * self.y + (0.05 * self.noise(6) + 0.03 * self.noise(18)), self.lungs)
        self._vessels()
        self._mediastinum()
        (self._adenocarcinoma, self._large_cell, self._normal, self._squamous)[label]()
        self._bones(deep)
        contrast, brightness = self.drawn((0.88, 1.08), (-0.02, 0.03))
        self.image = brightness + contrast * (self.image + 0.02 * self.noise(24))

    def _at(self, side: int, tangent: float, fraction: float) -> np.ndarray:
        """A point on a ray from the middle through one lung: `fraction` 1 is the pleura."""
        return unit(tangent) * (side, 1) * fraction * self.cavity

    def _wall(self, wide: float, deep: float) -> None:
        """The table's curved top, skin, fat, muscle."""
        bed = self.y - BACK - deep - self.between(0.05, 0.10) + 0.10 * self.x * self.x
        table = coverage(bed, self.pixel) - coverage(bed - 0.025, self.pixel)
        self.paint(0.45, table * coverage(0.8 - np.abs(self.x), self.pixel))
        fat = self.between(0.04, 0.08)
        for value, depth in ((0.50, 0.0), (FAT, 0.02), (MUSCLE + 0.05 * self.noise(14), fat)):
            self.paint(value, self.ellipse((0, BACK), (wide - depth, deep - depth), square=0.35))

    def _vessels(self) -> None:
        """Branches from each hilum, thinner outwards, and the dots of vessels that cross the slice."""
        layers = []
        for side in (-1, 1):
            hilum = self.drawn((0.18, 0.24), (-0.02, 0.08)) * (side, 1)
            for i in range(6):
                spread = -0.75 + 0.3 * i + self.between(-0.12, 0.12)
                fork = hilum + self.between(0.35, 0.6) * (self._at(side, spread, 0.75) - hilum)
                radius = self.between(0.014, 0.026)
                layers.append(0.44 * self.line(hilum, fork, (radius, radius * 0.7)))
                for _ in range(2):
                    turn, fraction = self.drawn((-0.25, 0.25), (0.65, 0.93))
                    tip = self._at(side, spread + turn, fraction)
                    layers.append(0.34 * self.line(fork, tip, (radius * 0.6, 0.003)))
            for _ in range(9):
                tangent, fraction, radius, value = self.drawn((-0.75, 0.75), (0.35, 0.93), (0.008, 0.02), (0.2, 0.4))
                spot = self._at(side, tangent, fraction)
                layers.append(value * self.line(spot, spot + DOT, (radius, radius)))
        self.image += self.lungs * np.max(layers, axis=0)

    def _mediastinum(self) -> None:
        """Between the lungs: fat, heart or great vessels, aorta, airways. The heart grows as the slice lies lower."""
        low, deep, blood = self.level, self.cavity[1], self.between(BLOOD - 0.04, BLOOD + 0.16)
        heart = 0.03 + 0.09 * low, -0.34 * deep + 0.03 * low
        self.paint(0.44, self.ellipse((0, -0.1 * deep), (0.13 + 0.03 * low, 1.05 * deep), blur=0.02))
        self.paint(0.42, self.ellipse(heart, (0.22 + 0.13 * low, 0.19 + 0.10 * low), blur=0.02, square=0.2))
        chambers = MUSCLE + (blood - MUSCLE) * (0.5 + 0.5 * self.noise(5))
        self.paint(chambers, low * self.ellipse(heart, (0.18 + 0.13 * low, 0.15 + 0.10 * low)))
        self.paint(blood, (1 - 0.7 * low) * self.ellipse((-0.06, -0.3 * deep), (0.085, 0.085)))
        self.paint(blood, (1 - 0.7 * low) * self.ellipse((0.08, -0.25 * deep), (0.10, 0.065)))
        for side in (-1, 1):
            x, y, *axes = self.drawn((0.15, 0.20), (0.0, 0.08), (0.05, 0.08), (0.04, 0.07))
            self.paint(blood - 0.05, self.ellipse((side * x, y), axes, blur=0.01))
            self.paint(AIR + 0.03, self.ellipse((side * (0.03 + 0.06 * low), 0.06), (0.036, 0.036)))
        self.paint(MUSCLE, self.ellipse((0, 0.55 * deep), (0.17, 0.34 * deep), blur=0.02))
        self.paint(blood, self.ellipse((0.13, 0.42 * deep), (0.07, 0.07)))

    def _bones(self, body_depth: float) -> None:
        """Vertebra with its canal and processes, sternum, and ribs cut slantwise along the wall."""
        spine = 0.80 * self.cavity[1]
        for tip in ((-0.21, spine + 0.12), (0.21, spine + 0.12), (0.0, BACK + body_depth - 0.09)):
            self.paint(BONE - 0.1, self.line((0, spine + 0.08), tip, (0.05, 0.02)))
        self.paint(BONE, self.ellipse((0, spine), (0.125, 0.105)))
        self.paint(BONE - 0.2, self.ellipse((0, spine), (0.09, 0.07), blur=0.03))
        self.paint(0.45, self.ellipse((0, spine + 0.135), (0.048, 0.04)))
        self.paint(BONE - 0.1, self.ellipse((0, -1.10 * self.cavity[1]), (0.11, 0.032)))
        for side in (-1, 1):
            start = self.between(-0.72, -0.62)
            for i in range(5):
                tangent, half = start + 0.31 * i, self.between(0.05, 0.09)
                ends = self._at(side, tangent - half, 1.08), self._at(side, tangent + half, 1.08)
                self.paint(BONE - 0.04, self.line(*ends, (0.026, 0.026)))

    def _adenocarcinoma(self) -> None:
        """Peripheral, small to medium: a ragged core with spicules in a halo of ground glass."""
        centre = self._at(self.side(), *self.drawn((-0.55, 0.55), (0.62, 0.82)))
        radius, halo = self.drawn((0.085, 0.14), (2.0, 3.0))
        mottle = (0.75 + 0.45 * self.noise(22)) * self.lungs * self.bump(centre, (radius * halo, radius * halo))
        self.paint(0.45, self.between(0.5, 1.0) * np.clip(mottle, 0, 1))
        for _ in range(int(self.between(5, 10))):
            tangent, reach = self.drawn((-1, 1), (1.4, 2.3))
            tip = centre + unit(tangent) * (radius * reach * self.side())
            self.paint(0.46, self.line(centre, tip, (0.22 * radius, 0.002)) * self.lungs)
        self._mass(centre, radius * 0.8, lobes=0.22, texture=0.12)

    def _large_cell(self) -> None:
        """Peripheral, large, smooth or lobed, of one density."""
        centre = self._at(self.side(), *self.drawn((-0.5, 0.5), (0.55, 0.82)))
        self._mass(centre, self.between(0.17, 0.26), lobes=0.12, texture=0.02)

    def _normal(self) -> None:
        """No tumour; now and then a granuloma, bright, tiny and round."""
        if self.between(0, 1) < 0.2:
            spot = self._at(self.side(), *self.drawn((-0.5, 0.5), (0.5, 0.85)))
            self.paint(0.75, self.line(spot, spot + DOT, (0.025, 0.025)))

    def _squamous(self) -> None:
        """Central, at the hilum, beside the heart, medium, often with a darker cavity."""
        side = self.side()
        x, y, radius = self.drawn((0.25, 0.37), (-0.08, 0.16), (0.12, 0.19))
        centre = np.array([side * x + (0.10 * self.level if side > 0 else 0), y])
        self._mass(centre, radius, lobes=0.18, texture=0.08)
        if self.between(0, 1) < 0.75:
            hole, dx, dy, value, height = self.drawn((0.4, 0.65), (-0.25, 0.25), (-0.25, 0.25), (0.08, 0.3), (0.7, 1.2))
            axes = radius * hole, radius * hole * height
            self.paint(value, self.ellipse(centre + radius * np.array([dx, dy]), axes, blur=0.015))

    def _mass(self, centre: np.ndarray, radius: float, lobes: float, texture: float) -> None:
        """A solid tumour within the lungs, its radius waved by the 2nd to 5th harmonic of the angle."""
        dx, dy = self.x - centre[0], self.y - centre[1]
        distance = np.sqrt(dx * dx + dy * dy) + 1e-9
        cos, sin = dx / distance, dy / distance
        wave_cos, wave_sin, outline = cos, sin, np.ones_like(cos)
        for k in range(2, 6):
            wave_cos, wave_sin = wave_cos * cos - wave_sin * sin, wave_sin * cos + wave_cos * sin
            outline += 2 / k * lobes * (self.between(-0.7, 0.7) * wave_cos + self.between(-0.7, 0.7) * wave_sin)
        value = self.between(0.54, 0.68) + texture * self.noise(20)
        self.paint(value, coverage(radius * outline - distance, self.pixel + 0.01) * self.lungs)
