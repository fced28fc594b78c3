"""A network's layers as it carries them out: the network in; operations, shapes, parameters and their order out."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F  # noqa: N812

from emoscope.core.errors import InputError, shorten

INPUT: Final = "input"
"""Kind of what a network or a block begins with."""


@dataclass(frozen=True)
class Layer:
    """One operation, or several that were folded into one."""

    name: str
    """Of its module in the network; of the module around it where it is a function."""
    kind: str
    """What it does: `conv 3 x 3`, `batch norm`, `ReLU`, `add`, ..."""
    shape: tuple[int, ...]
    """Of its output without the batch: channels and sides, or features."""
    n_parameters: int
    """Numbers that training changes; shared ones count where they are used first."""
    sources: tuple[int, ...]
    """Indices of the layers whose outputs it takes."""


class _Tracer(fx.Tracer):
    """Steps into every module that is made of others."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # timm's norms hold their activation within.
        return isinstance(m, nn.modules.batchnorm._BatchNorm) or super().is_leaf_module(m, module_qualified_name)


def list_layers(network: nn.Module, size_px: int) -> list[Layer]:
    """List what a network does to a grey picture, in the order in which it does it.

    What does nothing at recognition, such as dropout of no share, is left out. The parameters of all layers together
    are the network's.

    Args:
        network: one of create_network(); left as it was.
        size_px: side of the picture.

    Returns:
        The picture first, then every operation.

    Raises:
        InputError: what the network does depends on the picture's values, or it takes none of this size.
    """
    was_training = network.training
    network.eval()
    try:
        graph = _Tracer().trace(network)
        # Shapes are those of a real pass, in the network's own modules.
        device = next(network.parameters()).device
        with torch.no_grad():
            ShapeProp(fx.GraphModule(network, graph)).propagate(torch.zeros(1, 1, size_px, size_px, device=device))
    # torch has no error of its own for a network that cannot be traced.
    except Exception as e:
        raise InputError(f"the network's layers cannot be listed at {size_px} px ({shorten(e)}); take another") from e
    finally:
        network.train(was_training)
    return _read_graph(network, graph)


def _read_graph(network: nn.Module, graph: fx.Graph) -> list[Layer]:
    layers: list[Layer] = []
    places: dict[fx.Node, tuple[int, ...]] = {}
    counted: set[int] = set()
    for node in graph.nodes:
        meta = node.meta.get("tensor_meta")
        sources = tuple(dict.fromkeys(i for n in node.all_input_nodes for i in places[n]))
        module = network.get_submodule(node.target) if node.op == "call_module" else None
        # A number that is computed from a shape, an identity, the end: no layer of their own.
        if node.op == "output" or not hasattr(meta, "shape") or _is_idle(module):
            places[node] = sources
            continue
        parameters = list(module.parameters()) if module is not None else []
        if node.op == "get_attr" and isinstance(found := network.get_parameter(node.target), nn.Parameter):
            parameters = [found]
        new = {id(p): p.numel() for p in parameters if id(p) not in counted}
        counted |= set(new)
        around = list(node.meta.get("nn_module_stack") or {"": None})[-1]
        name = str(node.target) if node.op in ("call_module", "get_attr") else around
        shape = tuple(int(n) for n in meta.shape[1:])
        layers.append(Layer(name, describe_node(node, module), shape, sum(new.values()), sources))
        places[node] = (len(layers) - 1,)
    return layers


def _is_idle(module: nn.Module | None) -> bool:
    return isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and module.p == 0)


def _count(size: Any) -> str:
    h, w = size if isinstance(size, (tuple, list)) else (size, size)
    return f"{h} × {w}"


def _stride(stride: Any) -> str:
    """Return what a stride adds to a name, as papers write it."""
    first = stride[0] if isinstance(stride, (tuple, list)) else stride
    return f" / {first}" if first not in (None, 1) else ""


NAMES: Final[Mapping[str, str]] = {
    "relu": "ReLU",
    "cat": "concatenate",
    "mul": "multiply",
    "mean": "average",
    "adaptive_avg_pool2d": "average",
}
"""By torch's names of functions; others keep theirs."""

