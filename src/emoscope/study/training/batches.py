"""Training batches on the device: uint8 faces in, one batched affine warp and light changes, normalised float out."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from emoscope.faces.resample import compute_weights
from emoscope.faces.spec import ModelSpec

LARGE_PX = 48
"""Faces up to this side, FER2013's, are warped as they are."""


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the changes; each face draws its own, all mild."""

    rotation_deg: float = 12.0
    zoom: float = 0.15
    shift: float = 4 / 48
    """Largest shift as a share of the side."""
    brightness: float = 0.2
    contrast: float = 0.2
    erase_probability: float = 0.5
    erase_area: tuple[float, float] = (0.02, 0.2)
    """Smallest and largest erased share of the picture (Zhong et al., Random erasing, 2020)."""
    degrade_probability: float = 0.0
    """Of a face to be softened, and, drawn apart, of one to be made noisy: what distance and poor light do."""
    noise: float = 0.12
    """Largest standard deviation of the noise, as a share of full white."""
    blur_sigma: float = 2.5 / 48
    """Standard deviation of the strongest softening, as a share of the side."""


STRENGTHS = {
    "strong": Augmentation(),
    "thesis": Augmentation(brightness=0.0, contrast=0.0, erase_probability=0.0),
}
"""By the name that a recipe has for them; `thesis` has the reference study's kinds of change and no others."""


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.empty(n, device=generator.device).uniform_(low, high, generator=generator)


