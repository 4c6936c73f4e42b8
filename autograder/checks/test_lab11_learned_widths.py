"""Visible tests of lab 11. A test's first argument is the exercise that it grades."""

import math

import pytest
import torch
from torch import nn

from course_utils import artifacts, expect
from course_utils.contracts import Contract


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- attention_gate


def drawn_gate(channels, inner, seed=0):
    """Two linear layers whose weights and biases are all different from 0."""
    down, up = nn.Linear(channels, inner), nn.Linear(inner, channels)
    for number, parameter in enumerate([*down.parameters(), *up.parameters()]):
        parameter.data = numbers(*parameter.shape, seed=10 * seed + number)
    return down, up


def linear(layer, x, bias=True):
    weight, added = layer.weight.detach().double(), layer.bias.detach().double()
    return x @ weight.T + (added if bias else 0)


def other_gates(maps, down, up):
    """What comes out with mistakes that are often made with attention."""
    maps = maps.double()
    z = maps.mean(dim=(2, 3))
    hidden = linear(down, z).relu()
    out = linear(up, hidden)
    square = maps.shape[0] == maps.shape[1]
    return {
        "the SUM of each map: take the mean over its positions": linear(
            up, linear(down, maps.sum(dim=(2, 3))).relu()
        ).sigmoid(),
        "the largest number of each map: take the mean": linear(
            up, linear(down, maps.amax(dim=(2, 3))).relu()
        ).sigmoid(),
        "the mean of absolute values": linear(up, linear(down, maps.abs().mean(dim=(2, 3))).relu()).sigmoid(),
        "the mean over the images, too: every image has gates of its own": linear(
            up, linear(down, maps.mean(dim=(0, 2, 3))[None].expand(len(maps), -1)).relu()
        ).sigmoid(),
        "the ReLU between the two layers left out": linear(up, linear(down, z)).sigmoid(),
        "a ReLU behind the second layer as well": linear(up, hidden).relu().sigmoid(),
        "a sigmoid between the two layers in place of the ReLU": linear(up, linear(down, z).sigmoid()).sigmoid(),
        "tanh between the two layers in place of the ReLU": linear(up, linear(down, z).tanh()).sigmoid(),
        "the sigmoid at the end left out: gates lie between 0 and 1": out,
        "a softmax in place of the sigmoid: gates do not compete": out.softmax(dim=1),
        "tanh in place of the sigmoid": out.tanh(),
        "numbers held between 0 and 1 in place of the sigmoid": out.clamp(0, 1),
        "gates that are 0 or 1: a sigmoid has all numbers between": (out > 0).double(),
        "the ReLU and the sigmoid swapped": linear(up, linear(down, z).sigmoid()).relu(),
        "a ReLU before the mean": linear(up, linear(down, maps.relu().mean(dim=(2, 3))).relu()).sigmoid(),
        "the layers at every position, and the mean behind them: the mean comes first": (
            linear(up, linear(down, maps.movedim(1, -1)).relu()).sigmoid().mean(dim=(1, 2))
        ),
        "the biases left out": linear(up, linear(down, z, False).relu(), False).sigmoid(),
        "the bias of `down` left out": linear(up, linear(down, z, False).relu()).sigmoid(),
        "the bias of `up` left out": linear(up, hidden, False).sigmoid(),
        "the mean over one axis of the maps and the sum over the other": linear(
            up, linear(down, maps.mean(dim=2).sum(dim=2)).relu()
        ).sigmoid(),
        "the maps, multiplied by their gates: return the gates": maps * out.sigmoid()[:, :, None, None],
        "the means, multiplied by their gates: return the gates": z * out.sigmoid(),
        "the gates as (N, C, 1, 1): (N, C) is asked": out.sigmoid()[:, :, None, None],
        "images and channels swapped": out.sigmoid().T if not square else None,
        "1 minus the gates": 1 - out.sigmoid(),
        "the mean over the images at the end": out.sigmoid().mean(dim=0),
        "sigmoid twice": out.sigmoid().sigmoid(),
        "the variance of each map": linear(up, linear(down, maps.var(dim=(2, 3))).relu()).sigmoid()
        if maps[0, 0].numel() > 1
        else None,
    }


