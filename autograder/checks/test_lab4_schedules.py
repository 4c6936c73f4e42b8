"""Visible tests of lab 4. A test's first argument is the exercise that it grades."""

import copy
import functools
import math

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect
from course_utils.contracts import Contract
from course_utils.networks import BasicBlock, vgg_mini
from solutions.l1 import prune_vgg


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def lively(network, seed=0):
    """A network whose batch norms have weights, biases and statistics that matter."""
    for number, norm in enumerate(layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)):
        channels, first = norm.num_features, seed + 10 * number
        norm.weight.data = numbers(channels, seed=first) + 1
        norm.weight.data[2::4] *= -1
        norm.bias.data = numbers(channels, seed=first + 1)
        norm.running_mean = numbers(channels, seed=first + 2)
        norm.running_var = numbers(channels, seed=first + 3) ** 2 + 0.1
        norm.num_batches_tracked.fill_(7)
    return network.eval()


@functools.cache
def small_vgg(widths, seed):
    network = vgg_mini(widths=widths, classes=3, seed=seed)
    network.features[-1] = nn.AdaptiveAvgPool2d(2)
    return lively(network, seed)


def network_with_statistics(widths=(6, 8), seed=0):
    """A small VGG, for images of 8×8, whose batch norms have biases and statistics that matter."""
    return copy.deepcopy(small_vgg(widths, seed))


def outputs(network, seed=0):
    """A number that depends on everything the network computes."""
    hint = "there are hooks on the network, and they do not travel: change the batch norm's weight and bias"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules()), hint
    images = numbers(2, 3, 8, 8, seed=seed).to(next(network.parameters()).dtype)
    if any(layer.training for layer in network.modules()):
        network = copy.deepcopy(network).eval()
    with torch.no_grad():
        return network(images).double().abs().sum().item()


# --- sensitivity_scan


def batchnorm_behind(network, name):
    """The layer right behind a convolution: its batch norm, if it has one."""
    modules = {**dict(network.named_modules()), "the end": None}
    return modules[list(modules)[list(modules).index(name) + 1]]


def weakest(network, name, keep_ratio, scores=None):
    """The filters of a convolution that go at a keep ratio: those of the lowest scores, if not L1 norms."""
    weight = network.get_submodule(name).weight.detach()
    scores = weight.abs().sum(dim=(1, 2, 3)) if scores is None else scores(weight)
    return scores.argsort()[: min(int((1 - keep_ratio) * len(scores) + 1e-9), len(scores) - 1)]


def silenced(network, name, removed, parts=("weight", "bias")):
    """A copy in which some filters of one convolution give channels of zeros."""
    copied = copy.deepcopy(network)
    for part in parts:
        getattr(batchnorm_behind(copied, name), part).data[removed] = 0
    return copied


def scan(network, name, ratios, seed=0):
    """What is to be measured of one convolution."""
    return [outputs(silenced(network, name, weakest(network, name, ratio)), seed) for ratio in ratios]


