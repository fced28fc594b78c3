"""Annotation: an image with its result in, a copy with boxes, person numbers and emotions out."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from emoscope.core.frame_result import FrameResult, Reading
from emoscope.core.types import Image
from emoscope.outputs import blur as hide
from emoscope.outputs.ink import (
    DARK,
    GREY,
    WHITE,
    Colour,
    find_bgr,
    find_drawable,
    measure_text,
    put_bar,
    put_plate,
    put_text,
    write_reading,
)

MIN_LINE_PX = 11
"""Below this letters run together."""
LINE_SHARE = 0.12
"""Height of a line of text as a share of the face box's shorter side."""
PANEL_LINES = 8.6
"""Height of the panel in lines of text."""
PANEL_FACES = 1.7
"""A panel that would be so many times as high as its face is left out."""

Rectangle = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels, exclusive end."""


def annotate(image: Image, result: FrameResult, blur_faces: bool = False) -> Image:
    """Return a copy of the image with each face's box, number, emotion, probability and, with room, a bar per class.

    All of it is the result's reading; `?` marks a face of which that is uncertain.

    Args:
        image: (h, w, 3) uint8 BGR.
        result: its faces; boxes may lie anywhere.
        blur_faces: hide who the people are.
    """
    out = image.copy()
    if blur_faces:
        hide.blur_in_place(out, result.faces.xyxy)
    draw_result(out, result)
    return out


def draw_result(image: Image, result: FrameResult, sides: dict[int, int] | None = None) -> None:
    """Draw on the image itself.

    Args:
        image: (h, w, 3) uint8 BGR, changed.
        result: its faces.
        sides: for a video, an empty dictionary to begin with: keeps where each person's bars stood in the frame before,
            so that they do not jump from one side to the other and back.
    """
    h, w = image.shape[:2]
    faces = result.faces
    boxes = hide.limit_boxes(faces.xyxy, (w, h))
    seen = (boxes[:, 0] < w) & (boxes[:, 1] < h) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    reading = result.reading
    is_read = len(reading.emotion) > 0
    colours = [find_bgr(reading.classes)[i] for i in reading.emotion] if is_read else [WHITE] * len(boxes)
    places = _Places((w, h), boxes[seen])
    sizes = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    # The largest face chooses first where its label and bars go.
    order = [int(i) for i in np.argsort(-sizes, kind="stable") if seen[i]]
    for i in reversed(order):
        _draw_box(image, boxes[i], colours[i], _choose_line(sizes[i], (w, h)))
    for i in order:
        number = "" if faces.track_id is None else str(faces.track_id[i])
        texts = _write_label(number, reading, i) if is_read else [number]
        _draw_label(image, boxes[i], texts, colours[i], _choose_line(sizes[i], (w, h)), places)
    sides = {} if sides is None else sides
    for i in order if is_read else []:
        track_id = -1 if faces.track_id is None else int(faces.track_id[i])
        side = _draw_panel(image, boxes[i], reading, i, places, sides.get(track_id, 0))
        if side is not None and track_id >= 0:
            sides[track_id] = side


def _choose_line(side_px: float, size_wh: tuple[int, int]) -> int:
    """Return the height of text beside a face: with the face, within what suits the picture."""
    smallest = max(MIN_LINE_PX, min(size_wh) / 80)
    largest = max(smallest, min(size_wh) / 28)
    wanted = min(max(side_px * LINE_SHARE, smallest), largest)
    # Steps of a tenth: text must not breathe with every pixel by which a box changes.
    return max(round(smallest), round(1.1 ** round(math.log(wanted, 1.1))))


def _write_label(number: str, reading: Reading, i: int) -> list[str]:
    """Return the label's texts, longest first."""
    emotion, is_uncertain = find_drawable(reading.classes)[reading.emotion[i]], bool(reading.uncertain[i])
    texts = [write_reading(emotion, p, is_uncertain) for p in (float(reading.probability[i]), None)]
    return [*(f"{number}  {text}" if number else text for text in texts), number]


