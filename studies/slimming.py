"""Network slimming: what the penalty's strength does to the scales, and what absorbing constants is worth.

    python -m studies.slimming course_utils/recorded/slimming.jsonl

A network is trained, trained on with penalties of several strengths, and cut by its scales at 50, 25, 14 and 5 % of the
MACs, with no finetuning. Accuracy with the scales that go set to 0, where their constants are still read; without these
channels, as the authors' code cuts; and with the constants absorbed before. Then how exact absorption is inside a map
and at its border, where a reader with padding reads zeros and no constant. Beside the results a table (Markdown) and a
picture (PNG) are written: the scales while they part.
"""

import copy
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from course_utils.command_line import run_program
from course_utils.pictures.slimming_plots import scales_over_time, slimming_table
from course_utils.records import Scales, SlimmingResult, SlimmingStudy, Study
from course_utils.training import evaluate
from minicifar import ImageSet, Loader, load
from solutions.absorption import absorb, constants
from solutions.budgets import global_plan
from solutions.graph.groups import Group
from solutions.plans import Plan
from solutions.prunable import prunable_groups
from solutions.scales import scale_scores, zero_scales
from solutions.slimming import train_sparse
from solutions.surgery import prune
from solutions.while_training import absorbed_bias, slimming_step
from studies import cli
from studies.pages import Pages, markdown_table, write_page
from studies.runs import trained, versions

BUDGETS = (0.5, 0.25, 0.14, 0.05)
STRENGTHS = [2e-3, 5e-3, 1e-2, 2e-2]
HALF_DONE = Path("build/results/slimming")


def carry_out(
    study: Study[SlimmingStudy], strength: float, seed: int, images: ImageSet, test: Iterable[tuple[Tensor, Tensor]]
) -> None:
    """One strength with one seed, if it is not in the study yet: the scales of all epochs, and the four budgets."""
    if any((result.strength, result.seed) == (strength, seed) for result in study.of(SlimmingResult)):
        return
    about = study.about
    network = trained(about.network, images, seed, about.epochs, "cpu", HALF_DONE)
    loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)
    example = next(iter(Loader(images, batch_size=64)))[0]
    groups = prunable_groups(network, example[:1])
    before = scale_scores(network, groups)
    file = HALF_DONE / f"{about.network}-{strength:g}-seed{seed}.resume"
    options: dict[str, Any] = {"strength": strength, "slimming_step": slimming_step, "resume": file}
    log = train_sparse(network, groups, loader, about.searching, progress=False, **options)
    rows = [{"epoch": 0, "scales": {name: values.tolist() for name, values in before.items()}}, *log]
    scales = [
        Scales(
            strength,
            seed,
            row["epoch"],
            tuple((name, tuple(round(value, 3) for value in values)) for name, values in row["scales"].items()),
        )
        for row in rows
        if seed == 0 and row["epoch"] % 4 == 0
    ]
    study.add(*scales, *(measured(network, groups, strength, budget, seed, example, test) for budget in BUDGETS))
    file.unlink()


def measured(
    network: nn.Module,
    groups: Sequence[Group],
    strength: float,
    budget: float,
    seed: int,
    example: Tensor,
    test: Iterable[tuple[Tensor, Tensor]],
) -> SlimmingResult:
    """One slimmed network cut at one budget, in the three ways."""
    scores = scale_scores(network, groups)
    plan = global_plan(network, groups, scores, budget, example)
    silent = copy.deepcopy(network)
    zero_scales(silent, groups, plan)
    absorbing, _ = absorb(network, groups, plan, example, absorbed_bias)
    ways = (silent, prune(network, groups, plan), prune(absorbing, groups, plan))
    zero, cut, absorbed = (round(evaluate(way, test).accuracy, 5) for way in ways)
    errors = errors_of(silent, groups, plan, example)
    inside, border = (round(statistics.mean(column), 6) for column in zip(*errors, strict=True)) if errors else (0, 0)
    widths = tuple(len(plan.get(name, values)) for name, values in scores.items())
    return SlimmingResult(strength, budget, seed, widths, zero, cut, absorbed, inside, border)