def other_scans(network, name, ratios):
    """What comes out with mistakes that are often made when a layer is silenced."""
    filters, gamma = len(network.get_submodule(name).weight), batchnorm_behind(network, name).weight.detach()
    names = [path for path, layer in network.named_modules() if isinstance(layer, nn.Conv2d)]
    convolutions = [path for path in names if isinstance(batchnorm_behind(network, path), nn.BatchNorm2d)]

    def with_removed(removed, **options):
        return lambda: [outputs(silenced(network, name, removed(ratio), **options)) for ratio in ratios]

    def filters_zeroed():
        values = []
        for ratio in ratios:
            copied = copy.deepcopy(network)
            copied.get_submodule(name).weight.data[weakest(network, name, ratio)] = 0
            values.append(outputs(copied))
        return values

    def all_at_once():
        values = []
        for ratio in ratios:
            copied = network
            for path in convolutions:
                copied = silenced(copied, path, weakest(network, path, ratio))
            values.append(outputs(copied))
        return values

    def low(ratio):
        return weakest(network, name, ratio)

    def rest(ratio):
        return [filter for filter in range(filters) if filter not in low(ratio).tolist()]

    def by(scores):
        return with_removed(lambda ratio: weakest(network, name, ratio, scores))

    def going_on(first):
        """Each ratio measured on what those before had left, from a ratio on."""
        least = [min(ratios[min(first, number) : number + 1]) for number in range(len(ratios))]
        return lambda: [outputs(silenced(network, name, low(ratio))) for ratio in least] if len(ratios) > 1 else None

    def on_the_layers_before():
        copied = network
        for path in convolutions[: convolutions.index(name)]:
            copied = silenced(copied, path, weakest(network, path, ratios[-1]))
        return scan(copied, name, ratios) if copied is not network else None

    def in_order(reverse):
        return lambda: scan(network, name, sorted(ratios, reverse=reverse)) if len(ratios) > 1 else None

    return {
        "the ratios taken from high to low: keep the order of `ratios`": in_order(reverse=True),
        "the ratios taken from low to high: keep the order of `ratios`": in_order(reverse=False),
        "each ratio measured on what the ratios before had left": going_on(0),
        "the copy that was kept put back itself, so that the next ratio's zeros get into it (put back a clone)": (
            going_on(1)
        ),
        "the layer before left as it was at its last ratio: put it back": on_the_layers_before,
        "the batch norm's bias left as it was: the channel is that constant": with_removed(low, parts=["weight"]),
        "only the batch norm's bias set to zero, its weight left": with_removed(low, parts=["bias"]),
        "the convolution's filters set to zero: the batch norm makes a constant of them, not zeros": filters_zeroed,
        "the STRONGEST filters silenced, those that should stay": with_removed(rest),
        "as many of the strongest filters silenced": with_removed(lambda ratio: weakest(network, name, ratio, highest)),
        "the keep ratio taken for the share that GOES": with_removed(lambda ratio: low(1 - ratio)),
        "nothing silenced at all": with_removed(lambda ratio: []),
        "all convolutions pruned at once, in place of each ALONE": all_at_once,
        "the number of filters that STAY rounded down": with_removed(
            lambda ratio: weakest(network, name, max(1, math.floor(ratio * filters)) / filters)
        ),
        "the number of filters that STAY rounded to the nearest": with_removed(
            lambda ratio: weakest(network, name, max(1, round(ratio * filters)) / filters)
        ),
        "the L2 norm in place of the L1 norm": by(lambda weight: weight.square().sum((1, 2, 3))),
        "sums without absolute values": by(lambda weight: weight.sum((1, 2, 3))),
        "the absolute value of each filter's SUM: it belongs inside, to every weight": by(
            lambda weight: weight.sum((1, 2, 3)).abs()
        ),
        "the batch norm's |γ| in place of the filters' L1 norms": by(lambda _: gamma.abs()),
        "the batch norm's γ in place of the filters' L1 norms": by(lambda _: gamma),
        "the largest weight in place of the L1 norm": by(lambda weight: weight.abs().amax((1, 2, 3))),
        "the last filters silenced, not the weakest": by(lambda weight: -torch.arange(len(weight))),
        "the first filters silenced, not the weakest": by(lambda weight: torch.arange(len(weight))),
    }


def highest(weight):
    return -weight.abs().sum((1, 2, 3))