class _Places:
    """What is taken in a picture: faces, labels, panels."""

    def __init__(self, size_wh: tuple[int, int], boxes: NDArray[np.float64]) -> None:
        self.size_wh = size_wh
        self.taken = np.empty((3 * len(boxes), 4))
        self.taken[: len(boxes)] = boxes
        self.n = len(boxes)

    def take(self, rectangle: Rectangle) -> None:
        self.taken[self.n] = rectangle
        self.n += 1

    def is_free(self, rectangle: Rectangle, own: NDArray[np.float64] | None = None) -> bool:
        """Whether it lies in the picture and on nothing but the own face."""
        x1, y1, x2, y2 = rectangle
        if x1 < 0 or y1 < 0 or x2 > self.size_wh[0] or y2 > self.size_wh[1]:
            return False
        taken = self.taken[: self.n]
        hit = (taken[:, 0] < x2) & (taken[:, 2] > x1) & (taken[:, 1] < y2) & (taken[:, 3] > y1)
        if own is not None:
            hit &= (taken != own).any(axis=1)
        return not hit.any()

    def move_inside(self, x: float, y: float, size_wh: tuple[int, int]) -> Rectangle:
        """Return a rectangle of that size whose upper left corner is (x, y), moved into the picture."""
        left, top = (
            max(0, min(round(v), free - size)) for v, free, size in zip((x, y), self.size_wh, size_wh, strict=True)
        )
        return left, top, left + size_wh[0], top + size_wh[1]


def _draw_box(image: Image, box: NDArray[np.float64], colour: Colour, line_px: int) -> None:
    thickness = max(2, round(line_px / 8))
    corners = (round(box[0]), round(box[1])), (round(box[2]) - 1, round(box[3]) - 1)
    # The dark rim keeps the line visible on a ground of its own colour.
    cv2.rectangle(image, *corners, DARK, thickness + 2)
    cv2.rectangle(image, *corners, colour, thickness)


def _draw_label(
    image: Image, box: NDArray[np.float64], texts: list[str], colour: Colour, line_px: int, places: _Places
) -> None:
    pad = max(2, line_px // 4)
    stripe, height = max(2, line_px // 4), line_px + pad
    gap = max(2, line_px // 6)
    for text in texts:
        width = measure_text(text, line_px) + 2 * pad + stripe
        for y, own in ((box[1] - height - gap, None), (box[3] + gap, None), (box[1] + gap, box)):
            rectangle = places.move_inside(box[0] - gap, y, (width, height))
            if places.is_free(rectangle, own):
                break
        else:
            continue
        break
    else:
        # Nowhere is room: the shortest, over whatever is there.
        rectangle = places.move_inside(box[0] - gap, box[1] - height - gap, (width, height))
    places.take(rectangle)
    x1, y1, x2, y2 = rectangle
    put_plate(image, rectangle)
    image[y1:y2, x1 : min(x1 + stripe, x2)] = colour
    put_text(image, text, x1 + stripe + pad, y1 + pad // 2, line_px, WHITE)


def _draw_panel(
    image: Image, box: NDArray[np.float64], reading: Reading, i: int, places: _Places, preferred: int
) -> int | None:
    """Draw the bars where there is room, on the preferred side if that is free, and return the side; None: no room."""
    height_px = box[3] - box[1]
    line_px = _choose_line(height_px / PANEL_LINES / LINE_SHARE, places.size_wh)
    names = find_drawable(reading.classes)
    names_px = max(measure_text(name, line_px) for name in names)
    pad, bar_px = max(3, line_px // 3), round(4.5 * line_px)
    size_wh = names_px + bar_px + 3 * pad, len(reading.classes) * line_px + 2 * pad
    if size_wh[1] > PANEL_FACES * height_px:
        return None
    gap = pad
    corners = [
        (box[2] + gap, box[1]),
        (box[0] - gap - size_wh[0], box[1]),
        ((box[0] + box[2] - size_wh[0]) / 2, box[3] + gap + 1.6 * line_px),
    ]
    for side in sorted(range(len(corners)), key=lambda side: side != preferred):
        rectangle = places.move_inside(*corners[side], size_wh)
        if places.is_free(rectangle):
            break
    else:
        return None
    places.take(rectangle)
    put_plate(image, rectangle)
    x, y = rectangle[0] + pad, rectangle[1] + pad
    thickness = max(3, round(0.5 * line_px))
    for emotion, name in enumerate(names):
        put_text(image, name, x, y, line_px, WHITE if emotion == reading.emotion[i] else GREY)
        left, upper = x + names_px + pad, y + (line_px - thickness) // 2
        put_bar(
            image,
            (left, upper, left + bar_px, upper + thickness),
            float(reading.probabilities[i, emotion]),
            find_bgr(reading.classes)[emotion],
        )
        y += line_px
    return side
