"""What absorbing constants is worth: slimmed networks cut at budgets of MACs, before any finetuning.

    python -m studies.absorption course_utils/recorded/absorption.jsonl

A network is trained, slimmed, and cut by its scales at 50, 25, 14 and 5 % of the MACs. Accuracy with the scales that go
set to 0, where their constants are still read; without these channels, as public codes cut; and with the constants
absorbed before. Then how exact absorption is inside a map and at its border, where a reader with padding reads zeros
and no constant. Beside the results a table (Markdown) is written.
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
from course_utils.pictures.budget_plots import mean_and_spread
from course_utils.records import AbsorptionResult, AbsorptionStudy, Study
from course_utils.training import evaluate
from minicifar import ImageSet, Loader, load
from solutions.absorption import absorb, constants
from solutions.budgets import global_plan
from solutions.graph.groups import Group
from solutions.plans import Plan
from solutions.prunable import prunable_groups
from solutions.scales import scale_scores, zero_scales
from solutions.slimming import STRENGTH, train_sparse
from solutions.surgery import prune
from solutions.while_training import absorbed_bias, slimming_step
from studies import cli
from studies.pages import markdown_table
from studies.runs import trained, versions

BUDGETS = (0.5, 0.25, 0.14, 0.05)
HALF_DONE = Path("build/results/absorption")


def carry_out(
    study: Study[AbsorptionStudy], seed: int, images: ImageSet, test: Iterable[tuple[Tensor, Tensor]]
) -> None:
    """The four budgets of one seed, if they are not in the study yet."""
    if any(result.seed == seed for result in study.of(AbsorptionResult)):
        return
    about = study.about
    network = trained(about.network, images, seed, about.epochs, "cpu", HALF_DONE)
    loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)
    example = next(iter(Loader(images, batch_size=64)))[0]
    groups = prunable_groups(network, example[:1])
    file, options = HALF_DONE / f"{about.network}-seed{seed}.resume", {"strength": about.strength, "progress": False}
    train_sparse(network, groups, loader, about.searching, slimming_step=slimming_step, resume=file, **options)
    study.add(*(measured(network, groups, budget, seed, example, test) for budget in BUDGETS))
    file.unlink()


def measured(
    network: nn.Module,
    groups: Sequence[Group],
    budget: float,
    seed: int,
    example: Tensor,
    test: Iterable[tuple[Tensor, Tensor]],
) -> AbsorptionResult:
    """One slimmed network cut at one budget, in the three ways."""
    plan = global_plan(network, groups, scale_scores(network, groups), budget, example)
    silent = copy.deepcopy(network)
    zero_scales(silent, groups, plan)
    absorbing, _ = absorb(network, groups, plan, example, absorbed_bias)
    ways: Any = (silent, prune(network, groups, plan), prune(absorbing, groups, plan))
    zero, cut, absorbed = (round(evaluate(way, test).accuracy, 5) for way in ways)
    errors = [error for error in errors_of(silent, groups, plan, example) if error is not None]
    inside, border = (round(statistics.mean(column), 6) for column in zip(*errors, strict=True))
    return AbsorptionResult(budget, seed, zero, cut, absorbed, inside, border)


def errors_of(
    silent: nn.Module, groups: Sequence[Group], plan: Plan, example: Tensor
) -> list[tuple[float, float] | None]:
    """For every convolution that reads removed channels how far absorption is off, inside and at the border.

    Root mean square of the difference, in units of the standard deviation of the layer's output.
    """
    given = constants(silent, groups, plan, example)
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        silent.get_submodule(name).register_forward_hook(
            lambda _module, inputs, output, name=name: seen.update({name: (inputs[0].detach(), output.detach())})
        )
        for name in given
    ]
    with torch.inference_mode():
        silent.eval()(example)
    for hook in hooks:
        hook.remove()
    return [error_of(silent.get_submodule(name), constant, *seen[name]) for name, constant in given.items()]


def error_of(reader: nn.Module, constant: Tensor, maps: Tensor, output: Tensor) -> tuple[float, float] | None:
    """How far one convolution's absorbed constant is from what it gives; None of any other layer."""
    if not isinstance(reader, nn.Conv2d) or reader.groups != 1:
        return None
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
    seeds: cli.Seeds = cli.SEEDS,
    epochs: cli.Epochs = 25,
    searching: Annotated[int, typer.Option(help="Epochs with the penalty.")] = 20,
    strength: Annotated[float, typer.Option(help="Of the penalty.")] = STRENGTH,
    pages: Annotated[Path | None, typer.Option(help="A folder for the table, if not beside the results.")] = None,
) -> None:
    """Carry out the study on MiniCIFAR, and write its table, also when it is stopped."""
    images = load("minicifar", "train")
    test = Loader(load("minicifar", "test"), batch_size=500)
    about = AbsorptionStudy(
        images=images.fingerprint,
        network=network,
        epochs=epochs,
        searching=searching,
        strength=strength,
        description=images.source.description,
        made_with=versions(),
    )
    study = cli.opened(results, about)
    try:
        for seed in seeds:
            carry_out(study, seed, images, test)
    except KeyboardInterrupt:
        print(cli.STOPPED)
    if study.of(AbsorptionResult):
        path = (pages or results.parent) / results.with_suffix(".md").name
        path.write_text("\n".join(page(study)) + "\n", encoding="utf-8")


def page(study: Study[AbsorptionStudy]) -> list[str]:
    """The table with a heading that says what was measured."""
    about = study.about
    text = (
        f"Images: {about.description.rstrip('.')}. {about.made_with}. {about.epochs} epochs, then {about.searching} "
        f"with slimming's penalty of {about.strength:g}; the channels with the smallest scales cut at a share of the "
        "MACs, no finetuning. Accuracy on the test images in percent, mean and standard deviation of the seeds. Off: "
        "what a layer that reads removed channels gives behind absorption, beside what it gives with their scales at "
        "0; root mean square in standard deviations of its output, mean of the layers."
    )
    header = ("MACs", "scales at 0", "cut", "absorbed, cut", "off inside", "off at the border")
    rows = []
    for budget in dict.fromkeys(result.budget for result in study.of(AbsorptionResult)):
        found = [result for result in study.of(AbsorptionResult) if result.budget == budget]
        names = ("scales_zero", "cut", "absorbed")
        accuracies = [mean_and_spread(getattr(result, name) for result in found) for name in names]
        off = [statistics.mean(getattr(result, name) for result in found) for name in ("inside", "border")]
        rows.append((f"{budget:.0%}", *accuracies, *(f"{value:.2g}" for value in off)))
    return [f"# Constants absorbed in {about.network}, on MiniCIFAR", "", text, "", *markdown_table([header, *rows])]


if __name__ == "__main__":
    run_program(main)
