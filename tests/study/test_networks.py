"""Networks: one contract for all, the reference study's ten through the real loop, Keras's weights, errors said."""

import dataclasses
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from emoscope.core.errors import InputError
from emoscope.faces.spec import ModelSpec
from emoscope.study.data.dataset import Dataset
from emoscope.study.data.synthetic import create_synthetic
from emoscope.study.networks import efficientnet
from emoscope.study.networks.catalogue import (
    NETWORKS,
    OWN,
    REFERENCE,
    SLIM,
    TINY,
    TRANSFER,
    create_network,
    find_network_facts,
)
from emoscope.study.networks.keras_resnet import DEPTHS, KerasResNetV2, load_keras_weights
from emoscope.study.networks.timm_networks import TIMM_NAMES, WeightsError
from emoscope.study.networks.vgg import Branches
from emoscope.study.recipes.training import TrainConfig
from emoscope.study.training.build import build_network, describe_input
from emoscope.study.training.optimize import create_optimizer
from emoscope.study.training.train import train

BY_NAME = [*OWN, *TINY, *SLIM, *TRANSFER, "timm:convnext_atto", "timm:vit_tiny_patch16_224"]


@pytest.mark.parametrize("name", [*BY_NAME, *REFERENCE])
def test_every_network_keeps_the_contract(name: str) -> None:
    size_px = max(48, find_network_facts(name).min_size_px)
    network = create_network(name, dropout=0.5, seed=1, size_px=size_px)
    assert network.training
    state = torch.get_rng_state()
    same = create_network(name, dropout=0.5, seed=1, size_px=size_px)
    assert torch.equal(state, torch.get_rng_state()), "the global generator is left as it was"
    pairs = list(zip(network.state_dict().values(), same.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    other = create_network(name, dropout=0.5, seed=2, size_px=size_px).state_dict().values()
    assert any(not torch.equal(a, b) for a, b in zip(network.state_dict().values(), other, strict=True))
    x = torch.randn(2, 1, size_px, size_px)
    logits = network(x)
    assert logits.shape == (2, 7) and logits.isfinite().all()
    logits.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(x), network(x))
        network.train()
        assert not torch.equal(network(x), network(x)), "dropout acts"


@pytest.mark.parametrize("name", OWN)
def test_our_networks_take_any_size(name: str) -> None:
    network = create_network(name)
    for size_px in (16, 33, 64):
        assert network(torch.zeros(2, 1, size_px, size_px)).shape == (2, 7)


@pytest.fixture(scope="module")
def images() -> Dataset:
    """Enough for 256 training images, and some to validate."""
    dataset = create_synthetic(360, seed=2)
    usage = np.array(["Training"] * 256 + ["PublicTest"] * 52 + ["PrivateTest"] * 52)
    return Dataset.create(dataset.pixels, dataset.emotion, usage)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_the_ten_networks_train_an_epoch(name: str, images: Dataset, tmp_path: Path) -> None:
    config = TrainConfig(
        network=name, epochs=1, batch_size=32, sizes_px=(48,), size_shares=(1.0,), ema_decay=0.0, precision="float32"
    )
    rows: list[dict[str, float]] = []
    result = train(images, config, tmp_path, rows.append).load_result()
    size_px = 75 if name.startswith("inception") else 48
    assert [row["size_px"] for row in rows] == [size_px] and np.isfinite(result["validation"]["nll"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 24 * 1024**2, "kilobytes"


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_branches_are_those_of_the_reference_study() -> None:
    plain = create_network("vgg16")
    # Thirteen convolutions of VGG16 on one channel, and 512 features to seven outputs.
    assert count(plain) == 14_714_688 - 2 * 64 * 9 + 512 * 7 + 7
    sides = {1: (512, 3), 2: (256, 6), 3: (128, 12)}
    previous = count(create_network("vgg16", branches=Branches(0, 64, 2, 128)))
    assert previous == count(plain)
    for n, (n_channels, side) in sides.items():
        network = create_network("vgg16", branches=Branches(n, 64, 2, 128))
        branch = n_channels * 64 + 64 + (64 * side**2) * 128 + 128 + 128 * 128 + 128
        assert count(network) - previous == branch + 128 * 7, f"branch {n} joins at the head"
        previous = count(network)
    head = create_network("vgg16", branches=Branches(head_layers=2, head_width=512))
    assert count(head) == count(plain) + 2 * (512 * 512 + 512)
    network = create_network("vgg16-tiny", branches=Branches(3, 4, 1, 8, 1, 16))
    network(torch.randn(2, 1, 48, 48)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.branches.parameters())
    assert network(torch.randn(2, 1, 40, 40)).shape == (2, 7), "smaller sizes of a progressive training fit"


KERAS = """
import json, sys, numpy as np, h5py, keras
from keras.src.legacy.saving import legacy_h5_format
rng = np.random.default_rng(0)
folder, counts = sys.argv[1], {}
for name in ("ResNet50V2", "ResNet101V2", "ResNet152V2"):
    make = getattr(keras.applications, name)
    model = make(weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3))
    for weight in model.weights:
        # Fresh normalisation would hide a swapped mean or variance, fresh biases are all zero.
        if weight.path.endswith(("moving_mean", "beta", "bias")):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.path.endswith(("moving_variance", "gamma")):
            weight.assign(rng.uniform(0.8, 1.2, weight.shape))
    with h5py.File(f"{folder}/{name.lower()}.h5", "w") as f:
        legacy_h5_format.save_weights_to_hdf5_group(f, model)
    x = rng.normal(0, 1, (3, 64, 64, 1)).astype("float32")
    np.savez(f"{folder}/{name.lower()}.npz", x=x, y=model.predict(np.repeat(x, 3, axis=3), verbose=0))
    counts[name.lower()] = model.count_params()
json.dump(counts, open(f"{folder}/counts.json", "w"))
"""


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each of Keras's three: random weights, pictures and features, the number of its parameters."""
    folder = tmp_path_factory.mktemp("keras")
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)}
    subprocess.run([sys.executable, "-c", KERAS, str(folder)], check=True, env=environment, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("name", "n_parameters"), [("resnet50v2", 23_564_800), ("resnet101v2", 42_626_560), ("resnet152v2", None)]
)
def test_keras_weights_give_keras_features(name: str, n_parameters: int | None, keras_files: Path) -> None:
    network = KerasResNetV2(DEPTHS[name]).eval()
    load_keras_weights(network, keras_files / f"{name}.h5")
    with np.load(keras_files / f"{name}.npz") as z, torch.inference_mode():
        x = torch.from_numpy(z["x"].transpose(0, 3, 1, 2))
        ours = network.compute_features(x).numpy()
        assert np.abs(ours - z["y"]).max() <= 1e-4 * max(1.0, float(np.abs(z["y"]).max()))
        assert np.abs(z["y"]).max() > 0.1 and z["y"].std() > 0.01
        flat = KerasResNetV2(DEPTHS[name], size_px=64).eval()
        load_keras_weights(flat, keras_files / f"{name}.h5")
        assert flat.compute_features(x).shape == (3, 2048 * 4)
        torch.testing.assert_close(flat.compute_features(x).view(3, 2048, 4).mean(2), torch.from_numpy(ours))
    # Keras counts statistics, and two more colours of the first convolution.
    arrays = network.state_dict().items()
    n = sum(t.numel() for k, t in arrays if not k.startswith("classifier") and "num_batches" not in k) + 2 * 64 * 49
    counted = json.loads((keras_files / "counts.json").read_text())[name]
    assert n == counted == (n_parameters or counted)


def test_other_files_are_no_keras_weights(keras_files: Path, tmp_path: Path) -> None:
    (tmp_path / "no.h5").write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds no weights of this network"):
        load_keras_weights(KerasResNetV2((1, 1, 1, 1)), tmp_path / "no.h5")
    for other in ((1, 1, 1, 1), DEPTHS["resnet101v2"]):
        with pytest.raises(InputError, match=r"no weights|does not fit"):
            load_keras_weights(KerasResNetV2(other), keras_files / "resnet50v2.h5")


@pytest.mark.parametrize(
    ("name", "n_channels", "size_px"),
    [("densenet121", 1024, 96), ("inception_v3", 2048, 139), ("resnet50v2", 2048, 64)],
)
def test_a_head_flattens_where_it_is_told(name: str, n_channels: int, size_px: int) -> None:
    network = create_network(name, 0.5, 1, size_px=size_px, pooling="flatten").eval()
    side = 3 if size_px > 64 else 2
    assert network.classifier.in_features == n_channels * side**2
    plain = create_network(name, 0.5, 1, size_px=size_px).eval()
    theirs = {k.removeprefix("body."): v for k, v in network.state_dict().items()}
    names = {"fc.", "classifier."}
    assert {k for k in plain.state_dict() if not k.startswith(tuple(names))} <= set(theirs)
    assert network(torch.zeros(2, 1, size_px - 8, size_px - 8)).shape == (2, 7), "smaller sizes fit too"


def test_vgg_averages_where_it_is_told() -> None:
    features = [create_network("vgg16", size_px=96, pooling=p).classifier.in_features for p in ("own", "average")]
    assert features == [512 * 9, 512]


def test_constants_of_norms_and_optimisers_are_settings() -> None:
    constants = {"norm_momentum": 0.01, "norm_epsilon": 1.001e-5, "momentum": 0.0, "epsilon": 1e-7}
    config = TrainConfig(network="resnet50v2-tiny", **constants)  # type: ignore[arg-type]
    norms = [m for m in build_network(config).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and {(m.momentum, m.eps) for m in norms} == {(0.01, 1.001e-5)}
    own = [m for m in build_network(TrainConfig(network="inception_v3")).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.eps for m in own} == {1e-3}, "those of the network where nothing is set"
    network = nn.Linear(2, 2)
    sgd = create_optimizer(network, dataclasses.replace(config, optimizer="sgd")).param_groups[0]
    assert (sgd["momentum"], sgd["nesterov"]) == (0.0, False)
    assert create_optimizer(network, dataclasses.replace(config, optimizer="adam")).param_groups[0]["eps"] == 1e-7


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache of weights, empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize(("name", "kept"), [("vgg16", "features."), ("densenet121", ""), ("inception_v3", "")])
def test_cached_weights_for_three_colours_read_grey(name: str, kept: str, hub_cache: Path) -> None:
    cfg = timm.get_pretrained_cfg(TIMM_NAMES[name])
    extra: dict[str, Any] = {"aux_logits": True} if name == "inception_v3" else {"mlp_ratio": 0.01} if kept else {}
    torch.manual_seed(0)
    colour = timm.create_model(TIMM_NAMES[name].split(".")[0], **extra).eval()
    # As the hub's client leaves a file: there is no network in tests, so nothing else can have been read.
    folder = hub_cache / f"models--{cfg.hf_hub_id.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    (folder / "snapshots" / ("a" * 40)).mkdir(parents=True)
    state = {k: v.contiguous() for k, v in colour.state_dict().items() if k.startswith(kept)}
    save_file(state, folder / "snapshots" / ("a" * 40) / "model.safetensors")
    size_px = find_network_facts(name).min_size_px
    grey = create_network(name, size_px=size_px, seed=1, pretrained=True).eval()
    other = create_network(name, size_px=size_px, seed=2, pretrained=True).eval()
    x = torch.randn(2, 1, size_px, size_px)
    with torch.inference_mode():
        body = nn.Sequential(*grey.blocks) if kept else grey.forward_features
        colour.aux_logits = False  # Inception's weights have them, we do not
        theirs = colour.forward_features(x.expand(-1, 3, -1, -1))
        assert (body(x) - theirs).abs().max() <= 1e-4 * theirs.abs().max()
        assert not torch.equal(grey(x), other(x)), "the classifier is new, drawn by the seed"
    ours, others = dict(grey.named_parameters()), dict(other.named_parameters())
    assert {k.rsplit(".", 1)[0] for k in ours if not torch.equal(ours[k], others[k])} <= {"classifier", "fc", "head.fc"}


def test_weights_out_of_the_package_index_read_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colour = timm.create_model("tf_efficientnet_lite0").eval()
    # Their names are others, their order is the same.
    torch.save({f"_layer{i}.{k}": v for i, (k, v) in enumerate(colour.state_dict().items())}, tmp_path / "w.pth")
    monkeypatch.setattr(efficientnet, "fetch", lambda model: tmp_path / "w.pth")
    grey = create_network("efficientnet_lite0", seed=1, size_px=64, pretrained=True).eval()
    other = create_network("efficientnet_lite0", seed=2, size_px=64, pretrained=True).eval()
    x = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        theirs = colour.forward_features(x.expand(-1, 3, -1, -1))
        assert (grey.forward_features(x) - theirs).abs().max() <= 1e-4 * theirs.abs().max()
        assert not torch.equal(grey(x), other(x)), "the classifier is new, drawn by the seed"


@pytest.mark.parametrize(
    "name", ["vgg16", "densenet121", "resnet50v2", "resnet152v2", "efficientnet_lite0", "timm:convnext_atto"]
)
@pytest.mark.usefixtures("hub_cache")
def test_without_a_network_pretrained_fails_at_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("EMOSCOPE_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsError, match=r"cannot (be )?fetch(ed)? .*`pretrained: false`"):
        create_network(name, pretrained=True)


def test_what_is_wrong_with_a_network_is_said() -> None:
    for name, options, words in (
        ("vgg61", {}, "choose one of compact"),
        ("timm:densnet121", {}, "did you mean densenet121"),
        ("timm:resnet18.nonsense", {}, r"did you mean resnet18\."),
        ("timm:legacy_seresnet18", {"pretrained": True}, "no ImageNet weights"),
        ("compact", {"pretrained": True}, "no ImageNet weights of compact"),
        ("timm:resnetv2_152", {"pretrained": True}, "no ImageNet weights"),
        ("densenet121", {"branches": Branches(1)}, "takes no branches"),
        ("vgg16", {"size_px": 16}, "at least 32 px"),
        ("compact", {"pooling": "flatten"}, "compact takes no head_pooling"),
        ("timm:vit_tiny_patch16_224", {"pooling": "flatten"}, "no map of features to flatten"),
        ("timm:inception_v4", {"size_px": 32}, "takes no input of 32 px"),
    ):
        with pytest.raises(InputError, match=words):
            create_network(name, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"set `sizes_px: \[48\]`"):
        create_network("timm:vit_tiny_patch16_224", size_px=48)(torch.zeros(2, 1, 32, 32))


def test_inputs_are_what_the_weights_expect() -> None:
    spec = describe_input(TrainConfig(network="inception_v3", sizes_px=(48,), size_shares=(1.0,)))
    assert (spec.size_px, spec.mean, spec.std) == (75, 0.5, 0.5)
    spec = describe_input(TrainConfig(network="densenet121", sizes_px=(100,), size_shares=(1.0,), kernel="lanczos3"))
    assert spec.size_px == 100 and spec.kernel == "lanczos3" and spec.mean == pytest.approx(0.449, abs=1e-3)
    assert describe_input(TrainConfig()) == ModelSpec(name="compact")
    assert set(NETWORKS) >= {*OWN, *REFERENCE, *TINY, *SLIM} and len(REFERENCE) == 10
