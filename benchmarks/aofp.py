"""What AOFP's scores cost: a step beside a plain one, and beside the exact oracle; the last line is JSON.

    python benchmarks/aofp.py [STEPS]

`vgg_mini` on batches of 64 images. `step_ratio`: forward, backward and update with all six targets scored, in the
training's own precision, by the same without, in turn in one run (medians). `oracle_ratio`: the seconds of the exact
oracle by those that scoring has added to training, for the same rank correlation with an oracle on 512 images (the mean
over the layers): AOFP's after 320 batches, and the oracle's on as few images as reach it (other ones than the 512).
"""

import copy
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.baseline import baseline
from course_utils.training import precision
from minicifar import MiniCIFAR
from solutions.aofp import damage, random_half
from solutions.aofp_paths import Paths
from solutions.followers import Target, targets
from solutions.graph.export import export_graph
from solutions.oracle import oracle
from solutions.prunable import prunable_groups
from studies.oracle_agreement import correlation, scores_over_time
from studies.runs import scoring_batches

BATCH = 64


def seconds_of(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor
) -> float:
    """One training step."""
    start = time.perf_counter()
    kind = precision(images.device)
    with torch.autocast("cpu", dtype=kind, enabled=kind != torch.float32):
        logits = network(images)
    loss = F.cross_entropy(logits.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return time.perf_counter() - start


def step_times(plain: nn.Module, found: list[Target], steps: int) -> tuple[float, float]:
    """The median seconds of a plain training step, and of one with all targets scored, in turn."""
    plain, scored = copy.deepcopy(plain), copy.deepcopy(plain)
    paths = Paths(scored, found, damage)
    for network in (plain, scored):
        network.to(memory_format=torch.channels_last).train()
    images, labels = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last), torch.randint(4, (BATCH,))
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9) for network in (plain, scored)]
    times: list[list[float]] = [[], []]
    for step in range(steps + 5):
        for number, target in enumerate(found):
            paths.halves[target.name] = random_half(target.group.free, step * 100 + number)
        for which, (network, optimizer) in enumerate(zip((plain, scored), optimizers, strict=True)):
            times[which].append(seconds_of(network, optimizer, images, labels))
    first, second = (statistics.median(one[5:]) for one in times)
    return first, second


def agreement(scores: dict[str, Tensor], ruler: dict[str, Tensor]) -> float:
    """The rank correlation of two rankings, the mean over the layers."""
    return statistics.mean(correlation(scores[name], exact) for name, exact in ruler.items())


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    torch.manual_seed(0)
    images = MiniCIFAR("train")
    network, example = baseline(images), torch.zeros(1, 3, 32, 32)
    groups = [group for group in prunable_groups(network, example, progress=False) if group.free]
    found, _ = targets(network, groups, export_graph(network, example))
    plain, scored = step_times(network, found, steps)
    print(f"plain {plain * 1000:.1f} ms, scored {scored * 1000:.1f} ms, {len(found)} targets")

    ruler = oracle(network, scoring_batches(images, 8, 0, "cpu"), groups, progress=False)
    batches, scores = scores_over_time(network, found, images, seed=0)[-1]
    reached, extra = agreement(scores, ruler), batches * (scored - plain)
    print(f"AOFP after {batches} batches: correlation {reached:.2f}, {extra:.1f} s for scoring")
    others, labels = (torch.cat(both) for both in zip(*scoring_batches(images, 16, 0, "cpu")[8:], strict=True))
    count, exact, spent = 1, -1.0, 0.0
    while exact < reached and count <= len(others):
        start = time.perf_counter()
        few = oracle(network, [(others[:count], labels[:count])], groups, progress=False)
        spent, exact = time.perf_counter() - start, agreement(few, ruler)
        print(f"the oracle on {count} images: correlation {exact:.2f}, {spent:.1f} s")
        count *= 2
    print(json.dumps({"step_ratio": round(scored / plain, 3), "oracle_ratio": round(spent / extra, 3)}))


if __name__ == "__main__":
    main()
