"""The report's experiments on alpha-branch pruning, again, under one budget.

    python -m studies.alpha results.json --seeds 0 1 2

All start from the course's baseline (`vgg_mini`, 25 epochs) and have twelve more epochs; 65.625 % of the channels of every
layer go at once. Compared are the schedules of alpha, the original's branch trained or frozen, branches that start at
random or from a ranking, one restart of the learning rate at alpha = 0 or two; and, as controls, the network trained on
without any pruning, L1 pruning, the ranked start without any alpha, and the narrow network from random weights (25 + 12
epochs). Each result is written as it comes, so that a study that was stopped goes on where it was; at the end there is
a table.
"""

import argparse
import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from course_utils.baseline import baseline
from course_utils.networks import parameter_count
from course_utils.pictures.study_plots import alpha_table
from course_utils.training import evaluate
from minicifar import Loader, MiniCIFAR
from solutions.alpha_branch import AlphaNetwork, alpha_schedule, shrink
from solutions.alpha_training import kept_widths, start_from_ranking, train_through
from solutions.l1 import prune_vgg
from studies.runs import fully_trained, keep_results, narrow_control, read_results

KEEP_RATIO = 0.34375
BASELINE_EPOCHS, EPOCHS = 25, 12
RATE, SMOOTHING = 0.1, 0.1
VARIANTS: dict[str, dict[str, Any]] = {
    "from a ranking": {"ranking": True},
    "at random": {},
    "from a ranking, original frozen": {"ranking": True, "frozen": True},
    "at random, original frozen": {"frozen": True},
    "from a ranking, merged before the last epochs": {"ranking": True, "merged": True},
    "from a ranking, merged, alpha falls in 3 epochs": {"ranking": True, "merged": True, "levels": 3},
    "at random, multiplicative": {"schedule": "multiplicative"},
    "at random, exponential": {"schedule": "exponential"},
    "at random, cosine": {"schedule": "cosine"},
    "at random, two restarts": {"restarts": 2},
}
"""Alpha-branch pruning; what is not said is: the step schedule, the original trained, one restart."""

CONTROLS = ("not pruned", "L1", "from a ranking, without alpha", "narrow from scratch")


def alpha_run(
    network: nn.Module,
    loader: Any,
    test: Any,
    samples: torch.Tensor,
    ranking: bool = False,
    frozen: bool = False,
    merged: bool = False,
    schedule: str = "step",
    restarts: int = 1,
    levels: int = EPOCHS // 2,
) -> tuple[nn.Module, dict[str, Any]]:
    """One run of `levels` epochs while alpha falls and the rest at 0 → the narrow network, and accuracies on the way.

    `merged`: the branches are merged as soon as alpha is 0, and the narrow network trained, not the unmerged one.
    """
    branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO))
    branched.wide_learns = not frozen
    if ranking:
        start_from_ranking(branched, samples)
    branched.to(loader.device)
    notes: dict[str, Any] = {"by_alpha": []}

    def note(alpha: float) -> None:
        notes["by_alpha"].append([round(alpha, 4), round(evaluate(branched, test).accuracy, 5)])

    falling = alpha_schedule(schedule, levels + 1)[1:-1]
    between = [level for level in falling if level > 0]
    done = train_through(branched, loader, between, 1, [], lr=RATE / 4, after_level=note, progress=False)
    branched.alpha = 0.0
    note(0.0)
    if len(done) < len(between):
        raise KeyboardInterrupt
    left = EPOCHS - len(between)
    if merged:
        narrow = shrink(branched)
        fully_trained(narrow, loader, left, lr=RATE, label_smoothing=SMOOTHING, progress=False)
    else:
        each = [(left // restarts + (restart < left % restarts), RATE) for restart in range(restarts)]
        if len(train_through(branched, loader, [], 0, each, label_smoothing=SMOOTHING, progress=False)) < left:
            raise KeyboardInterrupt
        narrow = shrink(branched)
        notes["unmerged_accuracy"] = round(evaluate(branched, test).accuracy, 5)
    return narrow, notes


def control(
    name: str, network: nn.Module, loader: Any, test: Any, samples: torch.Tensor, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """What alpha-branch pruning has to beat, under the same number of epochs."""
    if name == "not pruned":
        narrow = copy.deepcopy(network)
    elif name == "L1":
        narrow = prune_vgg(network, KEEP_RATIO)
    elif name == "narrow from scratch":
        narrow = narrow_control(prune_vgg(network, KEEP_RATIO), seed).to(loader.device)
        epochs = BASELINE_EPOCHS + EPOCHS
        return fully_trained(narrow, loader, epochs, lr=RATE, label_smoothing=SMOOTHING, progress=False), {}
    else:
        branched = AlphaNetwork(network, kept_widths(network, KEEP_RATIO))
        start_from_ranking(branched, samples)
        branched.alpha = 0.0
        narrow = shrink(branched)
    narrow.to(loader.device)
    before = round(evaluate(narrow, test).accuracy, 5)
    return fully_trained(narrow, loader, EPOCHS, lr=RATE, label_smoothing=SMOOTHING, progress=False), {
        "before_retraining": before
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="a JSON file, which is continued if it exists")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", help="these runs only", default=[*CONTROLS, *VARIANTS])
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    images, test = MiniCIFAR("train"), Loader(MiniCIFAR("test"), batch_size=500, device=options.device)
    network = baseline(images)
    try:
        found = read_results(options.results, {"images": images.fingerprint})
    except ValueError as error:
        parser.error(str(error))
    found["baseline_accuracy"] = round(evaluate(network, test).accuracy, 5)
    runs = [(name, seed) for name in options.only for seed in options.seeds]
    for name, seed in tqdm(runs, desc="alpha-branch pruning"):
        key = f"{name} | {seed}"
        if key in found["results"]:
            continue
        loader = Loader(images, batch_size=64, shuffle=True, augment=True, seed=seed, device=options.device)
        samples = next(iter(Loader(images, batch_size=200, shuffle=True, seed=seed)))[0]
        torch.manual_seed(seed)
        if name in CONTROLS:
            narrow, notes = control(name, network, loader, test, samples, seed)
        else:
            narrow, notes = alpha_run(network, loader, test, samples, **VARIANTS[name])
        notes |= {
            "accuracy": round(evaluate(narrow, test).accuracy, 5),
            "parameters_left": round(parameter_count(narrow) / parameter_count(network), 5),
        }
        found["results"][key] = notes
        keep_results(options.results, found)
    print(alpha_table(found))


if __name__ == "__main__":
    main()
