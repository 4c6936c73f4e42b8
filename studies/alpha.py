"""The report's experiments on alpha-branch pruning, again, under one budget.

    python -m studies.alpha results.jsonl --seeds 0 --seeds 1

All start from the course's baseline (`vgg_mini`, 25 epochs) and have twelve more epochs; 65.625 % of the channels of
every layer go at once. Compared are the schedules of alpha, the original's branch trained or frozen, branches that
start at random or from a ranking, one restart of the learning rate at alpha = 0 or two; and, as controls, the network
trained on without any pruning, L1 pruning, the ranked start without any alpha, and the narrow network from random
weights (25 + 12 epochs). Each result is written as it comes, so that a study that was stopped goes on where it was; at
the end there is a table.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.baseline import baseline
from course_utils.command_line import run_program
from course_utils.networks import parameter_count
from course_utils.pictures.study_plots import alpha_table
from course_utils.records import AlphaResult, AlphaStudy
from course_utils.training import evaluate
from minicifar import Loader, MiniCIFAR
from solutions.alpha_branch import AlphaNetwork, alpha_schedule, shrink
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from solutions.controls import narrow_control
from solutions.l1 import prune_vgg
from studies import cli
from studies.runs import fully_trained, versions

KEEP_RATIO = 0.34375
BASELINE_EPOCHS, EPOCHS = 25, 12
RATE = 0.1
OPTIONS: dict[str, Any] = {"label_smoothing": 0.1, "progress": False}


@dataclass(frozen=True)
class Variant:
    """A way of alpha-branch pruning. `levels`: epochs while alpha falls; the rest of EPOCHS comes at 0.

    `ranking`: the branches start from a ranking, not at random. `frozen`: the original does not learn. `merged`: the
    branches are merged as soon as alpha is 0, and the narrow network is trained, not the unmerged one. `restarts`: how
    often the learning rate begins anew at 0.
    """

    ranking: bool = False
    frozen: bool = False
    merged: bool = False
    schedule: str = "step"
    restarts: int = 1
    levels: int = EPOCHS // 2


VARIANTS = {
    "from a ranking": Variant(ranking=True),
    "at random": Variant(),
    "from a ranking, original frozen": Variant(ranking=True, frozen=True),
    "at random, original frozen": Variant(frozen=True),
    "from a ranking, merged before the last epochs": Variant(ranking=True, merged=True),
    "from a ranking, merged, alpha falls in 3 epochs": Variant(ranking=True, merged=True, levels=3),
    "at random, multiplicative": Variant(schedule="multiplicative"),
    "at random, exponential": Variant(schedule="exponential"),
    "at random, cosine": Variant(schedule="cosine"),
    "at random, two restarts": Variant(restarts=2),
}
CONTROLS = ("not pruned", "L1", "from a ranking, without alpha", "narrow from scratch")
ALL_RUNS = [*CONTROLS, *VARIANTS]


def alpha_run(
    network: nn.Module, loader: Loader, test: Iterable[tuple[Tensor, Tensor]], samples: Tensor, variant: Variant
) -> tuple[nn.Module, dict[str, Any]]:
    """One run of a variant → the narrow network, and accuracies on the way: fields of an `AlphaResult`."""
    branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO))
    branched.wide_learns = not variant.frozen
    if variant.ranking:
        start_from_ranking(branched, samples)
    branched.to(loader.device)
    by_alpha: list[tuple[float, float]] = []

    def note(alpha: float) -> None:
        by_alpha.append((round(alpha, 4), round(evaluate(branched, test).accuracy, 5)))

    levels = [level for level in alpha_schedule(variant.schedule, variant.levels + 1)[1:-1] if level > 0]
    options = OPTIONS | {"on_stop": "raise"}
    train_through(branched, loader, levels, 1, [], lr=RATE / 4, after_level=note, progress=False, on_stop="raise")
    branched.alpha = 0.0
    note(0.0)
    left = EPOCHS - len(levels)
    if variant.merged:
        narrow = fully_trained(shrink(branched), loader, left, lr=RATE, **OPTIONS)
        return narrow, {"by_alpha": tuple(by_alpha)}
    restarts = variant.restarts
    epochs = [left // restarts + (restart < left % restarts) for restart in range(restarts)]
    train_through(branched, loader, [], 0, [(count, RATE) for count in epochs], **options)
    unmerged = round(evaluate(branched, test).accuracy, 5)
    return shrink(branched), {"by_alpha": tuple(by_alpha), "unmerged_accuracy": unmerged}


def control(
    name: str, network: nn.Module, loader: Loader, test: Iterable[tuple[Tensor, Tensor]], samples: Tensor, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """What alpha-branch pruning has to beat, under the same number of epochs; as `alpha_run`."""
    if name == "narrow from scratch":
        narrow = narrow_control(prune_vgg(network, KEEP_RATIO), seed).to(loader.device)
        return fully_trained(narrow, loader, BASELINE_EPOCHS + EPOCHS, lr=RATE, **OPTIONS), {}
    if name == "not pruned":
        narrow = copy.deepcopy(network)
    elif name == "L1":
        narrow = prune_vgg(network, KEEP_RATIO)
    else:
        branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO))
        start_from_ranking(branched, samples)
        branched.alpha = 0.0
        narrow = shrink(branched)
    narrow.to(loader.device)
    before = round(evaluate(narrow, test).accuracy, 5)
    return fully_trained(narrow, loader, EPOCHS, lr=RATE, **OPTIONS), {"before_retraining": before}


def carry_out(name: str, seed: int, network: nn.Module, images: MiniCIFAR, test: Loader) -> AlphaResult:
    """One run from its name and seed."""
    loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed, device=test.device)
    samples = next(iter(Loader(images, batch_size=200, shuffle=True, seed=seed)))[0]
    torch.manual_seed(seed)
    if name in CONTROLS:
        narrow, notes = control(name, network, loader, test, samples, seed)
    else:
        narrow, notes = alpha_run(network, loader, test, samples, VARIANTS[name])
    accuracy = round(evaluate(narrow, test).accuracy, 5)
    left = round(parameter_count(narrow) / parameter_count(network), 5)
    return AlphaResult(name, seed, accuracy, left, **notes)


def main(
    results: cli.Results,
    seeds: cli.Seeds = cli.SEEDS,
    only: Annotated[
        list[str], typer.Option(parser=cli.one_of(ALL_RUNS), metavar="NAME", help="This run only; repeat it for more.")
    ] = ALL_RUNS,
    device: cli.Device = "cpu",
) -> None:
    """Carry out the study, and print the table."""
    images, test = MiniCIFAR("train"), Loader(MiniCIFAR("test"), batch_size=500, device=device)
    network = baseline(images)
    accuracy = round(evaluate(network, test).accuracy, 5)
    about = AlphaStudy(images=images.fingerprint, baseline_accuracy=accuracy, made_with=versions())
    study = cli.opened(results, about)
    done = {(result.method, result.seed) for result in study.of(AlphaResult)}
    with cli.stoppable():
        for name, seed in tqdm([(name, seed) for name in only for seed in seeds], desc="alpha-branch pruning"):
            if (name, seed) not in done:
                study.add(carry_out(name, seed, network, images, test))
    print(alpha_table(study))


if __name__ == "__main__":
    run_program(main)
