"""When to start pruning, and in how many steps: the study of Martineau's poster, on MiniCIFAR.

    python -m studies.when_to_prune results.jsonl --networks vgg_mini --networks resnet20 --seeds 0

Every run has the same number of epochs; it prunes at the beginning, once training starts to stabilise, or near the end;
in one step, or in four spread over the epochs that are left. The control has the pruned shape from the start, with
random weights. Each result is written as it comes, and trained networks stay in a folder beside the results, so that
a study that was stopped goes on where it was, also with other keep ratios; at the end there is a picture.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils import networks
from course_utils.command_line import run_program
from course_utils.networks import parameter_count
from course_utils.pictures.study_plots import study_curves
from course_utils.pictures.study_plots import when_to_prune as picture
from course_utils.records import MomentResult, MomentStudy, Study
from course_utils.training import evaluate
from minicifar import ImageSet, Loader, MiniCIFAR
from solutions.controls import narrow_control
from solutions.graph.groups import Group
from solutions.iterative import l1_ranking, plan_step, prune_iteratively
from solutions.prunable import prunable_groups
from solutions.surgery import prune
from studies import cli
from studies.runs import fully_trained, versions

EPOCHS = 20
BEGINS = {"at the beginning": 0, "once it stabilises": 8, "near the end": 18}  # epochs before the first pruning
STEPS = (1, 4)
KEEP_RATIOS = [0.6, 0.4, 0.2]
NETWORKS = ["vgg_mini", "resnet20"]
SETTINGS: dict[str, dict[str, Any]] = {
    "poster": {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"},
    "good": {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "one-cycle"},
}
BOTH = list(SETTINGS)


class Moment(NamedTuple):
    """One run of a series: when, in how many steps (controls: 0), and the share of the channels in the end."""

    name: str
    steps: int
    keep_ratio: float


@dataclass
class Series:
    """All runs of one network with one of SETTINGS and one seed. `folder`: where networks stay that the runs prune."""

    network: str
    setting: str
    seed: int
    images: ImageSet
    folder: Path | None = None
    device: str = "cpu"
    epochs: int = EPOCHS
    stages: dict[int, tuple[nn.Module, Loader]] = field(default_factory=dict)  # by the epochs that they have had

    @property
    def options(self) -> dict[str, Any]:
        """For every training of the series."""
        return SETTINGS[self.setting] | {"progress": False}

    def untrained(self) -> tuple[nn.Module, Loader]:
        """A network with random weights, and a loader."""
        loader = Loader(self.images, batch_size=64, shuffle=True, augment=True, seed=self.seed, device=self.device)
        build = getattr(networks, self.network)
        return build(classes=len(self.images.classes), seed=self.seed).to(self.device), loader

    def trained_for(self, epochs: int) -> tuple[nn.Module, Loader]:
        """A copy of the network after some epochs; with a constant rate and no momentum a shorter run is continued."""
        if epochs not in self.stages:
            continues = self.options["schedule"] == "constant" and not self.options["momentum"]
            shorter = max((begin for begin in BEGINS.values() if continues and begin < epochs), default=0)
            network, loader = self.trained_for(shorter) if shorter else self.untrained()
            if epochs > shorter:
                name = f"{self.network}-{self.setting}-seed{self.seed}-{epochs}epochs.resume"
                resume = self.folder / name if self.folder else None
                fully_trained(network, loader, epochs - shorter, resume=resume, **self.options)
            self.stages[epochs] = network, loader
        network, loader = self.stages[epochs]
        return copy.deepcopy(network), copy.copy(loader)

    def made(self, moment: Moment, groups: Sequence[Group]) -> nn.Module:
        """The network that a run ends with."""
        if moment.name == "unpruned":
            return self.trained_for(self.epochs)[0]
        if moment.name == "from scratch":
            network, loader = self.untrained()
            small = narrow(network, groups, moment.keep_ratio, self.seed)
            return fully_trained(small, loader, self.epochs, **self.options)
        begin = BEGINS[moment.name]
        network, loader = self.trained_for(begin)
        ratios, epochs, last = spread(moment.keep_ratio, moment.steps, self.epochs - begin)
        options = self.options | {"final_epochs": last, "on_stop": "raise"}
        return prune_iteratively(network, groups, loader, ratios, epochs, **options)[0]


def spread(keep_ratio: float, steps: int, epochs: int) -> tuple[list[float], int, int]:
    """Keep ratios of equal steps down to `keep_ratio`, the epochs after each of them, and after the last one.

    There are no more steps than epochs, and all epochs are used.
    """
    steps = max(1, min(steps, epochs))
    ratios = [1 - (1 - keep_ratio) * (step + 1) / steps for step in range(steps)]
    between = epochs // steps
    return ratios, between, epochs - between * (steps - 1)


def narrow(network: nn.Module, groups: Sequence[Group], keep_ratio: float, seed: int) -> nn.Module:
    """The control: the shape that pruning the same share of every layer gives, with random weights."""
    widths = {group.name: group.channels for group in groups}
    plan = plan_step(groups, l1_ranking(network, groups), widths, keep_ratio)
    return narrow_control(prune(network, groups, plan), seed)


def moments(keep_ratios: Sequence[float]) -> list[Moment]:
    """The controls, then every moment in one step and in several."""
    controls = [Moment("unpruned", 0, 1.0), *(Moment("from scratch", 0, ratio) for ratio in keep_ratios)]
    return controls + [Moment(name, steps, ratio) for name in BEGINS for steps in STEPS for ratio in keep_ratios]


def carry_out(
    series: Series,
    study: Study[MomentStudy],
    test: Iterable[tuple[Tensor, Tensor]],
    keep_ratios: Sequence[float] = KEEP_RATIOS,
) -> None:
    """All runs of a series that are not in the study yet."""
    name = (series.network, series.setting, series.seed)
    results = [result for result in study.of(MomentResult) if (result.network, result.setting, result.seed) == name]
    done = {(result.moment, result.steps, result.keep_ratio) for result in results}
    original, _ = series.untrained()
    groups = prunable_groups(original, torch.zeros(2, 3, 32, 32, device=series.device))
    title = f"{series.network}, {series.setting} settings, seed {series.seed}"
    for moment in tqdm(moments(keep_ratios), desc=title):
        if moment not in done:
            network = series.made(moment, groups)
            accuracy = round(evaluate(network, test).accuracy, 5)
            left = round(parameter_count(network) / parameter_count(original), 5)
            when = (moment.name, moment.steps, moment.keep_ratio)
            study.add(MomentResult(*name, *when, accuracy, left))


def main(
    results: cli.Results,
    names: Annotated[
        list[str], typer.Option("--networks", metavar="NAME", help="One network; repeat it for more.")
    ] = NETWORKS,
    settings: Annotated[
        list[str], typer.Option(parser=cli.one_of(SETTINGS), metavar="NAME", help="poster, good; repeat it for more.")
    ] = BOTH,
    seeds: cli.Seeds = cli.SEEDS,
    keep_ratios: cli.KeepRatios = KEEP_RATIOS,
    device: cli.Device = "cpu",
) -> None:
    """Carry out the study, and draw it."""
    images, test = MiniCIFAR("train"), Loader(MiniCIFAR("test"), batch_size=500, device=device)
    study = cli.opened(results, MomentStudy(images=images.fingerprint, made_with=versions()))
    folder = results.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    with cli.stoppable():
        for network in names:
            for seed in seeds:
                for setting in settings:
                    carry_out(Series(network, setting, seed, images, folder, device), study, test, keep_ratios)
    curves = {
        f"{network}, {setting} settings": study_curves(study, network, setting)
        for network in names
        for setting in settings
    }
    picture(curves, images).savefig(results.with_suffix(".png"), bbox_inches="tight")


if __name__ == "__main__":
    run_program(main)
