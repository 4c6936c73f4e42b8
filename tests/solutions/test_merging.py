"""Merged layers equal the pairs that they stand for, borders included, or are refused."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from solutions.merging import (
    merge_1x1_conv,
    merge_1x1_linear,
    merge_1x1_transposed,
    merge_conv_1x1,
    merge_linear,
    merge_transposed_1x1,
)

TOLERANCE = 1e-10  # of the outputs' standard deviation, in float64


def difference(merged: nn.Module, *pair: nn.Module, images: Tensor) -> float:
    """The largest difference of the outputs, in units of their standard deviation."""
    with torch.no_grad():
        expected = nn.Sequential(*pair)(images)
        return ((merged(images) - expected).abs().max() / expected.std()).item()


def images(channels: int = 3, side: int = 11) -> Tensor:
    return torch.randn(2, channels, side, side, dtype=torch.double)


size = st.integers(1, 5)
convolutions = st.fixed_dictionaries(
    {
        "kernel_size": st.tuples(size, size),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "dilation": st.integers(1, 2),
        "padding": st.tuples(st.integers(0, 3), st.integers(0, 3)),
        "padding_mode": st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
        "bias": st.booleans(),
    }
)


@given(convolutions, st.booleans(), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_a_1x1_convolution_behind_any_convolution(options: dict[str, Any], bias: bool, outputs: int) -> None:
    conv, pointwise = nn.Conv2d(3, 4, **options).double(), nn.Conv2d(4, outputs, 1, bias=bias).double()
    merged = merge_conv_1x1(conv, pointwise)
    assert difference(merged, conv, pointwise, images=images()) < TOLERANCE
    assert merged.weight.shape == (outputs, 3, *options["kernel_size"])


@given(convolutions, st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_1x1_convolution_in_front_of_any_convolution(options: dict[str, Any], bias: bool) -> None:
    pointwise, conv = nn.Conv2d(3, 4, 1, bias=bias).double(), nn.Conv2d(4, 5, **options).double()
    if bias and options["padding_mode"] == "zeros" and any(options["padding"]):
        with pytest.raises(ValueError, match="at the border"):
            merge_1x1_conv(pointwise, conv)
    else:
        assert difference(merge_1x1_conv(pointwise, conv), pointwise, conv, images=images()) < TOLERANCE


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 1), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_transposed_convolutions(kernel: int, stride: int, padding: int, bias: bool, second: bool) -> None:
    options: dict[str, Any] = {"stride": stride, "padding": min(padding, kernel - 1), "bias": bias}
    options["output_padding"] = stride - 1
    before, conv = nn.Conv2d(3, 4, 1, bias=False).double(), nn.ConvTranspose2d(4, 5, kernel, **options).double()
    behind = nn.Conv2d(5, 2, 1, bias=second).double()
    assert difference(merge_1x1_transposed(before, conv), before, conv, images=images(side=5)) < TOLERANCE
    assert difference(merge_transposed_1x1(conv, behind), conv, behind, images=images(4, 5)) < TOLERANCE


@given(st.booleans(), st.booleans(), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_linear_layers(first: bool, second: bool, side: int) -> None:
    before, behind = nn.Linear(7, 4, bias=first).double(), nn.Linear(4, 5, bias=second).double()
    assert difference(merge_linear(before, behind), before, behind, images=torch.randn(6, 7).double()) < TOLERANCE
    pointwise, linear = nn.Conv2d(3, 4, 1, bias=first).double(), nn.Linear(4 * side**2, 5, bias=second).double()
    merged = nn.Sequential(nn.Flatten(), merge_1x1_linear(pointwise, linear))
    assert difference(merged, pointwise, nn.Flatten(), linear, images=images(side=side)) < TOLERANCE


def test_what_the_report_got_wrong_lights_up_at_the_border() -> None:
    pointwise = nn.Conv2d(3, 4, 1, bias=True).double()
    conv = nn.Conv2d(4, 5, 3, padding=1).double()
    naive = merge_1x1_conv(pointwise, nn.Conv2d(4, 5, 3).double())
    naive.weight.data = torch.einsum("omkl,mi->oikl", conv.weight, pointwise.weight[:, :, 0, 0])
    naive.bias.data = conv.bias + conv.weight.sum((2, 3)) @ pointwise.bias
    naive.padding = (1, 1)
    x = images()
    with torch.no_grad():
        wrong = naive(x) - conv(pointwise(x))
        border = conv.weight[:, :, 0].sum(2) @ pointwise.bias  # the first row never sees this row of the kernel
    assert wrong[:, :, 1:-1, 1:-1].abs().max() < 1e-12
    torch.testing.assert_close(wrong[:, :, 0, 1:-1], border[None, :, None].expand(2, 5, 9))
    assert border.abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_mode_and_training_are_kept(dtype: torch.dtype) -> None:
    conv, pointwise = nn.Conv2d(3, 4, 3).to(dtype).eval(), nn.Conv2d(4, 2, 1).to(dtype)
    merged = merge_conv_1x1(conv, pointwise)
    assert merged.weight.dtype == dtype and merged.weight.requires_grad and not merged.training


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: merge_conv_1x1(nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 2, 1)), "grouped"),
        (lambda: merge_conv_1x1(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 1, groups=2)), "grouped"),
        (lambda: merge_conv_1x1(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 3)), "1×1"),
        (lambda: merge_conv_1x1(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 1, stride=2)), "1×1"),
        (lambda: merge_1x1_transposed(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 2, 2, stride=2)), "pixel to pixel"),
    ],
)
def test_what_cannot_be_merged_is_refused(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
