"""When to start pruning, and in how many steps: the study of Martineau's poster, on MiniCIFAR.

    python -m studies.when_to_prune results.json --networks vgg_mini resnet20 --seeds 0 1 2

Every run has the same number of epochs; it prunes at the beginning, once training starts to stabilise, or near the end;
in one step, or in four spread over the epochs that are left. The control has the pruned shape from the start, with
random weights. Each result is written as it comes, and trained networks are kept in a folder beside the results, so that
a study that was stopped goes on where it was, also with other keep ratios; at the end there is a picture.
"""

import argparse
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from course_utils import networks
from course_utils.networks import parameter_count
from course_utils.pictures.study_plots import study_curves, when_to_prune
from course_utils.training import evaluate
from minicifar import Loader, MiniCIFAR
from solutions.graph.groups import Group
from solutions.iterative import l1_ranking, plan_step, prune_iteratively
from solutions.prunable import prunable_groups
from solutions.surgery import prune
from studies.runs import fully_trained, keep_results, narrow_control, read_results

EPOCHS = 20
BEGINS = {"at the beginning": 0, "once it stabilises": 8, "near the end": 18}  # epochs before the first pruning
STEPS = (1, 4)
KEEP_RATIOS = (0.6, 0.4, 0.2)
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
    pruned, log = prune_iteratively(
        trained, groups, loader, ratios, each, final_epochs=last, progress=False, **settings
    )
    if len(log) < len(ratios):
        raise KeyboardInterrupt
    return pruned


def narrow(network: nn.Module, groups: Sequence[Group], keep_ratio: float, seed: int) -> nn.Module:
    """The control: the shape that pruning the same share of every layer gives, with random weights."""
    sizes = {group.name: group.channels for group in groups}
    plan = plan_step(groups, l1_ranking(network, groups), sizes, keep_ratio)
    return narrow_control(prune(network, groups, plan), seed)


def study(
    name: str,
    setting: str,
    seed: int,
    images: Any,
    test: Any,
    found: dict[str, Any],
    keep: Any,
    epochs: int = EPOCHS,
    keep_ratios: Sequence[float] = KEEP_RATIOS,
    resume: Path | None = None,
    device: str = "cpu",
) -> None:
    """All runs of one network, one setting and one seed into `found`; `keep()` is called after each of them.

    `resume`: a folder in which the trained networks are kept that the runs prune.
    """
    options = SETTINGS[setting]
    stages: dict[int, tuple[nn.Module, Any]] = {}

    def fresh() -> tuple[nn.Module, Any]:
        loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed, device=device)
        return getattr(networks, name)(classes=len(images.classes), seed=seed).to(device), loader

    def trained_for(begin: int) -> tuple[nn.Module, Any]:
        """A copy of the network after `begin` epochs; with a constant rate and no momentum it goes on from a shorter run."""
        if begin not in stages:
            goes_on = options["schedule"] == "constant" and not options["momentum"]
            shorter = max((stage for stage in BEGINS.values() if goes_on and stage < begin), default=0)
            network, loader = trained_for(shorter) if shorter else fresh()
            if begin > shorter:
                kept = resume / f"{name}-{setting}-seed{seed}-{begin}epochs.resume" if resume else None
                fully_trained(network, loader, begin - shorter, progress=False, resume=kept, **options)
            stages[begin] = network, loader
        network, loader = stages[begin]
        return copy.deepcopy(network), copy.copy(loader)

    def note(key: str, network: nn.Module, whole: int) -> None:
        accuracy = evaluate(network, test).accuracy
        found[key] = {"accuracy": round(accuracy, 5), "parameters_left": round(parameter_count(network) / whole, 5)}
        keep()

    runs = [(when, begin, steps, ratio) for when, begin in BEGINS.items() for steps in STEPS for ratio in keep_ratios]
    groups = prunable_groups(fresh()[0], torch.zeros(2, 3, 32, 32, device=device))
    controls = {"unpruned": 1.0} | {f"from scratch | {ratio}": ratio for ratio in keep_ratios}
    title = f"{name}, {setting} settings, seed {seed}"
    for control, ratio in tqdm(controls.items(), desc=f"{title}, controls"):
        key = f"{name} | {setting} | {seed} | {control}"
        if key in found:
            continue
        whole = parameter_count(fresh()[0])
        if control == "unpruned":
            note(key, trained_for(epochs)[0], whole)
        else:
            network, loader = fresh()
            small = narrow(network, groups, ratio, seed)
            note(key, fully_trained(small, loader, epochs, progress=False, **options), whole)
    for when, begin, steps, ratio in tqdm(runs, desc=title):
        key = f"{name} | {setting} | {seed} | {when} | {steps} | {ratio}"
        if key not in found:
            trained, loader = trained_for(begin)
            pruned = pruned_at(trained, groups, loader, ratio, steps, epochs - begin, options)
            note(key, pruned, parameter_count(trained))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a JSON file, which is continued if it exists")
    parser.add_argument("--networks", nargs="+", default=["vgg_mini", "resnet20"])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--keep-ratios", nargs="+", type=float, default=KEEP_RATIOS)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    images, test = MiniCIFAR("train"), Loader(MiniCIFAR("test"), batch_size=500, device=options.device)
    try:
        found = read_results(options.results, {"images": images.fingerprint})
    except ValueError as error:
        parser.error(str(error))

    folder = options.results.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)

    def keep() -> None:
        keep_results(options.results, found)

    for name in options.networks:
        for seed in options.seeds:
            for setting in options.settings:
                about = (found["results"], keep, EPOCHS, options.keep_ratios, folder, options.device)
                study(name, setting, seed, images, test, *about)
    tables = {f"{n}, {s} settings": study_curves(found, n, s) for n in options.networks for s in options.settings}
    when_to_prune(tables, images).savefig(options.results.with_suffix(".png"), bbox_inches="tight")


if __name__ == "__main__":
    main()