def scanned(answer, network, names, ratios, mistakes=None):
    """The answer as a dictionary with one list of numbers for each convolution that is to be scanned."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, dict), (
        f"return a dictionary: a convolution's name and its numbers\n  yours: {answer!r:.200}"
    )
    hint = "one entry for each convolution with a batch norm right behind it, under the CONVOLUTION's name in "
    hint += "named_modules(); the keys"
    paths = [path for path, _ in network.named_modules()]
    if strange := [key for key in answer if key not in paths]:
        hint += f"\n  {strange[0]!r} is no layer of this network: is it its name in full, and none of an earlier call?"
    behind = {
        "the names of the batch norms: the convolutions' are wanted": sorted(paths[paths.index(n) + 1] for n in names)
    }
    expect.equal(sorted(answer), sorted(names), hint, mistakes={**behind, **(mistakes or {})})
    for name, values in answer.items():
        hint = (
            f"{name}: one number for each of the {len(ratios)} keep ratios, also where nothing is removed and where a "
        )
        hint += "ratio comes twice; how many"
        assert isinstance(values, (list, tuple)), f"{name} has a list of numbers; yours is {expect.show(values)}"
        expect.equal(len(values), len(ratios), hint)
    return answer


LAYERS = ["features.0", "features.3"]


@pytest.mark.points(1)
def test_one_number_for_each_layer_and_ratio(sensitivity_scan):
    network, ratios = network_with_statistics(), [1.0, 0.5, 0.2]
    answer = scanned(sensitivity_scan(network_with_statistics(), ratios, outputs), network, LAYERS, ratios)
    whole = outputs(network)
    for name, values in answer.items():
        hint = f"{name}: at keep ratio 1 nothing is pruned, so evaluate(network) says what it says of the whole network"
        mistakes = {
            "the keep ratio taken for the share that GOES": scan(network, name, [0.0])[0],
            "all filters silenced": outputs(silenced(network, name, slice(None))),
        }
        if name != "features.0":
            before = scan(network, "features.0", [0.2])[0]
            mistakes["the layer before left as it was at its last ratio: put it back"] = before
        expect.same(values[0], whole, hint, tolerance=1e-4, mistakes=mistakes)


@pytest.mark.points(1)
def test_convolutions_without_a_batch_norm_are_left_out(sensitivity_scan):
    def network():
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.BatchNorm2d(4)
        return lively(nn.Sequential(*layers, BasicBlock(4, 4, stride=2), nn.Conv2d(4, 4, 1)))

    names = ["4.conv1", "4.conv2", "4.shortcut.0"]
    mistakes = {
        "all convolutions, those without a batch norm too (0, 1 and 5 here)": ["0", "1", *names, "5"],
        "a batch norm paired with the last convolution before it, though a ReLU stands between 1 and 3": ["1", *names],
        "the n-th convolution paired with the n-th batch norm": ["0", "1", *names[:2]],
        "layers that stand in a Sequential only": names[2:],
        "the names in their own block, without the block's name": ["0", "conv1", "conv2"],
        "convolutions at the first level only": [],
    }
    whole, ratios = network(), [0.5, 0.2]
    answer = scanned(sensitivity_scan(network(), ratios, outputs), whole, names, ratios, mistakes=mistakes)
    for name in names:
        hint = f"{name} of a residual block: its batch norm is the next of named_modules()"
        expect.same(answer[name], scan(whole, name, ratios), hint, 1e-4, mistakes=other_scans(whole, name, ratios))


@pytest.mark.points(1)
def test_a_silenced_filter_is_as_good_as_gone(sensitivity_scan):
    network, ratios = network_with_statistics(), [0.6, 0.3]
    answer = scanned(sensitivity_scan(network_with_statistics(), ratios, outputs), network, LAYERS, ratios)
    for name in LAYERS:
        gone = " and ".join(str(len(weakest(network, name, ratio))) for ratio in ratios)
        filters = len(network.get_submodule(name).weight)
        hint = (
            f"{name} alone at keep ratio 0.6 and 0.3: of its {filters} filters the {gone} with the lowest L1 norms are "
            "silent; behind the batch norm their channels must be ZERO, so its weight and its bias are 0 there"
        )
        mistakes = other_scans(network, name, ratios)
        expect.same(answer[name], scan(network, name, ratios), hint, tolerance=1e-4, mistakes=mistakes)
    equal = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)).eval()
    equal[0].weight.data.fill_(1)
    answer = scanned(sensitivity_scan(equal, [0.6, 0.2], silent_channels), equal, ["0"], [0.6, 0.2])
    hint = "five filters of equal norms at keep ratios 0.6 and 0.2: the ratio says how many go; how many are silent"
    mistakes = {
        "all filters below a threshold silenced, and none is below it": [0, 0],
        "all filters up to a threshold silenced, and all are equal to it": [5, 5],
    }
    expect.equal(list(answer["0"]), [2, 4], hint, mistakes=mistakes)


def silent_channels(network):
    """How many channels are zero at the network's end, whatever comes in."""
    with torch.no_grad():
        maps = copy.deepcopy(network).eval()(numbers(2, 3, 4, 4))
    return int((maps.abs().amax((0, 2, 3)) == 0).sum())


@pytest.mark.points(1)
def test_every_measurement_starts_from_the_whole_network(sensitivity_scan):
    network, ratios = network_with_statistics(), [0.2, 0.5, 0.6, 0.2]
    answer = scanned(sensitivity_scan(network_with_statistics(), ratios, outputs), network, LAYERS, ratios)
    for name in LAYERS:
        hint = f"{name} at {ratios}: each layer alone, each ratio from the whole layer: put everything back before the "
        hint += "next measurement"
        mistakes = other_scans(network, name, ratios)
        expect.same(answer[name], scan(network, name, ratios), hint, tolerance=1e-4, mistakes=mistakes)


@pytest.mark.points(1, alone=False)
def test_the_network_is_as_it_was_even_after_an_error(sensitivity_scan):
    network = network_with_statistics()
    before = copy.deepcopy(network.state_dict())
    scanned(sensitivity_scan(network, [0.5], outputs), network, LAYERS, [0.5])
    for name, value in network.state_dict().items():
        hint = f"{name} is not as it was before the scan: keep a clone, and put it back"
        expect.same(value, before[name], hint, tolerance=0)
    asked = []

    def fails(candidate):
        asked.append(outputs(candidate))
        if len(asked) == 3:
            raise ArithmeticError("no more images")
        return asked[-1]

    hint = "evaluate fails at the third of its four calls (2 layers, 2 keep ratios): its error must reach the caller, "
    hint += "as it is, not another one in its place"
    expect.raises(ArithmeticError, hint, sensitivity_scan, network, [0.5, 0.2], fails)
    for name, value in network.state_dict().items():
        hint = f"evaluate failed, and {name} was left as it was in the middle: put a clone back in a `finally`"
        expect.same(value, before[name], hint, tolerance=0)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_sensitivity_scan_needs(sensitivity_scan):
    def arguments():
        network = network_with_statistics(widths=(2, 3))
        network.features[1].requires_grad_(False)
        return {"network": network, "ratios": [0.4], "evaluate": outputs}

    Contract(gives=dict, changes=("network",), without=("strided",)).hold(sensitivity_scan, arguments)


