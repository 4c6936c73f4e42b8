"""Timing in turn: what is kept and left alone. How fast anything is belongs in benchmarks."""

import sys
from typing import Any

import pytest
import torch
from torch import nn

from course_utils.networks import vgg_mini
from solutions import speedup
from solutions.speedup import SETTINGS, Timing, compare, cuda_latency, peak_cuda_megabytes, peak_megabytes

SMALL = vgg_mini(widths=(4, 4)).eval()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speedup, "LEAST_SECONDS", 0.001)


def test_the_speedup_is_the_median_of_the_rounds() -> None:
    timing = Timing("torch", 1, 1, original=(2.0, 3.0, 8.0), pruned=(1.0, 1.0, 2.0))
    assert timing.ratios == (2.0, 3.0, 4.0) and timing.speedup == 3.0
    assert "batch 1, 1 threads" in str(timing) and "3.00 times as fast (2.00 to 4.00)" in str(timing)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_times_both_networks_in_every_round(setting: str) -> None:
    timing = compare(SMALL, SMALL, batch=2, setting=setting, rounds=2, threads=1)
    assert len(timing.original) == len(timing.pruned) == 2 and min(timing.original + timing.pruned) > 0


@pytest.mark.parametrize("setting", SETTINGS)
def test_images_of_any_size(setting: str) -> None:
    network = nn.Conv2d(3, 2, 3).eval()
    assert compare(network, network, setting=setting, image_size=(3, 20, 12), rounds=1).speedup > 0


def test_the_two_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    monkeypatch.setattr(speedup, "runner", lambda network, *_: lambda: turns.append(network))
    compare("a", "b", rounds=3)  # type: ignore[arg-type]
    order = [name for number, name in enumerate(turns) if not number or turns[number - 1] != name]
    assert order == ["a", "b"] * 4, "once to warm up, and three rounds"


def test_networks_and_threads_are_as_before() -> None:
    network, threads = vgg_mini(widths=(4, 4)).train(), torch.get_num_threads()
    compare(network, network, setting="channels_last", rounds=1, threads=1)
    assert network.training and torch.get_num_threads() == threads
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert all(conv.weight.is_contiguous() for conv in convs)


@pytest.mark.parametrize("setting", ["torch", "channels_last"])
@pytest.mark.parametrize("left_by_training", [torch.contiguous_format, torch.channels_last])
def test_both_networks_run_in_the_memory_format_of_the_setting(setting: str, left_by_training: Any) -> None:
    seen = []
    network = nn.Conv2d(3, 4, 3)
    network.register_forward_pre_hook(lambda conv, inputs: seen.append((conv.weight, *inputs)))
    network.to(memory_format=left_by_training)
    speedup.runner(network, torch.randn(2, 3, 8, 8), setting)()
    expected = torch.channels_last if setting == "channels_last" else torch.contiguous_format
    assert all(tensor.is_contiguous(memory_format=expected) for tensor in seen[0])


def test_an_unknown_setting_names_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="torch, channels_last, onnxruntime and cuda"):
        compare(SMALL, SMALL, setting="tpu")


def test_on_a_gpu_a_call_lies_between_two_events_that_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    class Event:
        made = 0

        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            Event.made += 1
            self.number = Event.made

        def record(self) -> None:
            happened.append(f"record {self.number}")

        def synchronize(self) -> None:
            happened.append(f"wait for {self.number}")

        def elapsed_time(self, end: "Event") -> float:
            assert happened[-1] == f"wait for {end.number}" and end.number == self.number + 1
            return {1: 4.0, 3: 8.0, 5: 2.0}[self.number]  # milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(speedup, "LEAST_SECONDS", 0.013)
    assert cuda_latency(lambda: happened.append("run")) == 0.004, "seconds, the median"
    assert happened[:4] == ["record 1", "run", "record 2", "wait for 2"] and Event.made == 6


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_that_is_said() -> None:
    with pytest.raises(ValueError, match="sees no GPU"):
        compare(SMALL, SMALL, setting="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_waited_for_and_its_memory_read() -> None:
    assert compare(SMALL, SMALL, batch=2, setting="cuda", rounds=2).speedup > 0
    images = torch.zeros(8, 3, 32, 32)
    weights = sum(parameter.numel() for parameter in SMALL.parameters()) * 4 / 1e6
    assert peak_cuda_megabytes(SMALL, images) > weights + images.numel() * 4 / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read as Linux has it")
def test_a_larger_batch_needs_more_memory() -> None:
    assert peak_megabytes(vgg_mini(), batch=128) > peak_megabytes(vgg_mini(), batch=1) + 10
