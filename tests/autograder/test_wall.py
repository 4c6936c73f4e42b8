"""What a test's author may rely on when the answer lives on the other side of the wall; and what it refuses."""

import copy
import errno
import json
import math
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.lab_tests import lab_tests
from helpers.walls import open_walls
from torch import nn

from autograder.authoring.editions import exercises, graded_labs, references
from autograder.grading.judging import Answer, Answers, judge
from autograder.sandbox.channels import HEADER, TooLarge, receive, send
from autograder.wall.calls import Wall
from autograder.wall.errors import ERRORS, WallError, error_from_data
from autograder.wall.handles import Handle
from course_utils.networks import resnet20, vgg_mini
from course_utils.surroundings import seeded, surroundings

Across = Callable[..., Answer]


@pytest.fixture
def open_wall() -> Iterator[Callable[[Mapping[str, Any]], Wall]]:
    """A wall with the given names behind it → the tests' side."""
    with open_walls() as build:
        yield build


@pytest.fixture
def across(open_wall) -> Across:  # type: ignore[no-untyped-def]
    """A function on the other side of a wall."""

    def put(function: Callable) -> Answer:
        return Answer(open_wall({"answer": function}), "answer")

    return put


@pytest.fixture
def from_frame(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What a forged answer of the other side does to a caller: the body of its frame, and its buffers."""

    def forged(body: Mapping[str, Any] | bytes, buffers: bytes = b"") -> Any:
        ours, theirs = socket.socketpair()
        text = body if isinstance(body, bytes) else json.dumps({"objects": [], "sizes": [], **body}).encode()
        send(theirs, (text, buffers))
        with ours, theirs:
            return Wall(ours, 0).ask((), {}, name="answer")

    return forged


# --- values


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -(2**70), 2.5, math.inf, 1 + 2j, "ü\ud800", b"\x00\x01", (1, (2, "x")), [1, [2]], {"a": 1, (2, 3): [4]},
        {1, 2}, {frozenset({1, 2})}, range(3), slice(1, None, 2), ..., torch.float64, torch.Size([2, 3]), torch.device("cpu"),
        torch.channels_last, np.float32(0.5), np.int64(7), np.bool_(True),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_goes_there_and_back(across: Across, value: Any) -> None:
    back = across(lambda given: given)(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64],
    ids=str,
)
def test_a_tensor_keeps_dtype_and_values(across: Across, dtype: torch.dtype) -> None:
    tensor = torch.arange(6).view(2, 3).to(dtype)
    back = across(lambda given: given.clone())(tensor)
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


def test_a_tensor_keeps_its_memory_format_and_its_gradient(across: Across) -> None:
    tensor = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    back = across(
        lambda given: (given.clone(), given.is_contiguous(memory_format=torch.channels_last), given.requires_grad)
    )(tensor)
    assert back[1:] == (True, True)
    assert back[0].is_contiguous(memory_format=torch.channels_last)


def test_not_a_number_stays_none(across: Across) -> None:
    assert math.isnan(across(lambda: math.nan)())


def test_an_array_keeps_its_dtype(across: Across) -> None:
    back = across(lambda given: given * 2)(np.arange(3, dtype=np.int16))
    assert back.dtype == np.int16 and back.tolist() == [0, 2, 4]


def test_keyword_arguments_arrive(across: Across) -> None:
    assert across(lambda a, *, b: a - b)(5, b=3) == 2


# --- changed arguments


def test_a_tensor_changed_in_place_comes_back_changed(across: Across) -> None:
    tensor = torch.zeros(3)
    across(lambda given: given.add_(1))(tensor)
    assert tensor.tolist() == [1, 1, 1]


def test_a_view_changed_in_place_changes_the_whole(across: Across) -> None:
    tensor = torch.zeros(2, 3)
    across(lambda given: given.fill_(7))(tensor[1])
    assert tensor.tolist() == [[0, 0, 0], [7, 7, 7]]


def test_a_list_and_a_dict_changed_in_place_come_back_changed(across: Across) -> None:
    def change(numbers: list, names: dict) -> None:
        numbers.append(names.pop("a"))

    numbers, names = [1], {"a": 2}
    across(change)(numbers, names)
    assert (numbers, names) == ([1, 2], {})


def test_an_array_changed_in_place_comes_back_changed(across: Across) -> None:
    array = np.zeros(2)
    across(lambda given: given.__setitem__(0, 5.0))(array)
    assert array.tolist() == [5, 0]


def test_arguments_are_changed_also_when_the_function_fails(across: Across) -> None:
    def fail(numbers: list) -> None:
        numbers.clear()
        raise ValueError

    numbers = [1]
    with pytest.raises(ValueError):  # noqa: PT011
        across(fail)(numbers)
    assert numbers == []


@pytest.mark.parametrize(
    ("before", "after"), [(b"abc", b"xyz"), (np.float32(1), np.float32(2))], ids=["bytes", "scalar"]
)
def test_a_list_whose_item_of_bytes_is_replaced_comes_back_changed(across: Across, before: Any, after: Any) -> None:
    items = [before]
    across(lambda given: given.__setitem__(0, after))(items)
    assert items == [after]


def test_arguments_are_changed_also_when_the_result_cannot_be_looked_at(across: Across) -> None:
    class Closed(list):
        def __iter__(self) -> Iterator[Any]:
            raise ValueError("closed")

    def change(given: list) -> list:
        given.append(2)
        return Closed()

    numbers = [1]
    with pytest.raises(ValueError, match="closed"):
        across(change)(numbers)
    assert numbers == [1, 2]


def test_an_argument_that_is_given_back_is_the_argument(across: Across) -> None:
    tensor, numbers, network = torch.ones(2), [1], nn.Linear(1, 1)
    back = across(lambda *given: given)(tensor, numbers, network)
    assert all(value is argument for value, argument in zip(back, (tensor, numbers, network), strict=True))


def test_a_result_that_shares_memory_with_an_argument_shares_it_here(across: Across) -> None:
    tensor = torch.zeros(4)
    half = across(lambda given: given[:2])(tensor)
    half += 1
    assert tensor.tolist() == [1, 1, 0, 0]


def test_a_result_in_memory_of_its_own_shares_nothing(across: Across) -> None:
    tensor = torch.zeros(4)
    copied = across(lambda given: given.clone())(tensor)
    copied += 1
    assert tensor.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("answer", [range(10**15), range(10**30), range(0, -(10**12), -1)])
def test_a_range_through_which_the_tests_would_go_for_ever_is_refused(across: Across, answer: range) -> None:
    with pytest.raises(Exception, match="a range of more than 10,000,000 numbers"):
        across(lambda: answer)()


def test_too_many_objects_are_refused_before_they_are_packed(across: Across) -> None:
    with pytest.raises(Exception, match="more than 100,000 lists, dicts and other objects at once"):
        across(lambda: [[] for _ in range(200_000)])()


def test_lists_deep_within_each_other_take_time_in_proportion(across: Across) -> None:
    """Each is an object; to look through all of them for every one took minutes."""
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    back, depth = across(lambda: deep)(), 0
    while back:
        (back,), depth = back, depth + 1
    assert depth == 20_000


def test_a_list_that_holds_itself_crosses(across: Across) -> None:
    numbers: list[Any] = [1]
    numbers.append(numbers)
    back = across(lambda given: given)(numbers)
    assert back is numbers and back[1] is back


# --- exceptions


def test_an_exception_keeps_type_and_text(across: Across) -> None:
    def fail() -> None:
        raise ValueError("keep_ratio must lie between 0 and 1")

    with pytest.raises(ValueError, match=r"^keep_ratio must lie between 0 and 1$"):
        across(fail)()


def test_a_limit_on_processes_is_told_in_words(across: Across) -> None:
    def fail() -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    with pytest.raises(BlockingIOError, match="too many processes"):
        across(fail)()


def test_an_exception_class_of_the_notebook_keeps_its_name_and_base(across: Across) -> None:
    class OutOfRange(ValueError):
        pass

    def fail() -> None:
        raise OutOfRange("so")

    with pytest.raises(ValueError, match="so") as caught:
        across(fail)()
    assert type(caught.value).__name__ == "OutOfRange"


def test_a_group_of_exceptions_keeps_name_and_text(across: Across) -> None:
    def fail() -> None:
        raise ExceptionGroup("two at once", [ValueError(), TypeError()])

    with pytest.raises(Exception, match="two at once") as caught:
        across(fail)()
    assert type(caught.value).__name__ == "ExceptionGroup"


def test_an_exception_that_cannot_be_looked_at_has_no_text(across: Across) -> None:
    class Closed(BlockingIOError):
        errno = property(lambda self: 1 / 0)  # type: ignore[assignment]

    def fail() -> None:
        raise Closed("so")

    with pytest.raises(BlockingIOError) as caught:
        across(fail)()
    assert str(caught.value) == ""


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_exception_of_pythons_own_that_crosses_is_made_of_its_text(name: str) -> None:
    error = error_from_data({"name": name, "bases": [name], "text": "so"})
    assert isinstance(error, ERRORS[name]) and str(error) == "so"


@pytest.mark.parametrize("bases", [None, [], [[1]], [{}], ["SystemExit"], ["StopIteration"]], ids=str)
def test_a_forged_exception_is_an_ordinary_one(bases: Any) -> None:
    assert isinstance(error_from_data({"name": "x y", "bases": bases, "text": 3}), Exception)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_would_stop_the_tests_arrives_as_an_ordinary_error(across: Across, kind: type[BaseException]) -> None:
    def fail() -> None:
        raise kind("out")

    with pytest.raises(Exception, match="out") as caught:
        across(fail)()
    assert type(caught.value).__name__ == kind.__name__


def test_pytests_own_exceptions_mean_nothing_here(across: Across) -> None:
    with pytest.raises(Exception, match="all is well") as caught:
        across(lambda: pytest.skip("all is well"))()
    assert not isinstance(caught.value, pytest.skip.Exception)


# --- callables


def test_a_function_passed_as_an_argument_is_called_where_it_lives(across: Across) -> None:
    calls = []

    def run(number: int) -> int:
        calls.append(number)
        return 10 * number

    assert across(lambda function: [function(n) for n in range(3)])(run) == [0, 10, 20]
    assert calls == [0, 1, 2]


def test_a_bound_method_is_called_on_its_own_object(across: Across) -> None:
    pushed: list[int] = []
    across(lambda push: push(3))(pushed.append)
    assert pushed == [3]


def test_an_error_of_a_function_passed_can_be_caught_there(across: Across) -> None:
    def careful(function: Callable) -> str:
        try:
            function()
        except ZeroDivisionError as error:
            return str(error)
        return "nothing"

    assert across(careful)(lambda: 1 / 0) == "division by zero"


def test_a_function_passed_sees_what_was_changed_so_far(across: Across) -> None:
    seen, tensor = [], torch.zeros(1)

    def change(given: torch.Tensor, look: Callable) -> None:
        given += 1
        look()
        given += 1
        look()

    across(change)(tensor, lambda: seen.append(tensor.item()))
    assert seen == [1, 2]


def test_a_function_given_back_is_called_there(across: Across) -> None:
    calls = []

    def adder(number: int) -> Callable:
        def add(other: int) -> int:
            calls.append(other)
            return number + other

        return add

    add = across(adder)(5)
    assert [add(1), add(2)] == [6, 7]
    assert calls == [1, 2]


def test_a_network_is_measured_by_a_function_passed(across: Across) -> None:
    network = nn.Linear(2, 1)
    same = across(lambda given, evaluate: evaluate(given))(network, lambda given: given is network)
    assert same


# --- networks


def test_a_network_comes_back_as_a_real_one_in_float64(across: Across) -> None:
    network, images = vgg_mini(widths=(4, 6)).double().eval(), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    back = across(copy.deepcopy)(network)
    assert type(back) is type(network) and back is not network
    assert torch.equal(back(images), network(images))
    assert back.recipe == network.recipe


@pytest.mark.parametrize("network", [resnet20(widths=(4, 4, 6)), nn.Sequential(nn.Conv2d(3, 4, 3, padding_mode="reflect", dilation=2), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten())], ids=["resnet20", "plain layers"])  # fmt: skip
def test_settings_and_buffers_of_all_layers_cross(across: Across, network: nn.Module) -> None:
    back = across(copy.deepcopy)(network.eval())
    assert str(back) == str(network)
    assert all(
        torch.equal(value, original)
        for value, original in zip(back.state_dict().values(), network.state_dict().values(), strict=True)
    )


def test_a_tensor_that_two_layers_share_is_shared_on_both_sides(across: Across) -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    assert across(lambda given: sum(parameter.numel() for parameter in given.parameters()))(network) == 9 + 3 + 3
    back = across(copy.deepcopy)(network)
    assert back[1].weight is back[0].weight


def test_a_layer_that_is_there_twice_is_one_layer_there(across: Across) -> None:
    layer = nn.Linear(2, 2)
    assert across(lambda given: given[0] is given[2])(nn.Sequential(layer, nn.ReLU(), layer))


def test_modes_and_statistics_changed_there_are_changed_here(across: Across) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()

    def train(given: nn.Module) -> None:
        given.train()
        given(torch.ones(2, 3, 5, 5))

    across(train)(network)
    assert network.training and network[1].training
    assert network[1].num_batches_tracked == 1
    assert network[1].running_mean.any()


def test_hooks_left_behind_are_seen_and_those_removed_are_not(across: Across) -> None:
    network = nn.Sequential(nn.ReLU(), nn.ReLU())
    across(lambda given: given[1].register_forward_hook(print) and None)(network)
    assert [len(layer._forward_hooks) for layer in network] == [0, 1]
    across(lambda given: given[0].register_forward_hook(print).remove())(network)
    assert [len(layer._forward_hooks) for layer in network] == [0, 1]


def test_a_layer_replaced_in_place_is_replaced_here(across: Across) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    across(lambda given: given.__setitem__(0, nn.Linear(4, 2)))(network)
    assert network[0].out_features == 2
    assert network(torch.ones(1, 4)).shape == (1, 2)


def test_an_optimizer_moves_the_parameters_that_it_is_bound_to(across: Across) -> None:
    network = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9)
    twin = copy.deepcopy(network)
    by_hand = torch.optim.SGD(twin.parameters(), lr=0.5, momentum=0.9)

    def step(given: nn.Module, images: torch.Tensor, stepper: torch.optim.Optimizer) -> None:
        stepper.zero_grad()
        given(images).sum().backward()
        stepper.step()

    images = torch.ones(2, 3)
    for _ in range(3):
        across(step)(network, images, optimizer)
        step(twin, images, by_hand)
    assert torch.equal(network.weight, twin.weight)
    assert torch.equal(network.weight.grad, twin.weight.grad)


def test_gradients_that_were_there_before_are_there(across: Across) -> None:
    network = nn.Linear(2, 1)
    network.weight.grad = torch.ones(1, 2)
    assert across(lambda given: given.weight.grad.tolist())(network) == [[1, 1]]
    across(lambda given: given.zero_grad())(network)
    assert network.weight.grad is None


# --- handles


class Curve:
    """Neither data nor network."""

    points = (1, 2)

    def at(self, x: float) -> float:
        return 2 * x


def test_an_object_of_the_notebook_stays_there_and_its_methods_can_be_called(across: Across) -> None:
    curve = across(Curve)()
    assert isinstance(curve, Handle) and type(curve).__name__ == "Curve"
    assert curve.at(3) == 6
    assert curve.points == (1, 2)


def test_a_handle_that_is_passed_back_is_the_object_itself(across: Across) -> None:
    curves = []

    def keep(given: Any = None) -> Any:
        if given is None:
            curves.append(Curve())
            return curves[0]
        return given is curves[0]

    answer = across(keep)
    assert answer(answer())


def test_a_network_of_the_notebooks_own_class_is_a_handle(across: Across) -> None:
    class Own(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    own = across(Own)()
    assert not isinstance(own, nn.Module)
    assert own(torch.zeros(2)).tolist() == [1, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.array([None]),
        lambda: np.array(["text"]),
        lambda: torch.optim.LBFGS([torch.zeros(1)]),  # an optimizer takes a second to import what compiles it
    ],
    ids=["objects", "texts", "LBFGS"],
)
def test_what_has_no_state_that_can_cross_is_a_handle_too(across: Across, make: Callable[[], Any]) -> None:
    value = make()
    answer = across(lambda given=None: value if given is None else given is value)
    back = answer()
    assert isinstance(back, Handle) and type(back).__name__ == type(value).__name__
    assert answer(back)


def test_a_missing_attribute_of_a_handle_is_an_attribute_error(across: Across) -> None:
    curve = across(Curve)()
    with pytest.raises(AttributeError):
        _ = curve.nothing


# --- what is refused


def test_a_liar_crosses_as_what_it_is(across: Across) -> None:
    class Liar(float):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class Shaped(torch.Tensor):
        shape = (5,)  # type: ignore[assignment]

    number, tensor = across(lambda: (Liar(3), torch.zeros(2).as_subclass(Shaped)))()
    assert type(number) is float and number != 4
    assert type(tensor) is torch.Tensor and tuple(tensor.shape) == (2,)


def test_a_method_put_on_a_network_is_left_behind(across: Across) -> None:
    def liar(given: nn.Module) -> nn.Module:
        given.forward = lambda x: x * 0 + 42  # type: ignore[method-assign]
        return given

    network = nn.Linear(1, 1)
    assert across(liar)(network)(torch.zeros(1)).item() == pytest.approx(network.bias.item())


STORAGE = [1, {"kind": "storage"}, 0]
TENSOR = {"kind": "tensor", "storage": {"ref": 1}, "dtype": "float32", "shape": [1], "stride": [1], "offset": 0, "trained": False, "parameter": False, "inference": False, "grad": None, "hooks": 0}  # fmt: skip


def forged_tensor(**changes: Any) -> dict[str, Any]:
    return {"values": {"result": {"ref": 3}}, "objects": [STORAGE, [3, {**TENSOR, **changes}, None]], "sizes": [4]}


def test_the_forged_frame_of_these_tests_is_right_without_the_forgery(from_frame) -> None:  # type: ignore[no-untyped-def]
    assert from_frame(forged_tensor(), bytes(4)).tolist() == [0]


@pytest.mark.parametrize(
    "body",
    [
        forged_tensor(shape=[2]),
        forged_tensor(offset=1),
        forged_tensor(offset=-1),
        forged_tensor(stride=[-1], shape=[1]),
        forged_tensor(shape=[10**9], stride=[0]),
        forged_tensor(shape=[True]),
        forged_tensor(dtype="object"),
        forged_tensor(storage={"ref": 3}),
        forged_tensor(storage={"ref": 99}),
        {**forged_tensor(), "sizes": [40]},
        {**forged_tensor(), "sizes": [-4]},
        {"values": {"result": {"ref": 98}}},
        {"values": {"result": {"ref": 0}}, "objects": [[0, {"kind": "list", "items": []}, None]]},
        {"values": {"result": {"scalar": "O", "buffer": 0}}, "sizes": [4]},
        {
            "values": {"result": {"ref": 1}},
            "objects": [[1, {"kind": "array", "dtype": "|O", "shape": [1]}, 0]],
            "sizes": [4],
        },
        {"values": {"result": {"ref": 1}}, "objects": [[1, {"kind": "network", "class": "os.system"}, None]]},
        {"values": {"result": {"ref": 1}}, "objects": [[1, {"kind": "code"}, None]]},
        {"values": {"result": {"ref": 1}}, "objects": [[1, {"kind": "list", "items": [{"exec": "1"}]}, None]]},
        {"values": {"result": {"device": "rm -rf"}}},
        {"values": {"result": 1, "around": {"tuple": []}}},
        {"values": {"result": 1, "around": {"tuple": [{"tuple": ["gradients", True]}]}}},
        {"values": {"result": 1, "around": 3}},
        {"values": {}},
        {"call": {"name": "answer"}, "values": {"args": {"tuple": []}, "kwargs": None}},
        {"call": {"number": 0}, "values": {"args": {"tuple": []}, "kwargs": None}},
        {"error": "none"},
        b"[",
        b"[" * 100_000,
        b"null",
        b'{"values": {}, "objects": [[1, 2]], "sizes": []}',
    ],
    ids=lambda body: str(body)[:60],
)
def test_a_forged_frame_is_refused(from_frame, body: Any) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WallError):
        from_frame(body, bytes(4))


def test_the_students_side_cannot_ask_for_attributes_or_names(open_wall) -> None:  # type: ignore[no-untyped-def]
    """Only functions that the tests handed over can be called from there, and only called."""
    seen: list[Any] = []

    def pry(function: Any) -> Any:
        for target in ({"attribute": "__globals__", "number": function._number}, {"name": "answer"}):
            try:
                seen.append(function._wall.ask((), {}, **target))
            except Exception as error:
                seen.append(error)

    with pytest.raises(WallError):
        Answer(open_wall({"answer": pry}), "answer")(lambda: 1)
    assert not any(isinstance(value, dict) for value in seen)


def test_a_frame_that_is_too_large_is_not_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(HEADER.pack(10, 2**60))
        with pytest.raises(TooLarge):
            receive(ours, 1)


def test_an_argument_that_was_taken_apart_is_an_error_of_the_answer(across: Across) -> None:
    def break_it(optimizer: torch.optim.Optimizer) -> None:
        del optimizer.param_groups[0]["params"]

    answer = across(break_it)
    with pytest.raises(Exception, match="params"):
        answer(torch.optim.SGD([torch.zeros(1)]))


# --- what lasts from one call to the next, and what is around a call


def test_within_a_test_two_calls_may_return_the_same_object(open_wall) -> None:  # type: ignore[no-untyped-def]
    norm, memory = nn.BatchNorm2d(2), torch.zeros(3)
    names = {"kept": lambda: norm, "new": lambda: nn.BatchNorm2d(2), "view": lambda: memory[1:]}
    answers = Answers(open_wall(names), names)
    kept, new, view = answers["kept"], answers["new"], answers["view"]
    assert kept() is kept()
    assert new() is not new()
    assert view().untyped_storage().data_ptr() == view().untyped_storage().data_ptr()


def test_the_next_test_begins_anew(open_wall) -> None:  # type: ignore[no-untyped-def]
    norm = nn.BatchNorm2d(2)
    answers = Answers(open_wall({"kept": lambda: norm}), {"kept": None})
    assert answers["kept"]() is not answers["kept"]()


def test_a_call_sees_what_has_become_of_an_object_since(open_wall) -> None:  # type: ignore[no-untyped-def]
    names: dict[str, Any] = {"total": lambda values: (sum(values), values.append(1))[0]}
    total, values = Answers(open_wall(names), names)["total"], [1, 2]
    assert (total(values), values) == (3, [1, 2, 1])
    values[0] = 10
    assert (total(values), values) == (13, [10, 2, 1, 1])


CHANGES: dict[str, Callable[[], Any]] = {
    "torch's global random numbers": lambda: torch.manual_seed(7) and None,
    "numpy's global random numbers": lambda: np.random.seed(7),
    "Python's global random numbers": lambda: random.seed(7),
    "gradients": lambda: torch.set_grad_enabled(False) and None,
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_call_does_to_its_surroundings_crosses(across: Across, what: str) -> None:
    with seeded(0):
        before = surroundings()
        across(CHANGES[what])()
        after = surroundings()
    assert [name for name in before if before[name] != after[name]] == [what]
    assert surroundings()[what] != after[what]


def test_random_numbers_are_the_same_on_both_sides(across: Across) -> None:
    with seeded(3):
        answer = across(lambda: torch.rand(2))()
    with seeded(3):
        assert torch.equal(answer, torch.rand(2))


class Branch(nn.Sequential):
    """A class of a notebook's own, which only says how it is made."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 1))
        self.channels = channels

    def width(self) -> int:
        return self.channels


class Other(nn.Sequential):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) + 1