# --- cubic_sparsity


def other_schedules(steps, begin, end, final):
    """What comes out with mistakes that are often made with the cubic schedule, step by step."""

    def at(formula):
        return [formula(step, min(max((step - begin) / (end - begin), 0.0), 1.0)) for step in steps]

    def cubic(progress):
        return at(lambda step, _: final * (1 - (1 - min(max(progress(step), 0.0), 1.0)) ** 3))

    length = end - begin
    return {
        "t³, which is slow first and fast at the end": at(lambda _, t: final * t**3),
        "a straight line, final · t": at(lambda _, t: final * t),
        "a square in place of the cube": at(lambda _, t: final * (1 - (1 - t) ** 2)),
        "3 times in place of the cube": at(lambda _, t: final * (1 - (1 - t) * 3)),
        "the share that STAYS, 1 - s": at(lambda _, t: 1 - final * (1 - (1 - t) ** 3)),
        "(1 - t)³, what is still to go": at(lambda _, t: final * (1 - t) ** 3),
        "1 - t³": at(lambda _, t: final * (1 - t**3)),
        "final - (1 - t)³: brackets are missing": at(lambda _, t: final - (1 - t) ** 3),
        "`final` left out": at(lambda _, t: 1 - (1 - t) ** 3),
        "final · t inside the cube": at(lambda _, t: 1 - (1 - final * t) ** 3),
        "a plus for the minus, final · (1 + (1 - t)³)": at(lambda _, t: final * (1 + (1 - t) ** 3)),
        "`final` cubed too": at(lambda _, t: (final * (1 - (1 - t) ** 3)) ** 3),
        "t = (step - begin) / end": cubic(lambda step: (step - begin) / end),
        "t = step / end": cubic(lambda step: step / end),
        "t = step / (end - begin)": cubic(lambda step: step / length),
        "t = (step - begin) / (end - begin + 1): `final` comes too late": cubic(
            lambda step: (step - begin) / (length + 1)
        ),
        "t = (step - begin + 1) / (end - begin + 1)": cubic(lambda step: (step - begin + 1) / (length + 1)),
        "steps below 0 taken for 0": cubic(lambda step: (max(step, 0) - begin) / length),
        "t = (step - begin) / (end + begin)": cubic(lambda step: (step - begin) / (end + begin)),
        "step + 1 in place of step": cubic(lambda step: (step + 1 - begin) / length),
        "step - 1 in place of step": cubic(lambda step: (step - 1 - begin) / length),
        "`step` cut to a whole number": cubic(lambda step: (int(step) - begin) / length),
        "`step` rounded to a whole number": cubic(lambda step: (round(step) - begin) / length),
        "t cut to a whole number (// in place of /)": cubic(lambda step: (step - begin) // length),
        "percent in place of a share": at(lambda _, t: 100 * final * (1 - (1 - t) ** 3)),
        "the absolute value of (step - begin)": at(
            lambda step, _: final * (1 - (1 - min(abs(step - begin) / length, 1.0)) ** 3)
        ),
        "no lower end: (step - begin) / (end - begin) must not fall below 0": at(
            lambda step, _: final * (1 - (1 - min((step - begin) / length, 1.0)) ** 3)
        ),
        "no upper end: (step - begin) / (end - begin) must not rise above 1": at(
            lambda step, _: final * (1 - (1 - max((step - begin) / length, 0.0)) ** 3)
        ),
        "no ends: (step - begin) / (end - begin) must stay between 0 and 1": at(
            lambda step, _: final * (1 - (1 - (step - begin) / length) ** 3)
        ),
        "0 at `end` itself: `final` is reached there": at(lambda step, t: final * (1 - (1 - t) ** 3) * (step != end)),
        "0 at `end` and after it": at(lambda step, t: final * (1 - (1 - t) ** 3) * (step < end)),
        "0 after `end`": at(lambda step, t: final * (1 - (1 - t) ** 3) * (step <= end)),
        "1 after `end`": at(lambda step, t: 1.0 if step >= end else final * (1 - (1 - t) ** 3)),
        "`final` before `begin` too": at(lambda step, t: final if step < begin else final * (1 - (1 - t) ** 3)),
    }


def follow(cubic_sparsity, steps, begin, end, final, hint, mistakes=None):
    """The schedule at some steps must be the formula's."""
    hint = f"{hint}\n  between begin {begin} and end {end} to final {final}, at the steps {', '.join(map(str, steps))}:"
    values = []
    for step in steps:
        try:
            values.append(cubic_sparsity(step, begin, end, final))
        except ValueError as error:
            raise AssertionError(f"{hint}\n  yours raised ValueError ({error}), but begin comes before end") from None
        assert values[-1] is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    expected = [final * (1 - (1 - min(max((step - begin) / (end - begin), 0.0), 1.0)) ** 3) for step in steps]
    answer = [float(expect.tensor(value, hint)) for value in values]
    mistakes = other_schedules(steps, begin, end, final) | (mistakes or {})
    expect.same(answer, expected, hint, tolerance=1e-6, mistakes=mistakes)


@pytest.mark.points(1)
def test_half_way_seven_eighths_are_gone(cubic_sparsity):
    hint = (
        "s = final · (1 - (1 - t)³) with t = (step - begin) / (end - begin). Half-way, (6 - 2) / (10 - 2), "
        "1 - (1 - 1/2)³ = 7/8 of the final sparsity is reached: fast first, slow at the end"
    )
    follow(cubic_sparsity, (4, 6, 7.75), 2, 10, 0.8, hint)
    earlier = 0.8 * (1 - (1 - 5.75 / 8) ** 3)
    mistakes = {"the highest number of EARLIER calls, for another schedule: remember nothing": [earlier] * 2}
    follow(cubic_sparsity, (1, 4), 0, 5, 0.6, hint, mistakes=mistakes)


@pytest.mark.points(1)
def test_before_and_after(cubic_sparsity):
    hint = "before `begin` nothing is pruned, s = 0; after `end` the sparsity stays at `final`"
    follow(cubic_sparsity, (0, 1.5, 2, 6, 10, 13.5, 30), 2, 10, 0.8, hint)
    follow(cubic_sparsity, (-9, -4, -1, 3, 4), -4, 3, 0.5, hint + "; steps may be negative")


@pytest.mark.points(1, alone=False)
def test_a_schedule_without_length_is_an_error(cubic_sparsity):
    for begin, end, steps in ((5, 5, (3, 5, 7)), (5, 2, (3, 0, 9)), (0, 0, (0,)), (2.5, -1.5, (0,))):
        for step in steps:
            hint = f"between begin={begin} and end={end} there is no time to prune: raise ValueError, at every step "
            hint += f"(here {step})"
            expect.raises(ValueError, hint, cubic_sparsity, step, begin, end, 0.5)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_cubic_sparsity_needs(cubic_sparsity):
    steps = 4, 1, 9  # between, before and after
    makes = [lambda step=step: {"step": step, "begin": 2, "end": 7.5, "final": 0.6} for step in steps]
    Contract(gives=float).hold(cubic_sparsity, *makes)
    expected = 0.6 * (1 - (1 - 2 / 5.5) ** 3), 0.0, 0.6
    off = max(abs(cubic_sparsity(step, 2, 7.5, 0.6) - right) for step, right in zip(steps, expected, strict=True))
    assert not 1e-9 < off < 1e-3, (
        "compute with Python's numbers (float64): torch's float32 makes 0.6000000238 of 0.6; yours is off by "
        f"{off:.2g} between begin 2 and end 7.5 to final 0.6"
    )


# --- prune_and_reset


def pruned_and_reset(prune_and_reset, network, old, keep_ratio):
    """The two things that are returned: a network, and an optimizer; the old one has its parameters still."""
    before = known_to(old)
    answer = prune_and_reset(network, old, keep_ratio)
    hint = "return two things: the pruned network, and the new optimizer"
    assert isinstance(answer, (tuple, list)) and len(answer) == 2, f"{hint}\n  yours: {answer!r:.200}"
    pruned, optimizer = answer
    assert isinstance(pruned, nn.Module), f"{hint}; the first is a {type(pruned).__name__}"
    assert isinstance(optimizer, torch.optim.Optimizer), f"{hint}; the second is a {type(optimizer).__name__}"
    hint = "you took `params` out of a group of the old optimizer, which cannot step any more: copy the group first"
    assert all("params" in group for group in old.param_groups), hint
    new = known_to(old) - before & {id(parameter) for parameter in pruned.parameters()}
    hint = "make a NEW optimizer with a dictionary of its own, such as {**group, 'params': …}, and leave the old one "
    hint += "as it is: you wrote the pruned network's parameters into the OLD optimizer's param_groups"
    assert optimizer is old or not new, hint
    return pruned, optimizer


MEMORY = {"SGD": ["momentum_buffer"], "Adagrad": ["sum"]}  # and Adam and its kin:
MOMENTS = ["exp_avg", "exp_avg_sq"]


def used(optimizer, network):
    """Give it the memory that it has after a step (PyTorch needs a second for the first step of a program)."""
    kind = type(optimizer).__name__
    for number, parameter in enumerate(network.parameters()):
        state = optimizer.state[parameter]
        state |= {name: numbers(*parameter.shape, seed=number).abs() for name in MEMORY.get(kind, MOMENTS)}
        if kind != "SGD":
            state["step"] = torch.tensor(3.0)
        if kind == "NAdam":
            state["mu_product"] = torch.tensor(0.5)
    return optimizer


def without_memory(fresh):
    """That a new optimizer has seen no step: all that it may hold already is zeros, and Adagrad does."""
    hint = "a NEW optimizer starts without memory; this one brings momentum of filters that are gone"
    values = [value for state in fresh.state.values() for value in state.values() if value is not None]
    assert not any(bool(torch.as_tensor(value).any()) for value in values), hint


def known_to(optimizer):
    return {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}


def trains(optimizer, pruned, network):
    """That an optimizer knows the parameters of the pruned network, all of them and no others."""
    known = known_to(optimizer)
    hint = "the new optimizer must know all parameters of the PRUNED network"
    old = [name for name, parameter in network.named_parameters() if id(parameter) in known]
    if pruned is not network:
        assert not old, f"{hint}\n  yours knows the old network's {', '.join(old[:3])}: it would train the old one"
    names = [name for name, parameter in pruned.named_parameters() if id(parameter) not in known]
    frozen = [name for name in names if not pruned.get_parameter(name).requires_grad]
    words = " (frozen at the moment, but it may be trained again)" if names and names == frozen else ""
    assert not names, f"{hint}\n  yours does not know {', '.join(names[:4])}{words}"
    strangers = len(known) - len(list(pruned.parameters()))
    assert not strangers, f"{hint}, and no others\n  yours knows {strangers} tensors that are not the pruned network's"


@pytest.mark.points(1)
def test_the_new_optimizer_trains_the_pruned_network_without_memory(prune_and_reset):
    network = network_with_statistics()
    network.features[1].requires_grad_(False)
    optimizer = used(torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), network)
    expected = prune_vgg(network, 0.25).state_dict()
    pruned, fresh = pruned_and_reset(prune_and_reset, network, optimizer, 0.25)
    hint = "keep_ratio 0.25: of 6 and 8 filters 2 and 2 stay; keep_ratio, your argument, is the share that STAYS"
    mistakes = {
        "keep_ratio taken for the share that goes": [5, 6],
        "nothing pruned": [6, 8],
        "half of the filters, whatever keep_ratio says": [3, 4],
    }
    widths = [layer.out_channels for layer in pruned.modules() if isinstance(layer, nn.Conv2d)]
    expect.equal(widths, [2, 2], hint, mistakes=mistakes)
    came = pruned.state_dict()
    expect.equal(sorted(came), sorted(expected), "the pruned network has the layers of the old one: use prune_vgg")
    for name, value in expected.items():
        hint = f"{name}: the trained weights and statistics of the filters that stay must come along, as in prune_vgg"
        expect.same(came[name], value, hint)
    trains(fresh, pruned, network)
    without_memory(fresh)