def compare_gate(attention_gate, maps, layers, hint):
    down, up = layers
    expected = linear(up, linear(down, maps.double().mean(dim=(2, 3))).relu()).sigmoid().to(maps)
    came = expect.called(hint, attention_gate, *expect.copies(maps, down, up))
    words = f"{hint}\n  maps of shape {tuple(maps.shape)}, down {down.in_features} → {down.out_features}"
    expect.same(came, expected, words, mistakes=other_gates(maps, down, up))


@pytest.mark.points(2)
def test_a_gate_by_hand(attention_gate):
    down, up = nn.Linear(2, 1), nn.Linear(1, 2)
    down.weight.data, down.bias.data = torch.tensor([[1.0, -2.0]]), torch.tensor([0.5])
    up.weight.data, up.bias.data = torch.tensor([[1.0], [-1.0]]), torch.tensor([0.0, 4.0])
    maps = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]], [[[0.0, 1.0]], [[5.0, 4.0]]], [[[0.0, -1.0]], [[0.0, -2.0]]]])
    hint = "sigmoid(up(relu(down(means)))), the means of every map over its positions"
    compare_gate(attention_gate, maps, (down, up), hint)
    compare_gate(attention_gate, maps[:1], (down, up), f"{hint}; of a single image")


@pytest.mark.points(1)
def test_gates_of_larger_maps(attention_gate):
    hint = "every image has its own gate for every channel"
    compare_gate(attention_gate, numbers(5, 8, 3, 4), drawn_gate(8, 2), hint)
    compare_gate(attention_gate, numbers(3, 6, 1, 1, seed=1), drawn_gate(6, 6, seed=1), f"{hint}; maps of one pixel")
    compare_gate(attention_gate, 5 * numbers(4, 4, 2, 2, seed=2), drawn_gate(4, 1, seed=2), f"{hint}; as many images")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_attention_gate_needs(attention_gate):
    def arguments():
        down, up = drawn_gate(6, 2)
        return {"maps": numbers(4, 6, 3, 3), "down": down, "up": up}

    Contract(gives=torch.Tensor, dtype=True).hold(attention_gate, arguments)


# --- mean_importance


def other_importances(gates):
    """What comes out with mistakes that are often made with a mean over batches."""
    every = torch.cat(gates).double()
    means = torch.stack([batch.double().mean(dim=0) for batch in gates])
    sums = torch.stack([batch.double().sum(dim=0) for batch in gates])
    sizes = [len(batch) for batch in gates]
    return {
        "the mean of the batches' means: every IMAGE weighs the same, and batches differ": means.mean(dim=0),
        "the sum over all images: divide by their number": every.sum(dim=0),
        "the sum of the batches' means": means.sum(dim=0),
        "the mean of the batches' sums": sums.mean(dim=0),
        "division by the number of batches": sums.sum(dim=0) / len(gates),
        "the last batch only": means[-1],
        "the first batch only": means[0],
        "all sums divided by the size of the first batch times the number of batches": (
            sums.sum(dim=0) / (sizes[0] * len(sizes))
        ),
        "the mean over the channels: one number a CHANNEL is asked": every.mean(dim=1),
        "one mean of everything: one number a channel is asked": every.mean(),
        "the median": every.median(dim=0).values,
        "the largest gate of each channel": every.amax(dim=0),
        "the smallest gate of each channel": every.amin(dim=0),
        "the share of images whose gate is more than a half": (every > 0.5).double().mean(dim=0),
        "1 minus the mean": 1 - every.mean(dim=0),
        "the order of the channels in place of their importance": every.mean(dim=0).argsort(descending=True),
        "the batches' means, not put together": means,
        "gates scaled so that they sum to 1": every.mean(dim=0) / every.mean(dim=0).sum(),
        "the standard deviation: how much gates VARY": every.std(dim=0) if len(every) > 1 else None,
        "the sum divided by one image less": every.sum(dim=0) / (len(every) - 1) if len(every) > 1 else None,
    }


