import copy
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import prune

from course_utils import networks
from course_utils.checkpoints import (
    CheckpointError,
    describe,
    load_history,
    load_network,
    rebuild,
    save_network,
)
from course_utils.networks import builder


def run(network: nn.Module) -> torch.Tensor:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return network.eval()(images)


def prune_by_hand(network: nn.Module, keep: list[int]) -> nn.Module:
    """Keep these filters of the first convolution of a copy, as anybody would by hand."""
    pruned = copy.deepcopy(network)
    conv, norm, following = pruned.features[0], pruned.features[1], pruned.features[3]
    conv.weight = nn.Parameter(conv.weight[keep].detach())
    for name in ("weight", "bias"):
        setattr(norm, name, nn.Parameter(getattr(norm, name)[keep].detach()))
    norm.running_mean, norm.running_var = norm.running_mean[keep], norm.running_var[keep]
    following.weight = nn.Parameter(following.weight[:, keep].detach())
    return pruned


@builder
def tiny_mobile(channels: int = 6, multiplier: int = 2) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, channels, 1),
        nn.Conv2d(channels, channels * multiplier, 3, groups=channels),
        nn.ConvTranspose2d(channels * multiplier, 5, 2, stride=2),
    )


@builder
def tiny_tied() -> nn.Module:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    network[3].weight = network[2].weight
    return network


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.safetensors"


@pytest.mark.parametrize("name", ["vgg_mini", "vgg16", "resnet20", "resnet56", "resnet18"])
def test_every_network_comes_back_the_same(name, path):
    network = getattr(networks, name)(classes=3, seed=1)
    run(network.train())
    save_network(network, path)
    assert torch.equal(run(load_network(path)), run(network))


def test_a_network_pruned_by_hand_comes_back_the_same(path):
    pruned = prune_by_hand(networks.vgg_mini(), [0, 3, 4, 30])
    save_network(pruned, path)
    assert torch.equal(run(load_network(path)), run(pruned))


def test_layers_of_a_loaded_network_say_their_true_sizes(path):
    save_network(prune_by_hand(networks.vgg_mini(), [1, 2, 5]), path)
    features = load_network(path).features
    assert (features[0].out_channels, features[1].num_features, features[3].in_channels) == (3, 3, 3)


