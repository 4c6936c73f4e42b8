"""Every pruning method of the course under one budget: the table and the plot of results that anyone can make again.

    python -m studies.results docs/results/minicifar-vgg_mini.json
    python -m studies.results build/mine.json
    python -m studies.results docs/results/cifar10-vgg16.json --dataset cifar10 --network vgg16 --keep-ratios 0.34375
        --epochs 40 --retraining 20 --batch-size 256 --device cuda --minutes 9

Same trained network, same number of epochs afterwards, the same share of every layer's filters (of single weights for
masks), several seeds. What is in the file already is not measured again; another file begins anew. A run that was stopped,
or that reached `--minutes`, goes on where it was with the same call.
Beside the results a table (Markdown) and a plot (PNG) are written.
"""

import argparse
import copy
import platform
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.networks import parameter_count
from course_utils.pictures import study_plots
from course_utils.training import evaluate
from minicifar import Loader, load
from solutions.alpha_branch import AlphaNetwork, alpha_schedule, shrink
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from solutions.costs import count_macs
from solutions.graph.groups import Group
from solutions.iterative import plan_step, prune_iteratively
from solutions.masks import apply_masks, global_masks, sparsity
from solutions.prunable import prunable_groups
from solutions.scoring import CRITERIA, ranking
from solutions.speedup import compare
from solutions.surgery import prune
from solutions.thinet import thinet
from studies.runs import at_most, fully_trained, keep_results, narrow_control, read_results, trained

MASKS = "magnitude masks"
KEEP_RATIOS = (0.7, 0.5, 0.35, 0.2)
RATE, SMOOTHING = 0.1, 0.1
SIZE = (3, 32, 32)


@dataclass
class Run:
    """One trained network, and what a method needs to prune and retrain it."""

    network: nn.Module
    groups: Sequence[Group]
    loader: Any
    batches: Sequence[tuple[Tensor, Tensor]]
    test: Any
    keep_ratio: float
    epochs: int
    first_epochs: int
    seed: int
    folder: Path

    @property
    def widths(self) -> dict[str, int]:
        return {group.name: group.channels for group in self.groups}

    def retrained(self, network: nn.Module, epochs: int | None = None, **options: Any) -> tuple[nn.Module, float]:
        """The network after the rest of the budget, and its accuracy before."""
        before = evaluate(network, self.test).accuracy
        options = {
            "lr": RATE,
            "label_smoothing": SMOOTHING,
            "resume": self.folder / "retraining.resume",
            "progress": False,
            **options,
        }
        return fully_trained(network, self.loader, epochs or self.epochs, **options), before


def by_criterion(criterion: str, run: Run) -> tuple[nn.Module, float | None]:
    """One step, the same share of every layer."""
    rank = ranking(criterion, run.batches, seed=run.seed)
    plan = plan_step(run.groups, rank(run.network, run.groups), run.widths, run.keep_ratio)
    return run.retrained(prune(run.network, run.groups, plan))


def step_by_step(run: Run, steps: int = 4) -> tuple[nn.Module, float | None]:
    """L1 in four equal steps with retraining between them."""
    ratios = [1 - (1 - run.keep_ratio) * (step + 1) / steps for step in range(steps)]
    each = run.epochs // steps
    pruned, log = prune_iteratively(
        run.network,
        run.groups,
        run.loader,
        ratios,
        each,
        final_epochs=run.epochs - each * (steps - 1),
        resume=run.folder,
        progress=False,
        lr=RATE,
        label_smoothing=SMOOTHING,
    )
    if len(log) < steps:
        raise KeyboardInterrupt
    return pruned, None


def by_thinet(run: Run) -> tuple[nn.Module, float | None]:
    """Greedy, with least squares, layer by layer; the stages of a residual network stay whole."""
    images = torch.cat([images for images, _ in run.batches])[:400]
    pruned, _ = thinet(run.network, run.groups, images, run.keep_ratio, locations=25, progress=False, seed=run.seed)
    return run.retrained(pruned)


