"""What can be pruned in a network, each channel group tried out."""

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.modes import evaluating
from solutions.graph.export import export_graph, said, unreached
from solutions.graph.groups import Group, Slot, channel_groups
from solutions.graph.tensors import digest, tensors_in, tensors_of
from solutions.plans import Plan, PlanError, kept_without
from solutions.refused import refuse
from solutions.surgery import outputs, prune, silence

ALLOWED = {  # how far apart outputs may be by rounding: a share of their standard deviation, and of the largest
    torch.float64: (1e-8, 1e-12),
    torch.float32: (1e-3, 1e-5),
    torch.float16: (0.1, 1e-2),
    torch.bfloat16: (0.2, 5e-2),
}
LARGEST_IN_DOUBLE = 100_000_000  # parameters; the trial of larger networks is in their own dtype
GOLDEN = (math.sqrt(5) - 1) / 2
ALONE = (
    "evaluation does not use it (an auxiliary layer of training, or one that is not called): it is left as it is, "
    "also where what it reads in training is pruned"
)
SIZE_IN_CODE = "the smaller network computes something else: a size is written in its code"
NOT_ITS_OWN = (
    "A copy of the network does not use its own parameters: its forward holds on to the layers of the network that it "
    "was made from (a closure); write it as a method, with `self`."
)
NOT_FINITE = "the network gives numbers that are nan or infinite for this example, so that nothing can be compared"
RANDOM = (
    "two runs on one input differ: the network draws random numbers, or remembers, in evaluation mode too (dropout "
    "that eval() does not stop needs `training=self.training`)"
)


def prunable_groups(network: nn.Module, example: Any, progress: bool = True) -> list[Group]:
    """The channel groups of a network, each tried out. Its graph is read once: `groups_left` follows what is removed.

    `example`: an input (or a tuple of inputs) that the network takes; the trial uses random numbers of its shape, too,
    and these alone where it is constant (zeros). Channels of all groups are removed as a trial, another share in each,
    and then all that can go; where the smaller network does not run, or computes anything else than the whole one with
    those channels silenced, the group that is to blame is frozen and the reason kept: a size that is written in
    `forward`. The trial is on a copy whose constant parameters are random, so that nothing hides behind a zero.

    Raises PlanError, in a sentence, for a network that cannot be pruned as it is, and for wrong inputs.
    """
    with torch.random.fork_rng(), tqdm(disable=not progress, desc="channel groups", delay=2, leave=False) as bar:
        refuse(network, example)
        torch.manual_seed(0)
        model, tensors = export_graph(network, example), tensors_of(network)
        hidden = unreached(network, model)
        if len(hidden) == len(list(network.parameters())) > 0:
            raise PlanError(NOT_ITS_OWN)
        groups = [*channel_groups(model, list(tensors)), *left_alone(tensors, hidden)]
        bar.total = len(groups)
        return tried_out(network, example, [replace(group, network=digest(tensors)) for group in groups], bar)


def left_alone(tensors: Mapping[str, Tensor], names: Iterable[str]) -> Iterator[Group]:
    """A frozen group for each weight (two axes and more) that the graph does not use."""
    for name in names:
        if tensors[name].ndim > 1:
            channels = len(tensors[name])
            slot = Slot(name, 0, np.arange(channels), consumes=False)
            yield Group(name.removesuffix(".weight"), channels, (slot,), dict.fromkeys(range(channels), ALONE))


def frozen_as_a_whole(group: Group, reason: str) -> Group:
    """The same group, of which no channel may go: for this reason, where a channel has none of its own."""
    return replace(group, frozen={**dict.fromkeys(range(group.channels), reason), **group.frozen})


def tried_out(network: nn.Module, example: Any, groups: Sequence[Group], bar: Any = None) -> list[Group]:
    """The same groups; those that a trial shows to be wrong are frozen. `bar`: a progress bar, one step a group."""
    network, examples = to_try(network, example)
    if not examples:
        return [frozen_as_a_whole(group, NOT_FINITE) for group in groups]
    with evaluating(network):
        first, again = outputs(network, examples[0]), outputs(network, examples[0])
        precision = coarsest(network, examples[0])
    if apart(again, first, precision):
        return [frozen_as_a_whole(group, RANDOM) for group in groups]
    if not problem_with(network, examples, groups):
        return list(groups)
    tried = []
    for group in groups:
        problem = problem_with(network, examples, [group])
        tried.append(frozen_as_a_whole(group, problem) if problem else group)
        if bar is not None:
            bar.update()
    if problem := problem_with(network, examples, tried):
        return [frozen_as_a_whole(group, f"together with others: {problem}") for group in tried]
    return tried


def to_try(network: nn.Module, example: Any) -> tuple[nn.Module, list[Any]]:
    """The network of the trial and its inputs: random ones, and the example unless all of its numbers are equal.

    In double precision where the network can be, so that a part that says little is seen too. The network's constants
    are random, unless it gives nan or infinity then. Inputs with which it does are left out.
    """
    lively, inputs = with_random_constants(network), [drawn_inputs(example), drawn_inputs(example, -1)]
    inputs += [] if is_constant(example) else [example]
    small = sum(parameter.numel() for parameter in network.parameters()) <= LARGEST_IN_DOUBLE
    for candidate in (lively, network):
        for double in (True, False) if small else (False,):
            tried = copy.deepcopy(candidate).double() if double else candidate
            given = [in_double(one) for one in inputs] if double else inputs
            if fine := [one for one in given if finite(tried, one) is not None]:
                return tried, fine
    return network, []


