"""Visible tests of lab 10. A test's first argument is the exercise that it grades."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import artifacts, expect
from course_utils.contracts import Contract
from course_utils.networks import vgg_mini
from solutions.training_step import training_step


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def batch(seed=0, size=6):
    return numbers(size, 3, 32, 32, seed=seed), torch.arange(size) % 3


# --- slimming_step


def with_gradients(network, seed=0):
    """A network whose trained parameters all have gradients, and whose scales are of both signs, one of them 0."""
    for number, parameter in enumerate(network.parameters()):
        parameter.grad = numbers(*parameter.shape, seed=100 * seed + number).to(parameter)
    for number, norm in enumerate(norms_of(network)):
        norm.weight.data = numbers(*norm.weight.shape, seed=100 * seed + 50 + number).to(norm.weight)
        norm.weight.data[0] = 0
        norm.bias.data = numbers(*norm.bias.shape, seed=100 * seed + 70 + number).to(norm.bias)
    return network


def norms_of(network):
    """The batch norms that have scales."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return [module for module in network.modules() if isinstance(module, kinds) and module.affine]


def gradients_of(network):
    return {
        name: None if parameter.grad is None else parameter.grad.clone()
        for name, parameter in network.named_parameters()
    }


def other_subgradients(gamma, gradient, strength):
    """What a scale's gradient is after mistakes that are often made with the penalty."""
    sign = gamma.sign()
    return {
        "strength · γ, the slope of γ²: of |γ| it is the sign": gradient + strength * gamma,
        "2 · strength · γ, the slope of γ²: of |γ| it is the sign": gradient + 2 * strength * gamma,
        "strength · |γ|, the penalty itself: its slope is added, strength · sign(γ)": gradient + strength * gamma.abs(),
        "strength · Σ|γ|, the penalty itself: its slope is added, strength · sign(γ)": (
            gradient + strength * gamma.abs().sum()
        ),
        "the gradient of the loss replaced: ADD to it": strength * sign,
        "the penalty subtracted: it pulls towards 0 when its slope is ADDED": gradient - strength * sign,
        "the sign of the GRADIENT: it is that of the scale": gradient + strength * gradient.sign(),
        "strength itself, whatever the sign: a negative scale is pulled up": gradient + strength,
        "the strength left out": gradient + sign,
        "everything added twice: once a step": gradient + 2 * strength * sign,
        "division by the number of scales": gradient + strength * sign / len(gamma),
        "a scale of 0 taken for positive: sign(0) = 0": gradient + strength * torch.where(gamma >= 0, 1.0, -1.0),
        "a scale of 0 taken for negative: sign(0) = 0": gradient + strength * torch.where(gamma > 0, 1.0, -1.0),
        "only positive scales pulled": gradient + strength * (gamma > 0),
        "only negative scales pulled": gradient - strength * (gamma < 0),
        "the square of the strength": gradient + strength**2 * sign,
        "the gradient multiplied": gradient * (1 + strength * sign),
    }


def compare_penalty(slimming_step, network, strength, hint):
    """Calls slimming_step and compares all gradients; the parameters themselves must be as they were."""
    before = gradients_of(network)
    values = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    kinds = {id(norm.weight): type(norm).__name__ for norm in norms_of(network)}
    expect.called(hint, slimming_step, network, strength)
    for name, parameter in network.named_parameters():
        moved = f"{hint}\n  the scales of {name} have moved: only the gradient changes here, the optimizer moves them"
        assert torch.equal(parameter.detach(), values[name]), (
            moved if id(parameter) in kinds else f"{hint}\n  {name} has changed"
        )
        now, was = parameter.grad, before[name]
        if was is None:
            assert now is None, f"{hint}\n  {name} had no gradient, and now it has: leave it alone"
            continue
        assert now is not None, f"{hint}\n  the gradient of {name} is gone"
        if id(parameter) not in kinds:
            what = "only the batch norms' scales (their weight) are pulled"
            assert torch.equal(now, was), f"{hint}\n  the gradient of {name} has changed: {what}"
            continue
        gamma = values[name]
        skipped = f"{hint}\n  nothing was added to the gradient of {name}, a {kinds[id(parameter)]}: is it found?"
        assert not strength or not gamma.any() or not torch.equal(now, was), skipped
        words = f"{hint}\n  the gradient of {name}, where γ is {expect.show(gamma)}, strength {strength:g}"
        expected = was + strength * gamma.sign()
        expect.same(now, expected, words, mistakes=other_subgradients(gamma, was, strength))


@pytest.mark.points(2)
def test_the_slope_of_the_penalty_is_added(slimming_step):
    hint = "strength · sign(γ) is added to the gradient of every batch norm's scales"
    compare_penalty(slimming_step, with_gradients(vgg_mini(widths=(4, 6), classes=3)), 0.25, hint)
    compare_penalty(slimming_step, with_gradients(vgg_mini(widths=(4, 6), classes=3), seed=1), 3.0, hint)


