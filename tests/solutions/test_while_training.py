"""The six small functions of pruning while training, absorption, and the four methods' drivers on small networks."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.small_networks import conv
from helpers.stopped_runs import goes_on_to_the_same_bits, lively
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from course_utils.networks import mobile_mini, resnet20, vgg_mini
from course_utils.training import train
from minicifar import Loader, MiniCIFAR
from solutions.absorption import absorb
from solutions.autoprune import LearnedMask, autoprune, mask_step
from solutions.budgets import global_plan
from solutions.costs import count_macs
from solutions.drivers import held_out
from solutions.feedback import filters_with_feedback, relative_norms, train_with_feedback
from solutions.layer_sparsity import effective_sparsity, layer_sparsities
from solutions.masks import sparsity
from solutions.plans import PlanError
from solutions.prunable import prunable_groups
from solutions.reader_masks import ReaderMasks
from solutions.scales import scale_scores, scales_of, zero_scales
from solutions.slimming import penalised, slim
from solutions.soft_threshold import Thresholding, soften, soften_scales, thresholds, train_softened
from solutions.surgery import prune, silence
from solutions.while_training import (
    absorbed_bias,
    auxiliary_step,
    dense_update,
    slimming_step,
    soft_threshold,
    soft_threshold_gradient,
)

SIZE = (3, 32, 32)
THRESHOLDING = Thresholding(soft_threshold, soft_threshold_gradient)


@pytest.fixture(scope="module")
def images() -> MiniCIFAR:
    return MiniCIFAR("train", n_classes=4, R=125, synthetic=True)


@pytest.fixture
def loader(images: MiniCIFAR) -> Loader:
    return Loader(images, batch_size=32, shuffle=True, augment=True)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small_vgg() -> nn.Module:
    return vgg_mini(widths=(6, 8, 8, 10))


# --- slimming_step


def test_the_subgradient_is_added_once_and_only_to_scales_that_have_a_gradient() -> None:
    network = lively(small_vgg())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    norms[0].weight.data[:3] = torch.tensor([-2.0, 0.0, 0.5])
    norms[1].weight.requires_grad_(False)
    network(torch.randn(4, *SIZE)).square().sum().backward()
    before = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    slimming_step(network, 0.25)
    for name, parameter in network.named_parameters():
        if any(parameter is norm.weight for norm in norms) and name in before:
            assert torch.equal(parameter.grad, before[name] + 0.25 * parameter.detach().sign())
        elif name in before:
            assert torch.equal(parameter.grad, before[name])
    assert norms[1].weight.grad is None
    assert torch.equal(norms[0].weight.grad[:3] - before["features.1.weight"][:3], torch.tensor([-0.25, 0.0, 0.25]))


def test_before_step_sees_gradients_that_no_scaler_has_scaled(monkeypatch: pytest.MonkeyPatch, loader: Loader) -> None:
    """A scaler that scales by 1024: what `before_step` sees are the gradients of the loss all the same."""
    from course_utils import training

    class Scaling(torch.amp.GradScaler):
        def __init__(self, *_arguments: Any, **_options: Any) -> None:
            super().__init__("cpu", init_scale=1024.0, enabled=True)

    seen: list[float] = []

    def note(network: nn.Module) -> None:
        seen.append(sum(p.grad.abs().sum().item() for p in network.parameters()))

    monkeypatch.setattr(training, "precision", lambda _device: torch.float32)
    train(small_vgg(), loader, 1, before_step=note, progress=False)
    monkeypatch.setattr(torch.amp, "GradScaler", Scaling)
    loader.epoch = 0
    plain, seen = seen, []
    train(small_vgg(), loader, 1, before_step=note, progress=False)
    assert seen == pytest.approx(plain, rel=1e-4)


# --- absorption


def test_the_absorbed_bias_is_what_constant_inputs_gave() -> None:
    for layer, shape in ((nn.Conv2d(5, 4, 3), (2, 5, 6, 6)), (nn.Conv2d(5, 4, (1, 2), bias=False), (2, 5, 6, 6))):
        layer, constant = layer.double(), numbers(5)
        maps = constant.view(1, 5, 1, 1).expand(shape)
        assert torch.allclose(layer(maps), absorbed_bias(layer, constant).view(1, 4, 1, 1), atol=1e-12)
    linear, constant = nn.Linear(7, 3).double(), numbers(7)
    assert torch.allclose(linear(constant), absorbed_bias(linear, constant), atol=1e-12)


def apart(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, in standard deviations of the outputs."""
    return ((ours - theirs).abs().max() / theirs.std()).item()


