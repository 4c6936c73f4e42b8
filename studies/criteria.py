"""The paper's table and curves, rebuilt: criteria judged by the oracle, and by what pruning with them costs.

    python -m studies.criteria results.jsonl --network vgg_mini --seeds 0 --seeds 1

Table 1 of Molchanov et al. 2016 (arXiv 1611.06440): Spearman's rank correlation of every criterion with the ablation
oracle, per layer (the mean over the layers), over all layers, and over all layers after l2 normalisation. Figures 4 and
5: accuracy as filters are removed, a few minibatches of retraining after each step, one line a criterion, the oracle
among them. Each result is written as it comes, so that a study that was stopped goes on where it was; at the end there
is a picture beside the results.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.command_line import run_program
from course_utils.pictures.study_plots import criteria_curves
from course_utils.records import Correlation, CriteriaStudy, Curve, Study
from course_utils.training import evaluate
from minicifar import BatchLoader, ImageSet, Loader, load
from solutions.costs import count_macs
from solutions.criteria import normalize_per_layer
from solutions.feature_maps import Scores
from solutions.graph.groups import Group
from solutions.iterative import Ranking, prune_iteratively
from solutions.oracle import oracle
from solutions.prunable import prunable_groups
from solutions.ranks import spearman
from solutions.scoring import CRITERIA, ranking, score
from studies import cli
from studies.runs import scoring_batches, trained, versions

IMAGES = 512  # for scores and oracle, from the training images
STEPS = 12  # of pruning
LEFT = 0.15  # of the filters, after the last step
MINIBATCHES = 30  # of retraining after a step
CURVES = ("random", "minimum weight", "activation mean", "APoZ", "OBD", "Taylor", "oracle")


class FewBatches:
    """A loader of which an epoch is only `count` minibatches, going on where the last epoch stopped."""

    def __init__(self, loader: BatchLoader, count: int) -> None:
        self.loader, self.count, self.epoch = loader, count, 0
        self.batches: Iterator[Any] = itertools.chain.from_iterable(loader for _ in itertools.count())

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self.batches, self.count)


def correlations(scores: Mapping[str, Scores], ruler: Scores, seed: int = 0) -> list[Correlation]:
    """Of every criterion: rank correlation with the oracle per layer (mean), over all layers, and normalised."""

    def together(by_layer: Scores) -> Tensor:
        return torch.cat([by_layer[name].double() for name in ruler])

    records = []
    for criterion, by_layer in scores.items():
        inside = [spearman(by_layer[name], ruler[name]) for name in ruler if len(ruler[name]) > 1]
        inside = [value for value in inside if not math.isnan(value)]  # no correlation where all scores are equal
        values = (
            sum(inside) / max(1, len(inside)),
            spearman(together(by_layer), together(ruler)),
            spearman(together(normalize_per_layer(by_layer)), together(ruler)),
        )
        records.append(Correlation(seed, criterion, *(round(value, 4) for value in values)))
    return records


def ablations(
    network: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], groups: Sequence[Group], **options: Any
) -> Scores:
    """The oracle; `options` are those of `solutions.oracle.oracle`.

    On a GPU all images are one batch, and more of them run together: what fills a CPU does not fill it.
    """
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
    network: nn.Module,
    groups: Sequence[Group],
    loader: BatchLoader,
    test: Iterable[tuple[Tensor, Tensor]],
    rank: Ranking,
) -> tuple[tuple[float, float, float], ...]:
    """Accuracy as filters go: ((share of the filters left, share of the MACs left, accuracy), …)."""
    ratios = [1 - (1 - LEFT) * (step + 1) / STEPS for step in range(STEPS)]
    macs = []

    def rank_and_measure(current: nn.Module, left: Sequence[Group]) -> Mapping[str, Tensor]:
        macs.append(count_macs(current, (3, 32, 32)))
        return rank(current, left)

    options: dict[str, Any] = {"lr": 0.01, "schedule": "constant", "progress": False, "on_stop": "raise"}
    few = FewBatches(loader, MINIBATCHES)
    pruned, log = prune_iteratively(
        network, groups, few, ratios, 1, rank=rank_and_measure, scope="network", test=test, **options
    )
    macs.append(count_macs(pruned, (3, 32, 32)))
    accuracies = [evaluate(network, test).accuracy, *(entry["accuracy"] for entry in log)]
    points = zip([1.0, *ratios], macs, accuracies, strict=True)
    return tuple((round(left, 5), round(count / macs[0], 5), round(accuracy, 5)) for left, count, accuracy in points)


def carry_out(
    study: Study[CriteriaStudy],
    seed: int,
    images: ImageSet,
    test: Iterable[tuple[Tensor, Tensor]],
    folder: Path,
    device: str,
) -> None:
    """Correlations and curves of one seed, where they are not in the study yet. `folder`: for networks and oracle."""
    network = trained(study.about.network, images, seed, study.about.epochs, device, folder)
    groups = prunable_groups(network, torch.zeros(2, 3, 32, 32, device=device))
    batches = scoring_batches(images, IMAGES // 64, seed, device)
    measured = {record.criterion for record in study.of(Correlation) if record.seed == seed}
    if missing := [criterion for criterion in CRITERIA if criterion not in measured]:
        free = [group for group in groups if group.free]
        ruler = ablations(network, batches, free, resume=folder / f"oracle-seed{seed}.json")
        study.add(*correlations(score(network, batches, free, missing, seed=seed), ruler, seed))
    done = {record.criterion for record in study.of(Curve) if record.seed == seed}
    for criterion in (criterion for criterion in CURVES if criterion not in done):
        loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed, device=device)
        points = curve(network, groups, loader, test, ranking_by(criterion, batches, seed))
        study.add(Curve(criterion, seed, points))
        print(f"{criterion}, seed {seed}: {points[-1][2]:.1%} with {points[-1][0]:.0%} of the filters", flush=True)


def main(
    results: cli.Results,
    network: cli.Network = "vgg_mini",
    dataset: cli.Dataset = "minicifar",
    epochs: cli.Epochs = 25,
    seeds: cli.Seeds = cli.SEEDS,
    device: cli.Device = "cpu",
) -> None:
    """Carry out the study, and draw the curves."""
    images = load(dataset, "train")
    test = Loader(load(dataset, "test"), batch_size=500, device=device)
    about = CriteriaStudy(images=images.fingerprint, network=network, epochs=epochs, made_with=versions())
    study = cli.opened(results, about)
    with cli.stoppable():
        for seed in seeds:
            carry_out(study, seed, images, test, results.with_suffix(""), device)
    criteria_curves(study, images).savefig(results.with_suffix(".png"), bbox_inches="tight")


if __name__ == "__main__":
    run_program(main)