def a_new_one(fresh, optimizer, pruned, groups=1):
    """That the optimizer is not the old one, which has its groups still, and the network is one that was trained."""
    hint = "the trained weights of the filters that stay must come along, as in prune_vgg"
    expected = prune_vgg(network_with_statistics(), 0.5).classifier
    expect.same(pruned.classifier.weight, expected.weight, f"classifier.weight: {hint}")
    hint = "make a NEW optimizer, and leave the old one as it is"
    assert fresh is not optimizer, f"{hint}: you return the old one itself"
    expect.equal(len(optimizer.param_groups), groups, f"{hint}; how many parameter groups it has")


def settings_of(optimizer, names):
    """The settings of an optimizer's first group, and what may be taken for them: to be asked for before the call."""
    kind, plain, settings = type(optimizer).__name__, type(optimizer)([nn.Parameter(torch.ones(1))]), {}
    for name in names:
        now = optimizer.param_groups[0][name]
        mistakes = {
            f"optimizer.defaults, the settings at the beginning: {name} has changed since": optimizer.defaults[name],
            f"{kind}'s own default: {name} was not passed on": plain.defaults[name],
        }
        if len(optimizer.param_groups) > 1:
            mistakes["the settings of another parameter group"] = optimizer.param_groups[-1][name]
        settings[name] = now, {words: value for words, value in mistakes.items() if value != now}
    return settings