def compare_importance(mean_importance, gates, hint):
    expected = torch.cat(gates).double().mean(dim=0).to(gates[0])
    came = expect.called(hint, mean_importance, [batch.clone() for batch in gates])
    words = f"{hint}\n  batches of {', '.join(str(len(batch)) for batch in gates)} images"
    expect.same(came, expected, words, mistakes=other_importances(gates))


@pytest.mark.points(1)
def test_importance_by_hand(mean_importance):
    gates = [torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.5]]), torch.tensor([[0.0, 0.5]])]
    hint = "the mean of every channel's gates over all images"
    compare_importance(mean_importance, gates, hint)
    compare_importance(mean_importance, gates[::-1], f"{hint}; the order of the batches does not matter")
    compare_importance(mean_importance, gates[:1], f"{hint}; a single batch")


@pytest.mark.points(1)
def test_importance_of_many_batches(mean_importance):
    gates = [numbers(size, 5, seed=size).sigmoid() for size in (8, 8, 8, 8, 3)]
    compare_importance(mean_importance, gates, "every image weighs the same; the last batch is smaller")
    gates = [numbers(size, 4, seed=size).sigmoid() for size in (1, 9, 2)]
    compare_importance(mean_importance, gates, "every image weighs the same, whatever the sizes of the batches")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_mean_importance_needs(mean_importance):
    makes = [
        lambda sizes=sizes: {"gates": [numbers(size, 4, seed=n).sigmoid() for n, size in enumerate(sizes)]}
        for sizes in ((4, 4, 2), (3,))
    ]
    Contract(gives=torch.Tensor, dtype=True).hold(mean_importance, *makes)


# --- clipped_action


def chain(positions):
    """The MACs of a chain of layers, from 3 channels to 4 classes; `positions` of each layer, one more than widths."""

    def macs(widths):
        if len(widths) != len(positions) - 1:
            raise ValueError(f"macs got {len(widths)} widths, and there are {len(positions) - 1} layers")
        whole = [3, *widths, 4]
        return sum(count * a * b for count, a, b in zip(positions, whole[:-1], whole[1:], strict=True))

    return macs


def best_width(action, layer, widths, least, macs, budget, after=None, before=None, at_least=None):
    """The largest width that the action allows and that fits; the keywords stand for mistakes."""
    wanted = widths[layer] - math.floor((1 - action) * widths[layer] + 1e-9)
    before = widths[:layer] if before is None else before
    after = least[layer + 1 :] if after is None else after
    low = least[layer] if at_least is None else at_least
    fits = [kept for kept in range(low, wanted + 1) if macs([*before, kept, *after]) <= budget]
    return max(fits, default=low)


def other_widths(action, layer, widths, least, macs, budget):
    """What comes out with mistakes that are often made with a clipped action."""
    width, low = widths[layer], least[layer]
    whole = [kept for kept in range(1, width + 1) if macs([*widths[:layer], kept, *least[layer + 1 :]]) <= budget]
    most = max(whole, default=low)
    wanted = width - math.floor((1 - action) * width + 1e-9)
    right = best_width(action, layer, widths, least, macs, budget)
    given = action, layer, widths, least, macs, budget
    strict = [k for k in range(low, wanted + 1) if macs([*widths[:layer], k, *least[layer + 1 :]]) < budget]
    down, near = math.floor(action * width + 1e-9), round(action * width)
    return {
        "the action not clipped at all: the budget may be missed": max(low, wanted),
        "the later layers whole: they can still be cut to their least": best_width(*given, after=widths[layer + 1 :]),
        "the later layers left out": best_width(*given, after=[1] * (len(widths) - layer - 1)),
        "the earlier layers at their least: they are decided, and stay as they are": best_width(
            *given, before=least[:layer]
        ),
        "the least of this layer left out": best_width(*given, at_least=1),
        "less than the budget: exactly the budget is allowed": max(strict, default=low),
        "as much as the budget allows, whatever the action wants": max(low, most),
        "a share of the width: how many channels, a whole number": right / width,
        "as many channels as GO": width - right,
        "floor(action · C): floor((1 - action) · C + 1e-9) go": max(low, min(down, most)),
        "round(action · C): floor((1 - action) · C + 1e-9) go": max(low, min(near, most)),
        "ceil(action · C), where 1e-9 takes care of rounding": max(low, min(math.ceil(action * width), most)),
        "the action taken for the share that goes": best_width(1 - action, *given[1:]),
        "one channel too few: exactly the budget is allowed": right - 1,
        "the action times the most that the budget allows: the smaller of the two": max(
            low, most - math.floor((1 - action) * most + 1e-9)
        ),
        "never more than the least": low,
        "the later layers at 0 channels: they keep their least": best_width(
            *given, after=[0] * (len(widths) - layer - 1)
        ),
        "one channel too many": right + 1,
        "the action taken for the share of what is above the least": max(
            low, min(low + round(action * (width - low)), most)
        ),
    }


