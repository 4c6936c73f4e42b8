"""Our pruner beside Torch-Pruning, in one run: what becomes of each network, seconds, and memory.

    pip install torch-pruning; python benchmarks/pruner.py [--small] [NAME ...]

Networks are torchvision's, or with `--small` those of the zoo (tests/helpers/small_networks.py), a row for each kind.
Each network and pruner has a process of its own, one after the other, on one thread and in at most 14 GB. Both rank by
L1 norms and remove half of the channels of every layer that may go; Torch-Pruning as its documentation says: layers
that make outputs ignored, `num_heads` given, sizes kept in attributes set afterwards as its examples do.

Outcomes, in double precision with random inputs and constants:
  exact      the pruned network is the original with zeros wherever a removed channel is read
  by design  it is not, because removed channels went through a norm over channels or a softmax, which no zero undoes
  wrong      it is something else, or its outputs have other shapes
  nothing    no parameter has gone
  refused    the analysis raised an error (ours: a PlanError; any other of ours is a crash)
  crash      removing or running raised an error, or took more than the time or memory that there is

Cold: the first analysis in its process, without imports; warm: the median of three more; step: ranking and removing,
the median of three; memory: the peak of the process until then, torch itself included. Ratios are ours/theirs, over
networks that both handle (exact or by design). The last line is JSON.
"""

import argparse
import copy
import importlib
import importlib.util
import json
import re
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
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
from solutions.graph.groups import Group
from solutions.graph.tensors import tensors_in
from solutions.plans import PlanError, groups_left, l1_plan
from solutions.prunable import (
    ALLOWED,
    apart,
    coarsest,
    drawn_inputs,
    in_double,
    prunable_groups,
    with_random_constants,
)
from solutions.surgery import outputs, prune, silence

OUTCOMES = ("exact", "by design", "wrong", "nothing", "refused", "crash")
TOOLS = ("ours", "torch_pruning")
STEPS = 3
MEMORY = 14 * 10**9  # bytes; whoever wants more has failed
TIMEOUT = {True: 120, False: 900}  # seconds for one small network, and for one of torchvision's
RUNS = 200  # of networks that draw random numbers: means are compared
LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase, nn.MultiheadAttention, nn.Embedding)
LAST_AXIS = (nn.Linear, nn.LayerNorm, nn.RNNBase, nn.MultiheadAttention, nn.Embedding)
MIXING = re.compile("(?!.*BatchNorm).*(Softmax|ScaledDot|Norm|Var|Std)")  # operators, by their names in autograd
LATE = ("torch.export._trace", "torch.onnx._internal.exporter._compat", "onnxscript.function_libs.torch_lib.ops")

Result = dict[str, Any]
Made = tuple[nn.Module, Any]
Removed = dict[
    tuple[str, str, int], list[int]
]  # layer or parameter; it makes, reads or carries them ("out", "in", "both"); axis of a parameter


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
    with torch.random.fork_rng():
        network, example = NETWORKS[name].make() if small else (lively(name), images(name, 2))
        torch.manual_seed(0)
        try:
            network = with_random_constants(network)
            double = with_random_constants(network).double().eval()
            outputs(double, in_double(example))
            return double, in_double(example)
        except Exception:
            return network.eval(), example


# --- ours


