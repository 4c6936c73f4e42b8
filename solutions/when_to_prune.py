"""When to start pruning, and in how many steps: the study of Martineau's poster, on MiniCIFAR.

    python -m solutions.when_to_prune results.json --networks vgg_mini resnet20 --seeds 0 1 2

Every run has the same number of epochs; it prunes at the beginning, once training starts to stabilise, or near the end;
in one step, or in four spread over the epochs that are left. Each result is written as it comes, so that a study that
was stopped goes on where it was; at the end there is a picture beside the results.
"""

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from course_utils import networks, study_plots
from course_utils.files import atomic
from course_utils.networks import parameter_count
from course_utils.training import evaluate, train
from minicifar import Loader, MiniCIFAR
from solutions.graph import Group
from solutions.iterative import prune_iteratively
from solutions.pruner import prunable_groups

EPOCHS = 16
BEGINS = {"at the beginning": 0, "once it stabilises": 6, "near the end": 14}  # epochs before the first pruning
STEPS = (1, 4)
KEEP_RATIOS = (0.7, 0.5, 0.3)
SETTINGS: dict[str, dict[str, Any]] = {
    "poster": {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"},
    "good": {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "one-cycle"},
}


def spread(keep_ratio: float, steps: int, epochs: int) -> tuple[list[float], int, int]:
    """Keep ratios of equal steps down to `keep_ratio`, the epochs after each of them, and after the last one.

    There are no more steps than epochs, and all epochs are used.
    """
    steps = max(1, min(steps, epochs))
    ratios = [1 - (1 - keep_ratio) * (step + 1) / steps for step in range(steps)]
    each = epochs // steps
    return ratios, each, epochs - each * (steps - 1)


def pruned_at(
    trained: nn.Module,
    groups: Sequence[Group],
    loader: Any,
    keep_ratio: float,
    steps: int,
    epochs: int,
    settings: Mapping[str, Any],
) -> nn.Module:
    """A network pruned by L1 norms, the same share of every layer, in equal steps over `epochs` of further training."""
    ratios, each, last = spread(keep_ratio, steps, epochs)
    pruned, _ = prune_iteratively(trained, groups, loader, ratios, each, final_epochs=last, progress=False, **settings)
    return pruned


def study(
    name: str, setting: str, seed: int, images: Any, test: Any, found: dict[str, Any], keep: Any, epochs: int = EPOCHS
) -> None:
    """All runs of one network, one setting and one seed into `found`; `keep()` is called after each of them."""
    options = SETTINGS[setting]

    def fresh() -> tuple[nn.Module, Any]:
        loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)
        return getattr(networks, name)(classes=len(images.classes), seed=seed), loader

    def note(key: str, network: nn.Module, whole: int) -> None:
        accuracy = evaluate(network, test).accuracy
        found[key] = {"accuracy": round(accuracy, 5), "parameters_left": round(parameter_count(network) / whole, 5)}
        keep()

    runs = [(when, begin, steps, ratio) for when, begin in BEGINS.items() for steps in STEPS for ratio in KEEP_RATIOS]
    groups = prunable_groups(fresh()[0], torch.zeros(2, 3, 32, 32))
    prefix: dict[int, tuple[nn.Module, Any]] = {}
    key = f"{name} | {setting} | {seed} | unpruned"
    if key not in found:
        network, loader = fresh()
        train(network, loader, epochs, progress=False, **options)
        note(key, network, parameter_count(network))
    for when, begin, steps, ratio in tqdm(runs, desc=f"{name}, {setting} settings, seed {seed}"):
        key = f"{name} | {setting} | {seed} | {when} | {steps} | {ratio}"
        if key in found:
            continue
        if begin not in prefix:
            prefix[begin] = fresh()
            if begin:
                train(*prefix[begin], begin, progress=False, **options)
        trained, loader = copy.deepcopy(prefix[begin][0]), copy.copy(prefix[begin][1])
        note(key, pruned_at(trained, groups, loader, ratio, steps, epochs - begin, options), parameter_count(trained))


def read(path: str | Path) -> dict[str, Any]:
    """The results that are there already."""
    path = Path(path)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"results": {}}


def table(found: Mapping[str, Any], name: str, setting: str) -> dict[str, dict[float, list[float]]]:
    """Accuracies of all seeds: {"once it stabilises, 4 steps": {share of parameters left: [accuracy, …]}, "unpruned": …}."""
    curves: dict[str, dict[float, list[float]]] = {}
    for key, result in found["results"].items():
        parts = key.split(" | ")
        if parts[:2] == [name, setting]:
            label = parts[3]
            if len(parts) == 6:
                label += f", {parts[4]} step{'s' * (parts[4] != '1')}"
            curves.setdefault(label, {}).setdefault(result["parameters_left"], []).append(result["accuracy"])
    return curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a JSON file, which is continued if it exists")
    parser.add_argument("--networks", nargs="+", default=["vgg_mini", "resnet20"])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    images, test = MiniCIFAR("train"), Loader(MiniCIFAR("test"), batch_size=500)
    found = read(options.results)
    if found.setdefault("images", images.fingerprint) != images.fingerprint:
        parser.error(f"{options.results} was made with other images: {found['images']}")

    def keep() -> None:
        with atomic(options.results) as temporary:
            temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")

    for seed in options.seeds:
        for name in options.networks:
            for setting in options.settings:
                study(name, setting, seed, images, test, found["results"], keep)
    tables = {f"{n}, {s} settings": table(found, n, s) for n in options.networks for s in options.settings}
    study_plots.when_to_prune(tables, images).savefig(options.results.with_suffix(".png"), bbox_inches="tight")


if __name__ == "__main__":
    main()