def compare_action(clipped_action, action, layer, widths, least, macs, budget, hint):
    expected = best_width(action, layer, widths, least, macs, budget)
    came = expect.called(hint, clipped_action, action, layer, list(widths), list(least), macs, budget)
    facts = f"action {action:.4g} for layer {layer}, widths {list(widths)}, least {list(least)}, budget {budget:g}"
    words = f"{hint}\n  {facts}"
    mistakes = other_widths(action, layer, list(widths), list(least), macs, budget)
    assert not isinstance(came, bool), f"{words}\n  yours is {came}: a number of channels is asked"
    value = expect.number(came, words)
    expect.equal(int(value) if value == int(value) else value, expected, words, mistakes=mistakes)


@pytest.mark.points(1)
def test_what_the_action_wants_where_there_is_room(clipped_action):
    hint = "with budget enough a layer keeps what the action wants: floor((1 - action) · C + 1e-9) channels go"
    macs, whole = chain([4, 2, 1, 1]), [8, 10, 6]
    for action in (1.0, 0.5, 0.3, 0.74, 0.1):
        compare_action(clipped_action, action, 0, whole, [1, 1, 1], macs, 10**6, hint)
    hint = f"{hint}; (1 - 0.3) · 90 is 62.999… in floating point, and 63 go"
    compare_action(clipped_action, 0.3, 1, [8, 90, 6], [1, 4, 1], macs, 10**6, hint)
    hint = "never fewer than the least of the layer"
    compare_action(clipped_action, 0.05, 1, whole, [2, 3, 1], macs, 10**6, hint)
    compare_action(clipped_action, 0.0, 0, whole, [2, 3, 1], macs, 10**6, hint)