def ours(name: str, small: bool, result: Result) -> None:
    """Fill in the outcome of our pruner and its figures."""
    result["outcome"] = "refused"
    network, example = as_it_is(name, small)
    result["cold"], groups = seconds(lambda: prunable_groups(network, example, progress=False))
    again = [seconds(lambda: prunable_groups(network, example, progress=False))[0] for _ in range(STEPS)]
    result["warm"], result["outcome"] = statistics.median(again), "crash"
    steps = [seconds(lambda: one_step(network, groups)) for _ in range(STEPS)]
    result["step"] = statistics.median(step for step, _ in steps)
    result["memory"] = peak()
    result["left"] = parameter_count(steps[-1][1][0]) / parameter_count(network)
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
        analysis, pruner = seconds(lambda n=network, x=example, i=ignored: their_pruner(n, x, i))
        analyses.append(analysis)
        result["cold"], result["warm"], result["outcome"] = analyses[0], statistics.median(analyses[1:] or [0]), "crash"
        steps.append(seconds(pruner.step)[0])
    result["step"] = statistics.median(steps[1:])
    result["memory"] = peak()
    result["left"] = parameter_count(network) / before
    network, example = randomised(name, small)
    ignored, before = layers_of_outputs(network, example), parameter_count(network)
    pruner = their_pruner(network, example, ignored)
    gone, mixed = removed_by(pruner, network)
    if parameter_count(network) == before:
        result["outcome"] = "nothing"
        return
    set_sizes(network)
    outputs(network, example)  # a crash, if it does not run

    def agrees(without_norms: bool) -> bool:
        original, _ = randomised(name, small)
        outputs(original, example), outputs(original, example)  # networks that count their calls: as often as theirs
        return same(network, zeroed(original, gone, without_norms), example)

    if agrees(without_norms=False):
        result["outcome"] = "exact"
    elif agrees(without_norms=True):
        result["outcome"] = "by design"
    else:
        result["outcome"], result["note"] = ("by design", f"by {min(mixed)}") if mixed else ("wrong", "")


def their_pruner(network: nn.Module, example: Any, ignored: list[nn.Module]) -> Any:
    """Torch-Pruning's pruner for half of every layer, by L1 norms of whole groups; this is its analysis."""
    import torch_pruning as tp

    for parameter in network.parameters():
        parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
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

    def note(layer: nn.Module, _inputs: Any, output: Any) -> None:
        makers.update({tensor.grad_fn: layer for tensor in tensors_in(output) if tensor.grad_fn is not None})

    hooks = [layer.register_forward_hook(note) for layer in network.modules() if isinstance(layer, LAYERS)]
    ways, seen, found = [output.grad_fn for output in outputs(network, example)], set(), {}
    for hook in hooks:
        hook.remove()
    while ways:
        way = ways.pop()
        if way in makers:
            found[makers[way]] = None
        elif way is not None and way not in seen:
            seen.add(way)
            ways.extend(before for before, _ in way.next_functions)
    return list(found)


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


def set_sizes(network: nn.Module) -> None:
    """Set what networks remember of their sizes, as Torch-Pruning's examples do after pruning."""
    for module in network.modules():
        if isinstance(module, torchvision.models.VisionTransformer):
            module.hidden_dim = module.conv_proj.out_channels
        if hasattr(module, "head_dim") and isinstance(getattr(module, "qkv", None), nn.Linear):
            module.head_dim = module.qkv.out_features // (3 * module.num_heads)


def removed_by(pruner: Any, network: nn.Module) -> tuple[Removed, set[str]]:
    """Prune; which channels have gone, and the operators they went through that mix channels and are no layers."""
    left: dict[tuple[str, str, int], list[int]] = {}
    gone, mixed, graph = defaultdict(list), set(), pruner.DG
    for group in pruner.step(interactive=True):
        names = {id(part): name for name, part in [*network.named_modules(), *network.named_parameters()]}
        for dep, channels in group:
            part, makes = dep.target.module, graph.is_out_channel_pruning_fn(dep.handler)
            reads, weight = graph.is_in_channel_pruning_fn(dep.handler), isinstance(part, nn.Parameter)
            if id(part) in names:
                key = (names[id(part)], "both" if makes and reads else "in" if reads else "out")
                key = (*key, dep.target.pruning_dim if weight else 0)
                size = (
                    part.shape[key[2]] if weight else (graph.get_out_channels if makes else graph.get_in_channels)(part)
                )
                places = left.setdefault(key, list(range(size or 0)))
                gone[key] += [places[channel] for channel in channels if size]
                left[key] = [place for place in places if place not in set(gone[key])]
            elif MIXING.match(dep.target.grad_fn.name()):
                mixed.add(dep.target.grad_fn.name())
        group.prune()
    return dict(gone), mixed