def half_gone(network: nn.Module, example: Tensor) -> tuple[list[Any], dict[str, list[int]]]:
    """The groups with batch norms, and a plan that keeps every second channel of them."""
    groups = prunable_groups(network, example, progress=False)
    wanted = scales_of(network, groups)
    plan = {
        group.name: sorted({*range(0, group.channels, 2), *group.frozen}) for group in groups if group.name in wanted
    }
    return groups, plan


def unpadded() -> nn.Module:
    """Two convolutions without padding and a linear layer, with a batch norm behind each convolution."""
    layers = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
    more = nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6), nn.Hardswish(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(96, 4)
    return nn.Sequential(*layers, *more)


@pytest.mark.parametrize("reader_with_bias", [True, False])
def test_absorption_is_exact_without_padding(reader_with_bias: bool) -> None:
    network = unpadded()
    if not reader_with_bias:
        network[4] = nn.Conv2d(8, 6, 3, bias=False)
    network, example = lively(network).double().eval(), numbers(2, *SIZE)
    groups, plan = half_gone(network, example)
    silent = copy.deepcopy(network)
    zero_scales(silent, groups, plan)
    absorbed, left = absorb(network, groups, plan, example, absorbed_bias)
    assert not left
    assert apart(prune(absorbed, groups, plan)(example), silent(example)) < 1e-10
    assert apart(prune(network, groups, plan)(example), silent(example)) > 0.05


def test_absorption_is_exact_inside_and_not_at_padded_borders() -> None:
    """Two padded convolutions: at the border the second reads zeros where the constant was."""
    layers = conv(3, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 6), nn.BatchNorm2d(6)
    network, example = lively(nn.Sequential(*layers)).double().eval(), numbers(2, 3, 12, 12)
    groups, plan = half_gone(network, example)
    plan = {name: stay for name, stay in plan.items() if name == "0"}
    silent = copy.deepcopy(network)
    zero_scales(silent, groups, plan)
    absorbed, _ = absorb(network, groups, plan, example, absorbed_bias)
    ours, theirs = prune(absorbed, groups, plan)(example), silent(example)
    assert apart(ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1]) < 1e-10
    border = torch.ones(12, 12, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert apart(ours[..., border], theirs[..., border]) > 0.01


def test_constants_of_residual_and_depthwise_groups_are_absorbed_inside() -> None:
    """On maps large enough that borders hardly count, the absorbed network is much nearer than the one just cut."""
    for make in (lambda: resnet20(widths=(6, 8, 10)), lambda: mobile_mini(widths=(8, 8, 12, 12))):
        network, example = lively(make()).double().eval(), numbers(2, 3, 64, 64)
        groups, plan = half_gone(network, numbers(2, *SIZE))
        silent = copy.deepcopy(network)
        zero_scales(silent, groups, plan)
        absorbed, left = absorb(network, groups, plan, example, absorbed_bias)
        assert all("groups" in why for why in left.values())
        with torch.no_grad():
            theirs = silent(example)
            far, near = ((prune(one, groups, plan)(example) - theirs).norm() for one in (network, absorbed))
        assert near < far / 3


def test_a_reader_that_has_no_place_for_a_constant_is_named() -> None:
    layers = conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(32), nn.Flatten(), nn.Linear(8, 4, bias=False)
    network, example = lively(nn.Sequential(*layers)).eval(), torch.randn(2, *SIZE)
    groups, plan = half_gone(network, example)
    absorbed, left = absorb(network, groups, plan, example, absorbed_bias)
    assert list(left) == ["5"] and "no bias" in left["5"]
    assert torch.equal(absorbed[5].weight, network[5].weight)


# --- ranking over all layers


def test_channels_go_by_one_threshold_whatever_their_layer_and_one_of_each_stays() -> None:
    network, example = lively(small_vgg()).eval(), torch.randn(1, *SIZE)
    groups = prunable_groups(network, example, progress=False)
    for number, scale in enumerate(scales_of(network, groups).values()):
        network.get_parameter(scale[0].parameter).data.uniform_(0.5, 1.5).mul_(1e-3 if number == 1 else 1)
    scores = scale_scores(network, groups)
    plan = global_plan(network, groups, scores, 0.4, example)
    kept = torch.cat(
        [scores[name][plan.get(name, range(len(scores[name])))] for name in scores if name != "features.3"]
    )
    gone = torch.cat(
        [scores[name][[c for c in range(len(scores[name])) if c not in plan.get(name, range(99))]] for name in scores]
    )
    assert len(plan["features.3"]) == 1
    assert gone.max() <= kept.min()
    narrow = prune(network, groups, plan)
    assert count_macs(narrow, SIZE) <= 0.4 * count_macs(network, SIZE)


def test_equal_scales_meet_the_budget_too_and_an_impossible_one_is_refused() -> None:
    network, example = small_vgg(), torch.randn(1, *SIZE)
    groups = prunable_groups(network, example, progress=False)
    scores = scale_scores(network, groups)
    for budget in (0.9, 0.5, 0.2):
        plan = global_plan(network, groups, scores, budget, example)
        assert count_macs(prune(network, groups, plan), SIZE) <= budget * count_macs(network, SIZE)
    with pytest.raises(PlanError, match="cannot be met"):
        global_plan(network, groups, scores, 0.001, example)


def test_a_stages_score_is_the_mean_over_the_batch_norms_that_scale_it() -> None:
    network, example = lively(resnet20(widths=(4, 6, 8))), torch.randn(1, *SIZE)
    groups = prunable_groups(network, example, progress=False)
    scales = scales_of(network, groups)
    stage = max(scales, key=lambda name: len(scales[name]))
    weights = [network.get_parameter(slot.parameter).detach().abs() for slot in scales[stage]]
    assert len(weights) == 4
    assert torch.allclose(scale_scores(network, groups)[stage], torch.stack(weights).mean(0))


def test_a_network_without_batch_norms_is_refused(loader: Loader) -> None:
    network = nn.Sequential(conv(3, 8), nn.ReLU(), nn.AvgPool2d(32), nn.Flatten(), nn.Linear(8, 4))
    for driver, kernels in ((slim, SLIMMING), (soften_scales, SOFTENING)):
        with pytest.raises(PlanError, match="No channel group has a batch norm"):
            driver(network, loader, 0.5, 2, progress=False, **kernels)


# --- soft thresholds


def test_soft_threshold_and_its_gradient_are_those_of_finite_differences() -> None:
    weight, s, gradient = numbers(5, 7), torch.tensor(-0.3, dtype=torch.float64), numbers(5, 7, seed=1)
    in_weight, in_s = soft_threshold_gradient(weight, s, gradient)
    eps = 1e-6

    def loss(weight: Tensor, s: Tensor) -> float:
        return (gradient * soft_threshold(weight, s)).sum().item()

    assert in_s.item() == pytest.approx((loss(weight, s + eps) - loss(weight, s - eps)) / (2 * eps), rel=1e-6)
    for place in range(weight.numel()):
        step = torch.zeros(35, dtype=torch.float64)
        step[place] = eps
        slope = (loss(weight + step.view(5, 7), s) - loss(weight - step.view(5, 7), s)) / (2 * eps)
        assert in_weight.flatten()[place].item() == pytest.approx(slope, abs=1e-7)
    assert (soft_threshold(weight, s) == 0).sum() == (weight.abs() <= s.sigmoid()).sum() > 0


def test_a_softened_layer_has_these_gradients_and_counts_zeros_of_what_it_computes_with() -> None:
    network = nn.Sequential(nn.Linear(20, 10), nn.Linear(10, 2)).double()
    plain = copy.deepcopy(network)
    soften(network, ["0"], -2.0, THRESHOLDING)
    x, s = numbers(6, 20), torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    network(x).square().sum().backward()
    weight = plain[0].weight.detach().clone().requires_grad_()
    effective = weight.sign() * (weight.abs() - s.sigmoid()).relu()
    plain[1](F.linear(x, effective, plain[0].bias)).square().sum().backward()
    held = network[0].parametrizations["weight"]
    assert torch.allclose(held.original.grad, weight.grad) and torch.allclose(held[0].s.grad, s.grad)
    zeros = (effective == 0).sum().item()
    assert zeros > 0 and effective_sparsity(network) == zeros / 220
    assert layer_sparsities(network) == {"0": zeros / 200, "1": 0.0}


def test_under_decay_alone_s_shrinks_by_the_formula(loader: Loader) -> None:
    """exp(-decay · Σ lr / (1 - momentum)), while the loss has no slope: to the momentum's tail."""
    network = small_vgg()
    names = soften(network, ["features.0"], -0.5, THRESHOLDING)
    (name,) = names.values()
    rates: list[float] = []
    train(
        network, loader, 40, lr=0.02, schedule="constant", decays={name: 0.005}, progress=False,
        loss=lambda outputs, _: 0 * outputs.sum(), after_step=lambda _: rates.append(0.02),
    )  # fmt: skip
    expected = -0.5 * torch.tensor(-0.005 * sum(rates) / (1 - 0.9)).exp().item()
    assert network.get_parameter(name).item() == pytest.approx(expected, rel=0.01)
    assert thresholds(network, names)["features.0"] == pytest.approx(1 / (1 + 2.718281828**-expected), rel=0.02)


def test_decays_of_parameters_that_are_not_there_are_refused(loader: Loader) -> None:
    with pytest.raises(ValueError, match=r"no such parameter"):
        train(small_vgg(), loader, 1, decays={"features.0.s": 0.1}, progress=False)


# --- feedback


def test_a_dense_update_moves_all_weights_by_the_gradient_at_the_masked_ones() -> None:
    network, images, labels = small_vgg(), torch.randn(8, *SIZE), torch.arange(8) % 4
    masked = copy.deepcopy(network).train()
    name = "features.3.weight"
    mask = torch.rand(network.get_parameter(name).shape, generator=torch.Generator().manual_seed(0)) > 0.5
    masked.get_parameter(name).data *= mask
    loss = F.cross_entropy(masked(images), labels)
    loss.backward()
    before = copy.deepcopy(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    assert dense_update(network, images, labels, optimizer, {name: mask}) == pytest.approx(loss.item())
    for key, parameter in network.named_parameters():
        expected = before.get_parameter(key).detach() - 0.1 * masked.get_parameter(key).grad
        assert torch.allclose(parameter, expected, atol=1e-7)
    moved = (network.get_parameter(name) - before.get_parameter(name))[~mask]
    assert (moved != 0).float().mean() > 0.9


def test_with_feedback_weights_come_back_and_the_result_has_as_many_zeros_as_asked(loader: Loader) -> None:
    network, history = train_with_feedback(
        small_vgg(), loader, 0.8, 4, every=2, dense_update=dense_update, progress=False
    )
    assert sparsity(network) == pytest.approx(0.8, abs=1e-3)
    assert sum(epoch["returned"] for epoch in history["training"]) > 0
    shares = [epoch["sparsity"] for epoch in history["training"]]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(0.8, abs=1e-3)


def test_masked_filters_are_not_seen_but_learn_and_the_masked_network_is_the_narrow_one() -> None:
    for make in (small_vgg, lambda: resnet20(widths=(6, 8, 10)), lambda: mobile_mini(widths=(8, 8, 12, 12))):
        network, example = lively(make()).double().eval(), numbers(2, *SIZE)
        groups = [group for group in prunable_groups(network, example, progress=False) if group.free]
        plan = {group.name: sorted({*range(0, group.channels, 2), *group.frozen}) for group in groups}
        masks = ReaderMasks(network, groups)
        masks.set(plan)
        masked = network(example)
        masked.square().sum().backward()
        masks.remove()
        assert apart(masked, prune(network, groups, plan)(example)) < 1e-10
        assert apart(masked, silence(network, groups, plan)(example)) < 1e-10
        assert apart(network(example), masked) > 1e-3
        for group in groups:
            gone = sorted(set(range(group.channels)) - set(plan[group.name]))
            makers = [slot for slot in group.slots if not slot.consumes and slot.parameter.endswith("weight")]
            gradients = [network.get_parameter(slot.parameter).grad for slot in makers if (slot.channel >= 0).all()]
            assert all(gradient[gone].abs().sum() > 0 for gradient in gradients)


def test_filters_of_all_layers_are_compared_by_their_norm_beside_their_layers_mean() -> None:
    network = small_vgg()
    groups = prunable_groups(network, torch.randn(1, *SIZE), progress=False)
    norms = relative_norms(network, groups)["features.3"]
    own = network.get_parameter("features.3.weight").detach().square().sum(dim=(1, 2, 3)).sqrt()
    assert torch.allclose(norms, own / own.mean())
    network.get_parameter("features.3.weight").data *= 10
    assert torch.allclose(relative_norms(network, groups)["features.3"], norms)


# --- AutoPrune


def test_an_auxiliary_step_by_hand() -> None:
    m = torch.tensor([0.5, 0.5, -1.0, 0.0])
    weight, gradient = torch.tensor([2.0, -2.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, -3.0, 5.0])
    slope = m.sigmoid()
    expected = m - 0.1 * slope * (torch.tensor([1.0, -1.0, -3.0, 0.0]) + 0.01)
    assert torch.allclose(auxiliary_step(m, weight, gradient, 0.1, 0.01), expected)


def test_the_mask_follows_the_sign_of_m_and_a_weight_comes_back() -> None:
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[2.0, -1.0, 0.5]])
    nn.utils.parametrize.register_parametrization(layer, "weight", LearnedMask(layer.weight))
    held = layer.parametrizations["weight"]
    held[0].auxiliary.copy_(torch.tensor([[0.3, -0.3, 0.0]]))
    assert layer.weight.tolist() == [[2.0, 0.0, 0.0]]
    layer(torch.ones(1, 3)).sum().backward()
    assert held.original.grad.tolist() == [[1.0, 0.0, 0.0]]
    network = nn.Sequential(layer, nn.Linear(1, 2, bias=False))
    network[1].weight.data = torch.tensor([[1.0], [-1.0]])
    back = 0
    for _ in range(60):  # class 1 wants small outputs: weight 1, negative, is missed
        _, returned = mask_step(network, [layer], torch.ones(4, 3), torch.ones(4).long(), 0.5, 0.0, auxiliary_step)
        back += returned
    assert back == 1 and layer.weight[0, 1].item() == -1.0


