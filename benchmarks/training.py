"""How fast training is: against the network alone, and against the usual loop of a DataLoader and transforms.

    python benchmarks/training.py [--network densenet121] [--images 1024] [--rounds 5]

`bare`: an epoch of ours against forward and backward passes alone on one batch that lies ready, both float32: what
augmentation and bookkeeping cost. `plain`: an epoch of ours against the loop that tutorials teach, same network, same
augmentation, same images, rounds alternating in one run. Ours chooses precision itself and compiles, as `auto` and
`compile: true` do for a user; a second figure has neither, so that one sees what each part brings.
On a GPU it adds images per second and the share of the bfloat16 peak.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from common import create_parser, write_result
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.splits import create_split
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.networks.catalogue import create_network
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.batches import Augmentation
from emoscope.study.training.run_name import open_run
from emoscope.study.training.trainer import Trainer

PEAK_TFLOPS = {"H100": 989, "H200": 989, "A100": 312}
"""Dense bfloat16, by name of the device; NVIDIA's data sheets."""


def create_trainer(dataset: Dataset, folder: Path, **settings: Any) -> Trainer:
    config = TrainConfig(sizes_px=(48,), size_shares=(1.0,), protocol="thesis", epochs=100, **settings)
    split = create_split(dataset, config)
    return Trainer(dataset, split, config, open_run(folder, config, split, dataset))


def time_alternating(rounds: int, **loops: Callable[[int], object]) -> dict[str, list[float]]:
    """Time each loop once per round, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for i in range(rounds + 1):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(i)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if i:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def compare(seconds: dict[str, list[float]], ours: str, theirs: str) -> float:
    """Return the median of the rounds' ratios theirs / ours."""
    return round(statistics.median(b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True)), 3)


def measure_bare(dataset: Dataset, folder: Path, rounds: int) -> dict[str, Any]:
    trainer = create_trainer(dataset, folder, network="compact", precision="float32")
    n = trainer.config.batch_size
    x = torch.randn(n, 1, 48, 48, device=trainer.faces.device).contiguous(memory_format=torch.channels_last)

    def run_bare(_: int) -> None:
        for _ in range(trainer.n_batches):
            trainer.fabric.backward(trainer.loss(trainer.model(x), trainer.labels[:n], None))
            trainer.state.network.zero_grad()

    seconds = time_alternating(rounds, ours=trainer.fit_epoch, bare=run_bare)
    ratio = round(1 / compare(seconds, "ours", "bare"), 3)
    return {"network": "compact", "ratio": ratio, "bars": {"ratio <= 1.15": ratio <= 1.15}}


class PlainLoop:
    """What a tutorial teaches: pictures one by one through transforms, a DataLoader, float32."""

    def __init__(self, dataset: Dataset, config: TrainConfig, rows: Any, device: torch.device) -> None:
        how = Augmentation()
        change = transforms.Compose(
            [
                transforms.RandomHorizontalFlip(),
                transforms.RandomAffine(
                    how.rotation_deg,
                    (how.shift, how.shift),
                    (1 - how.zoom, 1 + how.zoom),
                    interpolation=transforms.InterpolationMode.BILINEAR,
                ),
                transforms.ColorJitter(how.brightness, how.contrast),
                transforms.ToTensor(),
                transforms.Normalize(0.5, 0.25),
                transforms.RandomErasing(how.erase_probability, how.erase_area, value="random"),
            ]
        )
        items = [(Image.fromarray(dataset.pixels[i]), int(dataset.emotion[i])) for i in rows]
        self.loader = DataLoader(
            items,
            config.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=2,
            persistent_workers=True,
            collate_fn=lambda batch: (
                torch.stack([change(face) for face, _ in batch]),
                torch.tensor([label for _, label in batch]),
            ),
        )
        self.device = device
        self.network = create_network(config.network).to(device)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.01, momentum=0.9, nesterov=True)
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.1)

    def __call__(self, _: int) -> None:
        """Train one epoch."""
        self.network.train()
        for x, labels in self.loader:
            loss = self.loss(self.network(x.to(self.device)), labels.to(self.device))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def count_flops(network: str, device: torch.device) -> float:
    """Return floating-point operations per image of one training step."""
    model = create_network(network).to(device)
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(2, 1, 48, 48, device=device)).sum().backward()
    return counter.get_total_flops() / 2


def measure_plain(dataset: Dataset, folder: Path, network: str, rounds: int) -> dict[str, Any]:
    ours = create_trainer(dataset, folder, network=network, compile=True, ema_decay=0)
    simple = create_trainer(dataset, folder, network=network, precision="float32", seed=1, ema_decay=0)
    plain = PlainLoop(dataset, ours.config, ours.split.train, ours.faces.device)
    seconds = time_alternating(rounds, ours=ours.fit_epoch, simple=simple.fit_epoch, plain=plain)
    n_images = ours.n_batches * ours.config.batch_size
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    has_gpu = ours.faces.device.type == "cuda"
    ratio, bar = compare(seconds, "ours", "plain"), 5 if has_gpu else 1.5
    result: dict[str, Any] = {
        "network": network,
        "batch_size": ours.config.batch_size,
        "device": torch.cuda.get_device_name() if has_gpu else "cpu",
        "precision": ours.state.precision,
        "images_per_s": {name: round(n_images / s, 1) for name, s in medians.items()},
        "ratio": ratio,
        "ratio_float32_not_compiled": compare(seconds, "simple", "plain"),
        "bars": {f"ratio >= {bar}": ratio >= bar},
    }
    peak = next((tflops for name, tflops in PEAK_TFLOPS.items() if has_gpu and name in result["device"]), None)
    if peak:
        flops = count_flops(network, ours.faces.device) * n_images / medians["ours"]
        result["share_of_bfloat16_peak"] = round(flops / (peak * 1e12), 4)
    return result


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--network", default="densenet121", help="of the comparison with a plain loop")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    dataset = create_synthetic(arguments.images, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        write_result(
            "training",
            {
                "bare": measure_bare(dataset, Path(folder), arguments.rounds),
                "plain": measure_plain(dataset, Path(folder), arguments.network, arguments.rounds),
            },
        )


if __name__ == "__main__":
    main()