def test_a_class_that_computes_what_torchs_does_crosses_as_that(across: Across) -> None:
    branch = Branch(3)
    crossed = across(lambda: branch)()
    assert type(crossed) is nn.Sequential
    images = torch.rand(1, 3, 2, 2)
    assert torch.equal(crossed(images), branch(images))


def test_a_class_that_computes_something_else_stays(across: Across) -> None:
    assert isinstance(across(lambda: Other(nn.ReLU()))(), Handle)


def test_tensors_without_memory_cross(across: Across) -> None:
    layer = nn.Linear(5_000, 5_000, device="meta")
    same, weights = across(lambda given: (given.weight, sum(weight.numel() for weight in given.parameters())))(layer)
    assert same is layer.weight
    assert weights == 25_005_000


def test_whether_a_tensor_was_made_in_inference_mode_crosses(across: Across) -> None:
    def made() -> nn.Linear:
        with torch.inference_mode():
            return nn.Linear(2, 2)

    def remade(layer: nn.Linear) -> None:
        with torch.inference_mode():
            layer.weight.data = layer.weight.data * 2

    layer = across(made)()
    assert layer.weight.is_inference()
    layer = across(lambda: nn.Linear(2, 2))()
    assert not layer.weight.is_inference()
    across(remade)(layer)
    assert layer.weight.is_inference()


