"""A training step of AOFP beside a plain one, in turn in one run; the last line is JSON.

    python benchmarks/aofp.py [STEPS]

`vgg_mini` on batches of 64 random images: forward, backward and update, with all six targets scored in each step (and
the accounts kept), and without. `step_ratio`: the median of the first by the median of the second.
"""

import copy
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.networks import vgg_mini
from solutions.aofp import damage, random_half
from solutions.aofp_paths import Paths
from solutions.followers import targets
from solutions.graph.export import export_graph
from solutions.prunable import prunable_groups

BATCH = 64


def seconds_of(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor
) -> float:
    """One training step."""
    start = time.perf_counter()
    loss = F.cross_entropy(network(images), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return time.perf_counter() - start


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    torch.manual_seed(0)
    plain = vgg_mini().to(memory_format=torch.channels_last).train()
    scored = copy.deepcopy(plain)
    example = torch.zeros(1, 3, 32, 32)
    found, _ = targets(scored, prunable_groups(scored, example, progress=False), export_graph(scored, example))
    paths = Paths(scored, found, damage)
    scored.train()
    images, labels = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last), torch.randint(4, (BATCH,))
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9) for network in (plain, scored)]
    times: list[list[float]] = [[], []]
    for step in range(steps + 5):
        for number, target in enumerate(found):
            paths.halves[target.name] = random_half(target.group.free, step * 100 + number)
        for which, (network, optimizer) in enumerate(zip((plain, scored), optimizers, strict=True)):
            times[which].append(seconds_of(network, optimizer, images, labels))
    medians = [statistics.median(one[5:]) for one in times]
    print(f"plain {medians[0] * 1000:.1f} ms, scored {medians[1] * 1000:.1f} ms, {len(found)} targets")
    print(json.dumps({"step_ratio": round(medians[1] / medians[0], 3)}))


if __name__ == "__main__":
    main()
