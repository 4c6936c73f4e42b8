from types import SimpleNamespace

import pytest
import torch
from torch import nn

from course_utils import baseline as baselines
from course_utils.checkpoints import describe, load_network, save_network
from course_utils.networks import builder, rgb_autoencoder, vgg_mini
from course_utils.training import Diverged, Evaluation, Stopped, _memory_format, evaluate, mean_loss, train


class Batches:
    """A small loader as `minicifar.Loader` is one: bright and dark images, in the epoch's own order."""

    def __init__(self, count: int = 64, batch_size: int = 16, stop_at: tuple[int, int] | None = None):
        generator = torch.Generator().manual_seed(0)
        self.labels = torch.arange(count) % 2
        self.images = torch.randn(count, 3, 32, 32, generator=generator) + self.labels.view(-1, 1, 1, 1)
        self.batch_size, self.stop_at, self.epoch = batch_size, stop_at, 0

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self):
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(self.epoch))
        for step, part in enumerate(order.split(self.batch_size)):
            if self.stop_at == (self.epoch, step):
                raise KeyboardInterrupt
            yield self.images[part], self.labels[part]


@builder
def tiny(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        conv = nn.Conv2d(3, 4, 3, stride=4)
        layers = [conv, nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(4, 2))


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def without_time(history: list[dict]) -> list[dict]:
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in history]


def test_training_learns():
    network = tiny()
    history = train(network, Batches(), 5, test=Batches(), progress=False)
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["test_accuracy"] == evaluate(network, Batches()).accuracy > 0.9


def test_the_history_has_one_entry_an_epoch():
    history = train(tiny(), Batches(), 3, progress=False)
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert set(history[0]) == {"epoch", "loss", "accuracy", "lr", "seconds"}


def test_the_same_seed_gives_the_same_network():
    first, second = tiny(), tiny()
    for network in (first, second):
        torch.manual_seed(5)
        train(network, Batches(), 2, progress=False)
    assert torch.equal(weights(first), weights(second))


def test_a_second_call_goes_on_with_the_next_epochs_images():
    loader = Batches()
    train(tiny(), loader, 2, progress=False)
    assert loader.epoch == 2


@pytest.mark.parametrize("stop", [(1, 0), (2, 3)])
def test_interrupted_and_resumed_equals_uninterrupted(stop, tmp_path):
    whole, parts = tiny(), tiny()
    torch.manual_seed(5)
    expected = train(whole, Batches(), 4, test=Batches(), progress=False)
    torch.manual_seed(5)
    path = tmp_path / "run"
    train(parts, Batches(stop_at=stop), 4, test=Batches(), resume=path, progress=False)
    torch.manual_seed(99)
    fresh = tiny(seed=8)
    history = train(fresh, Batches(), 4, test=Batches(), resume=path, progress=False)
    assert without_time(history) == without_time(expected)
    assert torch.equal(weights(fresh), weights(whole))


def test_a_real_network_resumes_bit_for_bit(tmp_path):
    whole, fresh = vgg_mini(widths=(6, 7), classes=2), vgg_mini(widths=(6, 7), classes=2)
    train(whole, Batches(), 2, progress=False)
    train(fresh, Batches(stop_at=(1, 1)), 2, resume=tmp_path / "run", progress=False)
    train(fresh, Batches(), 2, resume=tmp_path / "run", progress=False)
    assert torch.equal(weights(fresh), weights(whole))


def test_a_finished_run_is_only_read(tmp_path):
    network, again = tiny(), tiny(seed=1)
    history = train(network, Batches(), 2, resume=tmp_path / "run", progress=False)
    assert train(again, Batches(stop_at=(0, 0)), 2, resume=tmp_path / "run", progress=False) == history
    assert torch.equal(weights(again), weights(network))


@pytest.mark.parametrize(("name", "value"), [("lr", 0.2), ("loss", torch.nn.functional.multi_margin_loss)])
def test_a_run_with_other_settings_is_not_resumed(name, value, tmp_path):
    train(tiny(), Batches(), 1, resume=tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match=f"another {name}"):
        train(tiny(), Batches(), 1, **{name: value}, resume=tmp_path / "run", progress=False)


def test_a_network_of_other_sizes_is_not_resumed(tmp_path):
    train(tiny(), Batches(), 1, resume=tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="another network"):
        train(vgg_mini(classes=2), Batches(), 1, resume=tmp_path / "run", progress=False)


def test_a_damaged_run_is_named(tmp_path):
    (tmp_path / "run").write_bytes(b"PK not this")
    with pytest.raises(ValueError, match="cannot be read"):
        train(tiny(), Batches(), 1, resume=tmp_path / "run", progress=False)


def test_the_stop_button_returns_the_history_so_far(capsys):
    network = tiny()
    history = train(network, Batches(stop_at=(1, 2)), 3, progress=False)
    assert len(history) == 1
    assert "Stopped after 1 of 3 epochs" in capsys.readouterr().out
    assert 0 <= evaluate(network, Batches()).accuracy <= 1


