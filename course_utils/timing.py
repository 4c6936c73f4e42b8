"""Time networks fairly: ready to run, waited for, and in turn, so that a busy machine is busy for all of them."""

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.pictures.tables import Table


def torch_run(network: nn.Module, images: Tensor, device: str = "cpu") -> Callable[[], Any]:
    """A function that runs `images` (N, C, H, W) once through a copy of `network` on `device`.

    The copy is in evaluation mode and in the memory format of `images`: training may have left a network in
    channels_last, and beside one that was read from a file it would seem faster than it is. On a GPU the function waits
    until the result is there: a call only *starts* the work, and a clock that is read at once would time the starting.
    """
    layout = torch.contiguous_format if images.is_contiguous() else torch.channels_last
    ready, batch = copy.deepcopy(network).eval().to(memory_format=layout).to(device), images.to(device)

    def run() -> None:
        with torch.inference_mode():
            ready(batch)
        if batch.is_cuda:
            torch.cuda.synchronize()

    return run


def onnx_run(path: str | Path, images: Tensor, threads: int | None = None) -> Callable[[], Any]:
    """A function that runs `images` (N, C, H, W) once through an ONNX file, with ONNX Runtime on the CPU.

    `threads`: as many as PyTorch uses, if not given.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or torch.get_num_threads()
    session = onnxruntime.InferenceSession(Path(path).read_bytes(), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: images.numpy()}
    return lambda: session.run(None, feed)


def in_turn(
    runs: Sequence[Callable[[], Any]],
    latency: Callable[[Callable[[], Any]], float],
    rounds: int = 15,
    seconds: float = 5.0,
) -> list[tuple[float, ...]]:
    """`latency(run)` of every run, one after the other, and that `rounds` times → one tuple a round.

    A disturbance that lasts longer than a measurement then meets all runs alike, and ratios within a round are
    much steadier than the times. After `seconds` no further round is begun, but there are three at least.
    """
    measured: list[tuple[float, ...]] = []
    begun = time.perf_counter()
    while len(measured) < rounds and (len(measured) < 3 or time.perf_counter() - begun < seconds):
        measured.append(tuple(latency(run) for run in runs))
    return measured


def ratio(rounds: Sequence[tuple[float, ...]]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the ratios second / first over the rounds of `in_turn`."""
    lower, middle, upper = statistics.quantiles([second / first for first, second in rounds], method="inclusive")
    return lower, middle, upper


def table(measured: Mapping[str, Sequence[tuple[float, ...]]], names: tuple[str, str]) -> Table:
    """Milliseconds (median over the rounds) of two networks in every setting, and the quartiles of their ratio."""
    rows: list[tuple[str, ...]] = []
    for setting, rounds in measured.items():
        first, second = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
        low, middle, high = ratio(rounds)
        rows.append((setting, f"{first:.2f}", f"{second:.2f}", f"{middle:.2f}", f"{low:.2f} … {high:.2f}"))
    header = ("milliseconds for one batch", *names, "ratio", "half of the rounds")
    return Table(header, rows, note=f"{torch.get_num_threads()} CPU threads, PyTorch {torch.__version__}")
