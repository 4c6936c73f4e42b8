"""Our pruner beside Torch-Pruning, in one run: what becomes of each network, seconds, and memory.

    pip install torch-pruning; python benchmarks/pruner.py [--small] [NAME ...]

Networks are torchvision's, or with `--small` those of the zoo (tests/helpers/small_networks.py), a row for each kind.
Each network and pruner has a process of its own, one after the other, on one thread and in at most 14 GB. Both rank by
L1 norms and remove half of the channels of every layer that may go; Torch-Pruning as its documentation says: layers
that make outputs ignored, `num_heads` given, a width that a network remembers set afterwards as its examples do.

Outcomes, in double precision with random inputs and constants:
  exact      the pruned network is the original with zeros wherever a removed channel is made or read
  by design  it is not, for removed channels went through a norm over channels or a softmax, which no zero undoes:
             equal to the original whose norms and scale of attention leave them out, or this could not be checked
  wrong      it is something else, or its outputs have other shapes
  nothing    no parameter has gone
  refused    the analysis raised an error (ours: a PlanError; any other of ours is a crash)
  crash      removing or running raised an error, or took more than the time or memory that there is

Cold: the first analysis in its process, without imports; warm: the median of three more (ours tries every group out,
theirs does not run the pruned network); step: ranking and removing, the median of three (ours makes a new network,
theirs changes the given one); memory: the peak of the process until then, some 450 MB of torch included. Ratios are
ours/theirs, over networks that both handle (exact or by design). The last line is JSON.
"""

import argparse
import contextlib
import copy
import importlib
import importlib.util
import io
import json
import multiprocessing
import re
import resource
import statistics
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from helpers.small_networks import NETWORKS
from helpers.torchvision_networks import SMALLEST, images, lively

from course_utils.networks import parameter_count
from solutions import prunable
from solutions.graph.groups import Group
from solutions.graph.tensors import tensors_in
from solutions.plans import PlanError, groups_left, l1_plan
from solutions.surgery import outputs, prune, silence

OUTCOMES = ("exact", "by design", "wrong", "nothing", "refused", "crash")
TOOLS = ("ours", "torch_pruning")
STEPS = 3
RUNS = 200  # of networks that draw random numbers
MEMORY = 14 * 10**9  # bytes; whoever wants more has failed
TIMEOUT = {True: 120, False: 900}  # seconds for one small network, and for one of torchvision's
LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase, nn.MultiheadAttention, nn.Embedding)
LAST_AXIS = (nn.Linear, nn.LayerNorm, nn.RNNBase, nn.MultiheadAttention, nn.Embedding)
MIXING = re.compile("(?!.*BatchNorm).*(Softmax|ScaledDot|Norm|Var|Std|AvgPool3D)")  # AvgPool3D: local response norms
LATE = ("torch.export._trace", "torch.onnx._internal.exporter._compat", "onnxscript.function_libs.torch_lib.ops")

