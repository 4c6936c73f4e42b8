"""The tables of kinds that cross the wall: complete, in the right order, and right for every value and every forgery."""

import contextlib
import functools
import inspect
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from torch import nn

from autograder.wall import frames, objects, values
from autograder.wall.errors import WallError
from autograder.wall.frames import Registry, pack, unpack


class Silent:
    """The other end's wall, which nobody may ask anything."""

    def ask(self, args: tuple[Any, ...], kwargs: dict[str, Any], **target: Any) -> Any:
        raise AssertionError("asked")


def there(value: Any) -> Any:
    """A value as it arrives on the other side."""
    return unpack(Registry(1), Silent(), pack(Registry(0), {}, {"value": value}))[1]["value"]


def kinds(base: type) -> set[type]:
    """All classes of kinds below a base class."""
    below = set(base.__subclasses__())
    return below.union(*(kinds(cls) for cls in below))


# --- the tables


def test_every_kind_that_there_is_stands_in_its_table_once() -> None:
    assert sorted(map(repr, kinds(values.Kind))) == sorted(repr(type(kind)) for kind in values.KINDS)
    in_stages = [kind for stage in frames.STAGES for kind in stage]
    assert sorted(map(repr, kinds(objects.Kind))) == sorted(repr(type(kind)) for kind in in_stages)
    assert list(frames.KINDS.values()) == in_stages


@pytest.mark.parametrize(
    ("kind", "functions"),
    [(kind, ("encode", "decode")) for kind in values.KINDS]
    + [(kind, ("state", "make", "fill")) for kind in frames.KINDS.values()],
    ids=lambda value: type(value).__name__,
)
def test_a_kind_has_all_its_functions_and_says_what_crosses(kind: Any, functions: tuple[str, ...]) -> None:
    assert not inspect.isabstract(type(kind))
    assert type(kind).__doc__
    base = values.Kind if isinstance(kind, values.Kind) else objects.Kind
    assert all(getattr(type(kind), name) is not getattr(base, name) for name in functions)


def test_a_tag_is_of_one_kind_and_not_that_of_references() -> None:
    tags = [kind.tag for kind in values.KINDS if kind.tag]
    assert len(tags) == len(set(tags)) and "ref" not in tags


def test_no_kind_is_hidden_by_one_before_it() -> None:
    for kind in values.KINDS:
        assert {values.kind_of(cls) for cls in kind.classes} == {kind}


@pytest.mark.parametrize(
    "value",
    [np.timedelta64(1), np.datetime64(1, "s"), np.void(b"x"), object(), print, [1], {}],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_plain_value_is_of_no_plain_kind(value: Any) -> None:
    assert values.kind_of(type(value)) is None


# --- every plain value goes there and comes back

INTEGERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63)])
PLAIN: dict[type[values.Kind], st.SearchStrategy[Any]] = {
    values.Literal: st.none() | st.booleans(),
    values.Integer: INTEGERS,
    values.Float: st.floats(allow_nan=False),
    values.Text: st.text(st.characters(exclude_categories=()), max_size=5),
    values.Complex: st.complex_numbers(allow_nan=False),
    values.Bytes: st.binary(),
    values.Range: st.builds(
        lambda start, count, step: range(start, start + count * step, step),
        st.integers(),
        st.integers(0, values.LONGEST_RANGE),
        st.integers(1),
    ),
    values.Dots: st.just(...),
    values.Size: st.lists(st.integers(0, 20), max_size=4).map(torch.Size),
    values.Dtype: st.sampled_from(list(values.DTYPES.values())),
    values.Device: st.sampled_from(["cpu", "meta", "cuda:1"]).map(torch.device),
    values.MemoryFormat: st.sampled_from(list(values.FORMATS.values())),
    values.Scalar: st.one_of(
        st_numpy.from_dtype(dtype, allow_nan=False)
        for dtype in map(np.dtype, ("?", "i1", "u8", "i4", "f2", "f4", "f8", "c8", "c16"))
    ),
}
CONTAINERS = {values.Tuple, values.FrozenSet, values.Slice}
HASHABLE = st.recursive(
    st.one_of(PLAIN.values()),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
NESTED = st.recursive(
    HASHABLE | st.sets(HASHABLE, max_size=3),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.builds(slice, inner, inner, inner),
    ),
    max_leaves=8,
)


def assert_same(value: Any, other: Any) -> None:
    """Equal and of the same type, inside as well."""
    assert type(value) is type(other)
    if isinstance(value, (tuple, list)):
        assert len(value) == len(other)
        for item, other_item in zip(value, other, strict=True):
            assert_same(item, other_item)
    elif isinstance(value, dict):
        assert_same(list(value.items()), list(other.items()))
    elif isinstance(value, slice):
        assert_same((value.start, value.stop, value.step), (other.start, other.stop, other.step))
    else:
        assert value == other


def test_the_property_below_is_asked_of_all_kinds() -> None:
    assert {*PLAIN, *CONTAINERS} == {type(kind) for kind in values.KINDS}


@settings(deadline=None)
@given(NESTED)
def test_nested_values_arrive_equal_and_of_the_same_type(value: Any) -> None:
    assert_same(there(value), value)


def test_an_integer_longer_than_python_reads_in_decimals_arrives() -> None:
    assert there(10**5_000) == 10**5_000


# --- no forgery does anything but raise WallError

FORGED = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from([0.5, "", "float32", "<f4", "O", "SGD", 2**70]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ref", "buffer", "kind", *values.BY_TAG]), inner, max_size=2)
    ),
    max_leaves=4,
)


@functools.cache
def all_kinds() -> tuple[bytes, bytes]:
    """A frame of objects of all kinds, and plain values in them."""
    network = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    value = [{"a": {1, (2, 3)}}, np.ones(2), np.float32(1), b"x", torch.Size([2]), network, optimizer, print]
    return pack(Registry(1), {}, {"result": value})


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every place in some JSON: what it is in, and its key."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [(node, key) for key in keys] + [place for key in keys for place in places(node[key])]


@settings(deadline=None)
@given(st.data())
def test_a_frame_with_anything_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    text, buffers = all_kinds()
    body = json.loads(text)
    within, key = data.draw(st.sampled_from(places(body)))
    within[key] = data.draw(FORGED)
    registry = Registry(0)
    mine = [1]
    pack(registry, {}, {"function": print, "list": mine})
    with contextlib.suppress(WallError):
        unpack(registry, Silent(), (json.dumps(body).encode(), buffers))
    assert registry.objects[0] is print and 0 in registry.lasting
    assert registry.objects[2] is mine  # what is in it may have changed


def test_the_frame_that_is_forged_holds_objects_of_all_kinds_and_is_read_as_it_is() -> None:
    text, buffers = all_kinds()
    assert {state["kind"] for _, state, _ in json.loads(text)["objects"]} == set(frames.KINDS)
    assert len(unpack(Registry(0), Silent(), (text, buffers))[1]["result"]) == 8