def zeroed(network: nn.Module, gone: Removed, without_norms: bool) -> nn.Module:
    """The same network, which gets zeros wherever a removed channel is made or read.

    `without_norms`: its norms over channels and its scale of attention are worked out from the other channels alone.
    """
    parts = dict(network.named_modules()) | dict(network.named_parameters())
    for (name, side, axis), channels in gone.items():
        part, index = parts[name], torch.tensor(sorted(set(channels)), dtype=torch.long)
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
    return -1 if isinstance(layer, LAST_AXIS) else 1 - layer.weight.ndim if isinstance(layer, LAYERS) else 1  # type: ignore[union-attr,operator]


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
    rest, scale = given[0].index_select(axis, kept), [t if t is None else t[kept] for t in (layer.weight, layer.bias)]
    if isinstance(layer, nn.GroupNorm):
        normed = F.group_norm(rest, layer.num_groups, *scale, layer.eps)
    else:
        normed = F.layer_norm(rest, (len(kept),), *scale, layer.eps)
    return torch.zeros_like(given[0]).index_copy(axis, kept, normed)


# --- both


def same(network: nn.Module, other: nn.Module, example: Any) -> bool:
    """Whether two networks give the same for random inputs but for rounding; of random networks, in the mean."""
    precision = max(coarsest(network, example), coarsest(other, example), key=lambda dtype: ALLOWED[dtype])
    torch.manual_seed(11)
    for given in (drawn_inputs(example), drawn_inputs(example, -1)):
        if alike(run(network, given, 1), run(network, given, 2), precision):
            if not alike(run(network, given, 1), run(other, given, 1), precision):
                return False
        elif not alike_in_the_mean(*([run(one, given, s) for s in range(RUNS)] for one in (network, other))):
            return False
    return True


def run(network: nn.Module, example: Any, seed: int) -> list[Tensor]:
    """The outputs for a copy of the example, with random numbers from this seed."""
    torch.manual_seed(seed)
    with torch.no_grad():
        return outputs(network, copy.deepcopy(example))


def alike(found: Sequence[Tensor], expected: Sequence[Tensor], precision: torch.dtype) -> bool:
    """Whether outputs have the same shapes, are finite in the same places, and differ there by no more than rounding."""
    finite = [tensor.isfinite() for tensor in expected]
    if [tensor.shape for tensor in found] != [tensor.shape for tensor in expected]:
        return False
    if not all(torch.equal(tensor.isfinite(), there) for tensor, there in zip(found, finite, strict=True)):
        return False
    pairs = list(zip(found, expected, finite, strict=True))
    return not apart([a[there] for a, _, there in pairs], [b[there] for _, b, there in pairs], precision)


def alike_in_the_mean(found: list[list[Tensor]], expected: list[list[Tensor]]) -> bool:
    """Whether the mean outputs of two random networks are at most six standard errors apart."""
    for ours, theirs in zip(zip(*found, strict=True), zip(*expected, strict=True), strict=True):
        if ours[0].shape != theirs[0].shape:
            return False
        (v, m), (w, n) = (torch.var_mean(torch.stack(runs).double(), 0) for runs in (ours, theirs))
        if bool(((m - n).abs() > 6 * ((v + w) / RUNS).sqrt() + 1e-9).any()):
            return False
    return True


def peak() -> float:
    """The most memory that this process has had so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(tool: str, name: str, small: bool) -> None:
    """Print what becomes of one network in the hands of one pruner, as JSON."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # it passes layers by, and their hooks
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for module in LATE if tool == "ours" else ("torch_pruning",):
        importlib.import_module(module)
    result: Result = {}
    try:
        {"ours": ours, "torch_pruning": torch_pruning}[tool](name, small, result)
    except Exception as error:
        result["note"] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        if tool == "ours" and not isinstance(error, PlanError):
            result["outcome"] = "crash"
    print(json.dumps(result))