def test_with_raise_a_stop_carries_the_history_so_far():
    network, loader = tiny(), Batches(stop_at=(1, 2))
    with pytest.raises(Stopped, match="after 1 of 3 epochs") as stop:
        train(network, loader, 3, progress=False, on_stop="raise")
    assert [entry["epoch"] for entry in stop.value.history] == [1]
    assert loader.epoch == 1
    assert not network.training


def test_with_raise_a_loss_that_is_no_number_is_no_stop():
    with pytest.raises(Diverged, match="try a smaller lr") as end:
        train(tiny(), Batches(), 3, lr=1e30, progress=False, on_stop="raise")
    assert len(end.value.history) < 3


def test_training_stops_when_the_loss_is_no_longer_a_number(capsys):
    history = train(tiny(), Batches(), 3, lr=1e30, progress=False)
    assert len(history) < 3
    assert "try a smaller lr" in capsys.readouterr().out


def test_masks_hold_when_applied_after_every_step():
    network = tiny()
    mask = (network[0].weight.abs() > 0.1).float()

    def apply(network: nn.Module) -> None:
        network[0].weight.mul_(mask)

    train(network, Batches(), 1, after_step=apply, progress=False)
    assert torch.equal(network[0].weight == 0, mask == 0)


def test_frozen_parameters_do_not_move():
    network = tiny()
    network[0].weight.requires_grad_(False)
    before = network[0].weight.clone()
    train(network, Batches(), 1, progress=False)
    assert torch.equal(network[0].weight, before)


def test_weight_decay_leaves_biases_and_batch_norms_alone():
    network, start = tiny(), tiny()
    train(network, Batches(), 1, lr=1e-12, weight_decay=1e10, momentum=0, progress=False)
    assert torch.allclose(network[1].weight, start[1].weight)
    assert network[0].weight.norm() < 0.99 * start[0].weight.norm()


def test_one_cycle_rises_and_falls_and_constant_stays():
    cycle = [entry["lr"] for entry in train(tiny(), Batches(), 8, lr=0.1, progress=False)]
    assert max(cycle) == pytest.approx(0.1) == pytest.approx(cycle[1])
    assert cycle[2:] == sorted(cycle[2:], reverse=True)
    assert 0 < cycle[-1] < 0.01
    constant = train(tiny(), Batches(), 2, lr=0.1, schedule="constant", progress=False)
    assert [entry["lr"] for entry in constant] == [0.1, 0.1]


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="one-cycle"):
        train(tiny(), Batches(), 1, schedule="cosine")


def test_the_bar_shows_loss_and_accuracy(capsys):
    train(tiny(), Batches(), 1, test=Batches())
    shown = capsys.readouterr().err
    assert "epoch 1/1" in shown
    assert "accuracy" in shown
    assert "test" in shown


def test_evaluate_counts_what_is_right():
    class Sign(nn.Module):
        def forward(self, images):
            bright = images.mean(dim=(1, 2, 3))
            return torch.stack([torch.zeros_like(bright), 100 * (bright - 0.5)], dim=1)

    assert evaluate(Sign(), Batches()) == Evaluation(1.0, pytest.approx(0.0, abs=1e-6))


def test_evaluate_leaves_every_mode_as_it_was():
    network = tiny().train()
    network[1].eval()
    before = weights(network)
    evaluate(network, Batches())
    assert network.training
    assert not network[1].training
    assert torch.equal(weights(network), before)


def test_evaluate_refuses_an_empty_loader():
    with pytest.raises(ValueError, match="no batch"):
        evaluate(tiny(), [])


def test_training_leaves_the_network_in_eval_mode():
    network = tiny()
    train(network, Batches(), 1, progress=False)
    assert not any(module.training for module in network.modules())


def data_set(copy: str = "real", synthetic: bool = False, split: str = "train") -> SimpleNamespace:
    source = SimpleNamespace(dataset="cifar10", kind="folders", description=f"the {copy} images.", synthetic=synthetic)
    fingerprint = f"{copy}/2 classes/R=5"
    return SimpleNamespace(fingerprint=fingerprint, source=source, classes=("a", "b"), split=split)


@pytest.mark.parametrize("kind", ["cifar10", "synthetic"])
def test_the_committed_baselines_are_small_and_know_their_images(kind):
    path = baselines.COMMITTED / f"vgg_mini-{kind}.safetensors"
    about = describe(path)
    assert path.stat().st_size < 1.5e6
    assert about["images"]["synthetic"] == (kind == "synthetic")
    assert about["notes"]["test_accuracy"] > 0.7
    assert load_network(path)(torch.zeros(2, 3, 32, 32)).shape == (2, 4)


