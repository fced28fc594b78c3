"""How a face box must grow so that the crop looks like FER2013's: the constant CROP_MARGIN.

FER2013's pictures are the crops of a face detector of 2013. This finds the face again in enlarged Training pictures
with both detectors of the product and compares their boxes with the picture's side.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from common import create_parser, write_result
from emoscope.faces.detect import create_detector
from emoscope.study.data.dataset import Dataset

SCALE, BORDER_PX = 4, 64


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n", type=int, default=2000)
    arguments = parser.parse_args()
    dataset = Dataset.load(arguments.data)
    rows = np.flatnonzero(dataset.usage == "Training")
    rows = np.random.default_rng(0).choice(rows, min(arguments.n, len(rows)), replace=False)
    yunet, own = (create_detector(name).detector for name in ("yunet", "own"))
    side = 48 * SCALE
    found: dict[str, list[float]] = {"margin": [], "x": [], "y": [], "own": []}
    for pixels in dataset.pixels[rows]:
        image = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC)
        image = cv2.copyMakeBorder(image, *[BORDER_PX] * 4, cv2.BORDER_REPLICATE)
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        faces = yunet.detect(image)
        if len(faces) != 1:
            continue
        x1, y1, x2, y2 = faces.xyxy[0]
        longer = max(x2 - x1, y2 - y1)
        found["margin"].append(side / longer - 1)
        found["x"].append(((x1 + x2) / 2 - BORDER_PX - side / 2) / longer)
        found["y"].append(((y1 + y2) / 2 - BORDER_PX - side / 2) / longer)
        boxes = own.detect(image).xyxy
        if len(boxes) == 1:
            found["own"].append(longer / (boxes[0, 2] - boxes[0, 0]))
    if not found["own"]:
        sys.exit("no face was found by both detectors")
    write_result(
        "crop_margin",
        {
            "n": len(rows),
            "n_found": len(found["margin"]),
            "crop_margin_median": float(np.median(found["margin"])),
            "crop_margin_quartiles": np.percentile(found["margin"], [25, 75]).tolist(),
            "centre_offset_median_xy": [float(np.median(found["x"])), float(np.median(found["y"]))],
            "n_found_by_both": len(found["own"]),
            "yunet_to_own_side_median": float(np.median(found["own"])),
        },
    )


if __name__ == "__main__":
    main()
