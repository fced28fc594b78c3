"""Drawings of networks: their layers in; boxes from top to bottom, joined by what flows between them, out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from emoscope.study.drawings.axes import BLUE, GREY, INK, RED, SOFT
from emoscope.study.networks.layers import Layer

BOX, BOX_HEIGHT = 1.3, 0.3
"""Width and height of a layer's box; all lengths in inches."""
PITCH_X, PITCH_Y = 1.45, 0.48
"""Between neighbouring lanes and levels."""
SIDE_STEP = 0.13
"""Between lines that go around at the side."""
MARGIN, TITLE = 0.12, 0.34
GAP = 0.35
"""Between drawings side by side."""
GREEN, BROWN = "#2c8a5b", "#a3671b"
ARROW = {"arrowstyle": "-|>", "color": SOFT, "linewidth": 1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}


@dataclass(frozen=True)
class Box:
    """Where a layer stands."""

    level: int
    """Counted from the top: one below the lowest of its sources."""
    first: int
    last: int
    """Lanes from which and to which it reaches."""
    lane: int
    """Where its output goes down."""


def place_layers(layers: Sequence[Layer]) -> list[Box]:
    """Give every layer a level and lanes, so that lines run straight down and boxes do not overlap.

    The first to take a layer's output goes on in its lane, others open new ones; what joins lanes reaches over them,
    and so does what feeds several.
    """
    levels: list[int] = []
    lanes: list[int] = []
    reach: list[set[int]] = []
    order: list[int] = []  # lanes from left to right
    mothers: list[set[int]] = []  # of each lane: itself and those that it came out of
    ends: dict[int, int] = {}  # lane -> the layer that stands lowest in it, unless it was joined to another
    joined_at: dict[int, int] = {}  # lane -> the level from which on it is free again
    for i, layer in enumerate(layers):
        levels.append(1 + max((levels[s] for s in layer.sources), default=-1))
        open_lanes = [lanes[s] for s in layer.sources if ends.get(lanes[s]) == s]
        if open_lanes:
            lane = min(open_lanes, key=order.index)
        else:
            feeding = reach[layer.sources[-1]] if layer.sources else set()
            at = max(map(order.index, feeding), default=-1) + 1
            # A joined lane is used again once it is free; else a new one, right of all that came out of these.
            spare = [n for n in (*sorted(map(order.index, feeding)), at) if n < len(order) and order[n] not in ends]
            spare = [n for n in spare if joined_at[order[n]] < levels[i]]
            if not spare:
                at = max((n for n, lane in enumerate(order) if feeding & mothers[lane]), default=at - 1) + 1
                mothers.append(set().union(*(mothers[lane] for lane in feeding), {len(order)}))
                order.insert(at, len(order))
            lane = order[spare[0] if spare else at]
            for s in layer.sources:
                reach[s].add(lane)
        for joined in open_lanes:
            ends.pop(joined)
            joined_at[joined] = levels[i]
        ends[lane] = i
        lanes.append(lane)
        reach.append({lane, *open_lanes})
    spots = [sorted(order.index(lane) for lane in over) for over in reach]
    return [
        Box(level, over[0], over[-1], order.index(lane)) for level, over, lane in zip(levels, spots, lanes, strict=True)
    ]


def find_size(layers: Sequence[Layer]) -> tuple[float, float]:
    """Return width and height in inches of a drawing of these layers."""
    boxes = place_layers(layers)
    n_lanes, n_levels = max(box.last for box in boxes) + 1, max(box.level for box in boxes) + 1
    n_sides = max((n for n, _, _ in _route(layers, boxes)), default=-1) + 1
    width = (n_lanes - 1) * PITCH_X + BOX + n_sides * SIDE_STEP + (0.1 if n_sides else 0)
    return width + 2 * MARGIN, (n_levels - 1) * PITCH_Y + BOX_HEIGHT + 2 * MARGIN


def _route(layers: Sequence[Layer], boxes: Sequence[Box]) -> list[tuple[int, int, int]]:
    """Return the connections as (place at the side or -1, from, to): those that something stands in the way of."""
    found, spans = [], []
    for i, layer in enumerate(layers):
        for s in layer.sources:
            lane = find_lane(boxes, s, i)
            is_free = lane is not None and not any(
                boxes[s].level < box.level < boxes[i].level and box.first <= lane <= box.last for box in boxes
            )
            if is_free:
                found.append((-1, s, i))
            else:
                spans.append((boxes[s].level, boxes[i].level, s, i))
    taken: list[list[tuple[int, int]]] = []
    for top, bottom, s, i in sorted(spans, key=lambda span: span[1] - span[0]):
        side = next((n for n, used in enumerate(taken) if all(bottom <= a or b <= top for a, b in used)), len(taken))
        if side == len(taken):
            taken.append([])
        taken[side].append((top, bottom))
        found.append((side, s, i))
    return found