def same_settings(fresh, kind, settings):
    """That every group of a new optimizer has the settings that the old one's first group had."""
    kind = kind.__name__
    expect.equal(type(fresh).__name__, kind, "the new optimizer is of the same kind: type(optimizer)")
    for name, (now, mistakes) in settings.items():
        hint = (
            f"{name}, in each of the new one's groups, is the one that the old optimizer ({kind}) has NOW in its first "
        )
        hint += "group, param_groups[0] (a schedule may have changed it)"
        for group in fresh.param_groups:
            expect.equal(group.get(name), now, hint, mistakes=mistakes)


SETTINGS = {"momentum": 0.8, "weight_decay": 0.01, "nesterov": True}


@pytest.mark.points(1)
def test_the_settings_are_those_of_the_first_group_now(prune_and_reset):
    network = network_with_statistics()
    groups = [{"params": network.features.parameters()}, {"params": network.classifier.parameters(), "lr": 0.7}]
    groups[1] |= {"momentum": 0.3, "weight_decay": 0.2, "nesterov": False}
    optimizer = torch.optim.SGD(groups, lr=0.1, **SETTINGS)
    optimizer.param_groups[0].update(lr=0.025, weight_decay=0.005)
    settings = settings_of(optimizer, ("lr", *SETTINGS))
    pruned, fresh = pruned_and_reset(prune_and_reset, network, optimizer, 0.5)
    a_new_one(fresh, optimizer, pruned, groups=2)
    same_settings(fresh, torch.optim.SGD, settings)