def test_a_fifth_of_every_class_is_held_out(images: MiniCIFAR) -> None:
    rest, held = held_out(images, 0.2, seed=1)
    assert held.labels.bincount().tolist() == [8] * 4 and rest.labels.bincount().tolist() == [32] * 4
    whole = {bytes(image.numpy().tobytes()) for image in images.images}
    parts = [{bytes(image.numpy().tobytes()) for image in part.images} for part in (rest, held)]
    assert parts[0] | parts[1] == whole and not parts[0] & parts[1]
    assert not torch.equal(held.images, held_out(images, 0.2, seed=2)[1].images)


# --- the drivers

SLIMMING = {"slimming_step": slimming_step, "absorbed_bias": absorbed_bias}
SOFTENING = {"thresholding": THRESHOLDING, "absorbed_bias": absorbed_bias}
DRIVERS: dict[str, Callable[..., tuple[nn.Module, dict[str, Any]]]] = {
    "slimming": lambda *a, **o: slim(*a, 0.4, 3, strength=0.05, **SLIMMING, **o),
    "soft thresholds of scales": lambda *a, **o: soften_scales(*a, 0.4, 3, **SOFTENING, **o),
    "filters with feedback": lambda *a, **o: filters_with_feedback(*a, 0.4, 3, every=1, **o),
    "soft thresholds": lambda *a, **o: train_softened(*a, 2, s=-3.0, thresholding=THRESHOLDING, **o),
    "feedback": lambda *a, **o: train_with_feedback(*a, 0.7, 2, every=2, dense_update=dense_update, **o),
    "AutoPrune": lambda *a, **o: autoprune(*a, 3, strength=1e-2, auxiliary_step=auxiliary_step, **o),
}


