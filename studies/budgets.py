"""Methods under budgets of MACs: who finds the better widths, and are they worth the search?

    python -m studies.budgets course_utils/recorded/budgets.jsonl
    python -m studies.budgets course_utils/recorded/budgets_resnet20.jsonl --network resnet20 --threshold 0.2
        --budgets 0.5 --budgets 0.25

AOFP (one search a seed, with a snapshot at each budget); the widths that it found, from new random weights; the same
share of every layer by L1, at once and gradually (in as many epochs as AOFP's search), and from random weights; on
networks of which AOFP reaches only some layers, the same share of these alone; network slimming, soft thresholds on the
batch norms' scales, and filters masked with feedback; attention statistics; AMC, with random search and a greedy choice
from sensitivity curves as its controls; pruning from scratch; LASSO and ThiNet at uniform widths; the widths of the
first two from random weights. Every way has the same epochs in all:
`epochs` before any pruning and `retraining` from there on, the search among them; networks from random weights have
both. Each result is written as it comes, so that a study that was stopped goes on where it was. Beside the results a
table (Markdown) and a picture (PNG) are written.
"""

import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.command_line import run_program
from course_utils.networks import parameter_count
from course_utils.pictures.budget_plots import budget_curves, budget_table
from course_utils.records import BudgetResult, BudgetStudy, Study
from course_utils.training import evaluate
from minicifar import BatchLoader, ImageSet, Loader, load
from solutions.amc import EPISODES, best_of, environment, search
from solutions.aofp import KERNELS
from solutions.aofp_training import Widths, search_widths
from solutions.attention import SEARCHING_EPOCHS, learned_importance
from solutions.budgets import global_plan, largest_within, macs_shares, uniform_plan
from solutions.controls import greedy_widths, narrow_control
from solutions.costs import count_macs
from solutions.ddpg import Agent
from solutions.drivers import FINETUNING, SEARCHING, first_batches, searching_epochs, seeded
from solutions.feedback import filters_with_feedback
from solutions.followers import targets
from solutions.graph.export import export_graph
from solutions.graph.groups import Group
from solutions.iterative import l1_ranking
from solutions.lasso import lasso
from solutions.learned_widths import attention_gate, clipped_action, mean_importance, reward
from solutions.next_layer import next_layer
from solutions.plans import groups_left, l1_plan
from solutions.prunable import prunable_groups
from solutions.pruning_from_scratch import SEARCHING_EPOCHS as GATE_EPOCHS
from solutions.pruning_from_scratch import pruned_from_scratch
from solutions.slimming import slim
from solutions.soft_threshold import Thresholding, soften_scales
from solutions.surgery import prune
from solutions.thinet import thinet
from solutions.while_training import absorbed_bias, slimming_step, soft_threshold, soft_threshold_gradient
from studies import cli
from studies.pages import Pages, markdown_table, write_page
from studies.runs import fully_trained, trained, versions

SIZE = (3, 32, 32)
BUDGETS = [0.5, 0.25, 0.14, 0.05]
VALIDATION = 400  # of the validation images, by which AMC and its controls judge
HALF_DONE = Path("build/results/budgets")


@dataclass
class Task:
    """A trained network that is to be narrowed.

    `targets`: the names of the groups that AOFP can search; `held`: validation images and labels, by which AMC judges.
    """

    network: nn.Module
    groups: Sequence[Group]
    targets: set[str]
    loader: BatchLoader
    test: Iterable[tuple[Tensor, Tensor]]
    held: tuple[Tensor, Tensor]
    budgets: Sequence[float]
    first_epochs: int
    epochs: int
    seed: int
    folder: Path
    search: dict[str, Any]

    def share(self, narrow: nn.Module) -> float:
        """The MACs of a network, as a share of the original's."""
        return count_macs(narrow, SIZE) / count_macs(self.network, SIZE)


class Narrowed(NamedTuple):
    """A narrow network that was trained; the rest as in `BudgetResult`."""

    network: nn.Module
    before: float | None
    search_batches: int
    cost: float
    evaluations: int = 0


