"""The pages of results; of all methods: an overview, and a line for each method and keep ratio."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure

from course_utils.pictures.budget_plots import mean_and_spread
from course_utils.records import MethodResult, MethodStudy, Refusal, ShapeTime, Study
from studies.methods import MASKS

COLUMNS = (
    *("method", "filters kept", "before retraining", "accuracy", "change", "parameters left", "MACs left"),
    *("CPU time, batch 64", "times as fast"),
)


Pages = Annotated[Path | None, typer.Option(help="A folder for the table and the picture, if not beside the results.")]


def write_page(results: Path, folder: Path | None, lines: Sequence[str], picture: Figure) -> None:
    """A page (Markdown) and its picture (PNG), under the results' name."""
    page = (folder or results.parent) / results.with_suffix(".md").name
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    picture.savefig(page.with_suffix(".png"), bbox_inches="tight")


def markdown(study: Study[MethodStudy]) -> str:
    """Both tables with a heading that says what was measured, on which images, with which versions."""
    about = study.about
    originals = {result.seed: result.original_accuracy for result in study.of(MethodResult)}
    seeds = "of one seed" if len(originals) == 1 else f"mean and standard deviation of {len(originals)} seeds"
    lines = [
        f"# {about.network} on {about.dataset}",
        "",
        f"Images: {about.description.rstrip('.')}. {about.made_with}. "
        f"{about.epochs} epochs, then {about.retraining} more for every method; "
        "the narrow network from scratch has all of them. Accuracy on the test images, "
        f"{seeds}; before any pruning {100 * statistics.mean(originals.values()):.1f} %. "
        "Before retraining: the alpha-branch's is that at its merge, after a third of the epochs. "
        "Times are those of one thread, once for every shape, each in turn with the unpruned network, "
        "whose own time is never twice the same: trust the ratio.",
        "",
        *markdown_table(overview(study)),
        "",
        *markdown_table([COLUMNS, *rows(study)]),
        *(f"\n{refusal.method} is not there: {refusal.reason}" for refusal in study.of(Refusal)),
    ]
    return "\n".join(lines) + "\n"


def markdown_table(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """A table in Markdown, the first line its head."""
    head, *others = ("| " + " | ".join(line) + " |" for line in lines)
    return [head, "|" + "---|" * len(lines[0]), *others]


def grouped(study: Study[MethodStudy]) -> dict[tuple[float, str], list[MethodResult]]:
    """The results of all seeds by (keep ratio, method): the largest ratio first, in it the most accurate method."""
    groups: dict[tuple[float, str], list[MethodResult]] = {}
    for result in study.of(MethodResult):
        groups.setdefault((result.keep_ratio, result.method), []).append(result)
    return dict(sorted(groups.items(), key=lambda item: (-item[0][0], -mean_accuracy(item[1]))))


def times(study: Study[MethodStudy]) -> dict[tuple[int, int], ShapeTime]:
    """The time of every shape of network, by its parameters and MACs."""
    return {(time.parameters, time.macs): time for time in study.of(ShapeTime)}


def overview(study: Study[MethodStudy]) -> list[tuple[str, ...]]:
    """One line for each method, one column for each keep ratio: the accuracy; and what the narrow networks cost."""
    groups, by_shape = grouped(study), times(study)
    ratios = list(dict.fromkeys(ratio for ratio, _ in groups))
    by_method: dict[str, list[MethodResult]] = {}
    for (_, method), results in groups.items():
        by_method.setdefault(method, []).extend(results)
    narrow = {ratio: results[0] for (ratio, method), results in groups.items() if method != MASKS}

    def cost(cell: Callable[[MethodResult], str]) -> list[str]:
        return [cell(narrow[ratio]) if ratio in narrow else "" for ratio in ratios]

    def accuracies(method: str) -> list[str]:
        return [spread_of(groups.get((ratio, method), [])) for ratio in ratios]

    return [
        ("filters kept", *(f"{ratio:.0%}" for ratio in ratios)),
        ("parameters left", *cost(lambda result: f"{result.parameters_left:.1%}")),
        ("MACs left", *cost(lambda result: f"{result.macs_left:.1%}")),
        ("times as fast", *cost(lambda result: f"{by_shape[result.parameters, result.macs].speedup:.1f}")),
        *(
            (f"{method} (share of the weights)" if method == MASKS else method, *accuracies(method))
            for method in sorted(by_method, key=lambda method: -mean_accuracy(by_method[method]))
        ),
    ]


def rows(study: Study[MethodStudy]) -> list[tuple[str, ...]]:
    """One line for each method and keep ratio: means over the seeds, and the standard deviation of the accuracy."""
    by_shape = times(study)
    lines: list[tuple[str, ...]] = []
    for (ratio, method), results in grouped(study).items():
        shapes = [by_shape[result.parameters, result.macs] for result in results]
        change = statistics.mean(result.accuracy - result.original_accuracy for result in results)
        lines.append(
            (
                method,
                f"({ratio:.0%} of the weights)" if method == MASKS else f"{ratio:.0%}",
                mean_share([result.before_retraining for result in results]),
                f"{spread_of(results)} %",
                f"{100 * change:+.1f}",
                mean_share([result.parameters_left for result in results]),
                mean_share([result.macs_left for result in results]),
                f"{statistics.median(time.milliseconds for time in shapes):.1f} ms",
                f"{statistics.median(time.speedup for time in shapes):.2f}",
            )
        )
    return lines


def mean_share(shares: Sequence[float | None]) -> str:
    """The mean in percent; nothing where one of them is not there."""
    there = [share for share in shares if share is not None]
    return f"{statistics.mean(there):.1%}" if len(there) == len(shares) else ""


def spread_of(results: Sequence[MethodResult]) -> str:
    """Accuracy in percent: mean and, of several seeds, standard deviation; "" of no results."""
    return mean_and_spread(result.accuracy for result in results)


def mean_accuracy(results: Sequence[MethodResult]) -> float:
    """The mean of the seeds (and, of several keep ratios, of all)."""
    return statistics.mean(result.accuracy for result in results)