@pytest.mark.points(1)
def test_batch_norms_are_found_wherever_they_are(slimming_step):
    block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ModuleDict({"deep": nn.BatchNorm2d(4)})["deep"])
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), block, nn.Flatten(), nn.Linear(4, 5), nn.BatchNorm1d(5)
    network = with_gradients(nn.Sequential(*layers, nn.GroupNorm(1, 5), nn.LayerNorm(5)))
    hint = "batch norms are found by their type, in whatever network and however deep (network.modules()), also "
    compare_penalty(slimming_step, network, 0.5, f"{hint}BatchNorm1d; other norms are not pulled")
    norms = nn.BatchNorm2d(3), nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4), nn.BatchNorm2d(5)
    network = with_gradients(nn.Sequential(*norms))
    network[0].weight.requires_grad_(False)
    network[0].weight.grad = None
    network[2].weight.grad = None
    hint = "a scale without a gradient is left alone (frozen ones have none), and a batch norm without scales, too"
    compare_penalty(slimming_step, network.eval(), 0.5, f"{hint}; it does not matter which mode they are in")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_slimming_step_needs(slimming_step):
    def arguments():
        return {"network": with_gradients(vgg_mini(widths=(4, 6), classes=3)), "strength": 0.25}

    Contract(changes=("network",), without=("gradients",)).hold(slimming_step, arguments)


# --- absorbed_bias


def other_biases(conv, constant):
    """What comes out with mistakes that are often made with an absorbed bias."""
    weight = conv.weight.detach().double()
    bias = torch.zeros(len(weight)).double() if conv.bias is None else conv.bias.detach().double()
    constant = constant.double()
    taps = weight.flatten(1).view(*weight.shape[:2], -1)
    sums = taps.sum(2)
    added = sums @ constant
    square = weight.shape[0] == weight.shape[1]
    kernel = taps.shape[2]
    return {
        "the layer's own bias left out": added if conv.bias is not None else None,
        "what was absorbed left out": bias if conv.bias is not None else None,
        "the constants subtracted: the layer added them, and its bias takes them over": bias - added,
        "the MEAN over the kernel: every tap of it read the constant": bias + added / kernel,
        "the mean over kernel and inputs: sum": bias + added / (kernel * len(constant)),
        "the mean over the inputs: sum": bias + added / len(constant),
        "the middle of the kernel only: every tap of it read the constant": bias + taps[..., kernel // 2] @ constant,
        "the first tap of the kernel only": bias + taps[..., 0] @ constant,
        "absolute values of the weights": bias + sums.abs() @ constant,
        "absolute values of every weight": bias + taps.abs().sum(2) @ constant,
        "the constants themselves added, without the weights": bias + constant if square else None,
        "outputs and inputs of the weight swapped": bias + sums.T @ constant if square else None,
        "a relu at the end: the layer has none": (bias + added).relu(),
        "a relu on what is absorbed": bias + added.relu(),
        "the sum of all constants times the sum of the weights": bias + sums.sum(1) * constant.sum(),
        "the weights of all inputs, where only some were constant": bias + sums.sum(1),
        "one number for all outputs": bias + added.sum(),
        "the layer's own bias added twice": 2 * bias + added if conv.bias is not None else None,
        "what is absorbed added twice": bias + 2 * added,
        "positive constants only": bias + sums @ constant.clamp_min(0),
        "constants of 0 or 1: where there is one, in place of its value": bias + sums @ (constant != 0).double(),
        "the largest tap of the kernel": bias + taps.amax(2) @ constant,
        "the kernel summed along its rows only": bias + taps[..., : weight.shape[-1]].sum(2) @ constant,
    }


def compare_bias(absorbed_bias, conv, constant, hint):
    """Against the layer itself on maps that are constant everywhere."""
    weight = conv.weight.detach().double()
    added = weight.flatten(1).view(*weight.shape[:2], -1).sum(2) @ constant.double()
    expected = added if conv.bias is None else conv.bias.detach().double() + added
    came = expect.called(hint, absorbed_bias, *expect.copies(conv, constant))
    expect.same(came, expected.to(conv.weight), hint, mistakes=other_biases(conv, constant))


@pytest.mark.points(1)
def test_a_constant_input_becomes_a_bias(absorbed_bias):
    conv = drawn_layer(nn.Conv2d(3, 3, 3))
    hint = "a 3×3 convolution whose inputs are constant: each tap of the kernel reads the same number"
    compare_bias(absorbed_bias, conv, torch.tensor([0.5, 0.0, 2.0]), hint)
    compare_bias(absorbed_bias, conv, torch.tensor([0.0, -1.5, 0.0]), f"{hint}; behind a batch norm it may be negative")
    hint = "with constants of 0 nothing is absorbed: the layer's own bias stays"
    compare_bias(absorbed_bias, conv, torch.zeros(3), hint)


@pytest.mark.points(1)
def test_layers_of_other_shapes(absorbed_bias):
    constant = torch.tensor([1.0, 0.25, -0.5, 0.0, 3.0])
    hint = "a convolution without a bias: what is absorbed is all there is"
    compare_bias(absorbed_bias, drawn_layer(nn.Conv2d(5, 4, 3, bias=False)), constant, hint)
    hint = "a convolution of 4 filters with kernels of 2 × 3, stride 2 and padding"
    compare_bias(absorbed_bias, drawn_layer(nn.Conv2d(5, 4, (2, 3), stride=2, padding=1)), constant, hint)
    hint = "a linear layer is like a 1×1 convolution: its weight is (O, I)"
    compare_bias(absorbed_bias, drawn_layer(nn.Linear(5, 4)), constant, hint)


def drawn_layer(layer, seed=0):
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=10 * seed + number).to(parameter)
    return layer


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_absorbed_bias_needs(absorbed_bias):
    makes = [
        lambda layer=layer: {"conv": drawn_layer(layer()), "constant": numbers(4, seed=3)}
        for layer in (lambda: nn.Conv2d(4, 3, 3), lambda: nn.Linear(4, 3), lambda: nn.Conv2d(4, 3, 1, bias=False))
    ]
    Contract(gives=torch.Tensor, dtype=True).hold(absorbed_bias, *makes)