def test_a_loaded_network_can_be_saved_and_trained_again(path):
    save_network(prune_by_hand(networks.vgg_mini(), [1, 2, 5]), path)
    network = load_network(path)
    network.train()(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    save_network(network, path)
    assert torch.equal(run(load_network(path)), run(network))


def test_a_depthwise_layer_keeps_one_group_a_channel(path):
    network = tiny_mobile()
    for index, keep in enumerate([[0, 2, 5], [0, 1, 4, 5, 10, 11]]):
        network[index].weight = nn.Parameter(network[index].weight[keep].detach())
        network[index].bias = nn.Parameter(network[index].bias[keep].detach())
    network[1].groups = 3
    network[2].weight = nn.Parameter(network[2].weight[[0, 1, 4, 5, 10, 11]].detach())
    save_network(network, path)
    loaded = load_network(path)
    assert torch.equal(run(loaded), run(network))
    assert (loaded[1].groups, loaded[1].in_channels, loaded[2].in_channels) == (3, 3, 6)


def test_a_bias_that_came_or_went_is_followed(path):
    network = networks.vgg_mini()
    network.features[0].bias = nn.Parameter(torch.ones(32))
    network.classifier.bias = None
    save_network(network, path)
    loaded = load_network(path)
    assert torch.equal(run(loaded), run(network))
    assert loaded.classifier.bias is None


def test_a_batch_norm_that_was_folded_away_stays_away(path):
    network = networks.vgg_mini().eval()
    network.features[0] = nn.utils.fuse_conv_bn_eval(network.features[0], network.features[1])
    network.features[1] = nn.Identity()
    save_network(network, path)
    assert torch.equal(run(load_network(path)), run(network))


def test_tied_weights_stay_tied(path):
    network = tiny_tied()
    save_network(network, path)
    loaded = load_network(path)
    assert loaded[3].weight is loaded[2].weight
    assert torch.equal(run(loaded), run(network))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_number_format_stays(dtype, path):
    network = networks.vgg_mini().to(dtype)
    save_network(network, path)
    assert all(
        torch.equal(a, b) and a.dtype == b.dtype
        for a, b in zip(load_network(path).state_dict().values(), network.state_dict().values(), strict=True)
    )


def test_a_mask_of_booleans_comes_along(path):
    network = networks.vgg_mini()
    mask = network.features[0].weight > 0
    network.features[0].register_buffer("mask", mask)
    save_network(network, path)
    assert torch.equal(load_network(path).features[0].mask, mask)


def test_a_loaded_network_is_in_eval_mode_and_trainable(path):
    save_network(networks.vgg_mini().train(), path)
    loaded = load_network(path)
    assert not any(module.training for module in loaded.modules())
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_history_images_and_notes_are_kept(path):
    source = SimpleNamespace(kind="synthetic", description="made from seed 0", synthetic=True)
    images = SimpleNamespace(fingerprint="abc", source=source, classes=("cat", "dog"), images=range(8))
    history = [{"epoch": 1, "loss": 1 / 3}]
    save_network(networks.vgg_mini(), path, history=history, images=images, accuracy=torch.tensor(0.5))
    about = describe(path)
    assert load_history(path) == history
    assert about["notes"] == {"accuracy": 0.5}
    assert about["images"]["fingerprint"] == "abc"
    assert about["images"]["synthetic"]


def test_the_network_being_saved_is_left_as_it_is(path):
    network = networks.vgg_mini().to(memory_format=torch.channels_last)
    before = network.features[3].weight
    save_network(network, path)
    assert network.features[3].weight is before
    assert before.is_contiguous(memory_format=torch.channels_last)
    assert network.training


def test_saving_twice_gives_the_same_bytes(path):
    save_network(networks.vgg_mini(), path)
    before = path.read_bytes()
    save_network(networks.vgg_mini(), path)
    assert path.read_bytes() == before


def test_a_network_without_a_recipe_is_refused(path):
    with pytest.raises(CheckpointError, match="no `recipe`"):
        save_network(nn.Linear(3, 3), path)


def test_a_new_module_is_refused_when_saving(path):
    network = networks.vgg_mini()
    network.features[2] = nn.Sigmoid()
    with pytest.raises(CheckpointError, match=r"features.2 is a Sigmoid and the recipe makes a ReLU"):
        save_network(network, path)


def test_another_stride_is_refused_when_saving(path):
    network = networks.vgg_mini()
    network.features[3].stride = (2, 2)
    with pytest.raises(CheckpointError, match=r"features.3 has stride \(2, 2\)"):
        save_network(network, path)


def test_a_parameter_that_the_recipe_lacks_is_refused_when_saving(path):
    network = networks.vgg_mini()
    network.features[0].gate = nn.Parameter(torch.ones(32))
    with pytest.raises(CheckpointError, match=r"features.0.gate"):
        save_network(network, path)


def test_masks_that_are_still_separate_are_refused_when_saving(path):
    network = networks.vgg_mini()
    prune.l1_unstructured(network.features[0], "weight", amount=0.5)
    with pytest.raises(CheckpointError, match="make its masks permanent"):
        save_network(network, path)


def test_a_missing_file_says_what_to_run(path):
    with pytest.raises(FileNotFoundError, match="run the training cell above first"):
        load_network(path)


def test_a_file_that_was_cut_short_is_named(path):
    save_network(networks.vgg_mini(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut short"):
        load_network(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not this", b"\xff" * 100])
def test_another_kind_of_file_is_named(content, path):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_network(path)


def test_a_file_without_a_recipe_is_named(path):
    safetensors.torch.save_file({"weight": torch.ones(3)}, path)
    with pytest.raises(CheckpointError, match="no recipe"):
        load_network(path)


def test_a_file_of_another_format_is_named(path):
    safetensors.torch.save_file({"w": torch.ones(3)}, path, {"pruning-labs": '{"format": 9}'})
    with pytest.raises(CheckpointError, match="written in format 9"):
        load_network(path)


def test_missing_tensors_are_named():
    network = networks.vgg_mini()
    tensors = {name: tensor for name, tensor in network.state_dict().items() if name != "features.3.weight"}
    with pytest.raises(CheckpointError, match=r"features.3.weight"):
        rebuild(network.recipe, tensors)


@pytest.mark.parametrize("widths", ["abc", 3, None, [], [4, -1], [1e30, 2], [10**30, 10**30], [[3], [3]]])
def test_a_nonsensical_recipe_is_one_clear_error(widths):
    with pytest.raises(CheckpointError):
        rebuild({"builder": "vgg_mini", "arguments": {"widths": widths}}, {})


def test_a_tensor_of_another_rank_is_named():
    network = networks.vgg_mini()
    with pytest.raises(CheckpointError, match=r"classifier.weight has 1 dimensions"):
        rebuild(network.recipe, network.state_dict() | {"classifier.weight": torch.ones(4)})


def test_a_recipe_of_enormous_widths_costs_nothing():
    with pytest.raises(CheckpointError, match="missing"):
        rebuild({"builder": "vgg_mini", "arguments": {"widths": [10**6, 10**6]}}, {})
