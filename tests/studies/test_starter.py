"""The board's first entries, with networks and images as small as can be; and binary weights."""

import ast
import functools
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.challenge_files import few_images
from torch import nn

from course_utils import networks
from course_utils.challenge import entry, quantize
from course_utils.checkpoints import load_network, save_network
from course_utils.networks import vgg_mini
from course_utils.onnx_files.export import export_onnx
from course_utils.training import train
from solutions.binary import binarized, clip_weights, with_binary_weights
from solutions.graph.groups import Group
from solutions.prunable import prunable_groups
from studies import runs, starter

SMALL = {"vgg_mini": (4, 6), "resnet20": (6, 4), "mobile_mini": (4, 6)}
OPTIONS: dict[str, Any] = {"seed": 3, "epochs": 1, "retraining": 2}


@functools.cache
def groups_of(recipe: str) -> list[Group]:
    return prunable_groups(networks.build(ast.literal_eval(recipe)), torch.zeros(2, 3, 32, 32))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Few images, and networks of a few channels (for resnet20 another vgg_mini), in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(entry, "load", few_images)
    monkeypatch.setattr(entry, "baseline_entry", lambda *_: [])
    monkeypatch.setattr(starter, "load", few_images)
    for name, widths in SMALL.items():
        builder = networks.mobile_mini if name == "mobile_mini" else vgg_mini
        monkeypatch.setattr(runs.networks, name, lambda classes, seed, b=builder, w=widths: b(w, classes, seed))
    monkeypatch.setattr(starter, "prunable_groups", lambda network, _: groups_of(str(network.recipe)))
    starter.CACHE.mkdir(parents=True)
    return tmp_path


