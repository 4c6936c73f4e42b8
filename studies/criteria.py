"""The paper's table and curves, rebuilt: criteria judged by the oracle, and by what pruning with them costs.

    python -m studies.criteria results.json --network vgg_mini --seeds 0 1 2

Table 1 of Molchanov et al. 2016 (arXiv 1611.06440): Spearman's rank correlation of every criterion with the ablation
oracle, per layer (the mean over the layers), over all layers, and over all layers after l2 normalisation. Figures 4 and 5:
accuracy as filters are removed, a few minibatches of retraining after each step, one line a criterion, the oracle among
them. Each result is written as it comes, so that a study that was stopped goes on where it was; at the end there
is a picture beside the results.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.pictures.study_plots import criteria_curves
from course_utils.training import evaluate
from minicifar import Loader, load
from solutions.costs import count_macs
from solutions.criteria import normalize_per_layer
from solutions.feature_maps import Scores
from solutions.graph.groups import Group
from solutions.iterative import Ranking, prune_iteratively
from solutions.oracle import Batches, oracle
from solutions.prunable import prunable_groups
from solutions.ranks import spearman
from solutions.scoring import CRITERIA, ranking, score
from studies.runs import keep_results, read_results, trained

IMAGES = 512  # for scores and oracle, from the training images
STEPS = 12  # of pruning
LEFT = 0.15  # of the filters, after the last step
MINIBATCHES = 30  # of retraining after a step
CURVES = ("random", "minimum weight", "activation mean", "APoZ", "OBD", "Taylor", "oracle")


class FewBatches:
    """A loader of which an epoch is only `count` minibatches, going on where the last epoch stopped."""

    def __init__(self, loader: Any, count: int) -> None:
        self.loader, self.count, self.epoch = loader, count, 0
        self.batches: Iterator[Any] = itertools.chain.from_iterable(loader for _ in itertools.count())

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self.batches, self.count)


def correlations(scores: Mapping[str, Scores], ruler: Scores) -> dict[str, list[float]]:
    """Of every criterion: rank correlation with the oracle per layer (mean), over all layers, and normalised."""

    def together(by_layer: Scores) -> Tensor:
        return torch.cat([by_layer[name].double() for name in ruler])

    found = {}
    for criterion, by_layer in scores.items():
        inside = [spearman(by_layer[name], ruler[name]) for name in ruler if len(ruler[name]) > 1]
        inside = [number for number in inside if number == number]  # not a number where all scores are equal
        numbers = (
            sum(inside) / max(1, len(inside)),
            spearman(together(by_layer), together(ruler)),
            spearman(together(normalize_per_layer(by_layer)), together(ruler)),
        )
        found[criterion] = [round(number, 4) for number in numbers]
    return found


def ablations(network: nn.Module, batches: Batches, groups: Sequence[Group], **options: Any) -> Scores:
    """The oracle. On a GPU all images are one batch, and more of them run together: what fills a CPU does not fill it."""
    if next(network.parameters()).is_cuda:
        batches = [(torch.cat([images for images, _ in batches]), torch.cat([labels for _, labels in batches]))]
        options["at_once"] = 4096
    return oracle(network, batches, groups, **options)


def ranking_by(criterion: str, batches: Sequence[tuple[Tensor, Tensor]], seed: int) -> Ranking:
    """A criterion, normalised in each layer, or the oracle, which needs no normalisation."""
    if criterion == "oracle":
        return lambda network, groups: ablations(network, batches, groups, progress=False)
    return ranking(criterion, batches, normalize=True, seed=seed)


def curve(
    network: nn.Module, groups: Sequence[Group], images: Any, test: Any, rank: Ranking, seed: int, device: str
) -> list[list[float]]:
    """Accuracy as filters go: [[share of the filters left, share of the MACs left, accuracy], …]."""
    ratios = [1 - (1 - LEFT) * (step + 1) / STEPS for step in range(STEPS)]
    loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed, device=device)
    few = FewBatches(loader, MINIBATCHES)
    options: dict[str, Any] = {"lr": 0.01, "schedule": "constant"}
    macs = []

    def rank_and_measure(current: nn.Module, left: Sequence[Group]) -> Mapping[str, Tensor]:
        macs.append(count_macs(current, (3, 32, 32)))
        return rank(current, left)

    pruned, log = prune_iteratively(
        network, groups, few, ratios, 1, rank=rank_and_measure, scope="network", test=test, progress=False, **options
    )
    if len(log) < len(ratios):
        raise KeyboardInterrupt
    macs.append(count_macs(pruned, (3, 32, 32)))
    accuracies = [evaluate(network, test).accuracy, *(entry["accuracy"] for entry in log)]
    points = zip([1.0, *ratios], macs, accuracies, strict=True)
    return [[round(left, 5), round(count / macs[0], 5), round(accuracy, 5)] for left, count, accuracy in points]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a JSON file, which is continued if it exists")
    parser.add_argument("--network", default="vgg_mini")
    parser.add_argument("--dataset", default="minicifar", choices=["minicifar", "cifar10", "cifar100"])
    parser.add_argument("--epochs", type=int, default=25, help="of training before any pruning")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    images = load(options.dataset, "train")
    test = Loader(load(options.dataset, "test"), batch_size=500, device=options.device)
    about = {"images": images.fingerprint, "network": options.network, "epochs": options.epochs}
    try:
        found = {"correlations": {}, "curves": {}, **read_results(options.results, about)}
    except ValueError as error:
        parser.error(str(error))
    for seed in options.seeds:
        network = trained(
            options.network, images, seed, options.epochs, options.device, options.results.with_suffix("")
        )
        groups = prunable_groups(network, torch.zeros(2, 3, 32, 32, device=options.device))
        shuffled = Loader(images, batch_size=64, shuffle=True, seed=seed, device=options.device)
        batches = list(itertools.islice(shuffled, IMAGES // 64))
        free = [group for group in groups if group.free]
        if str(seed) not in found["correlations"]:
            resume = options.results.with_suffix("") / f"oracle-seed{seed}.json"
            ruler = ablations(network, batches, free, resume=resume)
            found["correlations"][str(seed)] = correlations(score(network, batches, free, CRITERIA, seed=seed), ruler)
            keep_results(options.results, found)
        for criterion in CURVES:
            key = f"{criterion} | {seed}"
            if key not in found["curves"]:
                rank = ranking_by(criterion, batches, seed)
                found["curves"][key] = curve(network, groups, images, test, rank, seed, options.device)
                keep_results(options.results, found)
                print(key, found["curves"][key][-1], flush=True)
    criteria_curves(found, images).savefig(options.results.with_suffix(".png"), bbox_inches="tight")


if __name__ == "__main__":
    main()
