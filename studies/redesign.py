"""CNN re-design: widen the inner layers, prune back to the old MACs, and train the widths that come out from scratch.

    python -m studies.redesign course_utils/recorded/redesign.jsonl

The table of Ding et al.'s poster, on `resnet20` and MiniCIFAR: the original; scaled, with inner layers 1.25 times as
wide; pruned, AOFP from the scaled one down to the MACs of the original; and the widths found, from random weights. All
have the same epochs in all (of pruned: some before, the others search and finetune). Then images a second, each in turn
with the original: that ratio counts, times the original's own median. Beside the results a table and a picture.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils import networks
from course_utils.checkpoints import load_network, save_network
from course_utils.command_line import run_program
from course_utils.pictures.budget_plots import redesign_picture, redesign_table
from course_utils.records import RedesignResult, RedesignStudy, RedesignTime, Study
from course_utils.training import evaluate
from minicifar import ImageSet, Loader, load
from solutions.aofp import KERNELS
from solutions.aofp_training import aofp
from solutions.controls import narrow_control
from solutions.costs import count_macs
from solutions.drivers import FINETUNING
from solutions.speedup import compare
from studies import cli
from studies.pages import Pages, markdown_table, write_page
from studies.runs import fully_trained, network_path, versions

SIZE = (3, 32, 32)
INNER = 1.25
FIRST, LATER = 25, 30  # epochs before the search, and from there on
SEARCH: dict[str, Any] = {"every": 20, "threshold": 0.1}
NETWORKS = ("original", "scaled", "pruned", "from scratch")
HALF_DONE = Path("build/results/redesign")


def inner_widths(network: nn.Module) -> tuple[int, ...]:
    """The channels between the two convolutions of every block."""
    layers = [module for name, module in network.named_modules() if name.endswith(".conv1")]
    return tuple(layer.get_parameter("weight").shape[0] for layer in layers)


def loader(images: ImageSet, seed: int) -> Loader:
    """Training images, as in all studies."""
    return Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)


def made(name: str, images: ImageSet, seed: int) -> nn.Module:
    """One of the four networks, trained; it stays in a file, and a stopped training goes on there."""
    if name in ("original", "scaled"):
        return trained_for(FIRST + LATER, name, images, seed)
    path = network_path(HALF_DONE, f"{name.replace(' ', '-')}-seed{seed}", images)
    if path.exists():
        return load_network(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    resume = path.with_suffix(".resume")
    if name == "pruned":
        wide = trained_for(FIRST, "scaled", images, seed)
        budget = count_macs(networks.resnet20(classes=len(images.classes)), SIZE) / count_macs(wide, SIZE)
        folder = path.with_suffix("")
        network, _ = aofp(
            wide, loader(images, seed), budget, LATER, kernels=KERNELS, seed=seed, resume=folder, **SEARCH
        )
    else:
        network = narrow_control(made("pruned", images, seed), seed)
        fully_trained(network, loader(images, seed), FIRST + LATER, resume=resume, **FINETUNING)
    save_network(network, path, images=images)
    resume.unlink(missing_ok=True)
    return network


def trained_for(epochs: int, name: str, images: ImageSet, seed: int) -> nn.Module:
    """The original or the scaled network after so many epochs."""
    path = network_path(HALF_DONE, f"{name}-{epochs}epochs-seed{seed}", images)
    if path.exists():
        return load_network(path)
    inner = INNER if name == "scaled" else 1.0
    network = networks.resnet20(classes=len(images.classes), seed=seed, inner=inner)
    path.parent.mkdir(parents=True, exist_ok=True)
    fully_trained(network, loader(images, seed), epochs, resume=path.with_suffix(".resume"), **FINETUNING)
    save_network(network, path, images=images)
    path.with_suffix(".resume").unlink(missing_ok=True)
    return network


def carry_out(
    study: Study[RedesignStudy], images: ImageSet, test: Iterable[tuple[Tensor, Tensor]], seeds: Sequence[int]
) -> None:
    """All four networks of every seed that are not in the study yet, and then their times."""
    done = {(result.network, result.seed) for result in study.of(RedesignResult)}
    for seed in seeds:
        for name in (name for name in NETWORKS if (name, seed) not in done):
            network = made(name, images, seed)
            accuracy = round(evaluate(network, test).accuracy, 5)
            study.add(RedesignResult(name, seed, accuracy, count_macs(network, SIZE), inner_widths(network)))
            print(f"{name}, seed {seed}: {accuracy:.1%}, inner widths {inner_widths(network)}", flush=True)
    timed = {time.seed for time in study.of(RedesignTime)}
    for seed in (seed for seed in seeds if seed not in timed):
        four = {name: made(name, images, seed) for name in NETWORKS}
        study.add(*(time for setting in ("torch", "onnxruntime") for time in times(four, seed, setting)))


def main(results: cli.Results, seeds: cli.Seeds = cli.SEEDS, pages: Pages = None) -> None:
    """Carry out the study on MiniCIFAR, and write its table and its picture, also when it is stopped."""
    images, test = load("minicifar", "train"), Loader(load("minicifar", "test"), batch_size=500)
    about = RedesignStudy(
        images=images.fingerprint,
        network="resnet20",
        inner=INNER,
        epochs=FIRST + LATER,
        description=images.source.description,
        made_with=versions(),
    )
    study = cli.opened(results, about)
    try:
        carry_out(study, images, test, seeds)
    except KeyboardInterrupt:
        print(cli.STOPPED)
    text = (
        f"Images: {about.description.rstrip('.')}. {about.made_with}. {about.epochs} epochs for each of the four. "
        "Accuracy on the test images in percent, mean and standard deviation of the seeds. Images a second on one "
        "thread of a CPU in batches of 64, each in turn with the original: trust the ratios."
    )
    table = redesign_table(study)
    lines = [f"# {about.network} designed anew", "", text, "", *markdown_table([table.header, *table.rows])]
    if study.of(RedesignResult):
        write_page(results, pages, lines, redesign_picture(study, images))


def times(four: dict[str, nn.Module], seed: int, setting: str) -> list[RedesignTime]:
    """Images a second of the four networks, each in turn with the original."""
    original = four["original"]
    timings = {name: compare(original, four[name], batch=64, setting=setting, threads=1) for name in NETWORKS[1:]}
    base = 64 / torch.tensor([seconds for timing in timings.values() for seconds in timing.original]).median().item()
    speedups = {"original": 1.0, **{name: timing.speedup for name, timing in timings.items()}}
    return [
        RedesignTime(name, seed, setting, round(base * speedup, 1), round(speedup, 3))
        for name, speedup in speedups.items()
    ]


if __name__ == "__main__":
    run_program(main)