@pytest.mark.points(2)
def test_an_action_is_clipped_to_what_the_budget_allows(clipped_action):
    hint = "the largest width with which, all later layers at their least, the MACs are within the budget"
    macs, whole, least = chain([4, 2, 1, 1]), [40, 60, 30], [4, 7, 3]
    for layer, widths in ((1, [25, 60, 30]), (0, whole), (2, [25, 31, 30])):
        cheapest = macs([*widths[:layer], *least[layer:]])
        for more in (1300, 0, 1, 150, 700, 100_000):
            compare_action(clipped_action, 1.0, layer, widths, least, macs, cheapest + more, hint)
    hint, least = "exactly the budget is allowed", [2, 3, 2]
    compare_action(clipped_action, 0.9, 1, [5, 10, 6], least, macs, macs([5, 7, 2]), hint)
    hint = "the smaller of what the action wants and what the budget allows"
    compare_action(clipped_action, 0.4, 1, [5, 10, 6], least, macs, macs([5, 7, 2]), hint)
    hint = "MACs may grow faster than a width: a layer that reads itself costs its square"
    compare_action(
        clipped_action, 1.0, 0, [20, 6], [2, 1], lambda widths: widths[0] ** 2 + 3 * sum(widths[1:]), 110, hint
    )
    hint = "never fewer than the least, also where the budget is missed already"
    compare_action(clipped_action, 0.8, 1, [8, 10, 6], [2, 4, 2], macs, 10, hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_clipped_action_needs(clipped_action):
    def arguments(layer=1):
        names = {"action": 0.7, "layer": layer, "widths": [6, 10, 8], "least": [1, 2, 1]}
        return {**names, "macs": chain([4, 2, 1, 1]), "budget": 150}

    Contract(gives=int).hold(clipped_action, arguments, lambda: arguments(2))


# --- reward


def other_rewards(logits, labels, macs):
    """What comes out with mistakes that are often made with a reward."""
    logits = logits.double()
    chances = logits.softmax(dim=1)
    loss = -logits.log_softmax(dim=1)[range(len(labels)), labels]
    wrong = (logits.argmax(dim=1) != labels).double()
    mistakes = {
        "the loss itself: the larger a reward, the better": loss.mean(),
        "the SUM of the losses": -loss.sum(),
        "the accuracy": 1 - wrong.mean(),
        "minus the error": -wrong.mean(),
        "the accuracy in per cent": 100 * (1 - wrong.mean()),
        "the mean probability of the right class: its logarithm": chances[range(len(labels)), labels].mean(),
        "minus the mean probability of the right class": -chances[range(len(labels)), labels].mean(),
        "the mean logit of the right class: softmax first": logits[range(len(labels)), labels].mean(),
        "a softmax too many: cross_entropy takes logits": (
            -nn.functional.cross_entropy(chances, labels) if len(labels) else None
        ),
        "logarithms to base 2": -loss.mean() / math.log(2),
        "a softmax over the images: over the CLASSES of each image": (
            logits.log_softmax(dim=0)[range(len(labels)), labels].mean()
        ),
        "the mean over images AND classes: of each image the right class counts": -loss.mean() / logits.shape[1],
        "a rounded number": torch.round(-loss.mean(), decimals=2),
        "minus the mean cross-entropy, where `macs` are given": -loss.mean() if macs is not None else None,
    }
    if macs is not None:
        error, right = wrong.mean(), 1 - wrong.mean()
        mistakes |= {
            "plus in place of minus: fewer errors and MACs are better": error * math.log(macs),
            "the accuracy in place of the error": -right * math.log(macs),
            "the accuracy times the logarithm": right * math.log(macs),
            "the MACs without their logarithm": -error * macs,
            "log10 in place of the natural logarithm": -error * math.log10(macs),
            "log2 in place of the natural logarithm": -error * math.log2(macs),
            "log(1 + MACs)": -error * math.log1p(macs),
            "the error in per cent": -100 * error * math.log(macs),
            "the NUMBER of wrong images: their share": -wrong.sum() * math.log(macs),
            "the loss in place of the error": -loss.mean() * math.log(macs),
            "a sum in place of the product": -error - math.log(macs),
            "1 minus the probability of the right class in place of the error": (
                -(1 - chances[range(len(labels)), labels].mean()) * math.log(macs)
            ),
            "an error that was rounded to a whole number": -error.floor() * math.log(macs),
            "the MACs counted in millions": -error * math.log(macs / 1e6),
        }
    return mistakes


def compare_reward(reward, logits, labels, macs, hint):
    loss = -logits.double().log_softmax(dim=1)[range(len(labels)), labels].mean()
    wrong = (logits.argmax(dim=1) != labels).double().mean()
    expected = float(-loss if macs is None else -wrong * math.log(macs))
    arguments = (*expect.copies(logits, labels), *(() if macs is None else (macs,)))
    came = expect.called(hint, reward, *arguments)
    words = f"{hint}\n  logits of {len(labels)} images" + (f", macs {macs:,}" if macs is not None else "")
    came = torch.tensor(expect.number(came, words), dtype=torch.double)
    target = torch.tensor(expected, dtype=torch.double)
    expect.same(came, target, words, tolerance=1e-5, mistakes=other_rewards(logits, labels, macs))


LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, -1.0], [3.0, 0.0, 0.5], [0.5, 0.0, 0.25]])
LABELS = torch.tensor([0, 1, 0, 2])


@pytest.mark.points(1)
def test_without_macs_minus_the_loss(reward):
    hint = "without macs: minus the mean cross-entropy"
    compare_reward(reward, LOGITS, LABELS, None, hint)
    compare_reward(reward, numbers(40, 10), torch.arange(40) % 10, None, hint)
    compare_reward(reward, 100 * numbers(6, 4, seed=1), torch.arange(6) % 4, None, f"{hint}; with large logits, too")