@pytest.mark.parametrize("name", DRIVERS)
def test_a_stopped_run_goes_on_to_the_same_bits(name: str, loader: Loader, tmp_path: Path) -> None:
    goes_on_to_the_same_bits(DRIVERS[name], small_vgg(), loader, tmp_path)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_folder_of_another_run_is_refused(name: str, loader: Loader, tmp_path: Path) -> None:
    driver = DRIVERS[name]
    driver(small_vgg(), loader, progress=False, resume=tmp_path)
    with pytest.raises(ValueError, match="another seed"):
        driver(small_vgg(), loader, progress=False, resume=tmp_path, seed=7)


@pytest.mark.parametrize("name", ["slimming", "soft thresholds of scales", "filters with feedback"])
@pytest.mark.parametrize("make", [lambda: resnet20(widths=(4, 6, 8)), lambda: mobile_mini(widths=(6, 6, 8, 8))])
def test_budgets_are_met_on_residual_and_depthwise_networks(
    name: str, make: Callable[[], nn.Module], loader: Loader
) -> None:
    network = make()
    narrow, history = DRIVERS[name](network, loader, progress=False)
    share = count_macs(narrow, SIZE) / count_macs(network, SIZE)
    assert 0.25 < share <= 0.4
    assert len(history["searching"]) == 2 and len(history["finetuning"]) == 1


