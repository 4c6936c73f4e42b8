"""Visible tests of lab 8. A test's first argument is the exercise that it grades."""

import functools
import math

import pytest
import torch
from torch import Tensor, nn

from course_utils import artifacts, expect
from course_utils.contracts import Contract, faults_of


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def filled(layer, seed=0):
    """The layer in float64, with weights and biases from a seed."""
    layer = layer.double()
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed + number)
    return layer


def pointwise(inputs, outputs, bias=False, seed=10, kernel=1, **options):
    return filled(nn.Conv2d(inputs, outputs, kernel, bias=bias, **options), seed)


def conv(inputs, outputs, kernel=3, seed=0, bias=False, **options):
    return filled(nn.Conv2d(inputs, outputs, kernel, bias=bias, **options), seed)


def transposed(inputs, outputs, kernel=2, seed=0, bias=False, **options):
    return filled(nn.ConvTranspose2d(inputs, outputs, kernel, bias=bias, **options), seed)


def not_rounded(came, expected, hint):
    """That numbers in float64 are not merely those of float32: these are nearly right, and of no other cause."""
    if came.shape == expected.shape and came.dtype == expected.dtype == torch.float64:
        off = (came.detach() - expected.detach()).abs().max().item()
        scale = max(1.0, expected.detach().abs().max().item())
        assert not 1e-10 * scale < off < 1e-6 * scale, (
            f"{hint}\n  yours is off by {off:.1g}, as much as float32 rounds, though all that is given is float64: "
            "keep float64 on the way, too"
        )


# --- alpha_schedule

FORMULAS = {
    "step": lambda k, steps: 1 - k / steps,
    "multiplicative": lambda k, steps: 0.5**k,
    "exponential": lambda k, steps: math.exp(-5 * k / steps),
    "cosine": lambda k, steps: (1 + math.cos(math.pi * k / steps)) / 2,
}
LIMIT = 0.015


def cut(values, limit=LIMIT):
    return [value if value >= limit else 0.0 for value in values]


def schedule(kind, steps, limit=LIMIT):
    """The levels as they are meant."""
    return torch.tensor([*cut([FORMULAS[kind](k, steps) for k in range(steps)], limit), 0.0], dtype=torch.float64)


def other_schedules(kind, steps):
    """What comes out with mistakes that are often made with the levels of a kind."""
    meant = schedule(kind, steps)
    mistakes = {
        **other_levels(kind, steps),
        f'a limit that "{kind}" does not have: it holds for all four kinds': schedule(kind, steps, 0.0),
        "a list that ends with its first 0: those behind it are levels, too": meant[: int((meant > 0).sum()) + 1],
        "small levels raised to 0.015": torch.cat([meant[:-1].clamp(min=LIMIT), meant[-1:]]),
        **{f"a limit of {other}": schedule(kind, steps, other) for other in (0.01, 0.02, 0.05, 0.15)},
        "levels that are rounded to two places": (100 * meant).round() / 100,
    }
    tensors = {words: torch.as_tensor(value).double() for words, value in mistakes.items()}
    return {words: value for words, value in tensors.items() if not expect.alike(value, meant)}


def other_levels(kind, steps):
    """What comes out with other formulas, or levels that are not counted from 0 to K."""

    def by(formula, last=True):
        return torch.tensor([*cut([formula(k) for k in range(steps)]), *([0.0] * last)], dtype=torch.float64)

    right = FORMULAS[kind]
    every = [right(k, steps) for k in range(steps + 1)]
    special = {
        "step": {
            "1 - k / (K + 1)": by(lambda k: 1 - k / (steps + 1)),
            "1 - k / (K - 1)": by(lambda k: 1 - k / max(steps - 1, 1)),
        },
        "multiplicative": {
            "2^(-k / K): half of what was there is left after ALL steps, not after each": by(
                lambda k: 0.5 ** (k / steps)
            ),
            "e^-k in place of 2^-k": by(lambda k: math.exp(-k)),
            "1 / (k + 1) in place of 2^-k": by(lambda k: 1 / (k + 1)),
            "10^-k in place of 2^-k": by(lambda k: 10.0**-k),
        },
        "exponential": {
            "c = 5 in place of c = 5 / K": by(lambda k: math.exp(-5 * k)),
            "c = 1 in place of c = 5 / K": by(lambda k: math.exp(-k)),
            "c = 1 / K in place of c = 5 / K": by(lambda k: math.exp(-k / steps)),
            "c = K / 5 in place of c = 5 / K": by(lambda k: math.exp(-k * steps / 5)),
            "c = 5 / (K - 1) in place of c = 5 / K": by(lambda k: math.exp(-5 * k / max(steps - 1, 1))),
            "2^(-c k) in place of exp(-c k)": by(lambda k: 0.5 ** (5 * k / steps)),
            "a curve that is shifted and stretched so that it ends at 0 by itself": by(
                lambda k: (math.exp(-5 * k / steps) - math.exp(-5)) / (1 - math.exp(-5))
            ),
        },
        "cosine": {
            "a quarter of a wave, cos(pi k / 2K): half a wave, (1 + cos(pi k / K)) / 2, begins and ends flat": by(
                lambda k: math.cos(math.pi * k / (2 * steps))
            ),
            "cos(pi k / K) alone, which falls below 0": by(lambda k: math.cos(math.pi * k / steps)),
            "1 + cos(pi k / K), without the half": by(lambda k: 1 + math.cos(math.pi * k / steps)),
            "a whole wave, 2 pi k / K": by(lambda k: (1 + math.cos(2 * math.pi * k / steps)) / 2),
            "degrees: `math.cos` takes radians, pi k / K": by(lambda k: (1 + math.cos(180 * k / steps)) / 2),
            "K + 1 in place of K": by(lambda k: (1 + math.cos(math.pi * k / (steps + 1))) / 2),
            "K - 1 in place of K": by(lambda k: (1 + math.cos(math.pi * k / max(steps - 1, 1))) / 2),
            "1 - sin(pi k / 2K)": by(lambda k: 1 - math.sin(math.pi * k / (2 * steps))),
        },
    }[kind]
    return {
        **special,
        **{
            f'the levels of "{other}"': by(lambda k, other=other: FORMULAS[other](k, steps))
            for other in FORMULAS
            if other != kind
        },
        "a last level that is not set to EXACTLY 0; as long as it is not, the wide way cannot be dropped": cut(every),
        "one level too few: alpha_(K - 1) is missing": [*every[: steps - 1], 0.0],
        "one level too few: the last, 0, is missing": every[:steps],
        "one level too many": [*cut(every), 0.0],
        "a 1 put in front of levels that begin with k = 0, and so with a 1 of their own: 1 comes twice": [
            1.0,
            *cut(every[: steps - 1]),
            0.0,
        ],
        "alpha_1 at the start, not alpha_0 = 1": [*cut(every[1:]), 0.0],
        "alpha in percent": 100 * by(lambda k: right(k, steps)),
        "levels that rise, from 0 to 1": by(lambda k: right(k, steps)).flip(0),
        "1 - alpha, the share of the narrow way": 1 - by(lambda k: right(k, steps)),
    }