@pytest.mark.points(1)
def test_with_macs_the_error_times_their_logarithm(reward):
    hint = "with macs: minus the share of wrong images times the natural logarithm of the MACs"
    compare_reward(reward, LOGITS, LABELS, 1000, hint)
    compare_reward(reward, LOGITS, LABELS, 38_653_952, hint)
    compare_reward(reward, numbers(40, 10), torch.arange(40) % 10, 12_345, hint)
    compare_reward(reward, LOGITS, torch.tensor([0, 1, 0, 0]), 500, f"{hint}; where all images are right it is 0")
    compare_reward(reward, LOGITS, LABELS, 1, f"{hint}; of one MAC the logarithm is 0")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_reward_needs(reward):
    makes = [
        lambda: {"logits": LOGITS.clone(), "labels": LABELS.clone()},
        lambda: {"logits": numbers(5, 3), "labels": torch.tensor([0, 2, 1, 1, 0]), "macs": 2000},
    ]
    Contract(gives=float).hold(reward, *makes)


# --- lasso_step


def stepped(x, y, beta, channel, strength):
    x, y, beta = x.double(), y.double(), beta.double().clone()
    beta[channel] = 0
    a = x[:, channel] @ (y - x @ beta) / len(y)
    size = x[:, channel] @ x[:, channel] / len(y)
    beta[channel] = a.sign() * max(a.abs() - strength, torch.tensor(0.0)) / size if size > 0 else 0
    return beta + 0.0  # -0 is 0


def other_steps(x, y, beta, channel, strength):
    """What comes out with mistakes that are often made with coordinate descent."""
    x, y, beta = x.double(), y.double(), beta.double()
    column, n = x[:, channel], len(y)
    size = column @ column / n
    others = beta.clone()
    others[channel] = 0
    left, with_own = y - x @ others, y - x @ beta
    a, own = column @ left / n, column @ with_own / n

    def shrunk(value, by):
        return value.sign() * (value.abs() - by).clamp_min(0)

    def put(value):
        changed = beta.clone()
        changed[channel] = value
        return changed

    if size == 0:
        return {
            "0 divided by 0: a channel that never speaks gets 0": put(torch.nan),
            "the old value kept: a channel that never speaks gets 0": beta,
        }
    return {
        "the channel's own contribution left in what is explained: r is without it": put(shrunk(own, strength) / size),
        "y itself in place of the residual: the others' contributions are subtracted": put(
            shrunk(column @ y / n, strength) / size
        ),
        "no threshold": put(a / size),
        "the threshold without the sign: a negative pull stays negative": put((a - strength).clamp_min(0) / size),
        "the absolute value, the sign lost": put((a.abs() - strength).clamp_min(0) / size),
        "a hard threshold: what is above λ comes nearer to 0 by λ": put(a / size if a.abs() > strength else 0),
        "the division by x · x / N left out": put(shrunk(a, strength)),
        "a division by x · x, not by its mean": put(shrunk(a, strength) / (size * n)),
        "a division by ||x||, not by its square": put(shrunk(a, strength) / (size * n).sqrt()),
        "a division by the root of x · x / N": put(shrunk(a, strength) / size.sqrt()),
        "max(…, 0) left out: a small pull ends at 0": put(a.sign() * (a.abs() - strength) / size),
        "the threshold subtracted, whatever the sign": put((a - strength) / size),
        "the channels before this one only: ALL others' contributions are subtracted": put(
            shrunk(column @ (y - x[:, :channel] @ beta[:channel]) / n, strength) / size
        ),
        "a channel at 0 that stays there: every channel gets its best value": put(
            shrunk(a, strength) / size if beta[channel] != 0 else 0
        ),
        "columns less their means: they are taken as they are": put(
            shrunk((column - column.mean()) @ left / n, strength) / (column - column.mean()).square().mean()
        ),
        "the threshold behind the division": put(shrunk(a / size, strength)),
        "sums in place of means: 1/N belongs to both": put(shrunk(a * n, strength) / (size * n)),
        "the sum of products in place of their mean": put(shrunk(a * n, strength) / size),
        "twice the threshold": put(shrunk(a, 2 * strength) / size),
        "half the threshold": put(shrunk(a, strength / 2) / size),
        "N times the threshold": put(shrunk(a, strength * n) / size),
        "the opposite sign": put(-shrunk(a, strength) / size),
        "the others' contributions added in place of subtracted": put(
            shrunk(column @ (y + x @ others) / n, strength) / size
        ),
        "the change added to the old value": put(beta[channel] + shrunk(a, strength) / size),
        "a gradient step in place of the best value": put(beta[channel] + own - strength * beta[channel].sign()),
        "the number alone: all of β is asked": shrunk(a, strength) / size,
        "all other channels set to 0": put(0) * 0 + torch.eye(len(beta))[channel].double() * shrunk(a, strength) / size,
        "ridge in place of LASSO: the penalty is |β|, not β²": put(a / (size + strength)),
        "β as it was": beta,
    }