Result = dict[str, Any]
Results = dict[str, dict[str, Result]]
Made = tuple[nn.Module, Any]
Removed = dict[tuple[str, str, int], list[int]]  # layer or parameter, whether it makes or reads them, axis → channels


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """How long a call takes, and what it gives."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def as_it_is(name: str, small: bool) -> Made:
    """A network, untrained, and its example as its users would have them: for times and memory."""
    if small:
        network, example = NETWORKS[name].make()
    else:
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        network, example = torchvision.models.get_model(name, weights=None, **options), images(name, 1).float()
    return network.eval(), example


def randomised(name: str, small: bool) -> Made:
    """The same network with random constants, always the same, and in double precision if it runs in that."""
    for double in (True, False):
        network, example = NETWORKS[name].make() if small else (lively(name), images(name, 2))
        with torch.random.fork_rng(), contextlib.suppress(Exception):  # in place: some networks cannot be copied
            torch.manual_seed(0)
            network.load_state_dict(prunable.with_random_constants(network).state_dict())
        with contextlib.suppress(Exception):
            network, example = (network.double(), prunable.in_double(example)) if double else (network, example)
            with torch.no_grad():  # what a network keeps of a run can be copied then
                outputs(network.eval(), example)
            return network, example
    return network.eval(), example


# --- ours


def ours(name: str, small: bool, result: Result) -> None:
    """Fill in the outcome of our pruner and its figures."""
    result["outcome"] = "refused"
    network, example = as_it_is(name, small)
    result["cold"], groups = seconds(lambda: prunable.prunable_groups(network, example, progress=False))
    again = [seconds(lambda: prunable.prunable_groups(network, example, progress=False))[0] for _ in range(STEPS)]
    result["warm"], result["outcome"] = statistics.median(again), "crash"
    result["step"] = statistics.median(seconds(lambda: one_step(network, groups))[0] for _ in range(STEPS))
    result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result["left"] = parameter_count(one_step(network, groups)[0]) / parameter_count(network)
    network, example = randomised(name, small)
    plan = l1_plan(network, groups, 0.5)
    pruned, expected = prune(network, groups, plan), silence(network, groups, plan)
    if parameter_count(pruned) == parameter_count(network):
        result["outcome"] = "nothing"
    else:
        result["outcome"] = "exact" if same(pruned, expected, example) else "wrong"


def one_step(network: nn.Module, groups: list[Group]) -> tuple[nn.Module, list[Group]]:
    """The smaller network, and the groups for the step after it: the graph is not read again."""
    plan = l1_plan(network, groups, 0.5)
    return prune(network, groups, plan), groups_left(groups, plan)


# --- theirs


def torch_pruning(name: str, small: bool, result: Result) -> None:
    """Fill in the outcome of Torch-Pruning and its figures."""
    analyses, steps = [], []
    for _ in range(STEPS + 1):
        result["outcome"] = "refused"
        network, example = as_it_is(name, small)
        ignored, before = layers_of_outputs(network, example), parameter_count(network)
        analysis, pruner = seconds(partial(their_pruner, network, example, ignored))
        analyses.append(analysis)
        result["cold"], result["outcome"] = analyses[0], "crash"
        steps.append(seconds(pruner.step)[0])
        result["left"] = parameter_count(network) / max(1, before)
        del network, pruner, ignored  # before the next one is made
    result["warm"] = statistics.median(analyses[1:])
    result["step"] = statistics.median(steps[1:])
    result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    network, example = randomised(name, small)
    ignored, before = layers_of_outputs(network, example), parameter_count(network)
    pruner = their_pruner(network, example, ignored)
    gone, mixed = removed_by(pruner, network)
    if parameter_count(network) == before:
        result["outcome"] = "nothing"
        return
    if isinstance(network, torchvision.models.VisionTransformer):  # as its examples do; it remembers its width
        network.hidden_dim = network.conv_proj.out_channels
    outputs(network, example)  # a crash, if it does not run
    result["outcome"] = "by design" if mixed else "wrong"
    for outcome, without_norms in (("exact", False), ("by design", True)):
        with contextlib.suppress(Exception):
            original, _ = randomised(name, small)
            for _ in range(3):  # a network that counts its calls has been called as often as theirs
                outputs(original, example)
            if same(network, zeroed(original, gone, without_norms), example):
                result["outcome"] = result["checked"] = outcome
                break


def their_pruner(network: nn.Module, example: Any, ignored: list[nn.Module]) -> Any:
    """Torch-Pruning's pruner for half of every layer, by L1 norms of whole groups; this is its analysis."""
    import torch_pruning as tp

    return tp.pruner.BasePruner(
        network,
        example if isinstance(example, tuple) else (example,),
        importance=tp.importance.GroupMagnitudeImportance(p=1),
        pruning_ratio=0.5,
        ignored_layers=ignored,
        num_heads=heads_of_attention(network),
        in_channel_groups={},  # its defaults are one dict for all pruners of a process
        out_channel_groups={},
    )


def layers_of_outputs(network: nn.Module, example: Any) -> list[nn.Module]:
    """The layers that make the outputs: on each way back from an output, through autograd's graph, the first one."""
    makers: dict[Any, nn.Module] = {}
    for parameter in network.parameters():  # Torch-Pruning needs it too, and its examples do it
        parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())

    def note(layer: nn.Module, _inputs: Any, output: Any) -> None:
        makers.update({tensor.grad_fn: layer for tensor in tensors_in(output) if tensor.grad_fn is not None})

    hooks = [layer.register_forward_hook(note) for layer in network.modules() if isinstance(layer, LAYERS)]
    ways, seen, found = [output.grad_fn for output in outputs(network, example)], set(), set()
    for hook in hooks:
        hook.remove()
    while ways:
        way = ways.pop()
        if way in makers:
            found.add(makers[way])
        elif way is not None and way not in seen and not by_a_parameter(way):
            seen.add(way)
            ways.extend(before for before, _ in way.next_functions)
    return list(found)


