"""What can be pruned in torchvision's classification networks, and whether removing equals silencing: docs/prunable.md.

    python benchmarks/prunable.py [NAME ...]

For each network 30 % and 50 % of every group go at random, in float64; the difference is the largest over both, by the
standard deviation of the outputs. Rows are written as they come; without names the smallest of every family.
"""

import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from helpers.torchvision_networks import SMALLEST, compared, difference_of_one_wrong, images, lively

from course_utils.networks import parameter_count
from minicifar.files import atomic
from solutions.plans import channels_to_keep, parameters_left
from solutions.prunable import prunable_groups

PLACE = re.compile(r" \([\w.]+: \w+\)$")  # where in the network, at a reason's end
PAGE = Path(__file__).resolve().parent.parent / "docs" / "prunable.md"
HEAD = """# What can be pruned in torchvision's networks

Written by `python benchmarks/prunable.py`: untrained networks whose batch norms, gates and heads have been made lively
(see `tests/helpers/torchvision_networks.py`), in float64. *Prunable*: the share of the parameters that goes when one channel of
every layer is left: what could go at most, and nothing that a useful network would reach. *Difference*: between the network without 30 % or 50 % of the channels of every group, at random, and
the whole one in which every layer that reads them has zeros there, by the standard deviation of the outputs; and, as a
comparison, when one wrong channel has gone at 50 % (the largest over three groups). *Seconds* on one thread: export, groups and trial.

| network | groups | of them frozen | prunable | difference | one wrong channel | seconds | why frozen (how many groups) |
|---|---|---|---|---|---|---|---|
"""


def row(name: str) -> str:
    network = lively(name)
    start = time.perf_counter()
    groups = prunable_groups(network, images(name, 1))
    seconds = time.perf_counter() - start
    results = [compared(network, groups, share, images(name, 4)) for share in (0.3, 0.5)]
    assert all(result["left"] == result["foretold"] for result in results), name
    frozen = [group for group in groups if not group.free]
    reasons = Counter(PLACE.sub("", reason) for group in groups for reason in group.reasons)
    why = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    least = {group.name: channels_to_keep(group, torch.zeros(group.channels), 0.0) for group in groups if group.free}
    prunable = 1 - parameters_left(network, groups, least) / parameter_count(network)
    off = max(result["difference"] for result in results)
    wrong = difference_of_one_wrong(network, groups, images(name, 4))
    cells = [name, len(groups), len(frozen), f"{prunable:.0%}", f"{off:.0e}", f"{wrong:.0e}", f"{seconds:.1f}", why]
    return f"| {' | '.join(map(str, cells))} |\n"


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    text = HEAD
    for name in sys.argv[1:] or SMALLEST:
        text += row(name)
        print(text.splitlines()[-1], flush=True)
        with atomic(PAGE) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
