"""Every pruning method of the course under one budget: the table and the plot of results that anyone can make again.

    python -m studies.results docs/results/minicifar-vgg_mini.jsonl
    python -m studies.results build/mine.jsonl --methods L1 --methods Taylor --seeds 0 --seeds 1
    python -m studies.results docs/results/cifar10-vgg16.jsonl --dataset cifar10 --network vgg16 --keep-ratios 0.34375
        --epochs 40 --retraining 20 --batch-size 256 --device cuda --minutes 9

Same trained network, same number of epochs afterwards, the same share of every layer's filters (of single weights for
masks), several seeds. What is in the file already is not measured again; another file begins anew. A run that was
stopped, or that reached `--minutes`, goes on where it was with the same call.
Beside the results a table (Markdown) and a plot (PNG) are written.
"""

import copy
import shutil
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.command_line import run_program
from course_utils.networks import parameter_count
from course_utils.pictures import study_plots
from course_utils.records import MethodResult, MethodStudy, Refusal, ShapeTime, Study
from course_utils.training import evaluate
from minicifar import ImageSet, Loader, load
from solutions.costs import count_macs
from solutions.graph.groups import Group
from solutions.masks import sparsity
from solutions.prunable import prunable_groups
from solutions.scoring import CRITERIA
from solutions.speedup import compare
from studies import cli
from studies.methods import MASKS, METHODS, NOT_PRUNED, Task
from studies.pages import markdown
from studies.runs import at_most, scoring_batches, trained, versions

KEEP_RATIOS = [0.7, 0.5, 0.35, 0.2]
SIZE = (3, 32, 32)
HALF_DONE = Path("build/results")
ALL_METHODS = list(METHODS)
PANELS = {  # of the plot
    "one step, by a ranking": (*CRITERIA, "from scratch"),
    "L1, and other ways": ("L1", "L1, four steps", "ThiNet", "alpha-branch", MASKS, "from scratch"),
}


class Planned(NamedTuple):
    """A run that is to be made."""

    method: str
    keep_ratio: float
    seed: int


def main(  # noqa: PLR0913
    results: cli.Results,
    dataset: cli.Dataset = "minicifar",
    network: cli.Network = "vgg_mini",
    methods: Annotated[
        list[str], typer.Option(parser=cli.one_of(METHODS), metavar="METHOD", help="One method; repeat it for more.")
    ] = ALL_METHODS,
    keep_ratios: cli.KeepRatios = KEEP_RATIOS,
    seeds: cli.Seeds = cli.SEEDS,
    epochs: cli.Epochs = 25,
    retraining: cli.Retraining = 12,
    batch_size: Annotated[int, typer.Option(help="Of training.")] = 64,
    device: cli.Device = "cpu",
    minutes: Annotated[float | None, typer.Option(help="Stop after so many; the same call goes on from there.")] = None,
) -> None:
    """Carry out the study, and write its page and its plot, also when it is stopped."""
    images = load(dataset, "trainval" if dataset != "minicifar" else "train")
    test = Loader(load(dataset, "test"), batch_size=500, device=device)
    about = MethodStudy(
        images=images.fingerprint,
        dataset=dataset,
        network=network,
        epochs=epochs,
        retraining=retraining,
        batch_size=batch_size,
        description=images.source.description,
    )
    study = cli.opened(results, about)
    try:
        with at_most(minutes):
            carry_out(study, planned(methods, keep_ratios, seeds), images, test, device)
        print(f"All {len(study.of(MethodResult))} runs are in {results}; another file measures them again.")
    except KeyboardInterrupt:
        print(cli.STOPPED)
    if study.of(MethodResult):
        results.with_suffix(".md").write_text(markdown(study), encoding="utf-8")
        plot = study_plots.method_curves(study, PANELS, images)
        plot.savefig(results.with_suffix(".png"), bbox_inches="tight")


