"""Comparisons: what is expected sets the tolerance, never the answer."""

import re
from typing import Any

import pytest
import torch

from course_utils import expect
from course_utils.expect import SECRET, drawn, equal, same

EXPECTED = torch.linspace(0.1, 1, 50, dtype=torch.float64)
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("off", [1.015, 1.003, 1.0001])
def test_values_that_are_off_are_off_in_every_dtype(dtype: torch.dtype, off: float) -> None:
    for expected in (EXPECTED, EXPECTED.float()):
        with pytest.raises(AssertionError, match="the norms"):
            same((EXPECTED * off).to(dtype), expected, "the norms")


@pytest.mark.parametrize("expected", [EXPECTED, EXPECTED.float()])
@pytest.mark.parametrize("dtype", DTYPES[:2])
def test_an_answer_may_be_in_single_or_double_precision(expected: torch.Tensor, dtype: torch.dtype) -> None:
    same(EXPECTED.to(dtype), expected, "the norms")


@pytest.mark.parametrize("dtype", DTYPES[2:])
def test_what_is_too_coarse_is_told_so(dtype: torch.dtype) -> None:
    with pytest.raises(AssertionError, match=f"yours is of type {str(dtype).removeprefix('torch.')}"):
        same(EXPECTED.to(dtype), EXPECTED, "the norms")


@pytest.mark.parametrize("dtype", DTYPES[2:])
def test_where_half_precision_is_expected_it_sets_the_tolerance(dtype: torch.dtype) -> None:
    same(EXPECTED.to(dtype), EXPECTED.to(dtype), "the norms")
    same(EXPECTED.float(), EXPECTED.to(dtype), "the norms")


def test_an_imaginary_part_is_not_overlooked() -> None:
    with pytest.raises(AssertionError, match="yours is of type complex64"):
        same(EXPECTED.float() + 1j, EXPECTED, "the norms")


def test_hidden_numbers_are_others_in_each_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET, raising=False)
    assert drawn(3) == 3
    seeds = set()
    for secret in "abc":
        monkeypatch.setenv(SECRET, secret)
        seeds |= {drawn(3), drawn(4)}
        assert drawn(3) == drawn(3)
    assert len(seeds) == 6


def test_whole_numbers_are_exact() -> None:
    same(torch.tensor([1, 2]), [1, 2], "the counts")
    with pytest.raises(AssertionError):
        same(torch.tensor([1, 2]), [1, 3], "the counts")


def test_not_a_number_is_no_number() -> None:
    with pytest.raises(AssertionError):
        same(torch.tensor([float("nan")]), [1.0], "the norms")


# --- what is said of a difference is true


def said(came: object, expected: object, **options: Any) -> str:
    with pytest.raises(AssertionError) as error:
        same(came, expected, "the norms", **options)
    return str(error.value)


NORMS = torch.tensor([3.0, 1.0, 4.0, 1.5, 9.0])


@pytest.mark.parametrize(
    ("came", "fact"),
    [
        (NORMS / 27, "yours is 1/27 of what is expected, everywhere"),
        (NORMS * 3, "yours is 3 times what is expected, everywhere"),
        (NORMS * 0.831, "yours is 0.831 times what is expected, everywhere"),
        (NORMS + 2, "yours is 2 more than expected, everywhere"),
        (-NORMS, "yours has the opposite sign everywhere"),
        (NORMS.flip(0), "yours has the right numbers in reversed order"),
        (NORMS.roll(1), "yours has the right numbers in another order"),
        (NORMS.sqrt(), "yours is the square root of what is expected"),
        (NORMS.square(), "yours is the square of what is expected"),
        (1 - NORMS, "yours is 1 minus what is expected"),
        (NORMS * 0, "yours is 0 everywhere"),
        (NORMS * torch.nan, "yours holds 5 of 5 numbers that are nan or infinite"),
        (NORMS + torch.tensor([0, 0, 0.5, 0, 0]), "first different at [2]: 4 expected, yours is 4.5; 1 of 5 differ"),
        (NORMS + 3e-4, "yours is nearly right everywhere: off by 0.0003 at most"),
    ],
    ids=str,
)
def test_how_an_answer_differs(came: torch.Tensor, fact: str) -> None:
    assert fact in said(came, NORMS)


def test_of_one_number_no_relation_is_claimed() -> None:
    assert said(torch.tensor(6.0), torch.tensor(3.0)) == "the norms\n  expected: [3]\n  yours:    [6]"


def test_of_equal_numbers_no_factor_is_claimed() -> None:
    assert "times" not in said(torch.full((4,), 6.0), torch.full((4,), 3.0))


def test_a_mistake_is_named_where_its_numbers_came() -> None:
    mistakes = {"the mean": NORMS.mean(), "the largest": lambda: NORMS.max()}
    assert "that is what comes out with the largest" in said(torch.tensor(9.0), NORMS.sum(), mistakes=mistakes)
    assert "comes out" not in said(torch.tensor(8.0), NORMS.sum(), mistakes=mistakes)


def test_a_mistake_that_another_comparison_refutes_is_not_named() -> None:
    expect.tried.clear()
    mean, largest = "the mean", "the largest"
    message = said(torch.tensor(2.0), torch.tensor(4.0), mistakes={mean: 2.0, largest: 2.0})
    assert f"{mean}, or {largest}" in expect.without_refuted(message)
    said(torch.tensor(3.0), torch.tensor(6.0), mistakes={largest: 5.0, mean: None})
    assert f"comes out with {mean}\n" in f"{expect.without_refuted(message)}\n"
    said(torch.tensor(1.0), torch.tensor(7.0), mistakes={mean: 5.0})
    assert expect.without_refuted(message) == message, "nothing is left: two mistakes at once"


def test_nearly_zero_is_not_said_to_be_zero() -> None:
    assert "0 everywhere" not in said(torch.tensor([1e-10, 2e-10]), torch.tensor([0.6, 0.8]))
    assert "0 everywhere" in said(torch.zeros(2), torch.tensor([0.6, 0.8]))


def test_a_mistake_is_named_where_the_shape_is_wrong_too() -> None:
    assert "comes out with one sum of all" in said(NORMS.sum(), NORMS, mistakes={"one sum of all": NORMS.sum()})


@pytest.mark.parametrize(
    ("came", "fact"),
    [
        ([3, 1, 2], "the right ones, in another order"),
        ([3, 2, 1], "the right ones, in reversed order"),
        ([1, 2, 4], "missing: [3]; too many: [4]"),
        ((1, 2, 3), "yours is a tuple, expected is a list"),
    ],
)
def test_how_a_list_differs(came: object, fact: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(fact)):
        equal(came, [1, 2, 3], "the channels")


def test_a_mistake_that_a_right_comparison_refutes_is_not_named_later() -> None:
    """All three give 3 for 2; that 1 was given for 1 refutes the first two."""
    mistakes = [
        {"one more": n + 1, "the square less 1": n * n - 1, "from 2 on one more": max(n, n + (n > 1))} for n in (1, 2)
    ]
    expect.tried.clear()
    expect.equal(1, 1, "n itself", mistakes[0])
    with pytest.raises(AssertionError) as raised:
        expect.equal(3, 2, "n itself", mistakes[1])
    expect.tried.clear()
    assert "comes out with from 2 on one more" in str(raised.value) and "square" not in str(raised.value)