def levels(alpha_schedule, kind, steps, mistakes=None):
    """The answer as numbers in float64, as many as there are levels."""
    hint = "return a list of floats, the levels of alpha in the order in which they come"
    try:
        answer = alpha_schedule(kind, steps)
    except ValueError as error:
        said = f'"{kind}" with {steps} steps is a schedule, no ValueError'
        raise AssertionError(f"{said}\n  yours: {error}") from None
    assert answer is not None, "your function returned None: is the `return` missing?"
    try:
        listed = list(answer) if hasattr(answer, "__len__") and not isinstance(answer, Tensor) else answer
        found = torch.as_tensor(listed, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{hint}\n  yours is a {type(answer).__name__}: {expect.show(answer)}") from None
    assert found.ndim == 1, f"{hint}\n  yours: {expect.show(found)}"
    if len(found) != steps + 1:
        hint = f"alpha_0 … alpha_K: with K = {steps} there are K + 1 = {steps + 1} levels, those that are 0 among them"
        said = expect.mistaken(found, mistakes)
        raise AssertionError(expect.say(f"{hint}\n  yours are {len(found)}", schedule(kind, steps), found, said))
    return found


def schedule_hint(kind):
    return {
        "step": '"step": alpha_k = 1 - k / K, equal steps',
        "cosine": '"cosine": alpha_k = (1 + cos(pi k / K)) / 2, half a wave, in radians',
        "multiplicative": '"multiplicative": alpha_k = 2^-k, half of what was there, whatever K is',
        "exponential": '"exponential": alpha_k = exp(-c k) with c = 5 / K',
    }[kind]


@pytest.mark.points(1)
@pytest.mark.parametrize("kind", FORMULAS)
def test_the_levels_of_each_kind(alpha_schedule, kind):
    for steps in (5, 1):
        hint = f"{schedule_hint(kind)}; here K = {steps}, and the last level is EXACTLY 0"
        mistakes = other_schedules(kind, steps)
        found = levels(alpha_schedule, kind, steps, mistakes)
        expect.same(found, schedule(kind, steps), hint, tolerance=1e-6, mistakes=mistakes)
        assert found[-1] == 0, expect.say(f'"{kind}": the last level is EXACTLY 0', 0.0, found[-1])


@pytest.mark.points(1)
def test_what_is_below_the_limit_is_zero(alpha_schedule):
    for kind, steps, limit in (
        ("multiplicative", 9, "2^-6 = 0.0156 stays, 2^-7 = 0.0078 does not"),
        ("exponential", 10, "exp(-4) = 0.018 stays, exp(-4.5) = 0.011 does not"),
        ("cosine", 20, "(1 + cos(18 pi / 20)) / 2 = 0.024 stays, (1 + cos(19 pi / 20)) / 2 = 0.006 does not"),
        ("step", 80, "1 - 78 / 80 = 0.025 stays, 1 - 79 / 80 = 0.0125 does not"),
    ):
        right, mistakes = schedule(kind, steps), other_schedules(kind, steps)
        hint = f'below 0.015 a level is exactly 0, also with "{kind}": {limit} (K = {steps})'
        found = levels(alpha_schedule, kind, steps, mistakes)
        expect.same(found, right, hint, tolerance=1e-6, mistakes=mistakes)
        assert bool((found[right == 0] == 0).all()), f"{hint}; EXACTLY 0\n  yours: {expect.show(found[right == 0])}"
    hint = (
        'a long schedule, "multiplicative" with 1100 steps: 0.5**k becomes 0, but 2**k is too large for an int64 from '
    )
    hint += "k = 63 on, and 2.0**k is too large for a float from k = 1024 on"
    try:
        found = levels(alpha_schedule, "multiplicative", 1100)
    except OverflowError as error:
        raise AssertionError(f"{hint}\n  yours stopped with OverflowError: {error}") from None
    expect.same(found, schedule("multiplicative", 1100), hint, tolerance=1e-6)


@pytest.mark.points(1, alone=False)
def test_what_is_no_schedule(alpha_schedule):
    for kind in ("linear", "sigmoid", "exp", "cosines", ""):
        hint = f'"{kind}" is none of the four kinds: raise ValueError'
        expect.raises(ValueError, hint, alpha_schedule, kind, 4)
    for kind in FORMULAS:
        for steps in (0, -1):
            hint = f'"{kind}" with {steps} steps: alpha needs at least one step from 1 to 0: raise ValueError'
            expect.raises(ValueError, hint, alpha_schedule, kind, steps)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_alpha_schedule_needs(alpha_schedule):
    Contract(gives=[float]).hold(alpha_schedule, lambda: {"kind": "exponential", "steps": 7})


# --- alpha_mix


def other_mixes(wide, narrow, alpha):
    """What comes out with mistakes that are often made with a weighted mean."""
    rest = 1 - alpha
    return {
        "alpha and 1 - alpha in each other's place: alpha is the share of the WIDE way": rest * wide + alpha * narrow,
        "alpha · (wide + (1 - alpha) · narrow): brackets that make alpha count for the narrow way, too": alpha
        * (wide + rest * narrow),
        "(alpha · wide + 1 - alpha) · narrow: brackets around what is to be added": (alpha * wide + rest) * narrow,
        "alpha · wide + 1 - alpha · narrow: the brackets around 1 - alpha are missing": alpha * wide
        + 1
        - alpha * narrow,
        "alpha · wide + narrow: all of the narrow way, whatever alpha is": alpha * wide + narrow,
        "wide + (1 - alpha) · narrow: all of the wide way, whatever alpha is": wide + rest * narrow,
        "wide + alpha · narrow": wide + alpha * narrow,
        "alpha · (wide + narrow)": alpha * (wide + narrow),
        "wide + narrow, without alpha": wide + narrow,
        "the mean of the two, without alpha": (wide + narrow) / 2,
        "the difference, alpha · wide - (1 - alpha) · narrow": alpha * wide - rest * narrow,
        "square roots of the shares, sqrt(alpha) and sqrt(1 - alpha)": math.sqrt(alpha) * wide
        + math.sqrt(rest) * narrow,
        "squares of the shares": alpha**2 * wide + rest**2 * narrow,
        "half of it": (alpha * wide + rest * narrow) / 2,
        "a ReLU on the mix, which may be negative": (alpha * wide + rest * narrow).relu(),
        "alpha · wide alone": alpha * wide,
        "(1 - alpha) · narrow alone": rest * narrow,
        "the wide way alone": wide,
        "the narrow way alone": narrow,
    }


def same_mix(alpha_mix, wide, narrow, alpha, hint):
    """That a mix is right; of mistakes that give the same at this alpha only those that alpha 0.4 bears out."""
    answer = expect.tensor(alpha_mix(*expect.copies(wide, narrow), alpha), hint)
    expected = alpha * wide + (1 - alpha) * narrow
    not_rounded(answer, expected, hint)
    mistakes = other_mixes(wide, narrow, alpha)
    likely = [words for words, value in mistakes.items() if expect.alike(answer, value)]
    if len(likely) > 1 and not expect.close(wide, narrow, 0.1):
        further = expect.tensor(alpha_mix(*expect.copies(wide, narrow), 0.4), hint)
        others = other_mixes(wide, narrow, 0.4)
        borne_out = [words for words in likely if expect.alike(further, others[words])] or likely
        mistakes = {words: value for words, value in mistakes.items() if words in borne_out or words not in likely}
    expect.same(answer, expected, hint, mistakes=mistakes)


@pytest.mark.points(2)
def test_a_share_of_each(alpha_mix):
    wide, narrow = numbers(2, 3, 4, 5), numbers(2, 3, 4, 5, seed=1)
    for alpha in (0.7, 0.3, 0.01):
        hint = f"alpha · wide + (1 - alpha) · narrow: at alpha {alpha} the WIDE way counts {alpha:g}, the narrow way "
        same_mix(alpha_mix, wide, narrow, alpha, f"{hint}{1 - alpha:g}")
    hint = "behind a linear layer the maps have two axes, (N, C): the mix is the same"
    try:
        same_mix(alpha_mix, numbers(5, 7), numbers(5, 7, seed=1), 0.9, hint)
    except (IndexError, RuntimeError, ValueError) as error:
        said = "a mix of any shape needs no axis by name or number"
        raise AssertionError(f"{hint}; {said}\n  yours stopped with {type(error).__name__}: {error}") from None


@pytest.mark.points(1)
def test_the_ends(alpha_mix):
    wide, narrow = numbers(2, 3, 4, 4), numbers(2, 3, 4, 4, seed=1)
    for alpha, hint in (
        (1.0, "at alpha 1 the next layer sees the wide way, as if there were no branch"),
        (0.0, "at alpha 0 it sees the narrow one, not a trace of the other"),
    ):
        same_mix(alpha_mix, wide, narrow, alpha, hint)


@pytest.mark.points(1)
def test_both_ways_learn(alpha_mix):
    for learns, other in (("wide", "narrow"), ("narrow", "wide")):
        ways = {"wide": numbers(2, 3, 4, 4), "narrow": numbers(2, 3, 4, 4, seed=1)}
        ways[learns].requires_grad_()
        answer = alpha_mix(ways["wide"], ways["narrow"], 0.5)
        hint = f"only the {learns} way requires grad here, and no gradient flows back into it: without gradients it "
        hint += f"learns nothing, however well the {other} way does. No detach, .data or no_grad"
        assert isinstance(answer, Tensor), f"return a tensor; yours is of type {type(answer).__name__}"
        assert answer.requires_grad, hint


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_alpha_mix_needs(alpha_mix):
    Contract(gives=Tensor, dtype=True).hold(
        alpha_mix,
        lambda: {
            "wide": numbers(2, 3, 4, 5, dtype=torch.float32),
            "narrow": numbers(2, 3, 4, 5, seed=1, dtype=torch.float32),
            "alpha": 0.3,
        },
    )


# --- make_branch

SEQUENTIAL = (
    "return an nn.Sequential of ConvA, batch norm, ReLU and ConvB: PyTorch's own layers, or classes of yours that "
    "keep the `forward` of these"
)
SIZES = ((12, 5), (6, 1), (4, 4), (20, 10))


def as_torch_computes(layer):
    """Whether a layer's class is PyTorch's, or changes nothing of one but how it is made and shown."""
    classes = type(layer).__mro__
    place = next(place for place, cls in enumerate(classes) if cls.__module__.startswith("torch."))
    own = {name for cls in classes[:place] for name in vars(cls)} - {"extra_repr"}
    asked = {"__call__", "__iter__", "__getitem__", "__len__"}
    return not any(hasattr(classes[place], name) for name in own if not name.startswith("__") or name in asked)


def branch_of(make_branch, channels, kept):
    """The answer, which must be an nn.Sequential that computes as PyTorch says, and the layers in it, in order."""
    branch = make_branch(channels, kept)
    assert branch is not None, "your function returned None: is the `return` missing?"
    yours = f"{SEQUENTIAL}\n  yours is a {type(branch).__name__}"
    assert isinstance(branch, nn.Sequential) and as_torch_computes(branch), yours
    for layer in branch.modules():
        assert as_torch_computes(layer), f"{yours} with a {type(layer).__name__}, which computes in its own way"
    return branch, [layer for layer in branch.modules() if not isinstance(layer, nn.Sequential)]


def convolutions_of(make_branch, channels, kept):
    """The two convolutions of the answer."""
    _, layers = branch_of(make_branch, channels, kept)
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    hint = f"a branch has two convolutions, ConvA and ConvB, also from {channels} channels to {kept}"
    assert len(convolutions) == 2, f"{hint}\n  your layers: {names_of(layers)}"
    return convolutions


def names_of(layers):
    return ", ".join(type(layer).__name__ for layer in layers) or "none"


@pytest.mark.points(1, alone=False)
def test_down_to_the_kept_channels_and_up_again(make_branch):
    for channels, kept in SIZES:
        convolutions = convolutions_of(make_branch, channels, kept)
        shapes = [(layer.in_channels, layer.out_channels) for layer in convolutions]
        hint = f"ConvA goes from {channels} to {kept} channels, ConvB back from {kept} to {channels}"
        up = 8 * math.ceil(kept / 8)
        mistakes = {
            "`channels` and `kept` in each other's place": [(kept, channels), (channels, kept)],
            "a ConvB that stays narrow": [(channels, kept), (kept, kept)],
            "a ConvA that stays wide": [(channels, channels), (channels, channels)],
            "`channels - kept`, those that go, in place of those that are kept": [
                (channels, channels - kept),
                (channels - kept, channels),
            ],
            "another number of kept channels, rounded up to a multiple of 8": [(channels, up), (up, channels)],
        }
        expect.equal(shapes, [(channels, kept), (kept, channels)], hint, mistakes=mistakes)
        for layer, name in zip(convolutions, ("ConvA", "ConvB"), strict=True):
            plain = (layer.kernel_size, layer.stride, layer.groups) == ((1, 1), (1, 1), 1)
            assert plain and layer.padding in ((0, 0), "same", "valid"), (
                f"{name} is a 1×1 convolution without stride, padding and groups\n  yours: {layer}"
            )


@pytest.mark.points(1, alone=False)
def test_neither_convolution_has_a_bias(make_branch):
    for channels, kept in ((8, 3), (4, 4)):
        first, last = convolutions_of(make_branch, channels, kept)
        hint = "ConvA needs no bias: the batch norm behind it takes the mean, and the bias with it, off again"
        assert first.bias is None, f"{hint}. bias=False, since one of zeros would still be trained"
        hint = (
            "ConvB has a bias. It is there inside the image, but not in the zeros that the next layer pads with, so at "
            "the border no merged bias is right: bias=False, since one of zeros would still be trained"
        )
        assert last.bias is None, hint


ENDS = {
    "before ConvA: it is merged with the layer in front": 0,
    "behind ConvB: it is merged with the layer behind it": -1,
}


@pytest.mark.points(1, alone=False)
def test_the_order_of_the_four_layers(make_branch):
    for channels, kept in SIZES:
        convolutions_of(make_branch, channels, kept)  # says so where they are missing
        branch, layers = branch_of(make_branch, channels, kept)
        names = names_of(branch)
        here = f"(here from {channels} channels to {kept})"
        hint = "the four layers stand in ONE nn.Sequential, in a row: `first, *middle, last = branch` must give ConvA "
        assert not any(isinstance(layer, nn.Sequential) for layer in branch), f"{hint}and ConvB\n  yours holds: {names}"
        for where, place in ENDS.items():
            hint = f"the {'first' if place == 0 else 'last'} of the layers is a 1×1 convolution, and nothing may stand "
            hint += f"{where}, and a batch norm, a ReLU or anything else would be in the way {here}"
            assert layers and isinstance(layers[place], nn.Conv2d), f"{hint}\n  yours: {names}"
        middle = [layer for layer in layers[1:-1] if not isinstance(layer, nn.Identity)]
        hint = f"between ConvA and ConvB stands what stands in the wide way: a batch norm, then a ReLU {here}"
        kinds = [isinstance(layer, kind) for layer, kind in zip(middle, (nn.BatchNorm2d, nn.ReLU), strict=False)]
        assert kinds == [True, True] and len(middle) == 2, f"{hint}\n  yours: {names}"
        hint = f"the batch norm stands behind ConvA: it sees the {kept} kept channels, not {channels}"
        expect.equal(middle[0].num_features, kept, hint)


@pytest.mark.points(1)
def test_a_new_branch_begins_as_pytorch_makes_its_layers(make_branch):
    _, layers = branch_of(make_branch, 6, 2)
    two = sum(isinstance(layer, nn.Conv2d) for layer in layers) == 2
    assert two, f"a branch has two convolutions\n  your layers: {names_of(layers)}"
    for norm in (layer for layer in layers if isinstance(layer, nn.BatchNorm2d)):
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            hint = f"a new batch norm has {name} {value:g} in each channel, as PyTorch makes it"
            if getattr(norm, name) is not None:
                expect.same(getattr(norm, name), torch.full((norm.num_features,), value), hint)


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_make_branch_needs(make_branch):
    Contract(gives=nn.Sequential, draws="result").hold(make_branch, lambda: {"channels": 6, "kept": 2})
    branch, layers = branch_of(make_branch, 6, 2)
    memory = [values.untyped_storage().data_ptr() for values in branch.parameters()]
    assert len(set(memory)) == len(memory), (
        "two weights of the branch share their memory, so that a training step of one moves the other, too: give each "
        "layer weights of its own"
    )
    dtypes = {str(values.dtype) for values in branch.parameters()}
    hint = "the weights of a new branch are float32, as PyTorch makes them"
    assert dtypes <= {"torch.float32"}, f"{hint}\n  yours: {', '.join(sorted(dtypes))}"
    for layer in (layer for layer in layers if isinstance(layer, nn.Conv2d)):
        hint = "the weights of a new convolution are random numbers, as PyTorch draws them: all that is 0 or equal at "
        hint += "first does not tell one channel from the other (and behind a ConvB of zeros no gradient reaches ConvA)"
        various = layer.weight.detach().unique().numel() > layer.weight.numel() // 2
        assert various, f"{hint}\n  your weight: {expect.show(layer.weight)}"
    off = [layer for layer in branch.modules() if not layer.training]
    hint = "a new branch is in training mode: in evaluation mode its batch norm would gather no statistics"
    assert not off, f"{hint}\n  in evaluation mode: {names_of(off)}"
    for norm in (layer for layer in layers if isinstance(layer, nn.BatchNorm2d)):
        hint = "the batch norm has a weight and a bias that learn, and running statistics, as the one in the wide way"
        settings = f"affine={norm.affine}, track_running_stats={norm.track_running_stats}"
        assert norm.affine and norm.track_running_stats, f"{hint}\n  yours: {settings}"
        assert norm.eps <= 1e-3, (
            f"the batch norm's eps is {norm.eps:g}, which shrinks all that goes through; PyTorch's is 1e-05. (The "
            "second argument of nn.BatchNorm2d is eps)"
        )


# --- merged layers

SETTINGS = ("stride", "padding", "dilation", "padding_mode", "output_padding", "groups")
REASONS = {
    "NoneType": "each of the two biases may be missing, and is None then: `plus` takes it as it is, `@` and `+` do not",
    "Boolean value": "ask whether `bias is not None`: a tensor of several numbers is neither true nor false",
    "in-place": "a parameter is written to under `torch.no_grad()`, or by its `.data`",
    "greater than actual input size": "a merge needs no image: one of any fixed size is too small for some window",
    "'str' and 'int'": '`conv.padding` may be a word, "same" or "valid": `pads(conv)` knows both',
}


def merged(merge, pair, hint):
    """The one layer that the answer makes of a pair that can be merged; an AssertionError if it makes none."""
    this = f"this pair: {pair[0]} and {pair[1]}"
    try:
        layer = merge(*expect.copies(*pair))
    except NotImplementedError:
        raise
    except ValueError as error:
        said = "this pair can be merged exactly, and must not be refused"
        if "must be a 1×1 convolution" in str(error):
            said += ". `check_pair(conv, pointwise)` takes the 1×1 convolution last, also where it stands in front"
        raise AssertionError(f"{said}: {hint}\n  {this}\n  yours: {error}") from None
    except (AttributeError, RuntimeError, TypeError) as error:
        reason = next((reason for words, reason in REASONS.items() if words in str(error)), "")
        if not reason and not isinstance(error, RuntimeError):
            raise
        window = next((layer.kernel_size for layer in pair if layer.kernel_size != (1, 1)), (1, 1))
        said = reason or f"{hint}\n  kernel_size is that of `conv`, both numbers: {window}"
        raise AssertionError(f"{said}\n  {this}\n  yours stopped: {error}") from None
    assert layer is not None, "your function returned None: is the `return` missing?"
    kind = nn.ConvTranspose2d if isinstance(pair[1], nn.ConvTranspose2d) else nn.Conv2d
    name = type(layer).__name__
    assert isinstance(layer, kind), f"return one nn.{kind.__name__} in place of the two\n  yours is a {name}"
    return layer


def same_weight(layer, expected, hint, mistakes=None):
    hint = f"the merged weight, {hint}"
    not_rounded(layer.weight, expected, hint)
    expect.same(layer.weight, expected, hint, mistakes=mistakes)


def same_bias(layer, expected, hint, mistakes=None):
    """The merged bias; zeros are as good as none."""
    bias = torch.zeros_like(expected) if layer.bias is None else layer.bias
    hint = f"the merged bias: {hint}"
    if layer.bias is None and bool((expected != 0).any()):
        hint += "; yours has no bias"
    not_rounded(bias, expected, hint)
    expect.same(bias, expected, hint, mistakes=mistakes)


def same_settings(layer, pair, weight, bias, images, hint, given=None):
    """With the right weight and bias, a layer of these settings gives what the pair gives, borders included.

    `given`: which one of the pair is `conv`; without it the one that has a window.
    """
    settings = {name: getattr(layer, name) for name in SETTINGS if hasattr(layer, name)}
    given = given or (pair[0] if pair[0].kernel_size != (1, 1) else pair[1])
    if isinstance(layer, nn.Conv2d):
        settings.pop("output_padding", None)
    differ = [
        f"its {name} is {value!r}, that of `conv` is {getattr(given, name)!r}"
        for name, value in settings.items()
        if value != getattr(given, name)
    ]
    with torch.no_grad():
        expected = nn.Sequential(*pair)(images)
        try:
            alike = type(given)(2, 2, weight.shape[2:], **settings).to(weight.dtype)
            alike.weight, alike.bias = nn.Parameter(weight), nn.Parameter(bias)
            came = alike(images)
        except (RuntimeError, ValueError) as error:
            raise AssertionError("\n  ".join([hint, f"the merged layer stopped: {error}", *differ])) from None
    said = "\n  ".join([f"{hint}\n  compared with the right weight and bias in it", *differ])
    expect.same_shape(came, expected.shape, f"{said}\n  what comes out has another size")
    off = off_by(came, expected)
    assert off.max() < 1e-10, f"{said}\n  {where_off(off)}"


def off_by(came, expected):
    """How far a result is off, pixel by pixel (H, W), in standard deviations of what is expected."""
    return ((came - expected).abs().amax((0, 1)) / expected.std()).nan_to_num(torch.inf)


def where_off(off):
    height, width = (max(1, side // 4) for side in off.shape)
    inside = off[height:-height, width:-width]
    border = inside.numel() and inside.max() < 1e-10 * max(1, off.max())
    return (
        f"off by up to {off.max():.2g} standard deviations{', but only at the border of the image' if border else ''}"
    )


def check_outputs(layer, pair, images, hint):
    """On full images, borders included, the merged layer gives what the pair gives, up to rounding."""
    exact = layer.weight.dtype == torch.float64
    with torch.no_grad():
        expected = nn.Sequential(*pair)(images)
        try:
            came = layer(images.to(layer.weight.dtype)).double()
        except RuntimeError as error:
            raise AssertionError(f"{hint}\n  the merged layer stopped: {error}") from None
    expect.same_shape(came, expected.shape, f"{hint}\n  what comes out has another size")
    off = off_by(came, expected)
    assert off.max() < (1e-10 if exact else 1e-4), f"{hint}\n  {where_off(off)}"


def refused(merge, pairs):
    """Pairs of layers that no merge takes, by what is wrong with them."""
    for words, pair in pairs.items():
        hint = f"{words}: such a pair is not merged, raise ValueError (`check_pair(conv, pointwise)` does)"
        expect.raises(ValueError, f"{hint}\n  this pair: {pair[0]} and {pair[1]}", merge, *pair)


def wrong_pairs(kind):
    """What is wrong → a layer, and what should be a plain 1×1 convolution."""
    return {
        "`conv` has groups": (kind(4, 4, groups=2), pointwise(4, 4)),
        "the 1×1 convolution has groups": (kind(4, 4), pointwise(4, 4, groups=2)),
        "the second convolution has a window of 3×3, not 1×1": (kind(4, 4), pointwise(4, 4, kernel=3)),
        "the second convolution has a window of 1×3, not 1×1": (kind(4, 4), pointwise(4, 4, kernel=(1, 3))),
        "the second convolution has a window of 3×1, not 1×1": (kind(4, 4), pointwise(4, 4, kernel=(3, 1))),
        "the 1×1 convolution has stride 2": (kind(4, 4), pointwise(4, 4, stride=2)),
        "the 1×1 convolution has stride (1, 2)": (kind(4, 4), pointwise(4, 4, stride=(1, 2))),
        "the 1×1 convolution has padding 1": (kind(4, 4), pointwise(4, 4, padding=1)),
        "the 1×1 convolution has padding (0, 1)": (kind(4, 4), pointwise(4, 4, padding=(0, 1))),
    }


def turned(pairs):
    """The same pairs with the 1×1 convolution in front."""
    return {words.replace("second", "first"): pair[::-1] for words, pair in pairs.items()}


def hold(merge, *pairs):
    """What every caller needs of a merge, on some pairs of layers; of the last pair, only that the sizes fit."""
    kind = nn.ConvTranspose2d if isinstance(pairs[0][1], nn.ConvTranspose2d) else nn.Conv2d

    def make(pair):
        names = ("pointwise", "conv") if pair[0].kernel_size == (1, 1) else ("conv", "pointwise")
        return dict(zip(names, (layer.float() for layer in expect.copies(*pair)), strict=True))

    Contract(gives=kind, dtype=True, draws=True).hold(merge, *(functools.partial(make, pair) for pair in pairs[:-1]))
    weight = merge(*make(pairs[0]).values()).weight
    said = f"the weight must be a Parameter of the layer, or no optimizer finds it; yours is a {type(weight).__name__}"
    assert isinstance(weight, nn.Parameter), said
    try:
        layer = merge(*make(pairs[-1]).values())
    except RuntimeError:
        return  # of numbers of channels that differ: the test of the weight says so
    for problem in faults_of(layer, []):
        raise AssertionError(problem)


ONE = "an axis of one channel stays an axis: `squeeze` drops it too, `weight[:, :, 0, 0]` does not"

# --- merge_conv_1x1

MIX = (
    "W[o] = sum over m of A[o, m] · W1[m]: the sum goes over the channels "
    "BETWEEN the two; (outputs of A, inputs of conv, kH, kW)"
)


def conv_1x1(pair):
    """The weight and the bias of a convolution and a 1×1 convolution behind it."""
    kernel, mix = pair[0].weight.detach(), pair[1].weight.detach()[:, :, 0, 0]
    first, second = biases_of(pair)
    return torch.einsum("om,mikl->oikl", mix, kernel), mix @ first + second


def biases_of(pair):
    """The biases of two layers, zeros where there is none."""
    return [layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias.detach() for layer in pair]


def other_weights(right, einsums, kernel, matrix):
    """What comes out with mistakes that are often made with a merged weight, if all numbers of channels are equal."""
    return {
        **{words: torch.einsum(letters, matrix, kernel) for words, letters in einsums.items()},
        "the first two axes of the result swapped": right.transpose(0, 1),
        "the mean over m in place of the sum": right / len(matrix),
        "the kernel alone: the matrix of the 1×1 convolution has no part in it": kernel,
        "a kernel that is flipped": right.flip(2, 3),
        "rows and columns of the kernel swapped": right.transpose(2, 3),
    }


def weights_before(pair):
    """What comes out with mistakes that are often made with the merged weight, if all numbers of channels are equal."""
    kernel, mix = pair[0].weight.detach(), pair[1].weight.detach()[:, :, 0, 0]
    einsums = {
        "A transposed, A[m, o] in place of A[o, m]": "mo,mikl->oikl",
        "a sum over the INPUTS of `conv`, in place of its outputs": "om,imkl->oikl",
        "A transposed, and a sum over the inputs of `conv`": "mo,imkl->oikl",
        "no sum over the channels between: each filter times the sum of a row of A": "om,oikl->oikl",
        "no sum over the channels between: only the diagonal of A": "oo,oikl->oikl",
    }
    return other_weights(conv_1x1(pair)[0], einsums, kernel, mix)


@pytest.mark.points(2)
def test_the_weight_of_both(merge_conv_1x1):
    pair = conv(4, 4, (3, 2)), pointwise(4, 4)
    hint = f"4 channels in, between and out: {MIX}"
    same_weight(merged(merge_conv_1x1, pair, MIX), conv_1x1(pair)[0], hint, weights_before(pair))
    for inputs, between, outputs, hint in ((3, 4, 5, MIX), (3, 1, 5, ONE), (3, 4, 1, ONE), (1, 4, 5, ONE)):
        pair = conv(inputs, between, (3, 2)), pointwise(between, outputs)
        hint = f"{inputs} channels in, {between} between and {outputs} out: {hint}"
        same_weight(merged(merge_conv_1x1, pair, hint), conv_1x1(pair)[0], hint)


BOTH = {
    (True, True): "b = A b1 + bA: the bias b1 of `conv` passes through the 1×1 one, its own is added",
    (False, True): "the 1×1 convolution's bias bA stays: b = A b1 + bA, without b1 here",
    (True, False): "the bias b1 of `conv` passes through the 1×1 one: b = A b1 + bA, without bA here",
    (False, False): "neither has a bias, so nothing may be added",
}


def biases_before(pair):
    """What comes out with mistakes that are often made with the merged bias, if all numbers of channels are equal."""
    mix, kernel = pair[1].weight.detach()[:, :, 0, 0], pair[0].weight.detach()
    b1, added = biases_of(pair)
    one = (pair[0].bias is None) != (pair[1].bias is None)
    return {
        "b1 + bA: b1 did not pass through A": b1 + added,
        "A b1 alone: bA is lost": mix @ b1,
        "bA alone: b1 is lost": added,
        "A transposed: b1 A + bA": b1 @ mix + added,
        "the mean over m in place of the sum A b1": (mix @ b1) / len(mix) + added,
        "A (b1 + bA): bA passes through A as well": mix @ (b1 + added),
        "A b1 - bA": mix @ b1 - added,
        "bA added twice (what the 1×1 convolution makes of b1 has bA in it already)": mix @ b1 + 2 * added,
        "b1 alone": None if one else b1,  # where there is one only, it is in the lines above
        "the formula of the other merge, a sum over the window": kernel.sum((2, 3)) @ added + b1,
        "b1 times the sum of each row of A": mix.sum(1) * b1 + added,
        "no bias": None if one else torch.zeros_like(added),
    }


@pytest.mark.points(1)
def test_the_biases_of_both(merge_conv_1x1):
    for (first, second), hint in BOTH.items():
        pair = conv(4, 4, bias=first, padding=1), pointwise(4, 4, bias=second)
        hint += "" if first is second is False else "; a 1×1 convolution sees only results, so no padding is in the way"
        same_bias(merged(merge_conv_1x1, pair, hint), conv_1x1(pair)[1], hint, biases_before(pair))
    pair = conv(4, 4, bias=True, dilation=50), pointwise(4, 4, bias=True)
    hint = "a window of 101 x 101 pixels, in which it is the same: b = A b1 + bA"
    same_bias(merged(merge_conv_1x1, pair, hint), conv_1x1(pair)[1], hint)


@pytest.mark.points(1, alone=False)
def test_stride_padding_and_the_rest_stay(merge_conv_1x1):
    for options in (
        {"stride": (2, 1)},
        {"padding": (2, 1)},
        {"dilation": (1, 2)},
        {"kernel": (4, 3), "padding": "same", "dilation": (1, 3)},
        {"padding": (1, 2), "padding_mode": "reflect"},
        {"padding": (2, 1), "padding_mode": "circular"},
    ):
        pair = conv(4, 4, **options), pointwise(4, 4)
        hint = f"the settings are those of `conv`, here {said_of(options)}"
        layer = merged(merge_conv_1x1, pair, f"{hint}: {MIX}")
        same_settings(layer, pair, *conv_1x1(pair), numbers(2, 4, 9, 9, seed=20), hint)


def said_of(options):
    return ", ".join(f"{name}={value!r}" for name, value in options.items() if name != "kernel")


@pytest.mark.points(1, alone=False)
def test_what_is_no_1x1_behind(merge_conv_1x1):
    refused(merge_conv_1x1, wrong_pairs(conv))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_merge_conv_1x1_needs(merge_conv_1x1):
    hold(
        merge_conv_1x1,
        (conv(4, 4, bias=True, padding=1), pointwise(4, 4, bias=True)),
        (conv(4, 4, stride=2), pointwise(4, 4, bias=True)),
        (conv(3, 4, (3, 2), bias=True), pointwise(4, 5)),
    )


# --- merge_1x1_conv

FAN = (
    "W[o, i] = sum over m of W2[o, m] · B[m, i]: the sum goes over the channels "
    "BETWEEN the two; (outputs of conv, inputs of B, kH, kW)"
)


def one_by_one_conv(pair):
    """The weight and the bias of a 1×1 convolution and a convolution behind it, which does not pad with zeros."""
    kernel, fan = pair[1].weight.detach(), pair[0].weight.detach()[:, :, 0, 0]
    first, second = biases_of(pair)
    return torch.einsum("omkl,mi->oikl", kernel, fan), kernel.sum((2, 3)) @ first + second


def weights_behind(pair):
    """What comes out with mistakes that are often made with the merged weight, if all numbers of channels are equal."""
    kernel, fan = pair[1].weight.detach(), pair[0].weight.detach()[:, :, 0, 0]
    einsums = {
        "B transposed, B[i, m] in place of B[m, i]": "im,omkl->oikl",
        "the letters of the other merge: B mixes the OUTPUTS of `conv`": "om,mikl->oikl",
        "a sum over the OUTPUTS of `conv`, in place of its inputs": "mi,mokl->oikl",
        "B transposed, mixing the outputs of `conv`": "mo,mikl->oikl",
        "no sum over the channels between: each input of `conv` times the sum of a column of B": "mi,oikl->oikl",
        "no sum over the channels between: only the diagonal of B": "ii,oikl->oikl",
    }
    return other_weights(one_by_one_conv(pair)[0], einsums, kernel, fan)


@pytest.mark.points(2)
def test_the_weight_of_the_two(merge_1x1_conv):
    pair = pointwise(4, 4), conv(4, 4, (3, 2))
    hint = f"4 channels in, between and out: {FAN}"
    same_weight(merged(merge_1x1_conv, pair, FAN), one_by_one_conv(pair)[0], hint, weights_behind(pair))
    for inputs, between, outputs, hint in ((3, 4, 5, FAN), (3, 1, 5, ONE), (1, 4, 5, ONE), (3, 4, 1, ONE)):
        pair = pointwise(inputs, between), conv(between, outputs, (3, 2))
        hint = f"{inputs} channels in, {between} between and {outputs} out: {hint}"
        same_weight(merged(merge_1x1_conv, pair, hint), one_by_one_conv(pair)[0], hint)


EVERY = (
    "without a padding every pixel of the window has the bias bB in it: b = b2 + the sum over m, k AND l of "
    "W2[o, m, k, l] · bB[m]"
)


def other_biases(pair):
    """What comes out with mistakes that are often made with the merged bias, if all numbers of channels are equal."""
    kernel, fan = pair[1].weight.detach(), pair[0].weight.detach()[:, :, 0, 0]
    first, second = biases_of(pair)
    window = kernel.sum((2, 3))
    height, width = (side // 2 for side in kernel.shape[2:])
    return {
        "the mean over the window in place of the sum": kernel.mean((2, 3)) @ first + second,
        "b2 + bB: bB did not pass through W2": first + second,
        "b2 alone: bB is lost": second,
        "the share of bB alone: b2 is lost": window @ first,
        "bB times the sum of W2 over m, k and l: the sum over m is of PRODUCTS W2[o, m, k, l] · bB[m]": kernel.sum(
            (1, 2, 3)
        )
        * first
        + second,
        "a product of sums, (sum of W2 over m, k, l) · (sum of bB): it is a sum of PRODUCTS": kernel.sum((1, 2, 3))
        * first.sum()
        + second,
        "the window's sums transposed": window.T @ first + second,
        "only the middle of the window": kernel[:, :, height, width] @ first + second,
        "only the corner [0, 0] of the window": kernel[:, :, 0, 0] @ first + second,
        "the formula of the other merge, B b2 + bB": fan @ second + first,
        "the merged weight in place of W2": one_by_one_conv(pair)[0].sum((2, 3)) @ first + second,
        "bB passed through B a second time": window @ (fan @ first) + second,
        "b2 added twice": window @ first + 2 * second,
        "b2 minus the share of bB": second - window @ first,
        "no bias": torch.zeros(len(second)).double(),
    }


EITHER = {
    (True, True): EVERY,
    (True, False): f"{EVERY}, without b2 here",
    (False, True): "the bias b2 of `conv` stays, and there is no bB here",
    (False, False): "neither has a bias, so nothing may be added",
}


@pytest.mark.points(2)
def test_the_biases_without_padding(merge_1x1_conv):
    for (first, second), hint in EITHER.items():
        for options in ({}, {"padding": "valid", "stride": 2, "dilation": 50}):
            pair = pointwise(4, 4, bias=first), conv(4, 4, (3, 2), bias=second, **options)
            why = ""
            if options and first:
                why = '; padding="valid" pads nothing, as `pads(conv)` knows'
            layer = merged(merge_1x1_conv, pair, hint + why)
            same_bias(layer, one_by_one_conv(pair)[1], hint, other_biases(pair))


@pytest.mark.points(1, alone=False)
def test_the_settings_and_the_border_without_a_bias_in_front(merge_1x1_conv):
    for options in (
        {"padding": 1},
        {"padding": (2, 1), "stride": (2, 1)},
        {"padding": 2, "dilation": (1, 2)},
        {"kernel": (4, 3), "padding": "same", "dilation": (1, 3)},
        {"padding": (1, 2), "padding_mode": "reflect"},
    ):
        pair = pointwise(4, 4), conv(4, 4, **options)
        hint = f"the settings are those of `conv`, here {said_of(options)}"
        layer = merged(merge_1x1_conv, pair, f"{hint}; without a bias in front padding does no harm: {FAN}")
        same_settings(layer, pair, *one_by_one_conv(pair), numbers(2, 4, 9, 9, seed=20), hint)


@pytest.mark.points(1, alone=False)
def test_the_bias_of_the_second_stays_whatever_the_padding(merge_1x1_conv):
    for options in ({"padding": 1}, {"padding": "same"}, {"padding": 2, "stride": 2}):
        pair = pointwise(4, 4), conv(4, 4, bias=True, **options)
        hint = "the bias b2 of `conv` itself is added at the border as it is inside: it stays, whatever the padding "
        hint += f"(here {said_of(options)})"
        same_bias(merged(merge_1x1_conv, pair, hint), biases_of(pair)[1], hint, other_biases(pair))


@pytest.mark.points(2, alone=False)
def test_a_bias_in_front_of_a_padding_of_zeros(merge_1x1_conv):
    for options in (
        {"padding": 1},
        {"padding": (0, 1)},
        {"padding": (1, 0)},
        {"padding": "same"},
        {"padding": 2, "stride": 2, "bias": True},
        {"kernel": 1, "padding": 1},
    ):
        hint = (
            f"the 1×1 convolution has a bias, and the next one pads with zeros (here {said_of(options)}). Inside, the "
            "bias reaches every pixel of the window; at the border some of them are padding and have none. No single "
            "bias is right for both: raise ValueError"
        )
        expect.raises(ValueError, hint, merge_1x1_conv, pointwise(3, 4, bias=True), conv(4, 5, **options))


@pytest.mark.points(1)
def test_a_bias_in_front_of_another_padding(merge_1x1_conv):
    for mode in ("reflect", "replicate", "circular"):
        pair = pointwise(4, 4, bias=True), conv(4, 4, padding=1, padding_mode=mode, bias=True)
        hint = f'padding_mode="{mode}" repeats pixels of the image, which have the bias in them: the merge is exact'
        layer = merged(merge_1x1_conv, pair, hint)
        same_bias(layer, one_by_one_conv(pair)[1], f"{hint}. {EVERY}", other_biases(pair))
        hint += ", and the mode is that of `conv`"
        same_settings(layer, pair, *one_by_one_conv(pair), numbers(2, 4, 8, 8, seed=20), hint)


@pytest.mark.points(1, alone=False)
def test_what_is_no_1x1_in_front(merge_1x1_conv):
    refused(merge_1x1_conv, turned(wrong_pairs(conv)))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_merge_1x1_conv_needs(merge_1x1_conv):
    hold(
        merge_1x1_conv,
        (pointwise(4, 4, bias=True), conv(4, 4, bias=True)),
        (pointwise(4, 4), conv(4, 4, stride=2, padding=1, bias=True)),
        (pointwise(3, 4, bias=True), conv(4, 5, (3, 2))),
    )


# --- merge_1x1_transposed

TURNED = (
    "the weight of a transposed convolution is (INPUTS, OUTPUTS, kH, kW): W[i, o] = sum over m of B[m, i] · W2[m, o], "
    "with the channels m BETWEEN the two summed away"
)


def one_by_one_transposed(pair):
    """The weight and the bias of a 1×1 convolution without bias and a transposed convolution behind it."""
    kernel, fan = pair[1].weight.detach(), pair[0].weight.detach()[:, :, 0, 0]
    return torch.einsum("mi,mokl->iokl", fan, kernel), biases_of(pair)[1]


def weights_transposed(pair):
    """What comes out with mistakes that are often made with the merged weight, if all numbers of channels are equal."""
    kernel, fan = pair[1].weight.detach(), pair[0].weight.detach()[:, :, 0, 0]
    einsums = {
        "B transposed, B[i, m] in place of B[m, i]": "im,mokl->iokl",
        "the letters of an ordinary convolution, whose OUTPUTS come first": "mi,omkl->oikl",
        "a sum over the OUTPUTS of `conv`, in place of its inputs": "mi,omkl->iokl",
        "B transposed, and a sum over the outputs of `conv`": "im,omkl->oikl",
        "B transposed, and a sum over the OUTPUTS of `conv`, the result as (inputs, outputs)": "im,omkl->iokl",
        "no sum over the channels between: each input of `conv` times the sum of a column of B": "mi,iokl->iokl",
        "no sum over the channels between: only the diagonal of B": "ii,iokl->iokl",
    }
    return other_weights(one_by_one_transposed(pair)[0], einsums, kernel, fan)


@pytest.mark.points(2)
def test_inputs_before_outputs(merge_1x1_transposed):
    pair = pointwise(4, 4), transposed(4, 4, (2, 3))
    layer, hint = merged(merge_1x1_transposed, pair, TURNED), f"4 channels in, between and out: {TURNED}"
    same_weight(layer, one_by_one_transposed(pair)[0], hint, weights_transposed(pair))
    for inputs, between, outputs, hint in ((3, 4, 5, TURNED), (3, 1, 5, ONE), (1, 4, 5, ONE), (3, 4, 1, ONE)):
        pair = pointwise(inputs, between), transposed(between, outputs, (2, 3))
        hint = f"{inputs} channels in, {between} between and {outputs} out: {hint}"
        same_weight(merged(merge_1x1_transposed, pair, hint), one_by_one_transposed(pair)[0], hint)


STAYS = "only a bias of the 1×1 convolution is in the way, that of `conv` stays as it is"


def biases_transposed(pair):
    """What comes out with mistakes that are often made with the merged bias, if all numbers of channels are equal."""
    first, second = pair[0].weight.detach()[:, :, 0, 0], biases_of(pair)[1]
    return {
        "no bias: that of `conv` is lost": torch.zeros_like(second),
        "B b2": first @ second,
        "B transposed times b2": first.T @ second,
    }


@pytest.mark.points(1, alone=False)
def test_the_settings_and_the_bias_of_the_transposed_one(merge_1x1_transposed):
    for options in (
        {"stride": 2},
        {"kernel": 3, "stride": (1, 2)},
        {"kernel": 3, "stride": 2, "padding": (1, 0), "output_padding": 1},
        {"kernel": 3, "stride": (3, 2), "output_padding": (2, 1)},
        {"kernel": (3, 2), "dilation": (2, 1), "padding": (2, 0)},
    ):
        pair = pointwise(4, 4), transposed(4, 4, bias=True, **options)
        layer = merged(merge_1x1_transposed, pair, STAYS)
        same_bias(layer, biases_of(pair)[1], f"{STAYS}: b = b2", biases_transposed(pair))
        hint = f"the settings are those of `conv`, here {said_of(options)}"
        same_settings(layer, pair, *one_by_one_transposed(pair), numbers(2, 4, 5, 5, seed=20), hint)
    pair = pointwise(4, 4), transposed(4, 4)
    hint = "neither has a bias, so nothing may be added"
    same_bias(merged(merge_1x1_transposed, pair, hint), torch.zeros(4).double(), hint)


@pytest.mark.points(1, alone=False)
def test_a_bias_in_front_of_a_transposed_convolution(merge_1x1_transposed):
    for options in (
        {"stride": 2},
        {"kernel": 3, "stride": 2},
        {"kernel": 3, "padding": 1},
        {"kernel": 2, "stride": 3, "bias": True},
    ):
        hint = (
            "the 1×1 convolution has a bias. Each pixel of the output gets it through other entries of the kernel, so "
            f"one bias for all of them is wrong: raise ValueError (here {said_of(options)}, window "
            f"{options.get('kernel', 2)})"
        )
        front = pointwise(3, 4, bias=True)
        expect.raises(ValueError, hint, merge_1x1_transposed, front, transposed(4, 5, **options))


@pytest.mark.points(1, alone=False)
def test_what_is_no_1x1_in_front_of_a_transposed_one(merge_1x1_transposed):
    refused(merge_1x1_transposed, turned(wrong_pairs(transposed)))


@pytest.mark.points(1, alone=False)
def test_what_a_caller_of_merge_1x1_transposed_needs(merge_1x1_transposed):
    hold(
        merge_1x1_transposed,
        (pointwise(4, 4), transposed(4, 4, stride=2, bias=True)),
        (pointwise(4, 4), transposed(4, 4, 3)),
        (pointwise(3, 4), transposed(4, 5, (2, 3))),
    )


# --- the network that is handed in


@pytest.mark.points(1)
def test_narrow_enough(lab8_alpha_onnx):
    measured, original = artifacts.measured(lab8_alpha_onnx), artifacts.measured_baseline()
    left = measured.parameters / original.parameters
    assert left <= 0.13, (
        f"at most 13 % of the parameters may be left: {measured.parameters:,} "
        f"of {original.parameters:,} are ({left:.1%}). "
        "Has it been shrunk before it was saved?"
    )


@pytest.mark.points(4)
def test_accuracy_once_alpha_is_zero(lab8_alpha_onnx, award):
    measured, original = artifacts.measured(lab8_alpha_onnx), artifacts.measured_baseline()
    assert measured.parameters <= 0.13 * original.parameters, "accuracy counts once 87 % of the parameters are gone"
    award(*artifacts.ramp("lab8_alpha", measured, original))
