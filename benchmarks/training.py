"""How fast training is: against the device, the network alone, and the usual loop of a DataLoader and transforms.

    python benchmarks/training.py [--network densenet121] [--images 1024] [--batch-size 128] [--rounds 5] [--eager]
    python benchmarks/training.py --images 32768 --batch-size 1024 --rounds 9 --product 8192    # on a GPU

`bare`: an epoch of ours against forward and backward passes alone on one batch that lies ready, both float32: what
augmentation and bookkeeping cost. `plain`: an epoch of ours against the loop that tutorials teach, same network, same
augmentation, same images, rounds alternating in one run. Ours chooses precision itself and compiles, as `auto` and
`compile: true` do for a user; a second figure has neither, so that one sees what each part brings.

`steps`: images per second of whole steps (images out of the resident set, augmentation, forward and backward pass,
optimiser, average of the weights) at 48 px, and what share of the device's arithmetic that is: the multiplications and
additions of a network's forward and backward pass against those of a product of two large square matrices in the same
precision, timed in turn with them. `--eager` leaves compiling out.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
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

NETWORKS = ("vgg-se", "compact-wide", "densenet121", "resnet50v2")
PRODUCT_S = 0.5
"""At least so long a round multiplies."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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
    x = torch.randn(n, 1, 48, 48, device=trainer.images.device).contiguous(memory_format=torch.channels_last)

    def run_bare(_: int) -> None:
        for _ in range(trainer.n_batches):
            trainer.fabric.backward(trainer.loss(trainer.model(x), trainer.images.labels[:n], None))
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
    return {
        "network": network,
        "batch_size": ours.config.batch_size,
        "device": torch.cuda.get_device_name() if has_gpu else "cpu",
        "precision": ours.state.precision,
        "images_per_s": {name: round(n_images / s, 1) for name, s in medians.items()},
        "ratio": ratio,
        "ratio_float32_not_compiled": compare(seconds, "simple", "plain"),
        "bars": {f"ratio >= {bar}": ratio >= bar},
    }


class Product:
    """Multiplies two square matrices for at least PRODUCT_S, as often in every round.

    Args:
        side: of the matrices.
        precision: of a training.
        device: where.
    """

    def __init__(self, side: int, precision: str, device: torch.device) -> None:
        self.left, self.right = (torch.randn(side, side, device=device, dtype=DTYPES[precision]) for _ in range(2))
        self.n = 1
        # The first one loads and allocates.
        self(0)
        while time_alternating(1, product=self)["product"][0] < PRODUCT_S:
            self.n *= 2

    def __call__(self, _: int) -> None:
        """Multiply n times."""
        for _ in range(self.n):
            torch.mm(self.left, self.right)

    @property
    def flops(self) -> float:
        """Floating-point operations of a call; a multiplication and an addition are two."""
        return 2.0 * len(self.left) ** 3 * self.n


def measure_steps(
    dataset: Dataset, folder: Path, networks: Sequence[str], rounds: int, side: int, **settings: Any
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for network in networks:
        trainer = create_trainer(dataset, folder, network=network, **settings)
        device, precision = trainer.images.device, trainer.state.precision
        product = Product(side, precision, device)
        seconds = time_alternating(rounds, ours=trainer.fit_epoch, product=product)
        n_images, flops = trainer.n_batches * trainer.config.batch_size, count_flops(network, device)
        pairs = zip(seconds["ours"], seconds["product"], strict=True)
        shares = [flops * n_images / ours_s / (product.flops / product_s) for ours_s, product_s in pairs]
        rates = sorted(n_images / s for s in seconds["ours"])
        result[network] = {
            "images_per_s": round(statistics.median(rates), 1),
            "images_per_s_range": [round(rates[0], 1), round(rates[-1], 1)],
            "gflops_per_image": round(flops / 1e9, 3),
            "product_tflops_per_s": round(product.flops / statistics.median(seconds["product"]) / 1e12, 3),
            "share_of_product": round(statistics.median(shares), 4),
            "precision": precision,
            "compile_mode": trainer.compile_mode or "none",
        }
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "batch_size": trainer.config.batch_size,
        "images_per_round": n_images,
        "product_side": side,
        "networks": result,
    }


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--network", default="densenet121", help="of the comparison with a plain loop")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128, help="of `steps`")
    parser.add_argument("--product", type=int, default=2048, metavar="SIDE", help="of the large matrices")
    parser.add_argument("--eager", action="store_true", help="compile nothing of `steps`")
    arguments = parser.parse_args()
    dataset = create_synthetic(arguments.images, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        write_result(
            "training",
            {
                "bare": measure_bare(dataset, Path(folder), arguments.rounds),
                "plain": measure_plain(dataset, Path(folder), arguments.network, arguments.rounds),
                "steps": measure_steps(
                    dataset,
                    Path(folder),
                    NETWORKS,
                    arguments.rounds,
                    arguments.product,
                    batch_size=arguments.batch_size,
                    compile=not arguments.eager,
                ),
            },
        )


if __name__ == "__main__":
    main()