def by_a_parameter(way: Any) -> bool:
    """Whether an operator of autograd multiplies by a parameter: a layer that is no module, and not theirs to prune."""
    reached = (
        [before for before, _ in way.next_functions] if re.match("Addmm|Mm|Bmm|Convolution", type(way).__name__) else []
    )
    while reached:
        before = reached.pop()
        if getattr(before, "variable", torch.zeros(())).ndim > 1:
            return True
        if re.match("T|Transpose|Permute|View|UnsafeView|Reshape|Unsqueeze|Expand", type(before).__name__):
            reached += [earlier for earlier, _ in before.next_functions]
    return False


def heads_of_attention(network: nn.Module) -> dict[nn.Module, int]:
    """The layers that make queries, keys and values → the number of heads, as Torch-Pruning's examples say it."""
    found: dict[nn.Module, int] = {}
    for module in network.modules():
        heads = getattr(module, "num_heads", getattr(module, "heads", None))
        if isinstance(heads, int):
            parts = [getattr(module, name, None) for name in ("qkv", "q", "k", "v", "query", "key", "value")]
            layers = [module] if isinstance(module, nn.MultiheadAttention) else parts
            found |= {layer: heads for layer in layers if isinstance(layer, LAYERS)}
    return found


def removed_by(pruner: Any, network: nn.Module) -> tuple[Removed, bool]:
    """Prune; which channels have gone, and whether they went through operators, not layers, that mix channels."""
    left: Removed = {}
    gone: Removed = defaultdict(list)
    mixed, graph = False, pruner.DG
    for group in pruner.step(interactive=True):
        names = {id(part): name for name, part in [*network.named_modules(), *network.named_parameters()]}
        for dep, channels in group:
            part, makes = dep.target.module, graph.is_out_channel_pruning_fn(dep.handler)
            if id(part) not in names:
                mixed = mixed or mixes(dep.target.grad_fn)
                continue
            if isinstance(part, nn.Parameter):
                axis, size = dep.target.pruning_dim, part.shape[dep.target.pruning_dim]
            else:
                axis, size = 0, (graph.get_out_channels if makes else graph.get_in_channels)(part) or 0
            key = (names[id(part)], "out" if makes else "in", axis)
            places = left.get(key, list(range(size)))
            taken = {places[channel] for channel in channels if channel < len(places)}
            gone[key] += taken
            left[key] = [place for place in places if place not in taken]
        group.prune()
    return gone, mixed


def mixes(operator: Any) -> bool:
    """Whether one of autograd's operators is a softmax or a norm, or a mean over one axis that stays: half a norm."""
    name = type(operator).__name__
    kept = name == "MeanBackward1" and operator._saved_keepdim and len(operator._saved_dim) == 1
    return kept or bool(MIXING.match(name))


def zeroed(network: nn.Module, gone: Removed, without_norms: bool) -> nn.Module:
    """The same network, which gets zeros wherever a removed channel is made or read.

    `without_norms`: its norms over channels and its scale of attention are worked out from the other channels alone.
    """
    parts = dict(network.named_modules()) | dict(network.named_parameters())
    for (name, side, axis), channels in gone.items():
        part, index = parts[name], torch.tensor(sorted(channels), dtype=torch.long)
        if isinstance(part, nn.Parameter):
            part.detach().index_fill_(axis, index, 0)
            continue
        if isinstance(part, nn.MultiheadAttention):
            zero_features(part, index, rescaled=without_norms)
        if side == "in" or isinstance(part, nn.MultiheadAttention):
            part.register_forward_pre_hook(lambda layer, given, index=index: with_zeros(layer, index, given))
        if side != "in":
            norm = without_norms and isinstance(part, (nn.LayerNorm, nn.GroupNorm))
            way = norm_of_the_rest if norm else lambda layer, index, _, output: with_zeros(layer, index, output)
            part.register_forward_hook(lambda layer, given, output, i=index, way=way: way(layer, i, given, output))
    return network