def in_double(example: Any) -> Any:
    """Inputs with floats in double precision."""
    if isinstance(example, (tuple, list)):
        return type(example)(in_double(item) for item in example)
    return example.double() if isinstance(example, Tensor) and example.is_floating_point() else example


def drawn_inputs(example: Any, sign: int = 1) -> Any:
    """Inputs of the same shapes, with normal numbers around 0.5 (or -0.5, with `sign` -1) in place of floats."""
    if isinstance(example, (tuple, list)):
        return type(example)(drawn_inputs(item, sign) for item in example)
    if isinstance(example, Tensor) and example.is_floating_point():
        return sign * (torch.randn_like(example) + 0.5)
    return example


def is_constant(example: Any) -> bool:
    """Whether all numbers of a tensor, or of every tensor of a tuple, are equal."""
    return all(bool(tensor.numel()) and bool((tensor == tensor.flatten()[0]).all()) for tensor in tensors_in(example))


def with_random_constants(network: nn.Module) -> nn.Module:
    """A copy in which parameters and buffers whose numbers are all equal are drawn at random.

    Weights (two axes and more) are normal with variance 1 / fan-in, all else uniform from 0.5 to 1.5: a gain, scale or
    last batch norm that starts at zero, or nearly so, is a branch that says nothing of what happens in it.
    """
    network = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.is_floating_point() and is_constant(parameter):
                if sum(size > 1 for size in parameter.shape) > 1:
                    parameter.normal_(std=math.sqrt(len(parameter) / parameter.numel()))
                else:
                    parameter.uniform_(0.5, 1.5)
        for buffer in network.buffers():
            if buffer.is_floating_point() and is_constant(buffer):
                buffer.uniform_(0.5, 1.5)
    return network


def finite(network: nn.Module, example: Any) -> list[Tensor] | None:
    """The network's outputs; None if it does not run, or gives numbers that are nan or infinite."""
    try:
        with evaluating(network):
            found = outputs(network, example)
    except Exception:
        return None
    return found if all(bool(output.isfinite().all()) for output in found) else None


def problem_with(network: nn.Module, examples: Sequence[Any], groups: Sequence[Group]) -> str:
    """What goes wrong when channels of these groups are removed; "" if all is well with each of the inputs."""
    problems = (problem_of(network, examples, groups, plan) for plan in trial_plans(groups))
    return next((problem for problem in problems if problem), "")


def trial_plans(groups: Iterable[Group]) -> Iterator[dict[str, list[int]]]:
    """Two plans: of every group another share of its free channels goes, 30 to 70 %, and then all that can go."""
    chance = torch.Generator().manual_seed(0)
    unequal, utmost = {}, {}
    for number, group in enumerate(group for group in groups if group.free):
        share = 0.3 + 0.4 * ((number + 1) * GOLDEN % 1)
        free = [group.free[place] for place in torch.randperm(len(group.free), generator=chance).tolist()]
        unequal[group.name] = kept_without(group, free[: max(1, round(share * len(free)))])
        utmost[group.name] = kept_without(group, free)
    yield from (unequal, utmost) if unequal else ()


def problem_of(network: nn.Module, examples: Sequence[Any], groups: Sequence[Group], plan: Plan) -> str:
    """What goes wrong when this plan is carried out; "" if all is well."""
    with evaluating(network):
        silenced = silence(network, groups, plan)
        try:
            pruned = prune(network, groups, plan)
            smaller = [outputs(pruned, example) for example in examples]
        except Exception as error:
            return f"the smaller network does not run: {said(error)}"
        precision = coarsest(silenced, examples[0])
        expected = [outputs(silenced, example) for example in examples]
    for ours, theirs in zip(smaller, expected, strict=True):
        if not all(bool(output.isfinite().all()) for output in ours):
            return "the smaller network gives numbers that are nan or infinite"
        if [output.shape for output in ours] != [output.shape for output in theirs]:
            return "the smaller network has other outputs"
        if apart(ours, theirs, precision):
            return SIZE_IN_CODE
    return ""


def coarsest(network: nn.Module, example: Any) -> torch.dtype:
    """The coarsest dtype of floats that a layer of the network gives: with autocast another than its parameters'."""
    seen = [torch.float64]

    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.extend(tensor.dtype for tensor in tensors_in(output) if tensor.dtype in ALLOWED)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    outputs(network, example)
    for hook in hooks:
        hook.remove()
    return max(seen, key=lambda dtype: ALLOWED[dtype])


def wide(tensor: Tensor) -> Tensor:
    """The same numbers in double precision, a complex one's two parts apart."""
    return torch.view_as_real(tensor.to(torch.complex128)) if tensor.is_complex() else tensor.double()


def apart(outputs: Sequence[Tensor], expected: Sequence[Tensor], precision: torch.dtype) -> bool:
    """Whether some outputs differ by more than rounding in this precision."""
    share, rounding = ALLOWED[precision]
    for ours, theirs in zip(map(wide, outputs), map(wide, expected), strict=False):
        if theirs.numel():
            allowed = share * theirs.std(correction=0) + rounding * theirs.abs().max()
            if not bool((ours - theirs).abs().max() <= allowed):
                return True
    return len(outputs) != len(expected)