def by_alpha_branch(run: Run) -> tuple[nn.Module, float | None]:
    """Branches from a ranking; alpha falls in a third of the epochs, then the merged network is trained."""
    branched = AlphaNetwork(run.network, kept_widths(run.network, run.keep_ratio))
    start_from_ranking(branched, run.batches[0][0], seed=run.seed)
    falling = max(1, run.epochs // 3)
    levels = alpha_schedule("step", falling + 1)
    done = train_through(branched, run.loader, levels, 1, [], lr=RATE / 4, resume=run.folder, progress=False)
    if len(done) < falling:
        raise KeyboardInterrupt
    branched.alpha = 0.0
    return run.retrained(shrink(branched), run.epochs - falling)


def by_masks(run: Run) -> tuple[nn.Module, float | None]:
    """Single weights by one global threshold: the same share goes, and no layer gets smaller."""
    network = copy.deepcopy(run.network)
    hold = partial(apply_masks, masks=global_masks(network, 1 - run.keep_ratio))
    hold(network)
    return run.retrained(network, after_step=hold)


def from_scratch(run: Run) -> tuple[nn.Module, float | None]:
    """The control: the narrow shape from random weights, with the first training's epochs too."""
    rank = ranking("L1", run.batches)
    plan = plan_step(run.groups, rank(run.network, run.groups), run.widths, run.keep_ratio)
    twin = narrow_control(prune(run.network, run.groups, plan), run.seed)
    return run.retrained(twin, run.first_epochs + run.epochs)[0], None


def not_pruned(run: Run) -> tuple[nn.Module, float | None]:
    """The other control: the whole network, trained on for as long as the pruned ones are."""
    return run.retrained(copy.deepcopy(run.network))


METHODS: dict[str, Callable[[Run], tuple[nn.Module, float | None]]] = {
    **{criterion: partial(by_criterion, criterion) for criterion in CRITERIA},
    "L1, four steps": step_by_step,
    "ThiNet": by_thinet,
    "alpha-branch": by_alpha_branch,
    MASKS: by_masks,
    "from scratch": from_scratch,
    "not pruned": not_pruned,
}

PANELS = {  # of the plot
    "one step, by a ranking": (*CRITERIA, "from scratch"),
    "L1, and other ways": ("L1", "L1, four steps", "ThiNet", "alpha-branch", MASKS, "from scratch"),
}


def measured(network: nn.Module, original: nn.Module, before: float | None, test: Any) -> dict[str, Any]:
    """What is reported of one run. Parameters are those that are not masked."""
    macs, original_macs = (count_macs(copy.deepcopy(each).cpu(), SIZE) for each in (network, original))
    zeros = sparsity(network)
    nonzero = parameter_count(network) * (1 - zeros if zeros > 0.01 else 1)
    return {
        "before_retraining": None if before is None else round(before, 5),
        "accuracy": round(evaluate(network, test).accuracy, 5),
        "parameters_left": round(nonzero / parameter_count(original), 5),
        "macs_left": round(macs / original_macs, 5),
        "shape": f"{parameter_count(network)} parameters, {macs} MACs",
    }


def timed(network: nn.Module, original: nn.Module) -> dict[str, float]:
    """Milliseconds for a batch of 64 on one thread of the CPU, in turn with the original, and how many times as fast it is."""
    timing = compare(copy.deepcopy(original).cpu(), copy.deepcopy(network).cpu(), batch=64, rounds=5, threads=1)
    return {"milliseconds": round(1000 * statistics.median(timing.pruned), 2), "speedup": round(timing.speedup, 3)}


# --- the table

COLUMNS = (
    *("method", "filters kept", "before retraining", "accuracy", "change", "parameters left", "MACs left"),
    *("CPU time, batch 64", "times as fast"),
)


def grouped(found: dict[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The runs of all seeds by (keep ratio, method): the largest ratio first, in it the most accurate method."""
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, result in found["results"].items():
        method, ratio, _ = key.split(" | ")
        runs.setdefault((ratio, method), []).append(result)
    return dict(sorted(runs.items(), key=lambda item: (-float(item[0][0]), -accuracy_of(item[1]))))


def overview(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """One line for each method, one column for each keep ratio: the accuracy; and what the narrow networks cost."""
    runs = grouped(found)
    ratios = list(dict.fromkeys(ratio for ratio, _ in runs))
    methods = {method: [run for (_, one), each in runs.items() if one == method for run in each] for _, method in runs}
    narrow = {ratio: each[0] for (ratio, method), each in runs.items() if method != MASKS}

    def cost(cell: Callable[[dict[str, Any]], str]) -> list[str]:
        return [cell(narrow[ratio]) if ratio in narrow else "" for ratio in ratios]

    def cell(ratio: str, method: str) -> str:
        return mean_and_spread(runs[ratio, method]) if (ratio, method) in runs else ""

    return [
        ("filters kept", *(f"{float(ratio):.0%}" for ratio in ratios)),
        ("parameters left", *cost(lambda run: f"{run['parameters_left']:.1%}")),
        ("MACs left", *cost(lambda run: f"{run['macs_left']:.1%}")),
        ("times as fast", *cost(lambda run: f"{found['times'][run['shape']]['speedup']:.1f}")),
        *(
            (
                f"{method} (share of the weights)" if method == MASKS else method,
                *(cell(ratio, method) for ratio in ratios),
            )
            for method in sorted(methods, key=lambda method: -accuracy_of(methods[method]))
        ),
    ]


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """One line for each method and keep ratio: means over the seeds, and the standard deviation of the accuracy."""

    def share(values: Sequence[float | None]) -> str:
        return "" if None in values else f"{statistics.mean(values):.1%}"  # type: ignore[type-var]

    lines: list[tuple[str, ...]] = []
    for (ratio, method), several in grouped(found).items():
        times = [found["times"][run["shape"]] for run in several]
        change = statistics.mean(run["accuracy"] - run["original_accuracy"] for run in several)
        lines.append(
            (
                method,
                f"({float(ratio):.0%} of the weights)" if method == MASKS else f"{float(ratio):.0%}",
                share([run["before_retraining"] for run in several]),
                f"{mean_and_spread(several)} %",
                f"{100 * change:+.1f}",
                share([run["parameters_left"] for run in several]),
                share([run["macs_left"] for run in several]),
                f"{statistics.median(time['milliseconds'] for time in times):.1f} ms",
                f"{statistics.median(time['speedup'] for time in times):.2f}",
            )
        )
    return lines


def mean_and_spread(runs: Sequence[dict[str, Any]]) -> str:
    """Accuracy in percent: mean and, of several seeds, standard deviation."""
    accuracies = [100 * run["accuracy"] for run in runs]
    spread = f" ± {statistics.stdev(accuracies):.1f}" if len(runs) > 1 else ""
    return f"{statistics.mean(accuracies):.1f}{spread}"


def accuracy_of(runs: Sequence[dict[str, Any]]) -> float:
    return statistics.mean(run["accuracy"] for run in runs)


def markdown(found: dict[str, Any]) -> str:
    """The table with a heading that says what was measured, on which images, with which versions."""
    originals = {key.split(" | ")[2]: run["original_accuracy"] for key, run in found["results"].items()}
    lines = [
        f"# {found['network']} on {found['dataset']}",
        "",
        f"Images: {found['description'].rstrip('.')}. {found['versions']}. {found['epochs']} epochs, then {found['retraining']} more for every "
        "method; the narrow network from scratch has all of them. Accuracy on the test images, "
        f"{'of one seed' if len(originals) == 1 else f'mean and standard deviation of {len(originals)} seeds'}; before any pruning {100 * statistics.mean(originals.values()):.1f} %. "
        "Before retraining: the alpha-branch's is that at its merge, after a third of the epochs. Times are those of one thread, "
        "once for every shape, each in turn with the unpruned network, whose own time is never twice the same: trust the ratio.",
        "",
        *table(overview(found)),
        "",
        *table([COLUMNS, *rows(found)]),
        *(f"\n{method} is not there: {reason}" for method, reason in found.get("refused", {}).items()),
    ]
    return "\n".join(lines) + "\n"


def table(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """A table in Markdown, the first line its head."""
    head, *others = ("| " + " | ".join(line) + " |" for line in lines)
    return [head, "|" + "---|" * len(lines[0]), *others]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a JSON file, which is continued if it exists")
    parser.add_argument("--dataset", default="minicifar", choices=["minicifar", "cifar10", "cifar100"])
    parser.add_argument("--network", default="vgg_mini")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--keep-ratios", nargs="+", type=float, default=KEEP_RATIOS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=25, help="of training before any pruning")
    parser.add_argument("--retraining", type=int, default=12, help="epochs of every method")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, help="stop after so many; the same call goes on from there")
    options = parser.parse_args()
    images = load(options.dataset, "trainval" if options.dataset != "minicifar" else "train")
    about = {
        "dataset": options.dataset,
        "network": options.network,
        "images": images.fingerprint,
        "epochs": options.epochs,
        "retraining": options.retraining,
        "batch_size": options.batch_size,
    }
    try:
        found = read_results(options.results, about)
    except ValueError as error:
        parser.error(str(error))
    found["description"] = images.source.description
    test = Loader(load(options.dataset, "test"), batch_size=500, device=options.device)
    try:
        with at_most(options.minutes):
            carry_out(options, images, test, found)
        print(f"All {len(found['results'])} runs are in {options.results}; another file measures them again.")
    except KeyboardInterrupt:
        print("Stopped; the same call goes on from here.")
    if found["results"]:
        options.results.with_suffix(".md").write_text(markdown(found), encoding="utf-8")
        study_plots.method_curves(found, PANELS, images).savefig(
            options.results.with_suffix(".png"), bbox_inches="tight"
        )


def carry_out(options: argparse.Namespace, images: Any, test: Any, found: dict[str, Any]) -> None:
    """All runs that are not there yet; what is half done lies in `build/results/`."""
    kept = Path("build/results") / options.results.stem
    wanted = [(seed, 1.0, "not pruned") for seed in options.seeds if "not pruned" in options.methods]
    pruning = [name for name in options.methods if name != "not pruned"]
    wanted += [(seed, ratio, name) for seed in options.seeds for ratio in options.keep_ratios for name in pruning]
    groups: list[Group] = []  # the same for every seed
    for seed, ratio, name in tqdm(wanted, desc=f"{options.network} on {options.dataset}"):
        key = f"{name} | {ratio:g} | {seed}"
        if key in found["results"] or name in found.get("refused", {}):
            continue
        network = trained(options.network, images, seed, options.epochs, options.device, kept, options.batch_size)
        example = torch.zeros(2, *SIZE, device=options.device)
        groups = groups or [group for group in prunable_groups(network, example) if group.free]
        loader = Loader(
            images, batch_size=options.batch_size, shuffle=True, augment=True, seed=seed, device=options.device
        )
        shuffled = iter(Loader(images, batch_size=64, shuffle=True, seed=seed, device=options.device))
        batches = [next(shuffled) for _ in range(8)]
        folder = kept / key.replace(" | ", "-").replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(network, groups, loader, batches, test, ratio, options.retraining, options.epochs, seed, folder)
        torch.manual_seed(seed)
        try:
            pruned, before = METHODS[name](run)
        except ValueError as reason:  # a method that does not fit this network says why
            found.setdefault("refused", {})[name] = str(reason)
        else:
            original = {"original_accuracy": round(evaluate(network, test).accuracy, 5)}
            result = measured(pruned, network, before, test) | original
            found["versions"] = f"PyTorch {torch.__version__}, Python {platform.python_version()}"
            times = found.setdefault("times", {})
            if result["shape"] not in times:  # what the weights are does not matter
                times[result["shape"]] = timed(pruned, network)
            found["results"][key] = result  # not before its time is there: a stop may come at any moment
        keep_results(options.results, found)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