def find_lane(boxes: Sequence[Box], source: int, target: int) -> int | None:
    """Return the lane in which a line can run down from one box to another, if they share one."""
    shared = range(max(boxes[source].first, boxes[target].first), min(boxes[source].last, boxes[target].last) + 1)
    wanted = boxes[target].lane if boxes[target].lane in shared else boxes[source].lane
    return wanted if wanted in shared else next(iter(shared), None)


def choose_colour(kind: str) -> str:
    """Return the colour of a kind of layer: what learns is blue, what joins red, what makes smaller brown."""
    if kind.startswith(("conv", "dense", "parameter")) or kind.endswith("layers"):
        return BLUE
    if kind in ("add", "concatenate", "multiply"):
        return RED
    if "pool" in kind or kind == "average":
        return BROWN
    return GREEN if "norm" in kind else GREY


def describe_shape(shape: Sequence[int]) -> str:
    """Return a shape as readers write it: `64 × 24²`, `512`."""
    if len(shape) == 3 and shape[1] == shape[2]:
        return f"{shape[0]} × {shape[1]}²"
    return " × ".join(map(str, shape))


def draw_layers(axes: Axes, layers: Sequence[Layer], names: bool = False) -> None:
    """Draw layers on axes of the size of find_size(); beside each its output's shape.

    Args:
        axes: to draw on.
        layers: of list_layers(), fold_layers() or cut_block().
        names: show the modules' names instead of what they do.
    """
    boxes = place_layers(layers)
    width, height = find_size(layers)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    right = MARGIN + max(box.last for box in boxes) * PITCH_X + BOX

    def find_x(lane: int) -> float:
        return MARGIN + lane * PITCH_X + BOX / 2

    def find_y(box: Box) -> float:
        return MARGIN + box.level * PITCH_Y + BOX_HEIGHT / 2

    for side, s, i in _route(layers, boxes):
        top, bottom = find_y(boxes[s]), find_y(boxes[i])
        if side < 0:
            lane = find_lane(boxes, s, i)
            assert lane is not None
            x = find_x(lane)
            line = [(x, top + BOX_HEIGHT / 2), (x, bottom - BOX_HEIGHT / 2)]
        else:
            out = right + 0.1 + side * SIDE_STEP
            ends = [find_x(boxes[n].last) + BOX / 2 for n in (s, i)]
            line = [(ends[0], top + 0.07), (out, top + 0.07), (out, bottom - 0.07), (ends[1], bottom - 0.07)]
        axes.plot(*zip(*line[:-1], strict=True), color=SOFT, linewidth=1, solid_capstyle="butt")
        axes.annotate("", line[-1], line[-2], arrowprops=ARROW)
    for layer, box in zip(layers, boxes, strict=True):
        left, y = find_x(box.first) - BOX / 2, find_y(box)
        span = (box.last - box.first) * PITCH_X + BOX
        colour = choose_colour(layer.kind)
        shape = FancyBboxPatch(
            (left, y - BOX_HEIGHT / 2), span, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=(*_rgb(colour), 0.16), edgecolor=colour, linewidth=1,
        )  # fmt: skip
        axes.add_patch(shape)
        middle = left + span / 2
        text = layer.name if names and layer.name and layer.kind.endswith("layers") else layer.kind
        axes.text(middle, y - 0.055, text, ha="center", va="center", color=INK, fontsize=7.5)
        axes.text(middle, y + 0.08, describe_shape(layer.shape), ha="center", va="center", color=SOFT, fontsize=6.5)


def _rgb(colour: str) -> tuple[float, float, float]:
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return r, g, b


def find_figure_size(graphs: Mapping[str, Sequence[Layer]]) -> tuple[float, float]:
    """Return width and height in inches of drawings side by side."""
    sizes = [find_size(layers) for layers in graphs.values()]
    return sum(w for w, _ in sizes) + GAP * (len(sizes) - 1), max(h for _, h in sizes) + TITLE


def draw_graphs(figure: Figure, graphs: Mapping[str, Sequence[Layer]], names: bool = False) -> None:
    """Draw several networks or blocks side by side, each under its title, in one scale.

    Args:
        figure: of the size of find_figure_size().
        graphs: title to layers.
        names: as in draw_layers().
    """
    figure.set_layout_engine("none")
    full_width, full_height = find_figure_size(graphs)
    left = 0.0
    for title, layers in graphs.items():
        width, height = find_size(layers)
        top = 1 - TITLE / full_height
        box = (left / full_width, top - height / full_height, width / full_width, height / full_height)
        axes = figure.add_axes(box)
        draw_layers(axes, layers, names)
        axes.set_title(title, loc="left", fontsize=10, color=INK, x=MARGIN / width)
        left += width + GAP