def warp(faces: Tensor, size_px: int, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Mirror, rotate, zoom, shift and resize in a single resampling.

    Args:
        faces: (n, 1, h, w) float32.
        size_px: side of the result.
        how: strengths.
        generator: the only randomness; on the device of the faces.

    Returns:
        (n, 1, size_px, size_px) float32.
    """
    n = len(faces)
    angle = _uniform(n, -math.radians(how.rotation_deg), math.radians(how.rotation_deg), generator)
    zoom = 1 / _uniform(n, 1 - how.zoom, 1 + how.zoom, generator)
    mirror = (_uniform(n, 0, 1, generator) < 0.5).float() * 2 - 1
    # Grid coordinates run from -1 to 1, so a share of the side is twice as long.
    dx = _uniform(n, -2 * how.shift, 2 * how.shift, generator)
    dy = _uniform(n, -2 * how.shift, 2 * how.shift, generator)
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    matrix = torch.stack([cos * mirror, -sin, dx, sin * mirror, cos, dy], dim=1).view(n, 2, 3)
    grid = F.affine_grid(matrix, [n, 1, size_px, size_px], align_corners=False)
    return F.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=False)


def erase(faces: Tensor, how: Augmentation, generator: torch.Generator) -> None:
    """Fill one rectangle per chosen face with noise of standard deviation 1, in place; faces are normalised."""
    n, _, h, w = faces.shape
    area = _uniform(n, *how.erase_area, generator) * h * w
    ratio = _uniform(n, math.log(0.3), math.log(1 / 0.3), generator).exp()
    height = (area * ratio).sqrt().clamp(max=h)
    width = (area / ratio).sqrt().clamp(max=w)
    top = _uniform(n, 0, 1, generator) * (h - height)
    left = _uniform(n, 0, 1, generator) * (w - width)
    chosen = _uniform(n, 0, 1, generator) < how.erase_probability
    rows = torch.arange(h, device=faces.device)[None, :]
    columns = torch.arange(w, device=faces.device)[None, :]
    in_rows = (rows >= top[:, None]) & (rows < (top + height)[:, None]) & chosen[:, None]
    in_columns = (columns >= left[:, None]) & (columns < (left + width)[:, None])
    mask = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
    noise = torch.randn(faces.shape, device=generator.device, generator=generator)
    faces.copy_(torch.where(mask, noise, faces))


def degrade(faces: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Soften some faces and add noise to some, each by its own strength.

    Args:
        faces: (n, 1, s, s) float32 in 0..1.
        how: strengths.
        generator: on the device of the faces.

    Returns:
        The same shape, in 0..1.
    """
    n, _, _, side = faces.shape
    sigma = how.blur_sigma * side
    taps = torch.arange(-math.ceil(2 * sigma), math.ceil(2 * sigma) + 1, device=faces.device)
    kernel = torch.exp(-(taps**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = F.pad(faces, [kernel.shape[-1] // 2] * 4, mode="replicate")
    soft = F.conv2d(F.conv2d(padded, kernel), kernel.mT)

    def draw(high: float) -> Tensor:
        chosen = _uniform(n, 0, 1, generator) < how.degrade_probability
        return (_uniform(n, 0, high, generator) * chosen).view(n, 1, 1, 1)

    # A share of the softened picture costs one kernel for all; its own width for each face would cost n.
    faces = faces.lerp(soft, draw(1))
    noise = torch.randn(faces.shape, device=faces.device, generator=generator)
    return (faces + noise * draw(how.noise)).clamp_(0, 1)


@lru_cache(maxsize=64)
def _load_weights(kernel: str, n_in: int, n_out: int, device: torch.device) -> Tensor:
    """Return compute_weights() on the device, copied there once."""
    return torch.tensor(compute_weights(kernel, n_in, n_out), device=device)


def resample(faces: Tensor, size_px: int, kernel: str) -> Tensor:
    """Resample on the device with the weights that the runtime uses; as there, what has the size stays as it is.

    Args:
        faces: (n, 1, h, w) float32 in 0..1.
        size_px: side of the result.
        kernel: one of emoscope.faces.resample.KERNELS.

    Returns:
        (n, 1, size_px, size_px) float32 in 0..1, overshoot clipped.
    """
    h, w = faces.shape[-2:]
    if (h, w) == (size_px, size_px):
        return faces
    rows = _load_weights(kernel, h, size_px, faces.device)
    columns = _load_weights(kernel, w, size_px, faces.device)
    return (rows @ (faces @ columns.T)).clamp_(0, 1)


def alter(faces: Tensor, size_px: int, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Warp faces (n, 1, h, w) float32 in 0..1 to (n, 1, size_px, size_px) and change their light, each otherwise."""
    x = warp(faces, size_px, how, generator)
    n = len(x)
    contrast = _uniform(n, 1 - how.contrast, 1 + how.contrast, generator).view(n, 1, 1, 1)
    shift = _uniform(n, -how.brightness, how.brightness, generator).view(n, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x * contrast + (mean * (1 - contrast) + shift)).clamp_(0, 1)


def create_batch(
    faces: Tensor,
    size_px: int,
    spec: ModelSpec,
    how: Augmentation | None,
    generator: torch.Generator,
    is_altered: bool = False,
) -> Tensor:
    """Make one training batch.

    Args:
        faces: (n, h, w) uint8, resident on the device.
        size_px: side of the batch's pictures.
        spec: its mean, std, channels and kernel are those that preprocess() uses. With a kernel other than `auto`
            augmentation happens at the faces' own size, before resampling: a kernel is compared as recognition uses it.
        how: augmentation, or None for plain resizing.
        generator: on the device of the faces.
        is_altered: the faces are views that were drawn before; they are only degraded and erased.

    Returns:
        (n, channels, size_px, size_px) float32, channels last in memory.
    """
    x = faces.unsqueeze(1).float().div_(255)
    is_auto = spec.kernel == "auto"
    if how is not None and is_auto and x.shape[-1] > max(LARGE_PX, 1.5 * size_px):
        # The warp reads four pixels: of a face so large it would pass over most, and see a grid for a texture.
        x = F.interpolate(x, size=(size_px, size_px), mode="bilinear", antialias=True, align_corners=False)
    if how is not None and not is_altered:
        x = alter(x, size_px if is_auto else max(x.shape[-2:]), how, generator)
    elif is_auto and x.shape[-1] != size_px:
        x = F.interpolate(x, size=(size_px, size_px), mode="bilinear", antialias=True, align_corners=False)
    if how is not None and how.degrade_probability:
        x = degrade(x, how, generator)
    if not is_auto:
        x = resample(x, size_px, spec.kernel)
    x = (x - spec.mean).div_(spec.std)
    if how is not None:
        erase(x, how, generator)
    if spec.channels > 1:
        x = x.expand(-1, spec.channels, -1, -1)
    return x.contiguous(memory_format=torch.channels_last)