def errors_of(silent: nn.Module, groups: Sequence[Group], plan: Plan, example: Tensor) -> list[tuple[float, float]]:
    """For every convolution that reads removed channels how far absorption is off, inside and at the border.

    Root mean square of the difference, in units of the standard deviation of the layer's output.
    """
    given = constants(silent, groups, plan, example)
    readers = {name: silent.get_submodule(name) for name in given}
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        reader.register_forward_hook(
            lambda _module, inputs, output, name=name: seen.update({name: (inputs[0].detach(), output.detach())})
        )
        for name, reader in readers.items()
    ]
    with torch.inference_mode():
        silent.eval()(example)
    for hook in hooks:
        hook.remove()
    padded = {name: reader for name, reader in readers.items() if isinstance(reader, nn.Conv2d) and reader.groups == 1}
    return [error_of(reader, given[name], *seen[name]) for name, reader in padded.items()]


def error_of(reader: nn.Conv2d, constant: Tensor, maps: Tensor, output: Tensor) -> tuple[float, float]:
    """How far a convolution's absorbed constant is from what it gives, inside and at the border."""
    with torch.inference_mode():
        gives = reader(constant.view(1, -1, 1, 1).expand(1, -1, *maps.shape[2:]))[0]
        far = (gives - absorbed_bias(reader, constant).view(-1, 1, 1)) / output.std()
        whole = torch.ones(1, 1, *maps.shape[2:]), torch.ones(1, 1, *reader.kernel_size)
        taps = F.conv2d(*whole, None, reader.stride, reader.padding, reader.dilation)[0, 0]
        inside = taps == taps.max()
    return far[:, inside].square().mean().sqrt().item(), far[:, ~inside].square().mean().sqrt().item()


def main(
    results: cli.Results,
    network: cli.Network = "vgg_mini",
    strengths: Annotated[list[float], typer.Option(metavar="LAMBDA", help="Repeat it for more.")] = STRENGTHS,
    seeds: cli.Seeds = cli.SEEDS,
    epochs: cli.Epochs = 25,
    searching: Annotated[int, typer.Option(help="Epochs with the penalty.")] = 20,
    pages: Pages = None,
) -> None:
    """Carry out the study on MiniCIFAR, and write its table and its picture, also when it is stopped."""
    images = load("minicifar", "train")
    test = Loader(load("minicifar", "test"), batch_size=500)
    about = SlimmingStudy(
        images=images.fingerprint,
        network=network,
        epochs=epochs,
        searching=searching,
        description=images.source.description,
        made_with=versions(),
    )
    study = cli.opened(results, about)
    try:
        for seed in seeds:
            for strength in strengths:
                carry_out(study, strength, seed, images, test)
    except KeyboardInterrupt:
        print(cli.STOPPED)
    if study.of(SlimmingResult):
        write_page(results, pages, page(study), scales_over_time(study, images))


def page(study: Study[SlimmingStudy]) -> list[str]:
    """The table with a heading that says what was measured."""
    about, table = study.about, slimming_table(study)
    text = (
        f"Images: {about.description.rstrip('.')}. {about.made_with}. {about.epochs} epochs, then {about.searching} "
        "with slimming's penalty; the channels with the smallest scales cut at a share of the MACs, no finetuning. "
        "Accuracy on the test images in percent, mean and standard deviation of the seeds. Off: what a convolution "
        "that reads removed channels gives behind absorption, beside what it gives with their scales at 0; root mean "
        "square in standard deviations of its output, mean of the layers. Widths of the first seed."
    )
    lines = markdown_table([table.header, *table.rows])
    return [f"# Slimming {about.network}, on MiniCIFAR", "", text, "", *lines]


if __name__ == "__main__":
    run_program(main)