@pytest.fixture
def committed(tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "COMMITTED", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    network = vgg_mini(widths=(4, 4), classes=2).eval()
    save_network(network, tmp_path / "vgg_mini-cifar10.safetensors", images=data_set())
    return network


def test_the_committed_baseline_is_used(committed, capsys):
    assert torch.equal(weights(baselines.baseline(data_set())), weights(committed))
    assert capsys.readouterr().out == ""


def test_a_baseline_is_never_trained_on_test_images(committed):
    with pytest.raises(ValueError, match="split 'test'"):
        baselines.baseline(data_set("made", synthetic=True, split="test"))


def test_a_baseline_that_was_stopped_is_not_kept(committed, monkeypatch):
    def stopped(*_, **__):
        raise Stopped("Stopped", [])

    monkeypatch.setattr(baselines, "_train", stopped)
    assert baselines.baseline(data_set("made", synthetic=True))(torch.zeros(2, 3, 32, 32)).shape == (2, 2)
    assert not list(baselines.cache_folder().rglob("*.safetensors"))


def test_the_committed_baseline_says_when_it_saw_other_images(committed, capsys):
    baselines.baseline(data_set("official"))
    said = capsys.readouterr().out
    assert "trained on the real images; your images are the official images" in said


def test_other_images_get_a_baseline_of_their_own_once(committed, monkeypatch, capsys):
    calls: list[nn.Module] = []

    def pretend(network, images, resume):
        calls.append(network)
        return [{"epoch": 1}] * baselines.EPOCHS

    monkeypatch.setattr(baselines, "_train", pretend)
    first = baselines.baseline(data_set("made", synthetic=True))
    second = baselines.baseline(data_set("made", synthetic=True))
    assert len(calls) == 1
    assert torch.equal(weights(first), weights(second))
    assert "trained once" in capsys.readouterr().out


@pytest.mark.parametrize(("inputs", "stride", "safe"), [(4, 2, False), (8, 2, True), (4, 1, True)])
def test_a_layout_that_breaks_memory_is_avoided(inputs: int, stride: int, safe: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, inputs, 3), nn.Conv2d(inputs, 8, 1, stride))
    assert (_memory_format(network) is torch.channels_last) == safe


def test_a_loss_of_ones_own_stands_in_for_the_cross_entropy() -> None:
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    pairs = [(images[:6], images[:6]), (images[6:], images[6:])]
    network = rgb_autoencoder(width=0.125)
    before = mean_loss(network, pairs, nn.functional.l1_loss)
    torch.manual_seed(0)
    loader = Listed(pairs)
    history = train(network, loader, 12, lr=0.05, loss=nn.functional.l1_loss, test=pairs, progress=False)
    assert set(history[0]) == {"epoch", "loss", "test_loss", "lr", "seconds"}
    assert history[-1]["test_loss"] == mean_loss(network, pairs, nn.functional.l1_loss) < 0.8 * before


class Listed(list):
    epoch = 0


def test_the_mean_loss_weighs_batches_by_their_images() -> None:
    pairs = [(torch.zeros(3, 2), torch.ones(3, 2)), (torch.zeros(1, 2), torch.full((1, 2), 5.0))]
    assert mean_loss(nn.Identity(), pairs, nn.functional.l1_loss) == 2
    with pytest.raises(ValueError, match="no batch"):
        mean_loss(nn.Identity(), [], nn.functional.l1_loss)


def test_a_step_of_ones_own_stands_in_for_forward_backward_and_update() -> None:
    def step(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images).float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    plain, own = nn.Sequential(nn.Flatten(), nn.Linear(3072, 2)), nn.Sequential(nn.Flatten(), nn.Linear(3072, 2))
    own.load_state_dict(plain.state_dict())
    histories = train(plain, Batches(), 2, progress=False), train(own, Batches(), 2, progress=False, step=step)
    assert all(torch.equal(tensor, own.state_dict()[name]) for name, tensor in plain.state_dict().items())
    assert [entry["loss"] for entry in histories[0]] == pytest.approx([entry["loss"] for entry in histories[1]])
    assert "accuracy" in histories[0][0] and "accuracy" not in histories[1][0]


def test_what_is_said_after_an_epoch_is_in_the_history_and_on_the_bar(capsys) -> None:
    told = {"sparsity": 0.25, "status": "25 % zeros"}
    history = train(tiny(), Batches(), 2, after_epoch=lambda _: told)
    assert [entry["sparsity"] for entry in history] == [0.25, 0.25]
    assert "25 % zeros" in capsys.readouterr().err


def test_before_step_may_change_gradients() -> None:
    def without_gradients(network: nn.Module) -> None:
        for parameter in network.parameters():
            parameter.grad.zero_()

    network = tiny()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    train(network, Batches(), 1, weight_decay=0.0, before_step=without_gradients, progress=False)
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())


def test_a_run_with_other_decays_is_not_resumed(tmp_path) -> None:
    run, name = tmp_path / "run.resume", "1.weight"
    train(tiny(), Batches(), 1, resume=run, decays={name: 0.1}, progress=False)
    for decays in ({name: 0.2}, {}):
        with pytest.raises(ValueError, match="another decays"):
            train(tiny(), Batches(), 1, resume=run, decays=decays, progress=False)