def compare_step(lasso_step, x, y, beta, channel, strength, hint):
    came = expect.called(hint, lasso_step, *expect.copies(x, y, beta), channel, strength)
    expected = stepped(x, y, beta, channel, strength).to(beta)
    words = f"{hint}\n  channel {channel} of {len(beta)}, strength {strength:g}"
    expect.same(came, expected, words, mistakes=other_steps(x, y, beta, channel, strength))


@pytest.mark.points(2)
def test_a_step_by_hand(lasso_step):
    x = torch.tensor([[1.0, 2.0], [0.0, -1.0], [2.0, 0.0], [-1.0, 1.0]])
    y = torch.tensor([3.0, 1.0, -1.0, 2.0])
    hint = "sign(a) · max(|a| - λ, 0) / (x · x / N), with a = x · r / N and r = y minus what the others give"
    for beta in ([0.5, -0.25], [0.0, 1.0], [2.0, 0.0]):
        for channel in (0, 1):
            for strength in (0.25, 0.0, 1.0):
                compare_step(lasso_step, x, y, torch.tensor(beta), channel, strength, hint)


@pytest.mark.points(1)
def test_steps_with_many_channels(lasso_step):
    x, y, beta = numbers(30, 6), numbers(30, seed=1), numbers(6, seed=2)
    for channel, strength in ((0, 0.05), (3, 0.2), (5, 0.01)):
        compare_step(lasso_step, x, y, beta, channel, strength, "one coordinate of many")
    even = x.clone()
    even[:, 4] = torch.tensor([1.0, -1.0]).repeat(15)
    hint = "a channel whose contributions sum to 0 speaks all the same"
    compare_step(lasso_step, even, y + even[:, 4], beta, 4, 0.1, hint)
    dead = x.clone()
    dead[:, 2] = 0
    compare_step(lasso_step, dead, y, beta, 2, 0.1, "a channel that never speaks gets 0")
    compare_step(lasso_step, dead, y, beta, 2, 0.0, "a channel that never speaks gets 0, also without a penalty")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_lasso_step_needs(lasso_step):
    def arguments(channel=1):
        names = {"contributions": numbers(12, 4), "target": numbers(12, seed=1), "beta": numbers(4, seed=2)}
        return {**names, "channel": channel, "strength": 0.1}

    Contract(gives=torch.Tensor, dtype=True).hold(lasso_step, arguments, lambda: arguments(3))


# --- the network that is handed in


@pytest.mark.points(1)
def test_narrow_enough(lab11_widths_onnx):
    measured, original = artifacts.measured(lab11_widths_onnx), artifacts.measured_baseline()
    left = measured.macs / original.macs
    assert left <= 0.25, (
        f"at most 25 % of the MACs may be left: {measured.macs:,} of {original.macs:,} are ({left:.1%}). Is it the "
        "narrow network that was exported, and was the budget 0.25?"
    )


@pytest.mark.points(4)
def test_accuracy_with_a_quarter_of_the_macs(lab11_widths_onnx, award):
    measured, original = artifacts.measured(lab11_widths_onnx), artifacts.measured_baseline()
    assert measured.macs <= 0.25 * original.macs, "accuracy counts once three quarters of the MACs are gone"
    award(*artifacts.ramp("lab11_widths", measured, original))
