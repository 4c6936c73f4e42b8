"""The training loop: one progress bar, a history, and runs that can be stopped and resumed."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from minicifar.files import atomic


class Evaluation(NamedTuple):
    """Share of images classified correctly (0 to 1), and mean cross-entropy in nats."""

    accuracy: float
    loss: float


def evaluate(network: nn.Module, loader: Any) -> Evaluation:
    """Accuracy and mean loss of `network` over all batches of `loader`, in eval mode and without gradients.

    Every module's train or eval mode is left as it was found.
    """
    device = _device(network)
    correct, loss, count = torch.zeros((), device=device), torch.zeros((), device=device), 0
    for logits, labels in _judged(network, loader):
        loss += F.cross_entropy(logits, labels, reduction="sum")
        correct += (logits.argmax(1) == labels).sum()
        count += len(labels)
    return Evaluation(correct.item() / count, loss.item() / count)


def mean_loss(network: nn.Module, loader: Any, loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The mean of `loss(outputs, targets)` over the images of `loader`, as `evaluate` goes through them."""
    found = [(loss(outputs, targets).item(), len(targets)) for outputs, targets in _judged(network, loader)]
    return sum(value * count for value, count in found) / sum(count for _, count in found)


def _judged(network: nn.Module, loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs and targets of every batch, in eval mode and without gradients; the modes are put back at the end."""
    device = _device(network)
    modes = {module: module.training for module in network.modules()}
    network.eval()
    batch = None
    try:
        for batch in loader:
            with torch.inference_mode():
                images, targets = (each.to(device) for each in batch)
                outputs = network(images).float()
            yield outputs, targets
    finally:
        for module, training in modes.items():
            module.training = training
    if batch is None:
        raise ValueError("The loader gave no batch, so there is nothing to evaluate.")


def train(
    network: nn.Module,
    loader: Any,
    epochs: int,
    *,
    test: Any = None,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    label_smoothing: float = 0.0,
    schedule: str = "one-cycle",
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    after_step: Callable[[nn.Module], None] | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train `network` in place with a new SGD optimizer and return the history: one dict an epoch.

    The dicts hold `epoch` (from 1), `loss` and `accuracy` (means over the epoch's training batches),
    `test_accuracy` if `test` is a loader, `lr` (of the epoch's last step), `seconds`.

    `schedule`: "one-cycle" rises linearly to `lr` over the first quarter of all steps and falls linearly to
    0; "constant" stays at `lr`. `loss(outputs, targets)` → a number stands in for the cross-entropy, where a network does not
    classify: then there are no accuracies in the history, and with `test` a `test_loss`. `after_step(network)` is called after every optimizer step: the place to
    apply masks again. `resume` names a file that is rewritten after every epoch; with the same call a later
    run goes on from there, and a finished one is only read.

    Convolutions run in bfloat16 or float16 on hardware that is faster with them, and in float32 elsewhere.
    The kernel's stop button ends it cleanly: the epochs so far are returned, and the network keeps what it
    has learned. It comes back in eval mode.
    """
    if schedule not in ("one-cycle", "constant"):
        raise ValueError(f'schedule is "one-cycle" or "constant", not {schedule!r}.')
    device = _device(network)
    layout = _memory_format(network)
    network.to(memory_format=layout)
    optimizer = _optimizer(network, lr, momentum, weight_decay)
    settings = {
        "epochs": epochs,
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "label_smoothing": label_smoothing,
        "schedule": schedule,
        "loss": getattr(loss, "__name__", "cross-entropy" if loss is None else type(loss).__name__),
    }
    scaler = torch.amp.GradScaler(device.type, enabled=_precision(device) == torch.float16)
    steps = len(loader)
    history: list[dict[str, Any]] = []
    first_epoch = getattr(loader, "epoch", 0)
    if resume is not None and Path(resume).exists():
        history, first_epoch = _restore(Path(resume), network, optimizer, scaler, settings)
    bar = tqdm(total=epochs * steps, initial=len(history) * steps, disable=not progress, unit="step")
    start, start_epoch = time.perf_counter(), len(history)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The epoch's batches; each sets the learning rate before it is used and moves the bar after it."""
        loader.epoch = first_epoch + epoch
        for step, (images, labels) in enumerate(loader):
            for group in optimizer.param_groups:
                group["lr"] = lr * _factor(schedule, epoch * steps + step, epochs * steps)
            yield images.to(device, memory_format=layout), labels.to(device)
            bar.update()

    try:
        for epoch in range(len(history), epochs):
            bar.set_description(f"epoch {epoch + 1}/{epochs}")
            began = time.perf_counter()
            network.train()
            means = _epoch(network, batches(epoch), optimizer, scaler, label_smoothing, loss, after_step)
            if not math.isfinite(means["loss"]):
                bar.write(f"The loss is no longer a number in epoch {epoch + 1}: try a smaller lr.")
                break
            entry = {"epoch": epoch + 1, **means}
            if test is not None and loss is None:
                entry["test_accuracy"] = evaluate(network, test).accuracy
            elif test is not None and loss is not None:
                entry["test_loss"] = mean_loss(network, test, loss)
            entry |= {"lr": optimizer.param_groups[0]["lr"], "seconds": time.perf_counter() - began}
            history.append(entry)
            if resume is not None:
                _store(Path(resume), network, optimizer, scaler, settings, history, first_epoch)
            left = (time.perf_counter() - start) / (epoch + 1 - start_epoch) * (epochs - epoch - 1)
            bar.set_postfix_str(_summary(entry, left))
    except KeyboardInterrupt:
        bar.write(f"Stopped after {len(history)} of {epochs} epochs; the network keeps what it has learned.")
    finally:
        bar.close()
        network.eval()
    loader.epoch = first_epoch + len(history)
    return history


def _epoch(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    label_smoothing: float,
    loss_of: Callable[[Tensor, Tensor], Tensor] | None,
    after_step: Callable[[nn.Module], None] | None,
) -> dict[str, float]:
    """One optimizer step a batch; returns mean loss and accuracy over the images, as they were when seen."""
    device = _device(network)
    precision = _precision(device)
    loss_sum, correct, count = torch.zeros((), device=device), torch.zeros((), device=device), 0
    for images, labels in batches:
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            outputs = network(images)
        if loss_of is None:
            loss = F.cross_entropy(outputs.float(), labels, label_smoothing=label_smoothing)
            correct += (outputs.detach().argmax(1) == labels).sum()
        else:
            loss = loss_of(outputs.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if after_step is not None:
            with torch.no_grad():
                after_step(network)
        loss_sum += loss.detach() * len(labels)
        count += len(labels)
    means = {"loss": loss_sum.item() / count}
    return means if loss_of is not None else {**means, "accuracy": correct.item() / count}


def _optimizer(network: nn.Module, lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay acts on weights, not on biases and batch norms."""
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]], lr=lr, momentum=momentum, nesterov=momentum > 0
    )


def _precision(device: torch.device) -> torch.dtype:
    """The number format of convolutions and linear layers in training; parameters stay as they are.

    bfloat16 where the processor computes with it (about twice as fast on such a CPU), else float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    fast = device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def _memory_format(network: nn.Module) -> torch.memory_format:
    """channels_last, which is faster, but not where PyTorch 2.15 then writes past the end of a gradient (seen on CPUs with
    AVX2 and without AVX-512): 1×1 convolutions with a stride and fewer than 8 inputs, such as a pruned shortcut's."""
    for conv in network.modules():
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (1, 1) and max(conv.stride) > 1 and conv.in_channels < 8:
            return torch.contiguous_format
    return torch.channels_last


def _factor(schedule: str, step: int, steps: int) -> float:
    """The learning rate at `step` of `steps`, as a share of the peak."""
    if schedule == "constant":
        return 1.0
    rise = max(1, round(0.25 * steps))
    return (step + 1) / rise if step < rise else (steps - step) / (steps - rise + 1)


def _store(path, network, optimizer, scaler, settings, history, first_epoch) -> None:
    """Write everything that the rest of a run depends on."""
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "settings": settings,
        "history": history,
        "first_epoch": first_epoch,
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with atomic(path) as temporary:
        torch.save(state, temporary)


def _restore(path, network, optimizer, scaler, settings) -> tuple[list[dict[str, Any]], int]:
    """Put a stored run back in place; returns its history and the loader's epoch at its start."""
    try:
        state = torch.load(path, map_location=_device(network), weights_only=True)
        found = state["settings"]
    except Exception:
        raise ValueError(f"{path} cannot be read as a run to resume: delete it to start afresh.") from None
    changed = [name for name in settings if settings[name] != found.get(name)]
    if _sizes(state["network"]) != _sizes(network.state_dict()):
        changed.append("network")
    if changed:
        raise ValueError(
            f"{path} belongs to a run with another {', '.join(changed)}: delete it to start afresh, or use "
            "another name."
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(state["rng"].cpu())
    if len(state["cuda_rng"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda_rng"]])
    return state["history"], state["first_epoch"]


def _sizes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def _summary(entry: dict[str, Any], left: float) -> str:
    text = f"loss {entry['loss']:.3f}"
    for name, label in (("accuracy", "accuracy"), ("test_accuracy", "test")):
        if name in entry:
            text += f", {label} {entry[name]:.1%}"
    if "test_loss" in entry:
        text += f", test loss {entry['test_loss']:.3f}"
    if left > 0:
        text += f", done at {datetime.now() + timedelta(seconds=left):%H:%M}"
    return text


def _device(network: nn.Module) -> torch.device:
    parameter: Tensor | None = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