def planned(methods: Sequence[str], keep_ratios: Sequence[float], seeds: Sequence[int]) -> list[Planned]:
    """The unpruned networks first, then seed by seed every method at every keep ratio."""
    runs = [Planned(NOT_PRUNED, 1.0, seed) for seed in seeds if NOT_PRUNED in methods]
    pruning = [method for method in methods if method != NOT_PRUNED]
    return runs + [Planned(method, ratio, seed) for seed in seeds for ratio in keep_ratios for method in pruning]


def carry_out(
    study: Study[MethodStudy],
    runs: Sequence[Planned],
    images: ImageSet,
    test: Iterable[tuple[Tensor, Tensor]],
    device: str,
) -> None:
    """All runs that are not there yet; what is half done lies in `build/results/`."""
    about = study.about
    done = {(result.method, result.keep_ratio, result.seed) for result in study.of(MethodResult)}
    groups: list[Group] = []  # the same for every seed
    folder = HALF_DONE / (study.path.stem if study.path else "")
    for run in tqdm(runs, desc=f"{about.network} on {about.dataset}"):
        if run in done or run.method in {refusal.method for refusal in study.of(Refusal)}:
            continue
        network = trained(about.network, images, run.seed, about.epochs, device, folder, about.batch_size)
        example = torch.zeros(2, *SIZE, device=device)
        groups = groups or [group for group in prunable_groups(network, example) if group.free]
        task = Task(
            network=network,
            groups=groups,
            loader=Loader(images, about.batch_size, shuffle=True, augment=True, seed=run.seed, device=device),
            batches=scoring_batches(images, 8, run.seed, device),
            test=test,
            keep_ratio=run.keep_ratio,
            epochs=about.retraining,
            first_epochs=about.epochs,
            seed=run.seed,
            folder=folder / f"{run.method}-{run.keep_ratio:g}-{run.seed}".replace(" ", "_"),
        )
        task.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(run.seed)
        try:
            pruned, before = METHODS[run.method](task)
        except ValueError as reason:  # a method that does not fit this network says why
            study.add(Refusal(run.method, str(reason)))
        else:
            study.about = replace(about, description=images.source.description, made_with=versions())
            add_result(study, measured(run, pruned, before, network, test), pruned, network)
        shutil.rmtree(task.folder)


def add_result(study: Study[MethodStudy], result: MethodResult, pruned: nn.Module, original: nn.Module) -> None:
    """Note a result, not before its time is there: a stop may come at any moment. Each shape is timed once."""
    shapes = {(time.parameters, time.macs) for time in study.of(ShapeTime)}  # what the weights are does not matter
    if (result.parameters, result.macs) in shapes:
        study.add(result)
    else:
        study.add(result, ShapeTime(result.parameters, result.macs, *timed(pruned, original)))


def measured(
    run: Planned, pruned: nn.Module, before: float | None, original: nn.Module, test: Iterable[tuple[Tensor, Tensor]]
) -> MethodResult:
    """What is reported of one run. Parameters that are left are those that are not masked."""
    macs, original_macs = (count_macs(copy.deepcopy(network).cpu(), SIZE) for network in (pruned, original))
    parameters, zeros = parameter_count(pruned), sparsity(pruned)
    nonzero = parameters * (1 - zeros if zeros > 0.01 else 1)
    return MethodResult(
        *run,
        before_retraining=None if before is None else round(before, 5),
        accuracy=round(evaluate(pruned, test).accuracy, 5),
        parameters_left=round(nonzero / parameter_count(original), 5),
        macs_left=round(macs / original_macs, 5),
        parameters=parameters,
        macs=macs,
        original_accuracy=round(evaluate(original, test).accuracy, 5),
    )


def timed(pruned: nn.Module, original: nn.Module) -> tuple[float, float]:
    """Milliseconds for a batch of 64 on one thread of the CPU, in turn with the original, and the speed-up."""
    timing = compare(copy.deepcopy(original).cpu(), copy.deepcopy(pruned).cpu(), batch=64, rounds=5, threads=1)
    return round(1000 * statistics.median(timing.pruned), 2), round(timing.speedup, 3)


if __name__ == "__main__":
    run_program(main)
