"""Comparisons for tests, with messages for people: what was expected, what came, and what is true of the difference.

A message claims nothing that was not tried: `hint` says what is right, `mistakes` are wrong answers that come with
words and are compared with, and what else is said of a difference (a factor, another order) was found in the numbers.
"""

import copy
import hashlib
import numbers
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

SECRET = "PRUNING_LABS_SECRET"  # the environment variable with the secret of a course; only its judge has it


def drawn(seed: int) -> int:
    """A seed for a hidden test: another one in each course, so that no answer can be written for the numbers.

    It follows from `seed` and the course's secret; without a secret it is `seed` itself.
    """
    secret = os.environ.get(SECRET, "")
    return int(hashlib.sha256(f"{secret} {seed}".encode()).hexdigest()[:8], 16) if secret else seed


def in_course(numbers: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`numbers(*shape, seed=…)` of the visible tests, with seeds that are drawn for the course."""

    def numbers_of_course(*shape: int, seed: int = 0, **options: Any) -> Tensor:
        return numbers(*shape, seed=drawn(seed), **options)

    return numbers_of_course


def copies(*arguments: Any) -> tuple[Any, ...]:
    """Copies for a function that may change what it is given: what is expected is worked out from the originals."""
    return copy.deepcopy(arguments)


# --- words


def show(value: Any) -> str:
    """A short text of a value: small tensors in full, large ones by shape and first values."""
    if not isinstance(value, Tensor):
        text = repr(value)
        return text if len(text) <= 200 else text[:200] + " …"
    value = value.detach()
    flat = value.flatten()
    numbers = ", ".join(f"{number:.5g}" for number in flat[:8].tolist())
    if value.ndim <= 1 and flat.numel() <= 8:
        return f"[{numbers}]"
    return f"shape {tuple(value.shape)}, first values {numbers}{' …' if flat.numel() > 8 else ''}"


def say(hint: str, expected: Any, came: Any, *facts: str) -> str:
    """A hint with what was expected and what came, and facts about the difference."""
    lines = [hint, f"  expected: {show(expected)}", f"  yours:    {show(came)}"]
    return "\n".join([*lines, *(f"  {fact}" for fact in facts if fact)])


# --- comparisons of tensors


def tensor(answer: Any, hint: str) -> Tensor:
    """`answer` as a tensor; an AssertionError that says what came instead where that is impossible."""
    assert answer is not None, f"{hint}\n  your function returned None: is the `return` missing?"
    try:
        return answer.detach() if isinstance(answer, Tensor) else torch.as_tensor(answer)
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{hint}\n  expected a tensor, yours is {type(answer).__name__}: {show(answer)}") from None


def same_shape(answer: Any, shape: Sequence[int], hint: str) -> Tensor:
    """`answer` as a tensor of exactly this shape."""
    came = tensor(answer, hint)
    message = f"{hint}\n  expected shape: {tuple(shape)}\n  your shape:     {tuple(came.shape)}"
    assert tuple(came.shape) == tuple(shape), message
    return came


Mistakes = Mapping[str, Any]  # a mistake in words → what it would give, or a function that gives it


def same(
    answer: Any, expected: Any, hint: str, tolerance: float | None = None, mistakes: Mistakes | None = None
) -> None:
    """Equal shape, and values equal within `tolerance` of the largest expected value.

    Without a tolerance it follows from what is expected: 0 for whole numbers, 1e-10 for float64, 1e-5 for float32, 1e-2
    for half precision. An answer may be float32 where float64 is expected (1e-5 then), but nothing coarser: who answers
    in half precision is not judged more mildly for it. A wrong answer that equals one of `mistakes` is told so.
    """
    target = torch.as_tensor(expected).detach()
    came = tensor(answer, hint)
    if came.shape != target.shape:
        words = mistaken(came, mistakes)
        same_shape(came, target.shape, f"{hint}\n  {words}" if words else hint)
    if tolerance is None:
        exact = not (came.is_floating_point() or target.is_floating_point())
        tolerance = 0.0 if exact else max(rounding(target), min(rounding(came), ROUNDING[torch.float32]))
    if not close(came, target, tolerance):
        raise AssertionError(
            say(hint, target, came, mistaken(came, mistakes) or difference(came, target), *kind(came, target))
        )
    note_refuted(came, mistakes)


ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}


def rounding(values: Tensor) -> float:
    """How far apart numbers of this dtype may lie, as a share of the largest; 0 for whole numbers."""
    return ROUNDING.get(values.dtype, 0.0)


def close(came: Tensor, target: Tensor, tolerance: float) -> bool:
    """Whether two tensors of one shape are equal within a share of the largest expected value (at least of 1)."""
    scale = max(1.0, target.abs().max().item()) if target.numel() and target.is_floating_point() else 1.0
    return bool(((wide(came) - wide(target)).abs() <= tolerance * scale).all())


def wide(values: Tensor) -> Tensor:
    """The same numbers in double precision."""
    return values.detach().to(torch.complex128 if values.is_complex() else torch.float64)


def kind(came: Tensor, target: Tensor) -> Iterator[str]:
    """What is to be said of the dtype of an answer, if it is coarser than what was expected or complex."""
    if rounding(came) > max(rounding(target), ROUNDING[torch.float32]) or came.is_complex():
        yield f"yours is of type {str(came.dtype).removeprefix('torch.')}"


# --- what can be said of a difference

MOST_NAMED = 3
LOOSE = 1e-4  # so near, as a share of the largest number, an answer must be to what it is said to be


tried: list[tuple[list[str], set[str]]] = []  # of each comparison of an exercise: mistakes that gave what came, others


def mistaken(came: Any, mistakes: Mistakes | None) -> str:
    """The words of those of `mistakes` that give what came; or "", also where so many give it that none says much.

    A mistake that gives None does not apply, and one that an earlier comparison of the answer refutes is not named if
    others are left.
    """
    named, refuted = [], set()
    for mistake, gives in (mistakes or {}).items():
        value = gives() if callable(gives) else gives
        if alike(came, value):
            named.append(mistake)
        elif value is not None:
            refuted.add(mistake)
    earlier = set().union(*(others for _, others in tried))
    named = [mistake for mistake in named if mistake not in earlier] or named
    tried.append((named, refuted))
    return comes_out_with(named)


def note_refuted(came: Any, mistakes: Mistakes | None) -> None:
    """Note which of `mistakes` a right answer refutes (those that are functions are not worked out for it)."""
    given = {mistake: value for mistake, value in (mistakes or {}).items() if value is not None and not callable(value)}
    tried.append(([], {mistake for mistake, value in given.items() if not alike(came, value)}))


def comes_out_with(named: Sequence[str]) -> str:
    """The sentence that names some mistakes; or "" if there are none, or too many."""
    return f"that is what comes out with {', or '.join(named)}" if 0 < len(named) <= MOST_NAMED else ""


def without_refuted(message: str) -> str:
    """A message without the mistakes that another comparison of the answer (in `tried`) refutes, if some are left."""
    refuted = set().union(*(others for _, others in tried))
    for named, _ in tried:
        left = [mistake for mistake in named if mistake not in refuted]
        if left and comes_out_with(named):
            message = message.replace(comes_out_with(named), comes_out_with(left))
    return message


def alike(came: Any, value: Any) -> bool:
    """Whether an answer is what a mistake gives: numbers nearly, all else exactly."""
    numeric = (Tensor, np.ndarray)
    if not isinstance(value, (*numeric, float)) and not isinstance(came, numeric):
        return bool(came == value)
    try:
        ours, theirs = torch.as_tensor(value), torch.as_tensor(came)
    except (TypeError, ValueError, RuntimeError):
        return False
    if ours.shape != theirs.shape:
        return False
    ours, theirs = wide(ours), wide(theirs)
    scale = ours[ours.isfinite()].abs().amax().item() if bool(ours.isfinite().any()) else 0.0
    return bool(torch.isclose(theirs, ours, rtol=0.0, atol=LOOSE * scale, equal_nan=True).all())


def difference(came: Tensor, target: Tensor) -> str:
    """A true sentence on how an answer of the right shape differs: as a whole if it can be said, else where first."""
    ours, theirs = wide(target), wide(came)
    if not ours.numel():
        return ""
    broken = ~torch.isfinite(torch.view_as_real(theirs) if theirs.is_complex() else theirs)
    if bool(broken.any()) and bool(torch.isfinite(ours).all()):
        return f"yours holds {int(broken.sum())} of {broken.numel()} numbers that are nan or infinite"
    if not theirs.is_complex() and ours.numel() > 1:
        for sentence in as_a_whole(theirs, ours):
            return sentence
    return first_difference(theirs, ours)


def as_a_whole(came: Tensor, target: Tensor) -> Iterator[str]:
    """What can be said of all numbers at once."""
    tolerance = LOOSE * target.abs().max().item()

    def near(other: Tensor) -> bool:
        return other.shape == came.shape and bool(((came - other).abs() <= tolerance).all())

    if near(target):
        yield f"yours is nearly right everywhere: off by {(came - target).abs().max().item():.2g} at most"
        return
    for sentence, other in (
        ("yours is 0 everywhere", torch.zeros_like(target)),
        ("yours has the opposite sign everywhere", -target),
        ("yours are the absolute values of what is expected", target.abs()),
    ):
        if near(other) and (other.any() or not came.any()):
            yield sentence
    yield from in_another_order(came, target, near, tolerance)
    large = target.abs() > tolerance
    if int(large.sum()) < 2 or float(target[large].std()) <= tolerance:
        return  # of one number, or equal ones, all of this could be said
    factor, added = (came[large] / target[large]).median().item(), (came - target).median().item()
    for sentence, other in (
        (f"yours is {times(factor)} what is expected, everywhere", factor * target),
        ("yours is the square root of what is expected", target.abs().sqrt()),
        ("yours is the square of what is expected", target.square()),
        ("yours is 1 minus what is expected", 1 - target),
        (f"yours is {abs(added):.5g} {'more' if added > 0 else 'less'} than expected, everywhere", target + added),
    ):
        if near(other):
            yield sentence


def in_another_order(came: Tensor, target: Tensor, near: Callable[[Tensor], bool], tolerance: float) -> Iterator[str]:
    """What can be said where an answer has the right numbers in wrong places."""
    for axis, size in enumerate(target.shape):
        if size > 1 and near(target.flip(axis)):
            yield f"yours has the right numbers in reversed order{f' along axis {axis}' if target.ndim > 1 else ''}"
    if target.ndim > 1 and target.shape[0] == target.shape[1] and near(target.transpose(0, 1)):
        yield "yours has the first two axes swapped"
    if bool(((came.flatten().sort().values - target.flatten().sort().values).abs() <= tolerance).all()):
        yield "yours has the right numbers in another order"


def times(factor: float) -> str:
    """A factor in words: "3 times", "1/27 of", "0.83 times"."""
    exact = Fraction(factor).limit_denominator(2000)
    if abs(float(exact) - factor) <= LOOSE * factor and 1 in (exact.numerator, exact.denominator):
        return f"{exact.numerator} times" if exact.denominator == 1 else f"{exact} of"
    return f"{factor:.4g} times"


def first_difference(came: Tensor, target: Tensor) -> str:
    """Where an answer differs first, and in how many places."""
    off = (came - target).abs() > LOOSE * max(target.abs().max().item(), 1e-30)
    off = off if bool(off.any()) else came != target
    if target.ndim == 0:
        return ""
    place = off.nonzero()[0].tolist()
    where, index = ", ".join(map(str, place)), tuple(place)
    return (
        f"first different at [{where}]: {show(target[index])[1:-1]} expected, yours is {show(came[index])[1:-1]}; "
        f"{int(off.sum())} of {off.numel()} differ"
    )


# --- comparisons of all else


def equal(answer: Any, expected: Any, hint: str, mistakes: Mistakes | None = None) -> None:
    """Equal as Python sees it (numbers, strings, lists, tuples). A wrong answer that equals a mistake is told so."""
    if isinstance(answer, Tensor) and not isinstance(expected, Tensor):
        answer = answer.tolist()
    if answer != expected:
        raise AssertionError(say(hint, expected, answer, mistaken(answer, mistakes) or members(answer, expected)))
    note_refuted(answer, mistakes)


def members(answer: Any, expected: Any) -> str:
    """A true sentence on how two sequences differ in order or members, or two whole numbers by how much; or ""."""
    if is_whole(answer) and is_whole(expected):
        return f"yours is {abs(answer - expected)} too {'large' if answer > expected else 'small'}"
    if not (isinstance(answer, (list, tuple)) and isinstance(expected, (list, tuple))):
        return ""
    try:
        came, target = Counter(answer), Counter(expected)
    except TypeError:
        return ""
    if type(answer) is not type(expected):
        return f"yours is a {type(answer).__name__}, expected is a {type(expected).__name__}"
    if isinstance(answer, tuple):
        return ""
    if came == target:
        return "the right ones, in reversed order" if answer[::-1] == expected else "the right ones, in another order"
    if len(target) < len(expected) == len(answer):  # where some are equal, places say more
        place = next(place for place, pair in enumerate(zip(answer, expected, strict=True)) if pair[0] != pair[1])
        return f"first different at place {place}: {show(expected[place])} expected, yours is {show(answer[place])}"
    missing, more = list((target - came).elements()), list((came - target).elements())
    return "; ".join(f"{what}: {show(some)}" for what, some in (("missing", missing), ("too many", more)) if some)


def is_whole(value: Any) -> bool:
    """Whether a value is an int and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def whole_numbers(answer: Any) -> list[Any]:
    """`answer` as a list of whole numbers, Python's or numpy's; an AssertionError that says what else came."""
    what = "return a list of whole numbers"
    assert isinstance(answer, list), f"{what}; yours is of type {type(answer).__name__}"
    other = [item for item in answer if isinstance(item, bool) or not isinstance(item, numbers.Integral)]
    assert not other, f"{what}; yours holds {type(other[0]).__name__}: {other[0]}; int(…) makes a whole number of it"
    return answer


def number(answer: Any, hint: str) -> float:
    """The one number in an answer, whatever it is wrapped in: the contract minds what it is."""
    if isinstance(answer, numbers.Real):
        return float(answer)
    value = tensor(answer, hint)
    assert value.numel() == 1, f"{hint}: a single number\n  yours: {show(value)}"
    return value.double().item()


# --- calls


def of_the_machinery(error: Exception) -> bool:
    """Whether an error comes from what carries the calls to another process, and not from the answer there."""
    return isinstance(error, (EOFError, OSError)) or type(error).__name__ == "WallError"


def called(hint: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """What `call(*arguments)` gives; if it stops, the hint is said, on arguments that it may not have thought of."""
    try:
        return call(*arguments)
    except Exception as error:
        if of_the_machinery(error) or (isinstance(error, NotImplementedError) and not str(error)):
            raise
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise AssertionError(f"{hint}\n  yours stopped with {said}") from None


def raises(error: type[Exception], hint: str, call: Callable[..., Any], *arguments: Any) -> None:
    """`call(*arguments)` must raise this kind of error; after another one (an `assert`, an index) the hint is said."""
    try:
        came = call(*arguments)
    except error:
        return
    except NotImplementedError:
        raise
    except Exception as other:
        if type(other).__module__ != "builtins":  # of the machinery around the answer
            raise
        said = f"{type(other).__name__}: {other}".removesuffix(": ")
        raise AssertionError(f"{hint}\n  expected: {error.__name__}\n  yours stopped with {said}") from None
    raise AssertionError(f"{hint}\n  expected: {error.__name__}\n  yours returned {show(came)}")


def unchanged(now: Tensor, before: Tensor, hint: str) -> None:
    """An argument that must not have been changed."""
    assert now.shape == before.shape and torch.equal(now.detach(), before.detach()), (
        f"{hint}\n  it was changed in place; use operations that return a new tensor, or a copy"
    )