@pytest.mark.parametrize("name", ["soft thresholds", "AutoPrune"])
def test_zeros_are_in_the_weights_that_come_out(name: str, loader: Loader) -> None:
    network, history = DRIVERS[name](small_vgg(), loader, progress=False)
    last = (history.get("searching") or history["training"])[-1]
    assert not any(hasattr(module, "parametrizations") for module in network.modules())
    assert sparsity(network) == pytest.approx(last["sparsity"], abs=1e-9)
    assert 0 < sparsity(network) < 1


def test_slimming_pulls_scales_down_by_strength_times_the_learning_rates(loader: Loader) -> None:
    """Beside a loss of nothing: ten steps of 0.02, so that a scale falls by nearly strength · Σ lr / (1 - momentum)."""
    network = small_vgg()
    ends = [slim(network, loader, 0.4, 3, strength=strength, progress=False, **SLIMMING)[1] for strength in (0.0, 0.3)]
    scales = [torch.cat([torch.tensor(v) for v in end["searching"][-1]["scales"].values()]) for end in ends]
    fall = (scales[0] - scales[1]).mean().item()
    assert 0.25 * 0.3 * 10 * 0.02 / 0.1 < fall < 0.3 * 10 * 0.02 / 0.1


def test_other_scales_keep_the_gradient_of_the_loss() -> None:
    network = small_vgg()
    network(torch.randn(4, *SIZE)).square().sum().backward()
    before = {name: p.grad.clone() for name, p in network.named_parameters()}
    penalised(network, 0.5, ["features.1.weight"], slimming_step)
    changed = [name for name, p in network.named_parameters() if not torch.equal(p.grad, before[name])]
    assert changed == ["features.1.weight"]


def test_scales_are_found_by_type_in_torchvisions_networks() -> None:
    network, example = mobilenet_v2(width_mult=0.35, num_classes=4).eval(), torch.randn(1, 3, 32, 32)
    groups = prunable_groups(network, example, progress=False)
    scales = scales_of(network, groups)
    assert set(scales) == {group.name for group in groups if group.free}
    assert all(isinstance(network.get_submodule(slot.parameter.removesuffix(".weight")), nn.BatchNorm2d)
               for slots in scales.values() for slot in slots)  # fmt: skip