def test_how_many_hooks_a_parameter_has_crosses(across: Across) -> None:
    layer = nn.Linear(2, 2)
    across(lambda given: given.weight.register_hook(lambda gradient: gradient * 0) and None)(layer)
    assert len(layer.weight._backward_hooks or ()) == 1
    layer(torch.ones(1, 2)).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.all()  # the hook made here does nothing
    across(lambda given: given.weight._backward_hooks.clear())(layer)
    assert not layer.weight._backward_hooks


def test_which_buffers_are_not_saved_crosses(across: Across) -> None:
    def made() -> nn.Module:
        layer = nn.ReLU()
        layer.register_buffer("mask", torch.ones(1), persistent=False)
        layer.register_buffer("count", torch.ones(1))
        return layer

    assert list(across(made)().state_dict()) == ["count"]


# --- the tests of the labs


@pytest.mark.parametrize("lab", graded_labs())
def test_a_composite_exercise_is_judged_with_the_references_helpers_too(open_wall, lab: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Every helper of the notebook is broken; with the reference's, called from across the wall, the answer is right."""
    for exercise in exercises(lab):
        if exercise.composite:
            own: Any = references(lab)[exercise.name]
            broken = dict.fromkeys(references(lab))
            function = type(own)(own.__code__, {**own.__globals__, **broken}, own.__name__, own.__defaults__)
            wall = open_wall({**broken, exercise.name: function})
            assert not judge(lab_tests(lab), exercise.name, Answers(wall, {exercise.name: 1}), tmp_path).passed
            verdict = judge(lab_tests(lab), exercise.name, Answers(wall, {exercise.name: 1}), tmp_path, helped=True)
            assert verdict.passed, str(verdict)
