"""How much faster is the pruned network? Original and pruned in turn, in one run; the ratio is what counts.

The ratio of MACs says how much less there is to compute, not how much sooner it is done: small layers do not fill
the machine, memory has to be moved all the same, and widths that are no multiple of 8 fit its registers badly.
"""

import contextlib
import copy
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from course_utils.checkpoints import save_network
from course_utils.onnx_files.export import export_onnx
from course_utils.timing import in_turn, onnx_run, torch_run

SETTINGS = ("torch", "channels_last", "onnxruntime")
LEAST_SECONDS = 0.2  # of one measurement: a fast network is called many times in it


@dataclass(frozen=True)
class Timing:
    """Seconds for one batch, original and pruned in turn. `setting`: one of SETTINGS, or "cuda"."""

    setting: str
    batch: int
    threads: int
    original: tuple[float, ...]
    pruned: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Speed-up of every round: original / pruned."""
        return tuple(first / second for first, second in zip(self.original, self.pruned, strict=True))

    @property
    def speedup(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.ratios)

    def __str__(self) -> str:
        low, high = min(self.ratios), max(self.ratios)
        first, second = (1000 * statistics.median(times) for times in (self.original, self.pruned))
        return (
            f"{self.setting}, batch {self.batch}, {self.threads} threads: {first:.2f} ms → {second:.2f} ms, "
            f"{self.speedup:.2f} times as fast ({low:.2f} to {high:.2f})"
        )


def compare(
    original: nn.Module,
    pruned: nn.Module,
    batch: int = 1,
    setting: str = "torch",
    image_size: Sequence[int] = (3, 32, 32),
    rounds: int = 7,
    threads: int | None = None,
) -> Timing:
    """Time two networks in turn, `rounds` times each, on random images of `image_size` (C, H, W), after a warm-up.

    `setting`: "torch" and "channels_last" are PyTorch on the CPU in inference mode, "onnxruntime" the exported file,
    "cuda" PyTorch on the GPU between two CUDA events. `threads`: as many as PyTorch uses now if not given.
    Raises ValueError for another setting, and for "cuda" without a GPU.
    """
    threads = threads or torch.get_num_threads()
    images = torch.randn(batch, *image_size, generator=torch.Generator().manual_seed(0))

    def cpu_latency(run: Callable[[], Any]) -> float:
        timer = Timer("run()", globals={"run": run}, num_threads=threads)
        return timer.blocked_autorange(min_run_time=LEAST_SECONDS).median

    latency = cuda_latency if setting == "cuda" else cpu_latency
    with using_threads(threads):
        runs = [runner(network, images, setting) for network in (original, pruned)]
        for run in runs:
            run()
        measured = in_turn(runs, latency, rounds, seconds=math.inf)
    first, second = zip(*measured, strict=True)
    return Timing(setting, batch, threads, first, second)


def cuda_latency(run: Callable[[], Any]) -> float:
    """Seconds of one call by the GPU's own clock, between two CUDA events: the median over LEAST_SECONDS of calls."""
    times: list[float] = []
    while sum(times) < LEAST_SECONDS:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        run()
        last.record()
        last.synchronize()
        times.append(first.elapsed_time(last) / 1000)
    return statistics.median(times)


@contextlib.contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Inside the `with` PyTorch computes with this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def runner(network: nn.Module, images: Tensor, setting: str) -> Callable[[], Any]:
    """A call that runs a copy of the network on the images once, in one of the settings."""
    if setting == "onnxruntime":
        with tempfile.TemporaryDirectory() as folder:
            return onnx_run(export_onnx(network, Path(folder) / "network.onnx", image_size=images.shape[1:]), images)
    if setting == "channels_last":
        return torch_run(network, images.to(memory_format=torch.channels_last))
    if setting not in ("torch", "cuda"):
        raise ValueError(f"There is no setting {setting!r}; there are {', '.join(SETTINGS)} and cuda.")
    if setting == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"PyTorch sees no GPU here, so there is nothing to time on it; there are {', '.join(SETTINGS)}."
        )
    return torch_run(network, images, "cuda" if setting == "cuda" else "cpu")


# --- memory

PEAK = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[3])
torch.set_num_threads(1)
from course_utils.checkpoints import load_network
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
images, network = torch.zeros(*map(int, sys.argv[2].split(","))), load_network(sys.argv[1])
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
before = status("VmRSS")
with torch.inference_mode():
    network(images)
print(status("VmHWM") - before)
"""


def peak_megabytes(network: nn.Module, batch: int = 64, image_size: Sequence[int] = (3, 32, 32)) -> float:
    """Most resident memory that one batch adds in a fresh process on the CPU, in 10^6 bytes; `image_size` is (C, H, W).

    The network needs a recipe (see `save_network`). Linux only.
    """
    root = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory() as folder:
        path = save_network(network, Path(folder) / "network.safetensors")
        shape = ",".join(map(str, (batch, *image_size)))
        command = [sys.executable, "-c", PEAK, str(path), shape, root]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    return int(done.stdout) * 1024 / 1e6


def peak_cuda_megabytes(network: nn.Module, images: Tensor) -> float:
    """Most GPU memory that PyTorch allocates while the network runs, its own weights included, in 10^6 bytes."""
    network, images = copy.deepcopy(network).eval().cuda(), images.cuda()
    torch.cuda.reset_peak_memory_stats()
    with torch.inference_mode():
        network(images)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 1e6