def channel_axis(layer: nn.Module) -> int:
    """The axis of channels in what a layer takes and gives."""
    if isinstance(layer, LAST_AXIS) and not isinstance(layer, torchvision.models.convnext.LayerNorm2d):
        return -1
    return 1 - layer.weight.ndim if isinstance(layer, nn.modules.conv._ConvNd) else 1


def with_zeros(layer: nn.Module, index: Tensor, value: Any) -> Any:
    """Zeros for these channels in a tensor, or in the first of a tuple (of attention's three inputs: in all)."""
    if isinstance(value, Tensor):
        return value.index_fill(channel_axis(layer), index, 0)
    count = 3 if isinstance(layer, nn.MultiheadAttention) and isinstance(value[1], Tensor) and len(value) > 2 else 1
    return (*(with_zeros(layer, index, item) for item in value[:count]), *value[count:])


def zero_features(layer: nn.MultiheadAttention, index: Tensor, rescaled: bool) -> None:
    """Zeros for these features of queries, keys and values; `rescaled`: the scale is that of the other features."""
    size = layer.embed_dim
    for tensor in (layer.in_proj_weight, layer.in_proj_bias):
        if tensor is not None:
            three = tensor.detach().view(3, size, -1)
            three.index_fill_(1, index, 0)
            three[0] *= (size / (size - len(index))) ** 0.5 if rescaled else 1


def norm_of_the_rest(layer: Any, index: Tensor, given: tuple[Tensor], _output: Tensor) -> Tensor:
    """What a norm over channels gives when these channels are not there; zeros for them."""
    axis = channel_axis(layer)
    kept = torch.tensor([place for place in range(given[0].shape[axis]) if place not in set(index.tolist())])
    rest = given[0].index_select(axis, kept)
    weight, bias = (tensor if tensor is None else tensor[kept] for tensor in (layer.weight, layer.bias))
    if isinstance(layer, nn.GroupNorm):
        normed = F.group_norm(rest, layer.num_groups, weight, bias, layer.eps)
    else:
        normed = F.layer_norm(rest.movedim(axis, -1), [len(kept)], weight, bias, layer.eps).movedim(-1, axis)
    return torch.zeros_like(given[0]).index_copy(axis, kept, normed)


# --- both


def same(network: nn.Module, other: nn.Module, example: Any) -> bool:
    """Whether two networks give the same for random inputs but for rounding; of random ones, in the mean."""
    precision = max((prunable.coarsest(one, example) for one in (network, other)), key=lambda d: prunable.ALLOWED[d])
    for seed, sign in ((11, 1), (12, -1)):
        torch.manual_seed(seed)
        given = prunable.drawn_inputs(example, sign)
        one, two = runs(network, given, 2), runs(other, given, 2)
        if not alike(one[0], two[0], precision):
            random = not alike(one[0], one[1], precision)
            if not random or not alike_in_the_mean(runs(network, given, RUNS), runs(other, given, RUNS)):
                return False
    return True


def runs(network: nn.Module, example: Any, count: int) -> list[list[Tensor]]:
    """The outputs of several runs on copies of an example, with random numbers from seeds 0, 1, …"""
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        with torch.no_grad():
            found.append(outputs(network, copy.deepcopy(example)))
    return found


def alike(found: list[Tensor], expected: list[Tensor], precision: torch.dtype) -> bool:
    """Whether outputs have the same shapes, are finite in the same places, and equal there but for rounding."""
    finite = [[tensor.isfinite() for tensor in one] for one in (found, expected)]
    if len(found) != len(expected) or not all(map(torch.equal, *finite)):
        return False
    there = [[tensor[tensor.isfinite()] for tensor in one] for one in (found, expected)]
    return not prunable.apart(there[0], there[1], precision)


def alike_in_the_mean(found: list[list[Tensor]], expected: list[list[Tensor]]) -> bool:
    """Whether the mean outputs of many runs are at most six standard errors apart."""
    for one, two in zip(zip(*found, strict=True), zip(*expected, strict=True), strict=True):
        (v, m), (w, n) = (torch.var_mean(torch.stack(tensors).double(), 0) for tensors in (one, two))
        if m.shape != n.shape or bool(((m - n).abs() > 6 * ((v + w) / RUNS).sqrt() + 1e-9).any()):
            return False
    return True