def finished(task: Task, narrow: nn.Module, budget: float, epochs: int, name: str) -> nn.Module:
    """The network after its last epochs."""
    file = task.folder / f"{name}-{budget:g}.resume"
    fully_trained(narrow, task.loader, epochs, resume=file, progress=False, **FINETUNING)
    file.unlink(missing_ok=True)
    return narrow


def searched(task: Task) -> Widths:
    """The search of this seed, with a network for each budget; kept in the task's folder."""
    options = {**task.search, "kernels": KERNELS, "seed": task.seed, "progress": False}
    file = task.folder / "search"
    return search_widths(task.network, task.loader, task.budgets, 2 * task.epochs // 3, resume=file, **options)


def aofp(task: Task, budget: float) -> Narrowed:
    """Searched, cut, and finetuned for the epochs that the search left."""
    found = searched(task)
    narrow, batches = found.networks[budget], found.history["reached"][str(budget)]
    before = evaluate(narrow, task.test).accuracy
    search = math.ceil(batches / len(task.loader))
    finished(task, narrow, budget, task.epochs - search, "aofp")
    return Narrowed(narrow, before, batches, task.first_epochs + search + (task.epochs - search) * task.share(narrow))


def found_widths(task: Task, budget: float) -> Narrowed:
    """The widths that AOFP found, from new random weights; the search that found them is part of the cost."""
    found = searched(task)
    batches, epochs = found.history["reached"][str(budget)], task.first_epochs + task.epochs
    twin = narrow_control(found.networks[budget], task.seed)
    finished(task, twin, budget, epochs, "found")
    cost = task.first_epochs + math.ceil(batches / len(task.loader)) + epochs * task.share(twin)
    return Narrowed(twin, None, batches, cost)


def uniformly_pruned(task: Task, budget: float, among: bool) -> nn.Module:
    """The same share of every layer, by L1; `among`: only of those that AOFP can search."""
    groups = [group for group in task.groups if group.free and (not among or group.name in task.targets)]
    scores = l1_ranking(task.network, groups)
    plan = uniform_plan(task.network, groups, scores, budget, torch.zeros(1, *SIZE))
    return prune(task.network, task.groups, plan)


def uniform(task: Task, budget: float, among: bool = False) -> Narrowed:
    """Uniform widths by L1, retrained."""
    narrow = uniformly_pruned(task, budget, among)
    before = evaluate(narrow, task.test).accuracy
    finished(task, narrow, budget, task.epochs, f"uniform{among}")
    return Narrowed(narrow, before, 0, task.first_epochs + task.epochs * task.share(narrow))


def uniform_gradually(task: Task, budget: float) -> Narrowed:
    """Uniform widths by L1, a little after each of the epochs that AOFP's search has, trained as in the search.

    The MACs fall by the same amount in every step; then finetuning, as AOFP's.
    """
    batches = searched(task).history["reached"][str(budget)]
    steps = math.ceil(batches / len(task.loader))
    narrow, groups, cost = task.network, [group for group in task.groups if group.free], float(task.first_epochs)
    for step in range(steps):
        share = (1 - (1 - budget) * (step + 1) / steps) / task.share(narrow)
        plan = uniform_plan(narrow, groups, l1_ranking(narrow, groups), share, torch.zeros(1, *SIZE))
        narrow, groups = prune(narrow, groups, plan), groups_left(groups, plan)
        fully_trained(narrow, task.loader, 1, progress=False, **SEARCHING)
        cost += task.share(narrow)
    before = evaluate(narrow, task.test).accuracy
    finished(task, narrow, budget, task.epochs - steps, "gradually")
    return Narrowed(narrow, before, 0, cost + (task.epochs - steps) * task.share(narrow))


def uniform_from_scratch(task: Task, budget: float, among: bool = False) -> Narrowed:
    """Uniform widths, from random weights."""
    twin = narrow_control(uniformly_pruned(task, budget, among), task.seed)
    epochs = task.first_epochs + task.epochs
    finished(task, twin, budget, epochs, f"scratch{among}")
    return Narrowed(twin, None, 0, epochs * task.share(twin))


def while_training(task: Task, budget: float, driver: Callable[..., tuple[nn.Module, Any]], **kernels: Any) -> Narrowed:
    """One of the drivers that prune while training: two thirds of the epochs on the wide network, then finetuning."""
    folder = task.folder / f"{driver.__name__}-{budget:g}"
    options: dict[str, Any] = {"seed": task.seed, "resume": folder, "progress": False, **kernels}
    narrow, _ = driver(task.network, task.loader, budget, task.epochs, **options)
    search = searching_epochs(task.epochs)
    shutil.rmtree(folder)
    cost = task.first_epochs + search + (task.epochs - search) * task.share(narrow)
    return Narrowed(narrow, None, search * len(task.loader), cost)


def attended(task: Task, budget: float) -> nn.Module:
    """Cut by attention statistics. The gates of a seed are trained once, for all budgets."""
    file = task.folder / "attention.resume"
    task.folder.mkdir(parents=True, exist_ok=True)
    with seeded(task.seed):
        scores, _ = learned_importance(
            task.network,
            task.groups,
            task.loader,
            SEARCHING_EPOCHS,
            attention_gate=attention_gate,
            mean_importance=mean_importance,
            resume=file,
            progress=False,
        )
    plan = global_plan(task.network, task.groups, scores, budget, torch.zeros(1, *SIZE))
    return prune(task.network, task.groups, plan)


def attention(task: Task, budget: float) -> Narrowed:
    """PCAS: gates on the frozen network for some of the epochs, then surgery and finetuning."""
    narrow = attended(task, budget)
    before = evaluate(narrow, task.test).accuracy
    left = task.epochs - SEARCHING_EPOCHS
    finished(task, narrow, budget, left, "attention")
    cost = task.first_epochs + SEARCHING_EPOCHS + left * task.share(narrow)
    return Narrowed(narrow, before, SEARCHING_EPOCHS * len(task.loader), cost)


def plan_search(task: Task, budget: float, way: str) -> tuple[nn.Module, int]:
    """AMC's environment searched by its agent, at random, or greedily → the narrow network, and plans evaluated."""
    task.folder.mkdir(parents=True, exist_ok=True)
    kernels: dict[str, Any] = {"clipped_action": clipped_action, "reward": reward}
    env = environment(task.network, task.loader, task.held, budget, progress=False, **kernels)
    if way == "greedy":
        widths, evaluations = greedy_widths(env)
    else:
        agent = Agent(env.observation_space.shape[0], env.lower, task.seed) if way == "AMC" else None  # type: ignore[index]
        file = task.folder / f"{way.replace(' ', '-')}-{budget:g}.search"
        log = search(env, agent, EPISODES, seed=task.seed, resume=file, progress=False)
        widths, evaluations = best_of(log)["widths"], len({tuple(one["widths"]) for one in log})
    return prune(task.network, task.groups, env.plan(widths)), evaluations


def found_by_amc(task: Task, budget: float) -> nn.Module:
    """Cut by the best plan of AMC's agent."""
    return plan_search(task, budget, "AMC")[0]


def plan_searched(task: Task, budget: float, way: str) -> Narrowed:
    """The best plan of a search, finetuned."""
    narrow, evaluations = plan_search(task, budget, way)
    before = evaluate(narrow, task.test).accuracy
    finished(task, narrow, budget, task.epochs, way.replace(" ", "-"))
    return Narrowed(narrow, before, 0, task.first_epochs + task.epochs * task.share(narrow), evaluations)


def from_random_weights(task: Task, budget: float, found: Callable[[Task, float], nn.Module]) -> Narrowed:
    """Widths that a method found, from new random weights."""
    twin = narrow_control(found(task, budget), task.seed)
    epochs = task.first_epochs + task.epochs
    finished(task, twin, budget, epochs, f"{found.__name__}-anew")
    return Narrowed(twin, None, 0, epochs * task.share(twin))


def gates_on_random_weights(task: Task, budget: float) -> Narrowed:
    """Pruning from scratch: the epochs before any pruning are its training's, too."""
    folder, epochs = task.folder / f"from-scratch-{budget:g}", task.first_epochs + task.epochs
    options: dict[str, Any] = {"searching": GATE_EPOCHS, "seed": task.seed, "resume": folder, "progress": False}
    narrow, _ = pruned_from_scratch(task.network, task.loader, budget, epochs, **options)
    shutil.rmtree(folder)
    search = GATE_EPOCHS * len(task.loader)
    return Narrowed(narrow, None, search, GATE_EPOCHS + (epochs - GATE_EPOCHS) * task.share(narrow))


def next_layers_statistics(task: Task, budget: float, driver: Callable[..., tuple[nn.Module, Any]]) -> Narrowed:
    """LASSO or ThiNet, at the largest keep ratio of all layers that they can judge with which the budget is met."""
    share = macs_shares(task.network, task.groups, torch.zeros(1, *SIZE))
    judged = [group for group in task.groups if group.free and next_layer(task.network, group)]
    ratio = largest_within(budget, lambda ratio: share(l1_plan(task.network, judged, ratio)))
    images = torch.cat(first_batches(task.network, task.loader, 7))[:400]
    narrow, _ = driver(task.network, task.groups, images, ratio, locations=25, seed=task.seed, progress=False)
    before = evaluate(narrow, task.test).accuracy
    finished(task, narrow, budget, task.epochs, driver.__name__)
    return Narrowed(narrow, before, 0, task.first_epochs + task.epochs * task.share(narrow))


METHODS: dict[str, Callable[[Task, float], Narrowed]] = {
    "AOFP": aofp,
    "AOFP's widths, from scratch": found_widths,
    "uniform, L1": uniform,
    "uniform, L1, gradually": uniform_gradually,
    "uniform, from scratch": uniform_from_scratch,
    "slimming": partial(while_training, driver=slim, slimming_step=slimming_step, absorbed_bias=absorbed_bias),
    "soft thresholds": partial(
        while_training,
        driver=soften_scales,
        thresholding=Thresholding(soft_threshold, soft_threshold_gradient),
        absorbed_bias=absorbed_bias,
    ),
    "feedback": partial(while_training, driver=filters_with_feedback),
    "attention": attention,
    "attention's widths, from scratch": partial(from_random_weights, found=attended),
    "AMC": partial(plan_searched, way="AMC"),
    "AMC's widths, from scratch": partial(from_random_weights, found=found_by_amc),
    "random search": partial(plan_searched, way="random search"),
    "greedy": partial(plan_searched, way="greedy"),
    "pruning from scratch": gates_on_random_weights,
    "LASSO": partial(next_layers_statistics, driver=lasso),
    "ThiNet": partial(next_layers_statistics, driver=thinet),
    "uniform inside, L1": partial(uniform, among=True),
    "uniform inside, from scratch": partial(uniform_from_scratch, among=True),
}
ALL_METHODS = list(METHODS)
INSIDE = [method for method in METHODS if "inside" in method]  # the same as without, where AOFP can search all layers


def carry_out(
    study: Study[BudgetStudy],
    seed: int,
    budgets: Sequence[float],
    methods: Sequence[str],
    images: ImageSet,
    test: Iterable[tuple[Tensor, Tensor]],
) -> None:
    """All results of one seed that are not in the study yet."""
    about = study.about
    done = {(result.method, result.budget) for result in study.of(BudgetResult) if result.seed == seed}
    planned = [(method, budget) for budget in budgets for method in methods if (method, budget) not in done]
    if not planned:
        return
    folder = HALF_DONE / about.network / f"seed{seed}"
    network = trained(about.network, images, seed, about.epochs, "cpu", HALF_DONE)
    example = torch.zeros(2, *SIZE)
    groups = prunable_groups(network, example)
    found, _ = targets(network, groups, export_graph(network, example))
    names = {target.name for target in found}
    loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed)
    held = next(iter(Loader(load("minicifar", "val"), batch_size=VALIDATION, shuffle=True)))  # of all classes
    search = {"every": about.every, "threshold": about.threshold}
    epochs = about.epochs, about.retraining
    task = Task(network, groups, names, loader, test, held, budgets, *epochs, seed, folder, search)
    for method, budget in tqdm(planned, desc=f"{about.network}, seed {seed}"):
        if method in INSIDE and names == {group.name for group in groups if group.free}:
            continue
        loader.epoch = 0
        narrow, before, batches, cost, evaluations = METHODS[method](task, budget)
        result = BudgetResult(
            method,
            budget,
            seed,
            before=None if before is None else round(before, 5),
            accuracy=round(evaluate(narrow, test).accuracy, 5),
            macs_left=round(task.share(narrow), 5),
            parameters_left=round(parameter_count(narrow) / parameter_count(network), 5),
            widths=tuple(len(narrow.get_parameter(f"{name}.weight")) for name in sorted_as(network, names)),
            search_batches=batches,
            cost=round(cost, 2),
            evaluations=evaluations,
        )
        study.add(result)
        print(f"{method}, {budget:.0%}, seed {seed}: {result.accuracy:.1%}, {result.widths}", flush=True)


