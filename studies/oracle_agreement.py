"""How good is AOFP's approximation? Its scores beside the exact oracle of lab 5, over the batches of a search.

    python -m studies.oracle_agreement course_utils/recorded/aofp_agreement.jsonl

A trained network goes on training as in AOFP, all filters of every layer are one search space, and nothing is pruned.
After some batches the mean damage of every filter is ranked beside the oracle's |change of the loss| on 512 training
images, measured on the network at the start: Spearman's correlation, layer by layer. Between the two stand the damages
of single filters, each ablated alone: what AOFP would find if it asked for every filter by itself. Cost: forward passes
of images through the whole network; scoring one costs half of what the followers do (half of the filters, by
linearity).
"""

import copy
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.command_line import run_program
from course_utils.pictures.aofp_plots import agreement_curves
from course_utils.records import Agreement, AgreementStudy
from course_utils.training import train
from minicifar import ImageSet, Loader, load
from solutions.aofp import KERNELS
from solutions.aofp_paths import SCORED, Paths
from solutions.aofp_search import Search
from solutions.budgets import uses_of
from solutions.drivers import SEARCHING
from solutions.followers import Target, targets
from solutions.graph.export import export_graph
from solutions.oracle import oracle
from solutions.prunable import prunable_groups
from solutions.ranks import spearman
from studies import cli
from studies.runs import scoring_batches, trained, versions

IMAGES = 512  # of the oracle
MOMENTS = (5, 10, 20, 40, 80, 160, 320)  # in batches
HALF_DONE = Path("build/results/budgets")


class _Enough(Exception):
    """All moments are there."""


def damages_alone(network: nn.Module, found: list[Target], batches: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The mean damage of every filter, ablated alone, by target; in training mode, as AOFP measures it."""
    network = copy.deepcopy(network).train()
    paths = Paths(network, found, KERNELS.damage)
    totals = {target.name: torch.zeros(target.group.channels, dtype=torch.float64) for target in found}
    for filter in range(max(len(total) for total in totals.values())):
        paths.halves = {name: [filter] for name, total in totals.items() if filter < len(total)}
        for images, _ in batches:
            network(images)
            for name, amount in paths.damages.items():
                totals[name][filter] += amount / len(batches)
            paths.damages = {}
    paths.remove()
    return totals


def scores_over_time(
    network: nn.Module, found: list[Target], images: ImageSet, seed: int
) -> list[tuple[int, dict[str, Tensor]]]:
    """(batches, the scores of every target) at MOMENTS, while the network trains. `network` is not changed."""
    network = copy.deepcopy(network)
    searches = {target.name: Search(KERNELS, target.group.channels, target.group.free) for target in found}
    paths = Paths(network, found, KERNELS.damage)
    scores: list[tuple[int, dict[str, Tensor]]] = []
    batch = 0

    def draw() -> None:
        for number, (name, search) in enumerate(searches.items()):
            paths.halves[name] = search.ablated(batch, (seed * 100_003 + batch) * 101 + number)

    def after_step(_network: nn.Module) -> None:
        nonlocal batch
        for name, search in searches.items():
            search.note(paths.halves[name], paths.damages[name])
        batch += 1
        if batch in MOMENTS:
            scores.append((batch, {name: search.scores() for name, search in searches.items()}))
        if batch == MOMENTS[-1]:
            raise _Enough
        draw()

    draw()
    loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)
    try:
        train(network, loader, MOMENTS[-1] // len(loader) + 1, after_step=after_step, progress=False, **SEARCHING)
    except _Enough:
        paths.remove()
    return scores


def correlation(scores: Tensor, exact: Tensor) -> float:
    """Spearman's correlation of the filters that were ablated at all; 0 where all have the same score."""
    seen = torch.isfinite(scores)
    value = spearman(scores[seen], exact[seen])
    return 0.0 if math.isnan(value) else round(value, 4)


def scored_share(network: nn.Module, found: list[Target], uses: Mapping[str, int]) -> float:
    """What scoring an image costs, as a share of a whole forward pass: half of what the followers do."""
    macs = {name: count * network.get_parameter(name).numel() for name, count in uses.items()}
    return 0.5 * sum(macs[f"{target.follower}.weight"] for target in found) / sum(macs.values())


def main(
    results: cli.Results, network: cli.Network = "vgg_mini", epochs: cli.Epochs = 25, seeds: cli.Seeds = cli.SEEDS
) -> None:
    """Carry out the study on MiniCIFAR, and draw the curves."""
    images, example = load("minicifar", "train"), torch.zeros(2, 3, 32, 32)
    about = AgreementStudy(images=images.fingerprint, network=network, epochs=epochs, made_with=versions())
    study = cli.opened(results, about)
    with cli.stoppable():
        for seed in seeds:
            if seed in {record.seed for record in study.of(Agreement)}:
                continue
            original = trained(network, images, seed, epochs, "cpu", HALF_DONE)
            groups = [group for group in prunable_groups(original, example) if group.free]
            found, _ = targets(original, groups, export_graph(original, example))
            ruler = oracle(original, scoring_batches(images, IMAGES // 64, seed, "cpu"), groups)
            passes = (1 + sum(len(scores) for scores in ruler.values())) * IMAGES
            share = SCORED * scored_share(original, found, uses_of(original, example))
            alone = damages_alone(original, found, scoring_batches(images, IMAGES // 64, seed, "cpu"))
            moments = scores_over_time(original, found, images, seed)
            study.add(
                *(
                    Agreement(
                        seed,
                        name,
                        points=tuple((batch, correlation(scores[name], exact)) for batch, scores in moments),
                        to_alone=tuple((batch, correlation(scores[name], alone[name])) for batch, scores in moments),
                        alone=correlation(alone[name], exact),
                        oracle_passes=passes,
                        batch_passes=round(share, 2),
                    )
                    for name, exact in ruler.items()
                )
            )
    agreement_curves(study, images).savefig(results.with_suffix(".png"), bbox_inches="tight")


if __name__ == "__main__":
    run_program(main)