def child(tool: str, name: str, small: bool, pipe: Connection) -> None:
    """Send what becomes of one network in the hands of one pruner."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    result: Result = {}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            (ours if tool == "ours" else torch_pruning)(name, small, result)
    except Exception as error:
        result["note"] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        memory = isinstance(error, MemoryError) or "allocate memory" in str(error)
        if memory or (tool == "ours" and not isinstance(error, PlanError)):
            result["outcome"] = "crash"
    pipe.send(result)


def judged(tool: str, name: str, small: bool) -> Result:
    """The same from a process of its own, a fork of this one, which has imported everything and run nothing."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(tool, name, small, there))
    process.start()
    there.close()
    result = {"outcome": "crash", "note": f"longer than {TIMEOUT[small]} s"}
    with contextlib.suppress(EOFError):
        if here.poll(TIMEOUT[small]):
            result["note"] = "the process died"
            result = here.recv()
    process.kill()
    process.join()
    return result


def ratios(results: Iterable[dict[str, Result]]) -> dict[str, float | None]:
    """Medians of ours/theirs over the networks that both handle; None where there are none."""
    both = [pair for pair in results if all(pair[tool]["outcome"] in ("exact", "by design") for tool in TOOLS)]
    found: dict[str, float | None] = {}
    for name, key in (("step", "step"), ("analysis", "warm"), ("cold", "cold"), ("memory", "memory")):
        values = [pair["ours"][key] / pair["torch_pruning"][key] for pair in both]
        found[f"{name}_ratio_median"] = round(statistics.median(values), 3) if values else None
    return found


def table(results: Results, small: bool) -> Table:
    """Small networks: how many of each kind have each outcome, and medians of ratios; others: each with its figures."""
    forms = {"outcome": "", "cold": ".2f", "warm": ".2f", "step": ".3f", "memory": ".0f", "left": ".1%"}
    rows: list[list[str]] = []
    for kind in [*dict.fromkeys(NETWORKS[name].kind for name in results if small), "all"] if small else ():
        pairs = [pair for name, pair in results.items() if kind in (NETWORKS[name].kind, "all")]
        counts = zip(*(counted(pairs, tool).values() for tool in TOOLS), strict=True)
        cells = (", ".join(map(str, both)) for both in counts)
        rows.append(
            [kind, str(len(pairs)), *cells, *(f"{ratio:.2f}" if ratio else "–" for ratio in ratios(pairs).values())]
        )
    for name, pair in results.items() if not small else ():
        cells = (
            ", ".join(format(of[key], form) if key in of else "–" for of in pair.values())
            for key, form in forms.items()
        )
        rows.append([name, *cells])
    found = Table(
        title="ours, theirs: seconds on one thread, peak megabytes, parameters left; or medians of ours/theirs"
    )
    columns = ["kind", "networks", *OUTCOMES, "step", "analysis", "cold", "memory"] if small else ["network", *forms]
    for number, column in enumerate(columns):
        found.add_column(column, justify="right" if number else "left")
    for row in rows:
        found.add_row(*row)
    return found


def counted(results: Iterable[dict[str, Result]], tool: str) -> dict[str, int]:
    """How many networks have each outcome with one pruner."""
    counts = Counter(pair[tool]["outcome"] for pair in results)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def main() -> None:
    """Judge the networks that the command line names, one after the other."""
    parser = argparse.ArgumentParser(description="Our pruner beside Torch-Pruning.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; all if none is named")
    parser.add_argument("--small", action="store_true", help="the zoo of small networks in place of torchvision's")
    options = parser.parse_args()
    if importlib.util.find_spec("torch_pruning") is None:
        sys.exit("Torch-Pruning is not installed; this comparison alone needs it: pip install torch-pruning")
    for module in ("torch_pruning", *LATE):
        importlib.import_module(module)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # it passes layers by, and their hooks
    results: Results = {}
    for name in options.names or (NETWORKS if options.small else SMALLEST):
        results[name] = {tool: judged(tool, name, options.small) for tool in TOOLS}
        print(name, json.dumps(results[name]), file=sys.stderr, flush=True)
    Console(width=180).print(table(results, options.small))
    counts = {tool: counted(results.values(), tool) for tool in TOOLS}
    print(json.dumps({"networks": len(results), **counts, **ratios(results.values())}))


if __name__ == "__main__":
    main()