@pytest.mark.points(1)
def test_optimizers_of_all_kinds(prune_and_reset):
    for kind, options in (
        (torch.optim.Adam, {"betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.02}),
        (torch.optim.AdamW, {"betas": (0.85, 0.95), "eps": 1e-5, "weight_decay": 0.0, "amsgrad": True}),
        (torch.optim.RMSprop, {"alpha": 0.7, "momentum": 0.6, "centered": True}),
        (torch.optim.SGD, {"momentum": 0.5, "dampening": 0.25, "maximize": True}),
    ):
        network = network_with_statistics()
        optimizer = kind(network.parameters(), lr=0.003, **options)
        optimizer.param_groups[0]["lr"] = 0.001
        settings = settings_of(optimizer, ("lr", *options))
        try:
            pruned, fresh = pruned_and_reset(prune_and_reset, network, optimizer, 0.5)
        except TypeError as error:
            hint = f"an optimizer of any kind, here {kind.__name__}, must work"
            if "unexpected keyword" in str(error):
                hint += ". Some have settings that their constructor does not take: hand the settings over in a group, "
                hint += "as param_groups has them: [{'params': …, 'lr': …, …}]"
            raise AssertionError(f"{hint}\n  yours stopped with TypeError: {error}") from None
        a_new_one(fresh, optimizer, pruned)
        same_settings(fresh, kind, settings)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_prune_and_reset_needs(prune_and_reset):
    def arguments(keep_ratio):
        network = network_with_statistics(widths=(2, 2))
        optimizer = used(torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), network)
        return {"network": network, "optimizer": optimizer, "keep_ratio": keep_ratio}

    contract = Contract(gives=object, dtype=True, mode=True, draws=True, without=("strided",))
    contract.hold(prune_and_reset, lambda: arguments(0.5), lambda: arguments(1.0))


# --- narrow_twin


def twin_of(answer, pruned):
    """The answer as a network with the same layers, and tensors of the same shapes."""
    assert answer is not None, "your function returned None: is the `return` missing?"
    assert isinstance(answer, nn.Module), f"return a network (nn.Module); yours is a {type(answer).__name__}"
    hint = "the twin has the same layers as the pruned network, with the same shapes"
    came = {name: tuple(value.shape) for name, value in answer.state_dict().items()}
    for name, value in pruned.state_dict().items():
        assert name in came, f"{hint}\n  it has no {name}"
        assert came[name] == tuple(value.shape), (
            f"{hint}\n  {name} is {tuple(value.shape)} in the pruned network, {came[name]} in yours"
        )
    more = [name for name in came if name not in pruned.state_dict()]
    assert not more, f"{hint}\n  the pruned network has no {more[0]}"
    for name, layer in pruned.named_modules():
        if layer._parameters:
            hint = f"{name}: the twin's layers have the same settings (copy the network, in place of building layers)"
            expect.equal(repr(answer.get_submodule(name)), repr(layer), hint)
    return answer


def narrow_network(seed=0):
    return network_with_statistics(widths=(3, 5), seed=seed)


def deep_network(seed=0):
    """Layers of many kinds and settings, some three levels deep, one with another inside it, all of them trained."""
    deep = nn.Sequential(nn.Conv2d(4, 4, 3, padding=2, dilation=2, padding_mode="circular"), nn.ReLU())
    layers = (
        nn.Conv2d(4, 4, 3, stride=2), nn.Sequential(nn.Sequential(deep, nn.ConvTranspose2d(4, 6, 2, groups=2))),
        nn.GroupNorm(2, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 5), nn.BatchNorm1d(5, affine=False), nn.Linear(5, 3),
    )  # fmt: skip
    layers[-1].add_module("inside", nn.Identity())
    network = lively(nn.Sequential(*layers), seed)
    network[6].running_mean, network[6].running_var = numbers(5, seed=seed), numbers(5, seed=seed + 1) ** 2 + 0.1
    for number, parameter in enumerate(network.parameters()):
        parameter.data = 1.5 + numbers(*parameter.shape, seed=seed + 40 + number)
    return network


def drawn_layers(network):
    """Names and layers whose weights `reset_parameters` draws, with the bound that PyTorch has for them."""
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            yield name, layer, layer.weight[0].numel() ** -0.5


def fresh_weights(twin, pruned):
    """That all weights and biases of a twin were drawn by their layers' own `reset_parameters`."""
    for name, layer, bound in drawn_layers(twin):
        kind = type(layer).__name__
        for part, value in layer.named_parameters(recurse=False):
            full, old = f"{name}.{part}", pruned.get_submodule(name).get_parameter(part)
            same = torch.isclose(value, old).double().mean().item()
            assert same < 0.5, (
                f"{full} ({kind}) is still the pruned network's: draw it anew, with the layer's reset_parameters(); "
                "so every layer of the network that has this method, biases too, however deep inside it is, and also "
                "one that has a layer inside it"
            )
            if value.numel() > 1:
                assert value.std() > 0.01 * bound, f"{full} must be random: yours are all alike, {expect.show(value)}"
            assert value.abs().max() <= 1.001 * bound, (
                f"{full}: a {kind}'s own reset_parameters() draws numbers between {-bound:.3g} and {bound:.3g} here; "
                f"yours reach {value.abs().max():.3g}, so they were drawn in another way"
            )


@pytest.mark.points(1)
def test_the_weights_are_new(narrow_twin):
    for make in (narrow_network, deep_network):
        pruned, twin = make(), twin_of(narrow_twin(make(), 5), make())
        fresh_weights(twin, pruned)
    first, second = "0.weight", "1.0.0.0.weight"
    hint = f"{first} and {second} have the same shape and came out EQUAL: seed once, not for each layer"
    assert not torch.equal(twin.get_parameter(first), twin.get_parameter(second)), hint


@pytest.mark.points(1)
def test_batch_norms_start_anew(narrow_twin):
    for make in (narrow_network, deep_network):
        pruned, twin = make(), twin_of(narrow_twin(make(), 5), make())
        for name, norm in twin.named_modules():
            kind, old = type(norm).__name__, pruned.get_submodule(name)
            if "Norm" not in kind:
                continue
            left = "; reset_running_stats leaves it, reset_parameters does not" if hasattr(norm, "running_mean") else ""
            for part, start, words in (
                ("running_mean", 0.0, "a network that has seen nothing has no statistics: they start at 0 and 1"),
                ("running_var", 1.0, "both statistics start anew, mean and variance: the variance starts at 1"),
                ("num_batches_tracked", 0.0, "it has seen no batch yet"),
                ("weight", 1.0, f"γ (weight) starts at 1{left}"),
                ("bias", 0.0, f"β (bias) starts at 0{left}"),
            ):
                value = getattr(norm, part, None)
                if value is not None:
                    hint = f"{name}.{part} ({kind}): {words} (its reset_parameters() does all of that)"
                    mistakes = {"the pruned network's left as they were": getattr(old, part)}
                    expect.same(value.float(), torch.full(value.shape, start), hint, mistakes=mistakes)


@pytest.mark.points(1)
def test_the_seed_decides(narrow_twin):
    for seed, other in ((1, 2), (0, 7)):
        twins = []
        for each in (seed, seed, other):
            torch.rand(1)  # as a program does that draws between two calls
            twins.append(twin_of(narrow_twin(narrow_network(), each), narrow_network()))
        first, again, another = twins
        for name, value in first.named_parameters():
            hint = f"two twins of the same seed, {seed}, differ in {name}: use torch.manual_seed(seed), within fork_rng"
            assert torch.equal(value, again.get_parameter(name)), hint
        name = "features.0.weight"
        hint = f"the seeds {seed} and {other} give the same {name}: another seed must give other weights, use `seed`"
        assert not torch.equal(first.get_parameter(name), another.get_parameter(name)), hint
    twin = narrow_twin(narrow_network(seed=3), 0)
    hint = "a network of the same shapes with other weights must have the same twin of seed 0: only shapes count"
    assert torch.equal(twin.features[0].weight, first.features[0].weight), hint


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_narrow_twin_needs(narrow_twin):
    def arguments(seed, dtype):
        return {"pruned": network_with_statistics(widths=(2, 3)).to(dtype), "seed": seed}

    contract = Contract(gives=nn.Module, dtype=True, without=("float64", "channels_last", "strided"))
    # float64 is no variation: one seed gives other numbers in it
    contract.hold(narrow_twin, lambda: arguments(3, torch.float32), lambda: arguments(0, torch.float64))


# --- the network that is handed in


@pytest.mark.points(1)
def test_enough_parameters_are_gone(lab4_pruned_onnx):
    measured, original = artifacts.measured(lab4_pruned_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= 0.2, (
        f"at least 80 % of the parameters must go: {measured.parameters:,} of "
        f"{original.parameters:,} are left ({left:.1%})"
    )


@pytest.mark.points(4)
def test_accuracy_after_retraining(lab4_pruned_onnx, award):
    measured, original = artifacts.measured(lab4_pruned_onnx), artifacts.measured_baseline()
    assert measured.parameters <= 0.2 * original.parameters, "accuracy counts once 80 % of the parameters are gone"
    award(*artifacts.ramp("lab4_pruned", measured, original))
