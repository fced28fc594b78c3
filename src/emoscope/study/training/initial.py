"""Where a training begins: an existing network's name, file or run in; its weights in a new network out.

An export folds batch norms into the convolutions before them. They are put back so that the network computes what it
did: their statistics are measured on training images, and scale and offset undo them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emoscope.core.emotions import EMOTIONS
from emoscope.core.errors import InputError
from emoscope.faces.recognize import Recognizer
from emoscope.study.networks.exported import FOLDED_BIAS, read_weights
from emoscope.study.training.checkpoint import load_tensors
from emoscope.study.training.run_folder import load_run
from emoscope.study.training.run_name import find_initial_file

N_MEASURED = 512
"""Training images on which folded batch norms are measured."""


@dataclass(frozen=True)
class Initial:
    """A network to begin from."""

    path: Path
    """Its file."""
    networks: tuple[str, ...]
    """Names of the architectures, one per member."""
    labels: tuple[str, ...]
    """Class names in the order of its outputs."""
    size_px: int
    """Side of its input."""
    is_run: bool = False
    """Whether the file is a run's."""


def find_initial(init: str) -> Initial:
    """Find an existing network.

    Args:
        init: an embedded network's name, an ONNX file that emoscope exported, or a finished run's folder.

    Raises:
        InputError: there is none of this name; or the run is not finished, or kept no weights.
        ModelError: the file is no network of emoscope.
    """
    path = find_initial_file(init)
    if Path(init).is_dir():
        run = load_run(Path(init))
        return Initial(path, (run.config.network,), run.classes, run.config.size_px, is_run=True)
    spec = Recognizer(path).spec
    return Initial(path, tuple(spec.network.split(" + ")), spec.labels, spec.size_px)


def load_initial(network: nn.Module, name: str, init: str, x: Tensor, classes: tuple[str, ...] = EMOTIONS) -> None:
    """Put an existing network's weights into a new one; the head keeps new rows for classes that the other lacks.

    Args:
        network: of the architecture that `name` says, on the CPU.
        name: of the architecture; of an ensemble the member that has it is taken.
        init: see find_initial().
        x: (n, c, s, s) normalised training images.
        classes: what the new network's outputs mean; of those that the other has, too, the head's rows are kept.

    Raises:
        InputError: the other is of another architecture, or its weights cannot be read back.
    """
    initial = find_initial(init)
    if name not in initial.networks:
        raise InputError(
            f"{init} is {' and '.join(initial.networks)}, not {name}; set `network` to "
            f"{' or '.join(initial.networks)}, or begin from another network"
        )
    if initial.is_run:
        tensors, _ = load_tensors(initial.path)
        weights: Mapping[str, NDArray[np.generic]] = {key: tensor.numpy() for key, tensor in tensors.items()}
    else:
        weights = read_weights(initial.path)[initial.networks.index(name)]
    if broken := [key for key, values in weights.items() if not np.isfinite(values).all()]:
        raise InputError(f"{init} is damaged: its weights {broken[0]} are no finite numbers; take an undamaged copy")
    missing = _copy_weights(network, weights, initial.labels, classes)
    folded = {name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    folded -= {key.rpartition(".")[0] for key in weights}
    missing = [key for key in missing if key.rpartition(".")[0] not in folded]
    missing += sorted(folded - _measure_norms(network, folded, weights, x))
    if missing:
        raise InputError(
            f"{init} does not hold the weights of {name} as the study has them ({missing[0]} and {len(missing) - 1} "
            "more are missing or of another shape); name the run's folder that it was exported from"
        )


def find_head(network: nn.Module, n_classes: int = len(EMOTIONS)) -> str:
    """Return the name of a network's classifier: the last layer with an output per class; some have it as 1 x 1."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    names: list[str] = [name for name, module in layers if len(module.weight) == n_classes]
    return names[-1]


def _copy_weights(
    network: nn.Module, weights: Mapping[str, NDArray[np.generic]], labels: tuple[str, ...], classes: tuple[str, ...]
) -> list[str]:
    """Copy what there is; return the names of what is not there or has another shape."""
    missing, head = [], find_head(network, len(classes))
    for key, own in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        known = weights.get(key)
        if known is not None and key.rpartition(".")[0] == head and known.shape[1:] == own.shape[1:]:
            for i, label in enumerate(classes):
                if label in labels:
                    own[i] = torch.tensor(known[labels.index(label)])
        elif known is not None and known.shape == own.shape:
            own.copy_(torch.tensor(known))
        else:
            missing.append(key)
    return missing


@torch.no_grad()
def _measure_norms(
    network: nn.Module, folded: set[str], weights: Mapping[str, NDArray[np.generic]], x: Tensor
) -> set[str]:
    """Put folded batch norms back between a convolution and its offset; return the names of those that were."""
    before: list[tuple[Tensor, str]] = []
    done: set[str] = set()
    handles = []

    def remember(name: str) -> None:
        module = network.get_submodule(name)
        handles.append(module.register_forward_hook(lambda _, inputs, output: before.append((output, name))))

    def measure(name: str) -> None:
        def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
            source = next((name for output, name in before if output is inputs[0]), "")
            bias = weights.get(f"{source}.weight{FOLDED_BIAS}")
            if bias is None or len(bias) != norm.num_features:
                return
            variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(mean + torch.tensor(bias))
            done.add(name)

        handles.append(network.get_submodule(name).register_forward_pre_hook(hook))

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            remember(name)
        elif name in folded:
            measure(name)
    if folded:
        network.eval()
        network(x)
        network.train()
    for handle in handles:
        handle.remove()
    return done