def judged(tool: str, name: str, small: bool) -> Result:
    """The same from a process of its own."""
    command = [sys.executable, __file__, "--child", tool, *(["--small"] if small else []), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT[small])
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"outcome": "crash", "note": f"longer than {TIMEOUT[small]} s"}
    except (IndexError, json.JSONDecodeError):
        return {"outcome": "crash", "note": f"the process died: {done.stderr[-200:]}"}


def ratios(results: Iterable[dict[str, Result]]) -> dict[str, float]:
    """Medians of ours/theirs over the networks that both handle; NaN where there are none."""
    both = [pair for pair in results if all(pair[tool]["outcome"] in ("exact", "by design") for tool in TOOLS)]
    found = {}
    for name, key in (("step", "step"), ("analysis", "warm"), ("cold", "cold"), ("memory", "memory")):
        values = [pair["ours"][key] / pair["torch_pruning"][key] for pair in both]
        found[f"{name}_ratio_median"] = round(statistics.median(values), 3) if values else float("nan")
    return found


def table_by_network(results: dict[str, dict[str, Result]]) -> Table:
    """A row for each network: both outcomes and all figures."""
    table = Table(title="outcome, seconds on one thread, peak megabytes and parameters left: ours, theirs")
    figures = {"cold": ".2f", "warm": ".2f", "step": ".3f", "memory": ".0f", "left": ".1%"}
    for column in ("network", "outcome", *figures):
        table.add_column(column, justify="left" if column in ("network", "outcome") else "right")
    for name, pair in results.items():
        cells = [
            ", ".join(format(pair[tool][key], form) if key in pair[tool] else "–" for tool in TOOLS)
            for key, form in figures.items()
        ]
        table.add_row(name, ", ".join(pair[tool]["outcome"] for tool in TOOLS), *cells)
    return table


def table_by_kind(results: dict[str, dict[str, Result]]) -> Table:
    """A row for each kind of small network: how many of each outcome, and the medians of the ratios."""
    table = Table(title="small networks: ours, theirs; and ratios ours/theirs")
    for column in ("kind", "networks", *OUTCOMES, "step", "analysis", "cold", "memory"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind in [*dict.fromkeys(NETWORKS[name].kind for name in results), "all"]:
        rows = [pair for name, pair in results.items() if kind in (NETWORKS[name].kind, "all")]
        counts = [", ".join(str(counted(rows, tool)[outcome]) for tool in TOOLS) for outcome in OUTCOMES]
        table.add_row(kind, str(len(rows)), *counts, *(f"{ratio:.2f}" for ratio in ratios(rows).values()))
    return table


def counted(results: Iterable[dict[str, Result]], tool: str) -> Counter[str]:
    """How many networks have each outcome with one pruner."""
    return Counter(pair[tool]["outcome"] for pair in results)


def main() -> None:
    """Judge the networks that the command line names, one after the other."""
    parser = argparse.ArgumentParser(description="Our pruner beside Torch-Pruning.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks; all if none is named")
    parser.add_argument("--small", action="store_true", help="the zoo of small networks in place of torchvision's")
    parser.add_argument("--child", choices=TOOLS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("torch_pruning") is None:
        sys.exit("Torch-Pruning is not installed; this comparison alone needs it: pip install torch-pruning")
    if options.child:
        child(options.child, options.names[0], options.small)
        return
    results: dict[str, dict[str, Result]] = {}
    for name in options.names or (NETWORKS if options.small else SMALLEST):
        results[name] = {tool: judged(tool, name, options.small) for tool in TOOLS}
        print(name, json.dumps(results[name]), file=sys.stderr, flush=True)
    Console(width=180).print((table_by_kind if options.small else table_by_network)(results))
    counts = {tool: {outcome: counted(results.values(), tool)[outcome] for outcome in OUTCOMES} for tool in TOOLS}
    print(json.dumps({"networks": len(results), **counts, **ratios(results.values())}))


if __name__ == "__main__":
    main()