# --- soft_threshold


def other_thresholdings(weight, s):
    """What comes out with mistakes that are often made with the soft threshold."""
    weight, s = weight.double(), s.double()
    threshold = s.sigmoid()
    size, sign = weight.abs(), weight.sign()
    return {
        "a HARD threshold: what stays comes nearer to 0 by the threshold, too": weight * (size > threshold),
        "s itself as the threshold: it is sigmoid(s)": sign * (size - s).clamp_min(0),
        "exp(s) as the threshold: it is sigmoid(s)": sign * (size - s.exp()).clamp_min(0),
        "sigmoid(-s) as the threshold": sign * (size - (-s).sigmoid()).clamp_min(0),
        "the sign left out: negative weights stay negative": (size - threshold).clamp_min(0),
        "no relu: what is below the threshold is 0": sign * (size - threshold),
        "the absolute value left out: negative weights are thresholded by their size": (weight - threshold).clamp_min(
            0
        ),
        "the threshold added: weights come NEARER to 0": sign * (size + threshold),
        "the threshold subtracted from the weight, whatever its sign": torch.where(
            size > threshold, weight - threshold, 0.0
        ),
        "weights ABOVE the threshold set to 0, and the others left": weight * (size <= threshold),
        "weights held between the threshold's two signs": weight.clamp(-threshold, threshold),
        "what is taken away in place of what stays": weight - sign * (size - threshold).clamp_min(0),
        "the sigmoid of the weights: it is that of s": sign * (size.sigmoid() - threshold).clamp_min(0),
        "a relu of the weight in place of its absolute value": (weight.clamp_min(0) - threshold).clamp_min(0),
        "the weight multiplied by the threshold": weight * threshold,
        "the weight in place of its sign: its size counts twice": weight * (size - threshold).clamp_min(0),
        "the sigmoid of |W| - s: only s goes through it": sign * (size - s).sigmoid(),
        "tanh(s) as the threshold: it is sigmoid(s)": sign * (size - s.tanh()).clamp_min(0),
        "log(1 + exp(s)) as the threshold: it is sigmoid(s)": sign * (size - F.softplus(s)).clamp_min(0),
        "all weights as they are": weight,
    }


def compare_thresholding(soft_threshold, weight, s, hint):
    threshold = s.double().sigmoid()
    expected = weight.double().sign() * (weight.double().abs() - threshold).clamp_min(0)
    came = expect.called(hint, soft_threshold, *expect.copies(weight, s))
    words = f"{hint}\n  s = {s.item():g}, so that the threshold is {threshold.item():.4g}"
    expect.same(came, expected.to(weight), words, mistakes=other_thresholdings(weight, s))


HANDMADE = torch.tensor([-2.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 3.0])


@pytest.mark.points(1)
def test_small_weights_are_zero_and_others_come_nearer(soft_threshold):
    hint = "below the threshold a weight is 0, and above it comes nearer to 0 by the threshold: it keeps its sign"
    compare_thresholding(soft_threshold, HANDMADE, torch.tensor(0.0), hint)
    compare_thresholding(soft_threshold, HANDMADE, torch.tensor(-1.5), hint)


