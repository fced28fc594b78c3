"""The detector's network: made-up scenes in; what tells where faces are out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from emoscope.faces.own import MEAN, OUTPUTS, STD, STRIDES, decode
from emoscope.study.geometry.onnx_files import write_network
from emoscope.study.geometry.scenes import SIDE_PX, Grey, Scene, create_scene

WIDTHS = (16, 32, 64, 96, 128)
"""After each halving of the picture; the last three have a head."""
LARGEST_PX = (44.0, 88.0)
"""Sides of faces up to which the first two strides answer for them; the last answers for all others."""
NEAR = 0.25
"""Cells whose middle is so near a face's centre, as a share of its side, are to find it."""
AROUND = 0.6
"""Cells within this are asked nothing, nor those of the neighbouring stride."""
FOCUS = 2.0
"""Focal loss (Lin et al., 2017): how much less easy cells count."""
N_VALIDATION = 128
FOUND_IOU = 0.5


class Block(nn.Module):
    """A 5 x 5 convolution of each channel by itself, then 1 x 1 over all channels; the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.mix = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        mixed: Tensor = self.mix(self.norm(self.near(x)))
        return x + mixed


class Network(nn.Module):
    """(n, 1, h, w) in, sides multiples of 32; the maps that emoscope.faces.own decodes out."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        for n_in, n_out in zip((1, *WIDTHS), WIDTHS, strict=False):
            halve = [nn.Conv2d(n_in, n_out, 3, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
            self.stages.append(nn.Sequential(*halve, *[Block(n_out) for _ in range(2 if n_out >= WIDTHS[2] else 1)]))
        # What a coarse stage knows helps the finer one: a face has a head and shoulders around it.
        self.down = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(WIDTHS[3:], WIDTHS[2:], strict=False))
        self.heads = nn.ModuleList(nn.Sequential(Block(width), nn.Conv2d(width, 6, 1)) for width in WIDTHS[2:])
        for head in self.heads:
            # Nearly every cell shows no face; a network that begins so learns calmly.
            nn.init.constant_(head[1].bias[:1], -4.0)  # type: ignore[index]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return a map (n, 6, h / stride, w / stride) of every stride."""
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        levels = levels[-3:]
        for i in (1, 0):
            levels[i] = levels[i] + F.interpolate(self.down[i](levels[i + 1]), scale_factor=2.0, mode="nearest")
        return tuple(head(level) for head, level in zip(self.heads, levels, strict=True))


def create_targets(faces: NDArray[np.float32], side_px: int = SIDE_PX) -> list[NDArray[np.float32]]:
    """Return what the maps of a scene should say.

    Args:
        faces: (n, 4), see Scene.
        side_px: the scene's.

    Returns:
        (7, h, w) of every stride: those of the maps with 1 or 0 instead of the logit, -1 where nothing is asked; and
        last whether a face is there to be placed.
    """
    targets = []
    level = np.digitize(faces[:, 2], LARGEST_PX) if len(faces) else np.empty(0, int)
    for i, stride in enumerate(STRIDES):
        n = side_px // stride
        out = np.zeros((7, n, n), np.float32)
        at = np.arange(n) + 0.5
        for (x, y, side, turn), face_level in zip(faces, level, strict=True):
            dx, dy = np.meshgrid(x / stride - at, y / stride - at)
            away = np.maximum(np.abs(dx), np.abs(dy)) * stride / side
            out[0][(away < AROUND) & (out[0] == 0) & (abs(face_level - i) <= 1)] = -1
            if face_level != i:
                continue
            # At least the cell in which the centre lies.
            near = (away < NEAR) | (np.maximum(np.abs(dx), np.abs(dy)) <= 0.5)
            values = (1.0, dx, dy, np.log(side / stride), np.sin(turn), np.cos(turn), 1.0)
            for channel, value in enumerate(values):
                out[channel][near] = value if np.isscalar(value) else value[near]
        targets.append(out)
    return targets


class DetectorTask:
    """Learns to find faces in scenes that it makes."""

    def __init__(self, train: Grey, validation: Grey, backgrounds: list[Grey]) -> None:
        """Take the faces.

        Args:
            train: (n, 48, 48) grey faces.
            validation: others, for measure().
            backgrounds: pictures without faces, every fifth for measure() alone.
        """
        self.train, self.validation = train, validation
        self.backgrounds = [b for i, b in enumerate(backgrounds) if i % 5]
        self.other_backgrounds = backgrounds[::5]
        self.network: nn.Module = Network()

    def draw(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return n scenes and what the maps should say of them, all strides in one row (n, 7, cells)."""
        rng = np.random.default_rng(seed)
        scenes = [create_scene(self.train, self.backgrounds, rng) for _ in range(n)]
        targets = [np.concatenate([t.reshape(7, -1) for t in create_targets(s.faces)], axis=1) for s in scenes]
        return to_batch(scenes), torch.from_numpy(np.stack(targets))

    def compute_loss(self, outputs: Sequence[Tensor], targets: Tensor) -> Tensor:
        """Return the focal loss of finding and the smooth L1 distance of placing, per face to be found."""
        found = torch.cat([part.flatten(2) for part in outputs], dim=2)
        asked, is_face = targets[:, 0] >= 0, targets[:, 6] > 0
        wanted = targets[:, 0].clamp(min=0)
        entropy = F.binary_cross_entropy_with_logits(found[:, 0], wanted, reduction="none")
        missing = (found[:, 0].sigmoid() - wanted).abs()
        finding = (entropy * missing**FOCUS * (0.25 + 0.5 * wanted))[asked].sum()
        where = is_face.unsqueeze(1).expand(-1, 5, -1)
        placing = F.smooth_l1_loss(found[:, 1:][where], targets[:, 1:6][where], beta=0.1, reduction="sum")
        return (finding + 0.1 * placing) / is_face.sum().clamp(min=1)

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Return how many faces of other scenes are found, and extra boxes per scene."""
        rng = np.random.default_rng(0)
        scenes = [create_scene(self.validation, self.other_backgrounds, rng) for _ in range(N_VALIDATION)]
        n_faces = n_found = n_extra = 0
        for i in range(0, len(scenes), 16):
            part = scenes[i : i + 16]
            with torch.inference_mode():
                maps = [m.numpy() for m in network(to_batch(part))]
            for j, scene in enumerate(part):
                boxes = decode([m[j] for m in maps])
                hits = compute_iou(scene.faces, boxes) >= FOUND_IOU
                n_faces += len(scene.faces)
                n_found += int(hits.any(axis=1).sum())
                n_extra += int((~hits.any(axis=0)).sum())
        return {"found": n_found / max(1, n_faces), "extra": n_extra / len(scenes)}

    def write(self, network: nn.Module, path: Path) -> None:
        """Write the network as ONNX with int8 weights, the ranges set by training scenes.

        Raises:
            ModelError: ONNX Runtime computes something else than torch.
            OutputError: the place cannot be written.
        """
        batches = [self.draw(2, seed)[0].numpy() for seed in range(64)]
        cells = {axis: 32 * torch.export.Dim(name, min=1, max=256) for axis, name in ((2, "rows"), (3, "columns"))}
        free = {0: torch.export.Dim("batch", min=1, max=256), **cells}
        write_network(network, path, batches, list(OUTPUTS), free)


def to_batch(scenes: Sequence[Scene]) -> Tensor:
    """Return scenes as the network takes them, (n, 1, side, side)."""
    pixels = torch.from_numpy(np.stack([scene.image for scene in scenes])).unsqueeze(1).float()
    return (pixels / 255 - MEAN) / STD


def compute_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return overlap over union (n, m) of squares, each row beginning with centre x and y and side."""
    away = np.abs(a[:, None, :2] - b[None, :, :2])
    half = (a[:, None, 2:3] + b[None, :, 2:3]) / 2
    smaller = np.minimum(a[:, None, 2:3], b[None, :, 2:3])
    shared = np.clip(np.minimum(half - away, smaller), 0, None).prod(axis=2)
    return np.asarray(shared / (a[:, None, 2] ** 2 + b[None, :, 2] ** 2 - shared))
