"""Comparisons: what is expected sets the tolerance, never the answer."""

import pytest
import torch

from course_utils.checking import SECRET
from course_utils.expect import drawn, same

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