@pytest.mark.slow
def test_eight_entries_of_three_networks_are_made_and_say_how_to_go_on(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    starter.main(Path("entries"), **OPTIONS)
    said = capsys.readouterr().out
    assert "8 of 8: vgg_mini, half, Taylor, binary weights" in said and "autograder leaderboard entries" in said
    cards = [starter.read_card(path) for path in sorted(Path("entries").iterdir())]
    assert len(cards) == 8 and {card["team"] for card in cards} == {"the course"}
    assert all(card["seeds"] == [3] and card["code"] == "train.py" for card in cards)
    budgets = {card["method"].split(":")[0]: card["method"].split("; ")[-1] for card in cards}
    assert budgets["vgg_mini"] == "1 epochs, then 2" and budgets["mobile_mini"] == "3 epochs, then 6"
    scored = {
        name: entry.score_onnx(f"entries/{entry.entry_folder('the course', name)}/network.onnx")
        for name in starter.ENTRIES
    }
    assert {row.bits for row in scored["resnet20, half, L1"].tensors} == {32}
    int8 = scored["vgg_mini, half, L1, int8"]
    assert {(row.q_w, row.q_a) for row in int8.operators} == {(8, 8)}
    binary = [row for row in scored["vgg_mini, half, Taylor, binary weights"].tensors if row.name.endswith("_levels")]
    assert len(binary) == 3 and {row.bits for row in binary} == {1}

    before = {path: path.stat().st_mtime_ns for path in Path("entries").rglob("*")}
    starter.main(Path("entries"), **OPTIONS)
    assert before == {path: path.stat().st_mtime_ns for path in Path("entries").rglob("*")}, "made again"


def test_an_entry_with_other_settings_is_made_again(small: Path) -> None:
    name = "vgg_mini, half, L1"
    starter.submit(name, small / "entries", **OPTIONS)
    starter.submit(name, small / "entries", **OPTIONS | {"retraining": 1})
    (written,) = (small / "entries").iterdir()
    assert starter.read_card(written)["method"].endswith("retrained; 1 epochs, then 1")


def test_a_network_of_other_images_is_not_taken(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "vgg_mini, half, L1"
    starter.submit(name, small / "entries", **OPTIONS)
    before = {path.name for path in starter.CACHE.iterdir()}

    def other_images(*arguments: Any) -> Any:
        images = few_images(*arguments)
        images.fingerprint = "other-images/4 classes"
        return images

    monkeypatch.setattr(starter, "load", other_images)
    monkeypatch.setattr(entry, "load", other_images)
    starter.submit(name, small / "entries", **OPTIONS)
    assert {path.name for path in starter.CACHE.iterdir()} - before == {"other-images_4_classes"}


def test_a_stopped_retraining_is_no_entry_and_goes_on(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as within:
        within.setattr(starter, "fully_trained", stopped)
        with pytest.raises(SystemExit, match="goes on from here"):
            starter.main(Path("entries"), epochs=1, retraining=1)
    assert not Path("entries").exists()
    assert list(starter.CACHE.glob("*/vgg_mini-1epochs-batches64-seed0.safetensors"))


@pytest.mark.slow
def test_the_script_that_goes_along_makes_the_same_network(small: Path) -> None:
    name = "mobile_mini, half, Taylor"
    starter.submit(name, small / "entries", **OPTIONS)
    (written,) = (small / "entries").iterdir()
    code = (written / "train.py").read_text(encoding="utf-8")
    (module,) = (node for node in ast.parse(code).body if isinstance(node, ast.ImportFrom))
    assert importlib.import_module(str(module.module)).make is starter.make
    assert "mobile_mini: 50% of the channels, chosen by Taylor" in code
    assert "seed=int(sys.argv[1]), epochs=1, retraining=2" in code
    again = starter.make(name, small / "again.onnx", cache=small / "again", **OPTIONS)
    assert again.read_bytes() == (written / "network.onnx").read_bytes()


def test_the_help_is_there() -> None:
    said = subprocess.run([sys.executable, "-m", "studies.starter", "--help"], capture_output=True, text=True).stdout
    assert "--retraining" in said


# binary weights


class Batches(list):
    epoch = 0


def test_a_binarized_network_computes_with_two_values_a_tensor_and_learns_real_ones() -> None:
    network = vgg_mini(widths=(4, 6))
    real = network.features[0].weight.detach().clone()
    binary = binarized(network)
    seen = binary.features[0].weight
    assert torch.allclose(seen, real.sign() * real.abs().mean())
    seen.sum().backward()
    assert torch.equal(binary.features[0].parametrizations.weight.original.grad, torch.ones_like(real))
    assert torch.equal(network.features[0].weight, real)


def test_a_weight_of_zero_has_a_sign_too() -> None:
    layer = nn.Linear(2, 1)
    layer.weight.data = torch.tensor([[0.0, -2.0]])
    assert binarized(nn.Sequential(layer))[0].weight.tolist() == [[1, -1]]


def test_real_weights_stay_between_minus_one_and_one() -> None:
    binary = binarized(vgg_mini(widths=(4, 6)))
    original = binary.classifier.parametrizations.weight.original
    original.data.fill_(3)
    clip_weights(binary)
    assert original.unique().tolist() == [1]


def test_a_network_trained_with_binary_weights_keeps_its_outputs_in_one_bit(tmp_path: Path) -> None:
    batch = torch.randn(16, 3, 32, 32), torch.arange(16) % 4
    binary = binarized(vgg_mini(widths=(4, 6)))
    start = binary.features[0].parametrizations.weight.original.detach().clone()
    train(binary, Batches([batch, batch]), 2, after_step=clip_weights, progress=False)
    assert not torch.equal(start, binary.features[0].parametrizations.weight.original)
    expected = binary(batch[0])
    plain = with_binary_weights(binary)
    assert len(plain.features[3].weight.unique()) == 2
    assert torch.allclose(plain(batch[0]), expected, atol=1e-5)
    again = load_network(save_network(plain, tmp_path / "binary.safetensors"))
    export_onnx(again, tmp_path / "real.onnx")
    path = quantize.quantize_weights(tmp_path / "real.onnx", 1, tmp_path / "bits.onnx")
    assert np.allclose(outputs(path, batch[0]), plain(batch[0]).detach(), atol=1e-4)


def outputs(path: Path, images: torch.Tensor) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path.read_bytes()).run(None, {"images": images.numpy()})[0]
