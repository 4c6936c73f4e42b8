"""Pictures and tables of methods under budgets of MACs: accuracy over what is left, and the widths that were found."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from course_utils.pictures.plots import COLOURS, colour, figure, percent, say_source
from course_utils.pictures.tables import Table
from course_utils.records import BudgetResult, BudgetStudy, RedesignResult, RedesignStudy, RedesignTime, Study
from minicifar import ImageSet

FROM_SCRATCH, GRADUALLY = ", from scratch", ", gradually"


def by_method(study: Study[BudgetStudy]) -> dict[str, dict[float, list[BudgetResult]]]:
    """The results of all seeds by method and budget, budgets from large to small."""
    results: dict[str, dict[float, list[BudgetResult]]] = {}
    for result in sorted(study.of(BudgetResult), key=lambda result: -result.budget):
        results.setdefault(result.method, {}).setdefault(result.budget, []).append(result)
    return results


def chosen(study: Study[BudgetStudy], methods: Sequence[str]) -> Study[BudgetStudy]:
    """The same study with the results of these methods only, in this order."""
    results = [result for method in methods for result in study.of(BudgetResult) if result.method == method]
    return Study(study.about, list(results))


def mean_and_spread(accuracies: Iterable[float]) -> str:
    """In percent: the mean and, of several seeds, their standard deviation; "" of none."""
    values = [100 * accuracy for accuracy in accuracies]
    if not values:
        return ""
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def budget_table(study: Study[BudgetStudy]) -> Table:
    """A line for each method and budget: accuracies, what is left, widths of the first seed, and what training cost."""
    rows: list[tuple[str, ...]] = []
    methods = by_method(study)
    for budget in sorted({result.budget for result in study.of(BudgetResult)}, reverse=True):
        for method, results in ((method, budgets[budget]) for method, budgets in methods.items() if budget in budgets):
            before = [result.before for result in results if result.before is not None]
            batches = [result.search_batches for result in results if result.search_batches]
            rows.append(
                (
                    f"{budget:.0%}",
                    method,
                    mean_and_spread(before),
                    mean_and_spread(result.accuracy for result in results),
                    f"{statistics.mean(result.parameters_left for result in results):.1%}",
                    "-".join(map(str, results[0].widths)),
                    f"{statistics.mean(batches):.0f}" if batches else "",
                    f"{statistics.mean(result.cost for result in results):.1f}",
                )
            )
    header = ("MACs", "method", "after surgery", "accuracy", "parameters", "widths", "search", "cost")
    return Table(header, rows, "Accuracies in percent; search in batches, cost in epochs of the unpruned network.")


def budget_curves(study: Study[BudgetStudy], images: ImageSet | None = None) -> Figure:
    """Accuracy over the MACs left, one line a method: the mean of the seeds, and a band from worst to best.

    Dashed: from random weights. On the right the share of each layer's filters that is left, of the searched and of the
    uniform networks, at the smallest budget, the mean of the seeds.
    """
    methods = by_method(study)
    drawing, (left, right) = figure(2, width=4.9, height=3.6 + 0.2 * math.ceil(len(methods) / 4))
    for method, budgets in methods.items():
        budget_line(left, method, budgets)
    left.set(xscale="log", xlabel="MACs left", ylabel="test accuracy")
    left.xaxis.set_major_locator(FixedLocator([0.02, 0.05, 0.1, 0.14, 0.25, 0.5, 1]))
    left.xaxis.set_minor_locator(NullLocator())
    left.xaxis.set_major_formatter(percent)
    left.yaxis.set_major_formatter(percent)
    drawing.legend(fontsize=8, loc="outside lower center", ncols=4)
    smallest = min(result.budget for result in study.of(BudgetResult))
    widths = {
        method: np.mean([result.widths for result in budgets[smallest]], axis=0)
        for method, budgets in methods.items()
        if smallest in budgets and FROM_SCRATCH not in method
    }
    width_bars(right, widths)
    right.set(title=f"filters at {smallest:.0%} of the MACs", xlabel="layer", ylabel="filters (mean of the seeds)")
    say_source(drawing, images)
    return drawing


def budget_line(axis: Axes, method: str, budgets: Mapping[float, Sequence[BudgetResult]]) -> None:
    """One line of `budget_curves`."""
    left = [statistics.mean(result.macs_left for result in results) for results in budgets.values()]
    accuracies = [[result.accuracy for result in results] for results in budgets.values()]
    shade, style = shade_of(method), "--" if FROM_SCRATCH in method else "-." if GRADUALLY in method else "-"
    means = [statistics.mean(seeds) for seeds in accuracies]
    axis.plot(left, means, style, marker="o", markersize=3.5, color=shade, label=method)
    axis.fill_between(left, list(map(min, accuracies)), list(map(max, accuracies)), color=shade, alpha=0.1, linewidth=0)


def shade_of(method: str) -> str:
    """A method's colour; uniform widths by L1 have that of L1."""
    return colour(method.replace("uniform inside", "random").replace("uniform", "L1"))