def sorted_as(network: nn.Module, names: Iterable[str]) -> list[str]:
    """Layers in the order of the network."""
    wanted = set(names)
    return [name for name, _ in network.named_modules() if name in wanted]


def main(  # noqa: PLR0913
    results: cli.Results,
    network: cli.Network = "vgg_mini",
    budgets: Annotated[list[float], typer.Option(metavar="SHARE", help="Of the MACs; repeat it for more.")] = BUDGETS,
    methods: Annotated[list[str], typer.Option(parser=cli.one_of(METHODS), help="Repeat it for more.")] = ALL_METHODS,
    seeds: cli.Seeds = cli.SEEDS,
    epochs: cli.Epochs = 25,
    retraining: cli.Retraining = 30,
    every: Annotated[int, typer.Option(help="Batches of one of AOFP's searches.")] = 20,
    threshold: Annotated[float, typer.Option(help="AOFP's theta.")] = 0.1,
    pages: Pages = None,
) -> None:
    """Carry out the study on MiniCIFAR, and write its table and its picture, also when it is stopped."""
    images = load("minicifar", "train")
    test = Loader(load("minicifar", "test"), batch_size=500)
    about = BudgetStudy(
        images=images.fingerprint,
        network=network,
        epochs=epochs,
        retraining=retraining,
        every=every,
        threshold=threshold,
        description=images.source.description,
        made_with=versions(),
    )
    study = cli.opened(results, about)
    try:
        for seed in seeds:
            carry_out(study, seed, sorted(budgets, reverse=True), methods, images, test)
    except KeyboardInterrupt:
        print(cli.STOPPED)
    if study.of(BudgetResult):
        write_page(results, pages, page(study), budget_curves(study, images))


def page(study: Study[BudgetStudy]) -> list[str]:
    """The table with a heading that says what was measured."""
    about, table = study.about, budget_table(study)
    heading = f"# {about.network} under budgets of MACs, on MiniCIFAR"
    text = (
        f"Images: {about.description.rstrip('.')}. {about.made_with}. {about.epochs} epochs, then {about.retraining} "
        f"more for every method, AOFP's search (B {about.every}, theta {about.threshold:g}) among them; from scratch: "
        "all of them. Accuracy on the test images in percent, mean and standard deviation of the seeds; widths of the "
        "first seed. Cost: of the whole training, in epochs of the unpruned network by MACs (scoring, which takes "
        "about 1.15 times the time of a plain step, not counted)."
    )
    return [heading, "", text, "", *markdown_table([table.header, *table.rows])]


if __name__ == "__main__":
    run_program(main)