MODULES: Final[Sequence[tuple[type[nn.Module], Callable[[Any], str]]]] = (
    (nn.Conv2d, lambda m: f"conv {_count(m.kernel_size)}{_stride(m.stride)}"),
    (nn.Linear, lambda m: "dense"),
    (nn.modules.batchnorm._BatchNorm, lambda m: "batch norm" + (", ReLU" if isinstance(_find_act(m), nn.ReLU) else "")),
    (nn.MaxPool2d, lambda m: f"max pool {_count(m.kernel_size)}{_stride(m.stride)}"),
    (nn.AvgPool2d, lambda m: f"average pool {_count(m.kernel_size)}{_stride(m.stride)}"),
    (nn.AdaptiveAvgPool2d, lambda m: "average"),
    (nn.ConstantPad2d, lambda m: "pad"),
    (nn.ReLU, lambda m: "ReLU"),
)


def _find_act(norm: nn.Module) -> nn.Module | None:
    found: nn.Module | None = getattr(norm, "act", None)
    return found


def describe_node(node: fx.Node, module: nn.Module | None) -> str:
    """Return in words what a step of a traced network does."""
    if module is not None:
        return next((say(module) for kind, say in MODULES if isinstance(module, kind)), type(module).__name__.lower())
    if node.op == "placeholder":
        return INPUT
    if node.op == "get_attr":
        return "parameter"
    pools = {F.max_pool2d: "max pool", F.avg_pool2d: "average pool"}
    if node.target in pools:
        values = dict(zip(("input", "kernel_size", "stride"), node.args, strict=False)) | node.kwargs
        stride: Any = values.get("stride", values["kernel_size"])
        return f"{pools[node.target]} {_count(values['kernel_size'])}{_stride(stride)}"
    name = node.target if isinstance(node.target, str) else node.target.__name__
    return NAMES.get(name, name)


def fold_layers(layers: Sequence[Layer], depth: int) -> list[Layer]:
    """Put the layers of a block into one, blocks being told by the first parts of their names.

    Args:
        layers: of list_layers().
        depth: how many parts: at 1 `blocks.3.conv1` is `blocks`, at 2 `blocks.3`.

    Returns:
        Blocks in the order in which they begin; the shape is that of the last layer, `kind` the number of layers.
    """
    members: dict[str, list[int]] = {}
    for i, layer in enumerate(layers):
        key = ".".join(layer.name.split(".")[:depth])
        # Functions of the network itself stand each alone.
        members.setdefault(key or f"{layer.kind} {i}", []).append(i)
    place = {i: n for n, rows in enumerate(members.values()) for i in rows}
    folded = []
    for n, (key, rows) in enumerate(members.items()):
        own = [layers[i] for i in rows]
        kind = own[0].kind if len(own) == 1 else f"{len(own)} layers"
        name = key if own[0].name else ""
        sources = dict.fromkeys(place[s] for layer in own for s in layer.sources if place[s] != n)
        n_parameters = sum(layer.n_parameters for layer in own)
        folded.append(Layer(name, kind, own[-1].shape, n_parameters, tuple(sources)))
    return folded


def cut_block(layers: Sequence[Layer], name: str) -> list[Layer]:
    """Return one block of a network by itself; what comes from outside is its input.

    Args:
        layers: of list_layers().
        name: of a module: it and all that is within.

    Raises:
        InputError: there is none of this name.
    """
    rows = [i for i, layer in enumerate(layers) if f"{layer.name}.".startswith(f"{name}.")]
    if not rows:
        known = ", ".join(dict.fromkeys(".".join(layer.name.split(".")[:2]) for layer in layers if layer.name))
        raise InputError(f"the network has no block {name}; choose one of {known}, or one within")
    outer = sorted({s for i in rows for s in layers[i].sources} - set(rows))
    place = {row: n for n, row in enumerate([*outer, *rows])}
    inputs = [Layer("", INPUT, layers[s].shape, 0, ()) for s in outer]
    inner = [dataclasses.replace(layers[i], sources=tuple(place[s] for s in layers[i].sources)) for i in rows]
    return [*inputs, *inner]


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers training changes."""
    return sum(p.numel() for p in network.parameters())
