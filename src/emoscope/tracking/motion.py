"""Motion of one face, for tracking: boxes and times in, the box expected at another time out."""

import math
from dataclasses import dataclass

JITTER = 0.05
"""Standard deviation of a detected box's centre; like all lengths here in units of the face's size."""
START_SPEED = 3.0
"""Standard deviation of the speed of a new face, sizes per second."""
ACCELERATION = 5.0
"""How freely people change their speed: variance gained per second, sizes^2 / s^3."""
COAST_S = 0.5
"""A face unseen slows down: it keeps 37 % of its speed after this time."""
SIZE_GAIN = 0.4
"""Weight of the newest box in a face's width and height."""

Centre = tuple[float, float, float, float]
"""A box as x and y of its centre, width, height, in pixels."""


@dataclass(slots=True)
class Motion:
    """A face's place and speed, and how sure both are: a Kalman filter with nearly constant velocity."""

    x: float
    y: float
    width: float
    height: float
    time_s: float
    speed_x: float = 0.0
    speed_y: float = 0.0
    place_variance: float = JITTER**2
    covariance: float = 0.0
    speed_variance: float = START_SPEED**2

    @property
    def size(self) -> float:
        """The face's size, its box's mean side, in pixels."""
        return max(1.0, math.sqrt(self.width * self.height))

    def expect(self, time_s: float) -> tuple[float, float, float]:
        """Return x, y and the variance of the place at a later time."""
        dt = max(0.0, time_s - self.time_s)
        reach = COAST_S * (1 - math.exp(-dt / COAST_S))
        variance = self.place_variance + 2 * reach * self.covariance + reach**2 * self.speed_variance
        return self.x + self.speed_x * reach, self.y + self.speed_y * reach, variance + ACCELERATION * dt**3 / 3

    def update(self, box: Centre, time_s: float) -> None:
        """Take the box in which the face was seen."""
        x, y, width, height = box
        dt = max(0.0, time_s - self.time_s)
        self.x, self.y, place = self.expect(time_s)
        left = math.exp(-dt / COAST_S)
        reach = COAST_S * (1 - left)
        covariance = left * (self.covariance + reach * self.speed_variance) + ACCELERATION * dt**2 / 2
        speed = left**2 * self.speed_variance + ACCELERATION * dt
        self.speed_x, self.speed_y = left * self.speed_x, left * self.speed_y
        noise = JITTER**2
        place_gain, speed_gain = place / (place + noise), covariance / (place + noise)
        miss_x, miss_y = x - self.x, y - self.y
        self.x, self.y = self.x + place_gain * miss_x, self.y + place_gain * miss_y
        self.speed_x, self.speed_y = self.speed_x + speed_gain * miss_x, self.speed_y + speed_gain * miss_y
        self.place_variance = (1 - place_gain) * place
        self.covariance = (1 - place_gain) * covariance
        self.speed_variance = speed - speed_gain * covariance
        self.width += SIZE_GAIN * (width - self.width)
        self.height += SIZE_GAIN * (height - self.height)
        self.time_s = time_s
