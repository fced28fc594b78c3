"""Compare looking at every video frame in full with cheap looks at smaller pictures, on one clip.

For each reduction: time per look, how far boxes lie from those of the full look (in face sizes), how often the emotion
is the same, and how much readings change from frame to frame. `video` is what `emoscope analyze` does.
Bar: `video` at least halves the time, loses no frame with a face, and differs no more than a look at half size does.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common import create_parser, write_result
from emoscope.core.timecode import Every
from emoscope.core.types import Faces, Frame
from emoscope.faces.crop import crop_faces
from emoscope.faces.detect import VideoDetector, create_detector
from emoscope.faces.recognize import Recognizer
from emoscope.media.find import find_sources

REDUCTIONS = (1, 2, 4, 8)


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--every", type=int, default=2, help="use every n-th frame")
    arguments = parser.parse_args()
    [source] = find_sources([arguments.clip], Every(arguments.every))
    frames = list(source)
    choice = create_detector()
    detector, recognizer = choice.detector, Recognizer()
    looks = {f"1/{r}": (lambda frame, r=r: detector.detect(frame.image, r)) for r in REDUCTIONS}
    looks["video"] = create_video_look(detector)
    measured = {name: measure(frames, look, recognizer) for name, look in looks.items()}
    full = measured["1/1"]
    rows = {name: compare(m, full) for name, m in measured.items()}
    bars = {
        "half the time": rows["video"]["ms"] <= 0.5 * rows["1/1"]["ms"],
        "no frame lost": rows["video"]["frames_with_face"] >= rows["1/1"]["frames_with_face"],
        "as close as half size": rows["video"]["mean_change_of_probabilities"]
        <= 1.2 * rows["1/2"]["mean_change_of_probabilities"],
    }
    write_result(
        "detection",
        {
            "clip": f"{arguments.clip.name}, {len(frames)} frames",
            "detector": detector.name,
            "face_side_px": round(float(np.nanmedian(full["side"]))),
            "bars": bars,
            "looks": rows,
        },
    )


def create_video_look(detector: Any) -> Callable[[Frame], Faces]:
    """Return the look that analyses take; it expects the faces of the frame before."""
    video, expected = VideoDetector(detector), [np.empty((0, 4), np.float32)]

    def look(frame: Frame) -> Faces:
        faces = video.detect(frame.image, frame.time_s, expected[0])
        expected[0] = faces.xyxy
        return faces

    return look


def measure(frames: list[Frame], look: Callable[[Frame], Faces], recognizer: Recognizer) -> dict[str, Any]:
    """Return time per look, box (n, 4) and probabilities (n, 7) of the best face of each frame, NaN without one."""
    start = time.perf_counter()
    found = [look(frame) for frame in frames]
    ms = 1000 * (time.perf_counter() - start) / len(frames)
    boxes, probabilities = np.full((len(frames), 4), np.nan), np.full((len(frames), 7), np.nan)
    for i, (frame, faces) in enumerate(zip(frames, found, strict=True)):
        if len(faces):
            boxes[i] = faces.xyxy[0]
            crops = crop_faces(frame.image, faces.xyxy[:1], recognizer.spec.crop_margin)
            probabilities[i] = recognizer.predict(crops)[0]
    return {"ms": ms, "boxes": boxes, "probabilities": probabilities, "side": (boxes[:, 2:] - boxes[:, :2]).max(axis=1)}


def compare(found: dict[str, Any], full: dict[str, Any]) -> dict[str, float]:
    """Return a look's figures against those of full looks."""
    both = np.isfinite(found["side"]) & np.isfinite(full["side"])
    away = np.abs(found["boxes"] - full["boxes"])[both] / full["side"][both][:, None]
    p, q = found["probabilities"][both], full["probabilities"][both]
    return {
        "ms": round(found["ms"], 3),
        "frames_with_face": float(np.isfinite(found["side"]).mean()),
        "box_distance_in_faces": round(float(away.mean()), 4) if both.any() else np.nan,
        "same_emotion": round(float((p.argmax(1) == q.argmax(1)).mean()), 4) if both.any() else np.nan,
        "mean_change_of_probabilities": round(float(np.abs(p - q).sum(1).mean() / 2), 4) if both.any() else np.nan,
        "change_from_frame_to_frame": round(float(np.abs(np.diff(p, axis=0)).sum(1).mean() / 2), 4),
    }


if __name__ == "__main__":
    main()