@pytest.mark.points(1)
def test_weights_of_layers_and_other_thresholds(soft_threshold):
    hint = "the threshold is sigmoid(s), for weights of any shape"
    for shape, s in (((4, 3, 3, 3), -0.8), ((5, 7), 1.2), ((6,), -3.0)):
        compare_thresholding(soft_threshold, numbers(*shape, seed=1), torch.tensor(s), f"{hint}, here {shape}")
    hint = "s far below 0 is a threshold of next to nothing: all weights are as they were"
    compare_thresholding(soft_threshold, numbers(4, 5), torch.tensor(-40.0), hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_soft_threshold_needs(soft_threshold):
    makes = [
        lambda shape=shape: {"weight": numbers(*shape), "s": torch.tensor(-0.7)} for shape in ((4, 3, 3, 2), (5, 4))
    ]
    Contract(gives=torch.Tensor, dtype=True).hold(soft_threshold, *makes)


# --- soft_threshold_gradient


def slopes(weight, s, gradient):
    """Both gradients, in float64."""
    weight, s, gradient = weight.double(), s.double(), gradient.double()
    threshold = s.sigmoid()
    passed = gradient * (weight.abs() > threshold)
    return passed, -(passed * weight.sign()).sum() * threshold * (1 - threshold)


def other_slopes(weight, s, gradient):
    """What comes out with mistakes that are often made with the gradients: two dicts, for W and for s."""
    in_weight, in_s = slopes(weight, s, gradient)
    weight, s, gradient = weight.double(), s.double(), gradient.double()
    threshold, sign = s.sigmoid(), weight.sign()
    slope, above = threshold * (1 - threshold), weight.abs() > threshold
    for_weight = {
        "the gradient passed everywhere: below the threshold W gets none": gradient,
        "the gradient passed BELOW the threshold, and none above": gradient * ~above,
        "the sign of W in it: dS/dW is 1 above the threshold, whatever the sign": in_weight * sign,
        "weights that lie AT the threshold among those above": gradient * (weight.abs() >= threshold),
        "s as the threshold: it is sigmoid(s)": gradient * (weight.abs() > s),
        "the absolute value left out: negative weights can be above the threshold, too": gradient
        * (weight > threshold),
        "the opposite sign": -in_weight,
        "S(W, s) in place of the gradient": sign * (weight.abs() - threshold).clamp_min(0),
        "the gradient times S(W, s)": gradient * sign * (weight.abs() - threshold).clamp_min(0),
        "the gradient times |W| - sigmoid(s)": gradient * (weight.abs() - threshold).clamp_min(0),
        "the slope without the gradient that comes from behind": above.double(),
        "the slope of the sigmoid in it: that belongs to s": in_weight * slope,
        "the soft threshold of the GRADIENT": gradient.sign() * (gradient.abs() - threshold).clamp_min(0),
        "gradients above the threshold passed: it is the weight that is compared": gradient
        * (gradient.abs() > threshold),
    }
    for_s = {
        "the opposite sign: a higher threshold makes |S| SMALLER": -in_s,
        "the slope of the sigmoid left out, sigmoid(s) · (1 - sigmoid(s))": -(in_weight * sign).sum(),
        "the sign of W left out: a negative weight moves UP with the threshold": -in_weight.sum() * slope,
        "weights below the threshold in the sum: they do not move with it": -(gradient * sign).sum() * slope,
        "the mean over the weights: sum": -(in_weight * sign).mean() * slope,
        "the mean over the weights above the threshold: sum": (
            -(in_weight * sign).sum() / above.sum() * slope if above.any() else None
        ),
        "sigmoid(s) in place of its slope": -(in_weight * sign).sum() * threshold,
        "1 - sigmoid(s) in place of the slope": -(in_weight * sign).sum() * (1 - threshold),
        "W in place of its sign": -(in_weight * weight).sum() * slope,
        "|W| in place of its sign": -(in_weight * weight.abs()).sum() * slope,
        "the absolute values summed": -in_weight.abs().sum() * slope,
        "exp(s) as the slope of the threshold": -(in_weight * sign).sum() * s.exp(),
        "s · (1 - s) as the slope of the sigmoid: it is that of sigmoid(s)": -(in_weight * sign).sum() * s * (1 - s),
        "weights that lie AT the threshold among those above": (
            -(gradient * sign * (weight.abs() >= threshold)).sum() * slope
        ),
        "nothing: s gets a gradient, too": torch.zeros(()).double(),
    }
    return for_weight, for_s


def compare_slopes(soft_threshold_gradient, weight, s, gradient, hint):
    answer = expect.called(hint, soft_threshold_gradient, *expect.copies(weight, s, gradient))
    words = f"{hint}\n  s = {s.item():g}, so that the threshold is {s.double().sigmoid().item():.4g}"
    both = f"{words}\n  return two tensors: the gradient in W, and that in s"
    assert answer is not None, f"{both}\n  your function returned None: is the `return` missing?"
    assert isinstance(answer, (tuple, list)) and len(answer) == 2, f"{both}\n  yours: {expect.show(answer)}"
    expected, mistakes = slopes(weight, s, gradient), other_slopes(weight, s, gradient)
    tolerance = 1e-10 if weight.dtype == torch.float64 else 2e-5
    for place, name in enumerate(("dL/dW", "dL/ds")):
        kind = f"{words}\n  {name} is a tensor, yours is of type {type(answer[place]).__name__}"
        assert isinstance(answer[place], torch.Tensor), kind
        swapped = "both gradients in the other order: that in W first"
        one = f"{words}\n  {name}"
        options = {**mistakes[place], swapped: expected[1 - place]}
        came = expect.same_shape(answer[place], tuple(expected[place].shape), one)
        expect.same(came, expected[place].to(weight), one, tolerance=tolerance, mistakes=options)


@pytest.mark.points(1)
def test_gradients_by_hand(soft_threshold_gradient):
    hint = "above the threshold S moves with W, and against sigmoid(s); below it, and at it, it does not move at all"
    gradient = torch.tensor([0.5, -1.0, 2.0, 4.0, 3.0, -0.5, 8.0, 1.5, -2.0])
    compare_slopes(soft_threshold_gradient, HANDMADE, torch.tensor(0.0), gradient, hint)
    compare_slopes(soft_threshold_gradient, HANDMADE, torch.tensor(-1.5), gradient, hint)


@pytest.mark.points(1)
def test_gradients_of_layers(soft_threshold_gradient):
    hint = "the gradients of a layer, in float64"
    for shape, s in (((4, 3, 3, 3), -0.8), ((5, 7), 0.7)):
        weight, gradient = numbers(*shape, seed=1).double(), numbers(*shape, seed=2).double()
        compare_slopes(soft_threshold_gradient, weight, torch.tensor(s).double(), gradient, hint)
    hint = "where the threshold is above all weights nobody gets a gradient"
    compare_slopes(soft_threshold_gradient, 0.1 * numbers(3, 4), torch.tensor(4.0), numbers(3, 4, seed=2), hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_soft_threshold_gradient_needs(soft_threshold_gradient):
    makes = [
        lambda shape=shape: {"weight": numbers(*shape), "s": torch.tensor(-0.7), "gradient": numbers(*shape, seed=1)}
        for shape in ((4, 3, 3, 2), (5, 4))
    ]
    Contract(gives=tuple, dtype=True).hold(soft_threshold_gradient, *makes)


# --- dense_update


def small_network(seed=0):
    return vgg_mini(widths=(4, 6), classes=3, seed=seed)


def some_masks(network, seed=0, share=0.6):
    chance = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(parameter.shape, generator=chance) > share
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1
    }


@torch.enable_grad()
def trained_with_momentum(network):
    """An optimizer that has gathered momentum for every weight."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    training_step(network, *batch(seed=5), optimizer)
    return optimizer


def twin_of(network, optimizer):
    """A copy of a network with its gradients, and an optimizer of its own that remembers as much."""
    twin = copy.deepcopy(network)
    for mine, parameter in zip(twin.parameters(), network.parameters(), strict=True):
        mine.grad = None if parameter.grad is None else parameter.grad.clone()
    mine = type(optimizer)(twin.parameters(), lr=0.1)
    mine.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return twin, mine


def masked(network, masks):
    """Set to zero what the masks prune."""
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name).mul_(mask)


def put_back(network, weights):
    with torch.no_grad():
        for name, weight in weights.items():
            network.get_parameter(name).copy_(weight)


def step_with_feedback(network, images, labels, optimizer, masks):
    """The step that the text asks for → the loss."""
    network.train()
    optimizer.zero_grad()
    dense = {name: network.get_parameter(name).detach().clone() for name in masks}
    masked(network, masks)
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    put_back(network, dense)
    optimizer.step()
    return loss.item()


def other_updates(network, optimizer, masks, data):
    """Where mistakes lead that are often made in a step with feedback: words → the state afterwards."""

    def after(do):
        twin, mine = twin_of(network, optimizer)
        with torch.enable_grad():
            do(twin, mine, *data)
        return twin.state_dict()

    def lab_two(twin, mine, images, labels):
        training_step(twin, images, labels, mine)
        masked(twin, masks)

    def never_put_back(twin, mine, images, labels):
        masked(twin, masks)
        training_step(twin, images, labels, mine)

    def masked_again(twin, mine, images, labels):
        step_with_feedback(twin, images, labels, mine, masks)
        masked(twin, masks)

    def gradients_masked(twin, mine, images, labels):
        dense = {name: twin.get_parameter(name).detach().clone() for name in masks}
        masked(twin, masks)
        twin.train()
        mine.zero_grad()
        F.cross_entropy(twin(images), labels).backward()
        for name, mask in masks.items():
            twin.get_parameter(name).grad *= mask
        put_back(twin, dense)
        mine.step()

    def by_masked_product(twin, mine, images, labels):
        twin.train()
        mine.zero_grad()
        weights = {name: twin.get_parameter(name) * mask for name, mask in masks.items()}
        F.cross_entropy(torch.func.functional_call(twin, weights, (images,)), labels).backward()
        mine.step()

    def put_back_after(twin, mine, images, labels):
        dense = {name: twin.get_parameter(name).detach().clone() for name in masks}
        masked(twin, masks)
        training_step(twin, images, labels, mine)
        put_back(twin, dense)

    def only_masked_back(twin, mine, images, labels):
        dense = {name: twin.get_parameter(name).detach().clone() for name in masks}
        masked(twin, masks)
        training_step(twin, images, labels, mine)
        with torch.no_grad():
            for name, mask in masks.items():
                twin.get_parameter(name)[~mask] = dense[name][~mask]

    def adding_up(twin, mine, images, labels):
        zero, mine.zero_grad = mine.zero_grad, lambda *_, **__: None
        step_with_feedback(twin, images, labels, mine, masks)
        mine.zero_grad = zero

    def resting(twin, mine, images, labels):
        twin.train = lambda mode=True: twin
        twin.eval()
        step_with_feedback(twin, images, labels, mine, masks)
        del twin.train

    def turned_around(twin, mine, images, labels):
        step_with_feedback(twin, images, labels, mine, {name: ~mask for name, mask in masks.items()})

    def twice(twin, mine, images, labels):
        step_with_feedback(twin, images, labels, mine, masks)
        mine.step()

    def forgetful(twin, mine, images, labels):
        step_with_feedback(twin, images, labels, torch.optim.SGD(twin.parameters(), lr=0.1), masks)

    def looking_again(twin, mine, images, labels):
        step_with_feedback(twin, images, labels, mine, masks)
        twin(images)

    def dense_gradients(twin, mine, images, labels):
        training_step(twin, images, labels, mine)

    def summed(twin, mine, images, labels):
        dense = {name: twin.get_parameter(name).detach().clone() for name in masks}
        masked(twin, masks)
        twin.train()
        mine.zero_grad()
        F.cross_entropy(twin(images), labels, reduction="sum").backward()
        put_back(twin, dense)
        mine.step()

    def norms_restored(twin, mine, images, labels):
        state = copy.deepcopy(dict(twin.named_buffers()))
        step_with_feedback(twin, images, labels, mine, masks)
        for name, buffer in twin.named_buffers():
            buffer.copy_(state[name])

    def only(those):
        return lambda twin, mine, images, labels: step_with_feedback(twin, images, labels, mine, those)

    convolutions = {name: mask for name, mask in masks.items() if mask.ndim > 2}
    part = {name: mask for name, mask in masks.items() if not mask.all() and mask.any()}
    return {
        words: lambda do=do: after(do)
        for words, do in {
            "lab 2's masked step, which forgets the pruned weights: here they go on": lab_two,
            "the dense weights never put back: the optimizer moves THEM, not the masked ones": never_put_back,
            "the masks applied to the dense weights at the end: they stay dense": masked_again,
            "gradients that are masked: pruned weights learn, too, so that they can come back": gradients_masked,
            "gradients through weight · mask, which are 0 where the mask is: take them IN the masked weights": (
                by_masked_product
            ),
            "the dense weights put back AFTER the step, which is lost": put_back_after,
            "the pruned weights put back after the step, as they were: they learn, too": only_masked_back,
            "old gradients added, that were not forgotten (optimizer.zero_grad() comes before backward)": adding_up,
            "the network in evaluation mode": resting,
            "masks turned around: True is what stays": turned_around,
            "optimizer.step() called once more": twice,
            "a new optimizer, without momentum": forgetful,
            "a second pass through the network in training mode: batch norms learn from each": looking_again,
            "gradients in the DENSE weights: it is the masked network that runs": dense_gradients,
            "the SUM of the images' losses: it is their mean": summed,
            "running statistics put back, or a copy that ran: the network's own batch norms learn": norms_restored,
            "only masks with two axes or more": only({name: mask for name, mask in masks.items() if mask.ndim > 1}),
            "only the masks of convolutions": only(convolutions) if len(convolutions) < len(masks) else only({}),
            "masks left out that keep nothing, or everything": only(part),
            "no step at all": lambda *_: None,
        }.items()
    }


def compare_update(dense_update, network, optimizer, masks, data, hint):
    """One step, beside the one that the text asks for: the whole state, and the loss."""
    (twin, mine), before = twin_of(network, optimizer), twin_of(network, optimizer)
    with torch.enable_grad():
        loss = step_with_feedback(twin, *data, mine, masks)
        dense_loss = F.cross_entropy(copy.deepcopy(network).train()(data[0]), data[1]).item()
        after = F.cross_entropy(copy.deepcopy(twin).train()(data[0]), data[1]).item()
    mistakes = other_updates(*before, masks, data)
    came = expect.called(hint, dense_update, network, *data, optimizer, expect.copies(masks)[0])
    now, expected = network.state_dict(), twin.state_dict()
    apart = [name for name, value in expected.items() if far(now[name], value)]
    if apart:
        named = [words for words, state in mistakes.items() if not any(far(now[n], v) for n, v in state().items())]
        said = expect.comes_out_with(named)
        raise AssertionError(f"{hint}\n  {apart[0]} is not what it should be{said and f': {said}'}")
    hint = f"{hint}\n  return the loss that the step started from, of the masked network"
    options = {"the loss of the DENSE network": dense_loss, "the loss after the step": after}
    expect.same(expect.number(came, hint), torch.tensor(loss), hint, tolerance=1e-4, mistakes=options)


def far(now, expected):
    """Whether two tensors of a state differ by more than rounding."""
    if now.shape != expected.shape:
        return True
    scale = max(expected.abs().max().item(), 1e-3) if expected.is_floating_point() else 1
    return bool(((now.double() - expected.double()).abs() > 1e-4 * scale).any())


@pytest.mark.points(2)
def test_all_weights_learn_from_the_masked_network(dense_update):
    network = small_network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    hint = "loss and gradients of the masked weights, and the step with the dense ones"
    compare_update(dense_update, network, optimizer, some_masks(network), batch(), hint)
    compare_update(dense_update, network, optimizer, some_masks(network, seed=1), batch(1), f"{hint}; then other masks")


@pytest.mark.points(1)
def test_momentum_old_gradients_and_masks_of_any_parameter(dense_update):
    network = small_network()
    optimizer, masks = trained_with_momentum(network), some_masks(network, share=0.8)
    masks["features.1.bias"] = torch.tensor([True, False, False, True])
    masks["features.3.weight"] = torch.zeros_like(masks["features.3.weight"])
    with torch.no_grad():
        network.get_parameter("features.1.bias").copy_(torch.tensor([0.5, -1.0, 2.0, 0.1]))
    hint = (
        "a network in evaluation mode at first, an optimizer with momentum, old gradients, a mask of a bias, and one "
    )
    compare_update(dense_update, network.eval(), optimizer, masks, batch(2), f"{hint}that keeps nothing")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_dense_update_needs(dense_update):
    def arguments():
        network = small_network()
        optimizer, masks, (images, labels) = trained_with_momentum(network), some_masks(network), batch()
        names = {"network": network, "images": images, "labels": labels}
        return {**names, "optimizer": optimizer, "masks": masks}

    contract = Contract(
        gives=float, changes=("network", "optimizer", "mode"), without=("gradients", "modes", "no_grad")
    )
    contract.hold(dense_update, arguments)


# --- auxiliary_step


def stepped(m, weight, gradient, lr, strength):
    m, weight, gradient = m.double(), weight.double(), gradient.double()
    slope = m.sigmoid()
    return m - lr * (gradient * weight.sign() * slope + strength * slope)


def other_auxiliaries(m, weight, gradient, lr, strength):
    """What comes out with mistakes that are often made with the auxiliary parameters."""
    m, weight, gradient = m.double(), weight.double(), gradient.double()
    slope, sign, there = m.sigmoid(), weight.sign(), (m > 0).double()
    loss, pull = gradient * sign * slope, strength * slope
    return {
        "the sign of W left out": m - lr * (gradient * slope + pull),
        "W in place of its sign": m - lr * (gradient * weight * slope + pull),
        "|W| in place of its sign": m - lr * (gradient * weight.abs() * slope + pull),
        "the sign of the GRADIENT in place of that of W": m - lr * (gradient.abs() * slope + pull),
        "the penalty without g(m): it acts through the step, too": m - lr * (loss + strength),
        "the loss without g(m)": m - lr * (gradient * sign + pull),
        "g(m) left out everywhere": m - lr * (gradient * sign + strength),
        "the penalty left out": m - lr * loss,
        "the loss left out": m - lr * pull,
        "the penalty with the wrong sign: it pulls m down": m - lr * (loss - pull),
        "the step in the wrong direction: m goes DOWN the slope": m + lr * (loss + pull),
        "the learning rate left out": m - (loss + pull),
        "the learning rate of the penalty left out": m - lr * loss - pull,
        "g(W) in place of g(m)": m - lr * weight.sigmoid() * (gradient * sign + strength),
        "the slope of the sigmoid, g(m) · (1 - g(m)): g itself is the stand-in": (
            m - lr * (gradient * sign + strength) * slope * (1 - slope)
        ),
        "softplus(m) in place of its slope": m - lr * (gradient * sign + strength) * F.softplus(m),
        "the step 1[m > 0] itself in place of g(m): where it is 0 nothing could come back": (
            m - lr * (gradient * sign + strength) * there
        ),
        "the gradient only where m > 0: a masked weight can come back, too": m - lr * (loss * there + pull),
        "the penalty only where m > 0": m - lr * (loss + pull * there),
        "the change without m": -lr * (loss + pull),
        "the penalty times the sign of m": m - lr * (loss + pull * m.sign()),
        "the penalty times m": m - lr * (loss + pull * m),
        "the strength multiplied with the loss": m - lr * strength * (loss + slope),
        "m held above 0": (m - lr * (loss + pull)).clamp_min(0),
        "m held between 0 and 1": (m - lr * (loss + pull)).clamp(0, 1),
        "m as it was": m,
        "the mask in place of m": ((m - lr * (loss + pull)) > 0).double(),
        "the gradient times the weight's mask and sign, g left out of it": m - lr * (gradient * sign * there + pull),
    }


def compare_auxiliary(auxiliary_step, m, weight, gradient, lr, strength, hint):
    came = expect.called(hint, auxiliary_step, *expect.copies(m, weight, gradient), lr, strength)
    expected = stepped(m, weight, gradient, lr, strength).to(m)
    words = f"{hint}\n  learning rate {lr:g}, strength {strength:g}"
    expect.same(came, expected, words, mistakes=other_auxiliaries(m, weight, gradient, lr, strength))


@pytest.mark.points(1)
def test_auxiliary_parameters_by_hand(auxiliary_step):
    m = torch.tensor([0.5, 0.5, -1.0, 2.0, 0.0, -0.25])
    weight = torch.tensor([2.0, -2.0, 0.5, -0.25, 1.0, 0.0])
    gradient = torch.tensor([1.0, 1.0, -3.0, -2.0, 0.5, 4.0])
    hint = "m - lr · g(m) · (dL/dT · sign(W) + strength), with g = sigmoid"
    compare_auxiliary(auxiliary_step, m, weight, gradient, 0.5, 0.25, hint)
    compare_auxiliary(auxiliary_step, m, weight, gradient, 2.0, 0.0, f"{hint}; without a penalty")
    compare_auxiliary(auxiliary_step, m, weight, torch.zeros(6), 0.5, 1.5, f"{hint}; where the loss does not mind")


@pytest.mark.points(1)
def test_auxiliary_parameters_of_layers(auxiliary_step):
    for shape, kind in (((4, 3, 3, 3), torch.float32), ((5, 6), torch.float64)):
        m, weight, gradient = (numbers(*shape, seed=seed).to(kind) for seed in range(3))
        compare_auxiliary(auxiliary_step, m, weight, gradient, 0.3, 0.7, f"one step of a whole layer {shape}")


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_auxiliary_step_needs(auxiliary_step):
    makes = [
        lambda shape=shape: {
            "auxiliary": numbers(*shape),
            "weight": numbers(*shape, seed=1),
            "gradient": numbers(*shape, seed=2),
            "lr": 0.5,
            "strength": 0.1,
        }
        for shape in ((4, 3, 3, 2), (5, 4))
    ]
    Contract(gives=torch.Tensor, dtype=True).hold(auxiliary_step, *makes)


# --- the network that is handed in


@pytest.mark.points(1)
def test_narrow_enough(lab10_slimmed_onnx):
    measured, original = artifacts.measured(lab10_slimmed_onnx), artifacts.measured_baseline()
    left = measured.macs / original.macs
    assert left <= 0.25, (
        f"at most 25 % of the MACs may be left: {measured.macs:,} of {original.macs:,} are ({left:.1%}). Is it the "
        "narrow network that was exported, and was the budget 0.25?"
    )


@pytest.mark.points(4)
def test_accuracy_with_a_quarter_of_the_macs(lab10_slimmed_onnx, award):
    measured, original = artifacts.measured(lab10_slimmed_onnx), artifacts.measured_baseline()
    assert measured.macs <= 0.25 * original.macs, "accuracy counts once three quarters of the MACs are gone"
    award(*artifacts.ramp("lab10_slimmed", measured, original))
