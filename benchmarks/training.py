"""What an epoch costs beside its forward and backward passes. Bar: at most 1.15 times these alone.

Both run on batches of the same shape, in turns: our whole step (batch from the resident faces, augmentation, schedule,
forward, backward, optimiser, moving average) and the bare forward and backward of the same network on a batch that
lies ready.
"""

import statistics
import tempfile
import time
from pathlib import Path

import torch

from common import create_parser, write_result
from emoscope.study.config import TrainConfig
from emoscope.study.runs import open_run
from emoscope.study.splits import create_split
from emoscope.study.synthetic import create_synthetic
from emoscope.study.train import Trainer


def main() -> None:
    parser = create_parser(__doc__)
    parser.add_argument("--network", default="compact")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    dataset = create_synthetic(1400, seed=0)
    config = TrainConfig(
        network=arguments.network, precision="float32", sizes_px=(48,), size_shares=(1.0,), protocol="thesis"
    )
    with tempfile.TemporaryDirectory() as folder:
        split = create_split(dataset, config.protocol, 0)
        trainer = Trainer(dataset, split, config, open_run(Path(folder), config, split, dataset))
        x = torch.randn(config.batch_size, 1, 48, 48).contiguous(memory_format=torch.channels_last)
        labels = trainer.labels[: config.batch_size]

        def run_bare() -> None:
            for _ in range(trainer.n_batches):
                trainer.fabric.backward(trainer.loss(trainer.model(x), labels))
                trainer.state.network.zero_grad()

        ours, bare = [], []
        for i in range(arguments.rounds + 1):
            start = time.perf_counter()
            trainer.fit_epoch(i)
            middle = time.perf_counter()
            run_bare()
            if i:  # the first round warms up
                ours.append(middle - start)
                bare.append(time.perf_counter() - middle)
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    write_result(
        "training",
        {
            "network": arguments.network,
            "batches_per_epoch": trainer.n_batches,
            "batch_size": config.batch_size,
            "epoch_median_s": round(statistics.median(ours), 3),
            "bare_median_s": round(statistics.median(bare), 3),
            "ratio": round(ratio, 3),
            "bars": {"ratio <= 1.15": ratio <= 1.15},
        },
    )


if __name__ == "__main__":
    main()
