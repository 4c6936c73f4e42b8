"""The training loop: one progress bar, a history, and runs that can be stopped and resumed."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_utils.modes import evaluating
from minicifar import BatchLoader
from minicifar.files import atomic

Loss = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[nn.Module, Tensor, Tensor, torch.optim.Optimizer], float]
OnStop = Literal["return", "raise"]


class Evaluation(NamedTuple):
    """Share of images classified correctly (0 to 1), and mean cross-entropy in nats."""

    accuracy: float
    loss: float


class Stopped(KeyboardInterrupt):
    """A training was stopped before its end: by the stop button, by Ctrl-C, by a limit of time.

    `history`: what was done until then. Of `train` that is one dict an epoch; a driver that trains several times puts
    its own log in its place.
    """

    def __init__(self, message: str, history: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.history = history


class Diverged(ArithmeticError):
    """The loss of a training is no longer a number; `history` as in `Stopped`."""

    def __init__(self, message: str, history: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.history = history


def evaluate(network: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
    """Accuracy and mean loss of `network` over all batches of `loader`, in eval mode and without gradients.

    Every module's train or eval mode is left as it was found.
    """
    batches = _measured(
        network,
        loader,
        lambda logits, labels: (
            (logits.argmax(1) == labels).sum(),
            F.cross_entropy(logits, labels, reduction="sum"),
            len(labels),
        ),
    )
    correct, loss, count = (sum(column) for column in zip(*batches, strict=True))
    return Evaluation(float(correct) / count, float(loss) / count)


def mean_loss(network: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], loss: Loss) -> float:
    """The mean of `loss(outputs, targets)` over the images of `loader`, as `evaluate` goes through them."""
    means = _measured(network, loader, lambda outputs, targets: (loss(outputs, targets).item(), len(targets)))
    total: float = sum(mean * count for mean, count in means) / sum(count for _, count in means)
    return total


def _measured(
    network: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], measure: Callable[[Tensor, Tensor], tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """`measure(outputs, targets)` of every batch, in eval mode and without gradients."""
    device = _device(network)
    measures = []
    with evaluating(network):
        for images, targets in loader:
            with torch.inference_mode():
                outputs = network(images.to(device)).float()
                measures.append(measure(outputs, targets.to(device)))
    if not measures:
        raise ValueError("The loader gave no batch, so there is nothing to evaluate.")
    return measures


def train(  # noqa: PLR0913
    network: nn.Module,
    loader: BatchLoader,
    epochs: int,
    *,
    test: Iterable[tuple[Tensor, Tensor]] | None = None,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    label_smoothing: float = 0.0,
    schedule: str = "one-cycle",
    loss: Loss | None = None,
    decays: Mapping[str, float] = {},
    optimizer: str = "sgd",
    step: Step | None = None,
    before_step: Callable[[nn.Module], None] | None = None,
    after_step: Callable[[nn.Module], None] | None = None,
    after_epoch: Callable[[nn.Module], Mapping[str, Any]] | None = None,
    resume: str | Path | None = None,
    progress: bool = True,
    on_stop: OnStop = "return",
) -> list[dict[str, Any]]:
    """Train `network` in place with a new optimizer and return the history: one dict an epoch.

    The dicts hold `epoch` (from 1), `loss` and `accuracy` (means over the epoch's training batches),
    `test_accuracy` if `test` is a loader, `lr` (of the epoch's last step), `seconds`.

    `schedule`: "one-cycle" rises linearly to `lr` over the first quarter of all steps and falls linearly to 0;
    "constant" stays at `lr`. `loss(outputs, targets)` → a number stands in for the cross-entropy, where a network does
    not classify: then there are no accuracies in the history, and with `test` a `test_loss`. `decays`: the weight decay
    of single parameters, by name, in place of `weight_decay` (which parameters of one axis do not have). `optimizer`:
    "sgd", with Nesterov momentum, or "adam", of which `momentum` is the first beta.

    `before_step(network)` is called when the gradients are there and nothing has moved: the place to add to them;
    `after_step(network)` after every optimizer step: the place to apply masks again. `step(network, images, labels,
    optimizer)` → loss stands in for forward pass, loss, backward pass and update; then there are no accuracies of
    training batches. `after_epoch(network)` → plain data that the epoch's dict takes in; of it the progress bar shows
    "status".

    `resume` names a file that is rewritten after every epoch; with the same call a later run goes on from there, and a
    finished one is only read.

    Convolutions run in bfloat16 or float16 on hardware that is faster with them, and in float32 elsewhere.
    The kernel's stop button ends it cleanly: the epochs so far are returned, and the network keeps what it has learned.
    It comes back in eval mode. A loss that is no longer a number ends it likewise. With `on_stop="raise"`, for callers
    who cannot go on with a network that is half trained, a stop raises `Stopped`, and such a loss `Diverged`.
    """
    settings: dict[str, Any] = {"epochs": epochs, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    settings |= {"label_smoothing": label_smoothing, "schedule": schedule, "loss": _name_of(loss)}
    if decays:
        settings["decays"] = dict(decays)
    if optimizer != "sgd":
        settings["optimizer"] = optimizer
    file = None if resume is None else Path(resume)
    state = _begun(network, loader, settings, file, decays)
    hooks = _Hooks(loss, step, before_step, after_step, after_epoch, test)
    return _all_epochs(state, loader, hooks, file, progress, on_stop)


def _name_of(loss: Loss | None) -> str:
    return "cross-entropy" if loss is None else str(getattr(loss, "__name__", type(loss).__name__))


def _begun(
    network: nn.Module, loader: BatchLoader, settings: dict[str, Any], file: Path | None, decays: Mapping[str, float]
) -> "_State":
    """A training that begins, or goes on from a file. Raises ValueError for settings that there are not."""
    if settings["schedule"] not in ("one-cycle", "constant"):
        raise ValueError(f'schedule is "one-cycle" or "constant", not {settings["schedule"]!r}.')
    if settings.get("optimizer", "adam") != "adam":
        raise ValueError(f'optimizer is "sgd" or "adam", not {settings["optimizer"]!r}.')
    network.to(memory_format=_memory_format(network))
    optimizer = _optimizer(network, settings, decays)
    device = _device(network)
    scaler = torch.amp.GradScaler(device.type, enabled=precision(device) == torch.float16)
    state = _State(network, optimizer, scaler, settings, getattr(loader, "epoch", 0))
    if file is not None and file.exists():
        state.restore(file)
    return state


@dataclass
class _Hooks:
    """What a caller may put into a training, as `train` describes it."""

    loss: Loss | None
    step: Step | None
    before_step: Callable[[nn.Module], None] | None
    after_step: Callable[[nn.Module], None] | None
    after_epoch: Callable[[nn.Module], Mapping[str, Any]] | None
    test: Iterable[tuple[Tensor, Tensor]] | None


def _all_epochs(
    state: "_State", loader: BatchLoader, hooks: _Hooks, file: Path | None, progress: bool, on_stop: OnStop
) -> list[dict[str, Any]]:
    """The epochs that are left, each kept in `file` → the history. Raises Stopped and Diverged if `on_stop` says so."""
    network, history, epochs, done = state.network, state.history, state.settings["epochs"], len(state.history)
    bar = tqdm(total=epochs * len(loader), initial=done * len(loader), disable=not progress, unit="step")
    start = time.perf_counter()
    try:
        while len(history) < epochs:
            bar.set_description(f"epoch {len(history) + 1}/{epochs}")
            began = time.perf_counter()
            means = _epoch(state, loader, hooks, bar.update)
            entry = {"epoch": len(history) + 1, **means, **_tested(network, hooks.test, hooks.loss)}
            entry["lr"] = state.optimizer.param_groups[0]["lr"]
            if hooks.after_epoch is not None:
                entry |= hooks.after_epoch(network)
            history.append(entry | {"seconds": time.perf_counter() - began})
            if file is not None:
                state.store(file)
            left = (time.perf_counter() - start) / (len(history) - done) * (epochs - len(history))
            bar.set_postfix_str(_summary(history[-1], left))
    except KeyboardInterrupt:
        message = f"Stopped after {len(history)} of {epochs} epochs; the network keeps what it has learned."
        bar.write(message)
        if on_stop == "raise":
            raise Stopped(message, history) from None
    except Diverged as end:
        bar.write(str(end))
        if on_stop == "raise":
            raise
    finally:
        bar.close()
        network.eval()
        loader.epoch = state.first_epoch + len(history)
    return history


@dataclass
class _State:
    """All that the rest of a training depends on, as a file to resume holds it."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    settings: dict[str, Any]
    first_epoch: int  # the loader's, when training began
    history: list[dict[str, Any]] = field(default_factory=list)

    def store(self, path: Path) -> None:
        """Write the state, all or nothing."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "settings": self.settings,
            "history": self.history,
            "first_epoch": self.first_epoch,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with atomic(path) as temporary:
            torch.save(state, temporary)

    def restore(self, path: Path) -> None:
        """Go on from a stored state. Raises ValueError where it cannot be read, or belongs to another run."""
        try:
            state = torch.load(path, map_location=_device(self.network), weights_only=True)
            settings = state["settings"]
        except Exception:
            raise ValueError(f"{path} cannot be read as a run to resume: delete it to start afresh.") from None
        names = {*self.settings, *settings}
        changed = sorted(name for name in names if self.settings.get(name) != settings.get(name))
        if _sizes(state["network"]) != _sizes(self.network.state_dict()):
            changed.append("network")
        if changed:
            raise ValueError(
                f"{path} belongs to a run with another {', '.join(changed)}: delete it to start afresh, or use "
                "another name."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.history, self.first_epoch = state["history"], state["first_epoch"]
        torch.set_rng_state(state["rng"].cpu())
        if len(state["cuda_rng"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda_rng"]])


def _epoch(state: _State, loader: BatchLoader, hooks: _Hooks, tick: Callable[[], Any]) -> dict[str, float]:
    """The next epoch, one optimizer step a batch → mean loss and accuracy over the images, as they were when seen.

    `tick()` is called after every step. Raises Diverged where the mean loss is not a number.
    """
    network, settings, done = state.network, state.settings, len(state.history)
    device, layout = _device(network), _memory_format(network)
    loss_sum, correct, count = torch.zeros((), device=device), torch.zeros((), device=device), 0
    loader.epoch = state.first_epoch + done
    network.train()
    for number, (images, labels) in enumerate(loader, start=done * len(loader)):
        for group in state.optimizer.param_groups:
            group["lr"] = settings["lr"] * _factor(settings["schedule"], number, settings["epochs"] * len(loader))
        images, labels = images.to(device, memory_format=layout), labels.to(device)
        if hooks.step is None:
            loss, right = _step(state, images, labels, hooks)
            correct += right
        else:
            loss = _step_of(hooks.step, state, images, labels)
        if hooks.after_step is not None:
            with torch.no_grad():
                hooks.after_step(network)
        loss_sum += loss * len(labels)
        count += len(labels)
        tick()
    mean = loss_sum.item() / count
    if not math.isfinite(mean):
        raise Diverged(f"The loss is no longer a number in epoch {done + 1}: try a smaller lr.", state.history)
    classified = hooks.loss is None and hooks.step is None
    return {"loss": mean, "accuracy": correct.item() / count} if classified else {"loss": mean}


def _step(state: _State, images: Tensor, labels: Tensor, hooks: _Hooks) -> tuple[Tensor, Tensor]:
    """One optimizer step → the loss that it started from, and how many images were right."""
    network, optimizer, scaler = state.network, state.optimizer, state.scaler
    with autocast(images.device):
        outputs = network(images)
    right = torch.zeros((), device=images.device)
    if hooks.loss is None:
        loss = F.cross_entropy(outputs.float(), labels, label_smoothing=state.settings["label_smoothing"])
        right = (outputs.detach().argmax(1) == labels).sum()
    else:
        loss = hooks.loss(outputs.float(), labels)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    if hooks.before_step is not None:
        scaler.unscale_(optimizer)
        with torch.no_grad():
            hooks.before_step(network)
    scaler.step(optimizer)
    scaler.update()
    return loss.detach(), right


def _step_of(step: Step, state: _State, images: Tensor, labels: Tensor) -> Tensor:
    """A caller's own step → its loss. Where float16 is faster it runs in float32: it knows no scaler."""
    with autocast(images.device, halves=False):
        loss = step(state.network, images, labels, state.optimizer)
    return torch.as_tensor(loss, device=images.device)


def _tested(network: nn.Module, test: Iterable[tuple[Tensor, Tensor]] | None, loss: Loss | None) -> dict[str, float]:
    """What an epoch's entry says of the test images, where there are any."""
    if test is None:
        return {}
    if loss is None:
        return {"test_accuracy": evaluate(network, test).accuracy}
    return {"test_loss": mean_loss(network, test, loss)}


def _optimizer(network: nn.Module, settings: Mapping[str, Any], decays: Mapping[str, float]) -> torch.optim.Optimizer:
    """SGD or Adam; weight decay acts on weights, not on biases and batch norms; `decays`: exceptions."""
    if unknown := set(decays) - {name for name, _ in network.named_parameters()}:
        raise ValueError(f"decays names {sorted(unknown)[0]!r}, and the network has no such parameter.")
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    plain = [p for name, p in trained.items() if name not in decays]
    groups = [
        {"params": [p for p in plain if p.ndim > 1], "weight_decay": settings["weight_decay"]},
        {"params": [p for p in plain if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups += [{"params": [p], "weight_decay": decays[name]} for name, p in trained.items() if name in decays]
    groups, lr, momentum = [group for group in groups if group["params"]], settings["lr"], settings["momentum"]
    if "optimizer" in settings:
        return torch.optim.Adam(groups, lr=lr, betas=(momentum, 0.999))
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)


def precision(device: torch.device) -> torch.dtype:
    """The number format of convolutions and linear layers in training; parameters stay as they are.

    bfloat16 where the processor computes with it (about twice as fast on such a CPU), else float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    fast = device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device, halves: bool = True) -> torch.autocast:
    """The context in which `train` runs a network on a device, see `precision`; `halves`: in float16, too."""
    kind = precision(device)
    return torch.autocast(device.type, dtype=kind, enabled=kind != torch.float32 and (halves or kind != torch.float16))


def _memory_format(network: nn.Module) -> torch.memory_format:
    """channels_last, which is faster, but not where PyTorch 2.15 then writes past the end of a gradient.

    Seen on CPUs with AVX2 and without AVX-512: 1×1 convolutions with a stride and fewer than 8 inputs, such as a pruned
    shortcut's.
    """
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


def _sizes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def _summary(entry: dict[str, Any], left: float) -> str:
    text = f"loss {entry['loss']:.3f}"
    for name, label in (("accuracy", "accuracy"), ("test_accuracy", "test")):
        if name in entry:
            text += f", {label} {entry[name]:.1%}"
    if "test_loss" in entry:
        text += f", test loss {entry['test_loss']:.3f}"
    if "status" in entry:
        text += f", {entry['status']}"
    if left > 0:
        text += f", done at {datetime.now() + timedelta(seconds=left):%H:%M}"
    return text


def _device(network: nn.Module) -> torch.device:
    parameter: Tensor | None = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