def width_bars(axis: Axes, widths: Mapping[str, Sequence[float]]) -> None:
    """The filters of every layer, the networks' bars side by side."""
    for number, (label, numbers) in enumerate(widths.items()):
        places = np.arange(len(numbers)) + (number - (len(widths) - 1) / 2) * 0.8 / len(widths)
        alpha = 0.45 if GRADUALLY in label else 1.0
        axis.bar(places, numbers, 0.8 / len(widths), color=shade_of(label), label=label, alpha=alpha)
    axis.set_xticks(range(max(map(len, widths.values()), default=0)), minor=False)
    axis.set_xticklabels([str(number + 1) for number in axis.get_xticks()])


def redesign_table(study: Study[RedesignStudy]) -> Table:
    """The poster's table: accuracy (mean and spread of the seeds), MACs, and images a second of the four networks."""
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys(result.network for result in study.of(RedesignResult)):
        results = [result for result in study.of(RedesignResult) if result.network == name]
        speeds = []
        for setting in ("torch", "onnxruntime"):
            times = [time for time in study.of(RedesignTime) if (time.network, time.setting) == (name, setting)]
            ratio = f" ({statistics.mean(time.speedup for time in times):.2f})" if times else ""
            speeds.append(f"{statistics.mean(time.images_per_second for time in times):,.0f}{ratio}" if times else "")
        macs = statistics.mean(result.macs for result in results) / 1e6
        rows.append((name, mean_and_spread(result.accuracy for result in results), f"{macs:.1f}", *speeds))
    header = ("", "accuracy", "million MACs", "images/s, PyTorch", "images/s, ONNX Runtime")
    return Table(header, rows, "In brackets the speed beside the original's.")


def redesign_picture(study: Study[RedesignStudy], images: ImageSet | None = None) -> Figure:
    """The inner layers' widths that were found (a line a seed) beside the original's and the scaled one's."""
    drawing, axis = figure(width=6.2, height=3.2)
    results = study.of(RedesignResult)
    for name, style in (("original", "-"), ("scaled", ":")):
        widths = next((result.widths for result in results if result.network == name), ())
        axis.step(range(len(widths)), widths, style, where="mid", color=COLOURS["original"], label=name)
    for result in (result for result in results if result.network == "pruned"):
        label = "found" if result.seed == 0 else None
        axis.plot(range(len(result.widths)), result.widths, "o-", ms=4, lw=1, color=COLOURS["AOFP"], label=label)
    blocks = len(results[0].widths)
    axis.set_xticks(range(blocks), [str(block + 1) for block in range(blocks)])
    axis.set(xlabel="block", ylabel="inner channels", ylim=(0, None))
    axis.legend(fontsize=8)
    say_source(drawing, images)
    return drawing
