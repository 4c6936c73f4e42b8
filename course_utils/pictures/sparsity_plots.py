"""Pictures and tables of zeros: accuracy over sparsity, and where in the network the zeros are."""

import statistics
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from course_utils.pictures.budget_plots import mean_and_spread
from course_utils.pictures.plots import colour, figure, percent, say_source
from course_utils.pictures.tables import Table
from course_utils.records import SparsityResult, SparsityStudy, Study
from minicifar import ImageSet

TARGETED = ("magnitude", "feedback")  # methods that are given a sparsity; the others land where they do


def by_setting(study: Study[SparsityStudy]) -> dict[tuple[str, float], list[SparsityResult]]:
    """The results of all seeds by method and setting."""
    results: dict[tuple[str, float], list[SparsityResult]] = {}
    for result in study.of(SparsityResult):
        results.setdefault((result.method, result.setting), []).append(result)
    return results


def sparsity_table(study: Study[SparsityStudy]) -> Table:
    """A line for each method and setting: zeros, accuracy, zeros in the first and the last layer, and what returned."""
    rows: list[tuple[str, ...]] = []
    for (method, setting), results in by_setting(study).items():
        returned = [result.returned for result in results if result.returned is not None]
        rows.append(
            (
                method,
                f"{setting:.0%}" if method in TARGETED else f"{setting:g}",
                mean_and_spread(result.sparsity for result in results),
                mean_and_spread(result.accuracy for result in results),
                f"{100 * statistics.mean(result.by_layer[0][1] for result in results):.0f}",
                f"{100 * statistics.mean(result.by_layer[-1][1] for result in results):.0f}",
                f"{statistics.mean(returned):,.0f}" if returned else "",
            )
        )
    header = ("method", "setting", "zeros", "accuracy", "first layer", "last layer", "came back")
    return Table(header, rows, "Zeros and accuracies in percent; came back: weights, within the epochs.")


def sparsity_curves(study: Study[SparsityStudy], images: ImageSet | None = None) -> Figure:
    """Accuracy over the weights that are left, and the zeros of every layer of the settings nearest to 90 %.

    Lines: methods that are given a sparsity, with a band from worst to best seed; points: those that land somewhere, a
    point a seed and setting.
    """
    drawing, (left, right) = figure(2, width=4.9, height=3.9)
    results = by_setting(study)
    for method in dict.fromkeys(method for method, _ in results):
        settings = [seeds for (other, _), seeds in results.items() if other == method]
        if method in TARGETED:
            sparsity_line(left, method, settings)
        else:
            seeds = [result for setting in settings for result in setting]
            xs, ys = [1 - result.sparsity for result in seeds], [result.accuracy for result in seeds]
            left.plot(xs, ys, "D" if method == "AutoPrune" else "s", ms=4.5, color=colour(method), label=method)
    left.set(xscale="log", xlabel="weights left", ylabel="test accuracy")
    left.xaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.5]))
    left.xaxis.set_minor_locator(NullLocator())
    left.xaxis.set_major_formatter(percent)
    left.yaxis.set_major_formatter(percent)
    left.legend(fontsize=8, loc="lower right")
    nearest: dict[str, list[SparsityResult]] = {}
    for (method, _), seeds in results.items():
        held = nearest.setdefault(method, seeds)
        nearest[method] = min(held, seeds, key=lambda seeds: abs(statistics.mean(r.sparsity for r in seeds) - 0.9))
    layer_lines(right, {method: mean_by_layer(seeds) for method, seeds in nearest.items()})
    right.set(title="the settings nearest to 90% zeros")
    say_source(drawing, images)
    return drawing


def sparsity_line(axis: Axes, method: str, settings: Sequence[Sequence[SparsityResult]]) -> None:
    """The mean of the seeds, and a band from worst to best."""
    left = [statistics.mean(1 - result.sparsity for result in seeds) for seeds in settings]
    accuracies = [[result.accuracy for result in seeds] for seeds in settings]
    axis.plot(left, list(map(statistics.mean, accuracies)), "o-", ms=3.5, color=colour(method), label=method)
    axis.fill_between(left, list(map(min, accuracies)), list(map(max, accuracies)), color=colour(method), alpha=0.12)


def mean_by_layer(seeds: Sequence[SparsityResult]) -> dict[str, float]:
    """The share of zeros of every layer, the mean of the seeds."""
    return {name: statistics.mean(dict(result.by_layer)[name] for result in seeds) for name, _ in seeds[0].by_layer}


def layer_lines(axis: Axes, zeros: Mapping[str, Mapping[str, float]]) -> None:
    """The share of zeros of every layer, first to last, a line a method."""
    layers: list[str] = []
    for method, by_layer in zeros.items():
        layers = list(by_layer)
        axis.plot(range(len(layers)), list(by_layer.values()), "o-", ms=4, color=colour(method), label=method)
    axis.set_xticks(
        range(len(layers)), [name.replace("features.", "f").replace("classifier", "out") for name in layers]
    )
    axis.set(xlabel="layer", ylabel="zeros", ylim=(0, 1.02))
    axis.yaxis.set_major_formatter(percent)
    axis.legend(fontsize=8)
