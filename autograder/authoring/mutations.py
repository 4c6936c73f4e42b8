"""Small changes to a function's source, one at a time: operators, constants, arguments, statements left out."""

import ast
import copy
import inspect
import itertools
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Replacements = Iterator[ast.AST]


@dataclass(frozen=True)
class Mutant:
    """A reference answer with one change; `change` is its line before and after, as `equivalents.toml` has it."""

    exercise: str
    change: str
    source: str


# --- the changes

COMPARED: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.GtE], ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.In: [ast.NotIn], ast.NotIn: [ast.In], ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}  # fmt: skip
COMPUTED: dict[type[ast.operator], list[type[ast.operator]]] = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div, ast.Add], ast.Div: [ast.Mult], ast.FloorDiv: [ast.Div],
    ast.Pow: [ast.Mult], ast.Mod: [ast.FloorDiv], ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd],
}  # fmt: skip
NAMES = [  # of functions, methods and attributes, each of which is often taken for the others
    ("sum", "mean", "amax"), ("max", "min"), ("argmax", "argmin"), ("floor", "ceil", "round"),
    ("square", "abs", "sqrt"), ("zeros_like", "ones_like"), ("mul_", "add_"), ("train", "eval"), ("weight", "bias"),
    ("all", "any"),
    ("running_mean", "running_var"), ("in_channels", "out_channels"), ("in_features", "out_features"),
    ("kernel_size", "stride"), ("padding", "dilation"), ("median", "mean"), ("inputs", "outputs"), ("T", "mT"),
    ("modules", "children"), ("argsort", "sort"),
]  # fmt: skip
NEIGHBOURS = {name: [other for other in group if other != name] for group in NAMES for name in group}


def of_constant(node: ast.Constant) -> Replacements:
    """Another number, truth or text."""
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield from (ast.Constant(other) for other in (value + 1, value - 1))
    elif isinstance(value, float):
        yield from (ast.Constant(other) for other in ((value * 2, 0.0) if value else (1.0,)))
    elif isinstance(value, str):
        yield ast.Constant(f"{value}x")


def of_comparison(node: ast.Compare) -> Replacements:
    """Another comparison."""
    for number, operator in enumerate(node.ops):
        for other in COMPARED.get(type(operator), []):
            operators = [*node.ops[:number], other(), *node.ops[number + 1 :]]
            yield ast.Compare(node.left, operators, node.comparators)


def of_operation(node: ast.BinOp) -> Replacements:
    """Another operator, the operands swapped, or one of them alone."""
    for other in COMPUTED.get(type(node.op), []):
        yield ast.BinOp(node.left, other(), node.right)
    if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult, ast.Pow, ast.FloorDiv)):
        yield ast.BinOp(node.right, node.op, node.left)
    yield from (node.left, node.right)


def of_call(node: ast.Call) -> Replacements:
    """A method that is not called, an argument that is missing, two that are swapped."""
    if (isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name | ast.Constant)) or (
        isinstance(node.func, ast.Attribute) and node.func.attr in ("clone", "detach", "abs", "double", "float")
    ):
        yield node.func.value
    for number in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:number] + node.keywords[number + 1 :])
    for number in range(1, len(node.args)):
        yield ast.Call(node.func, node.args[:number] + node.args[number + 1 :], node.keywords)
    symmetric = isinstance(node.func, ast.Name) and node.func.id in ("max", "min")
    for first, second in [] if symmetric else itertools.pairwise(range(len(node.args))):
        swapped = list(node.args)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        yield ast.Call(node.func, swapped, node.keywords)


def of_attribute(node: ast.Attribute) -> Replacements:
    """Another function or attribute of the kind."""
    yield from (ast.Attribute(node.value, other, node.ctx) for other in NEIGHBOURS.get(node.attr, []))


def of_slice(node: ast.Slice) -> Replacements:
    """One end of a slice left out, or begun where it ends."""
    if node.lower:
        yield ast.Slice(None, node.upper, node.step)
    if node.upper:
        yield ast.Slice(node.lower, None, node.step)
    if node.upper and not node.lower:
        yield ast.Slice(node.upper, None, node.step)


def of_condition(node: ast.If | ast.IfExp) -> Replacements:
    """A condition that always or never holds."""
    for truth in (True, False):
        other = copy.copy(node)
        other.test = ast.Constant(truth)
        yield other


EXPRESSIONS: dict[type[ast.AST], Callable[[Any], Replacements]] = {
    ast.Constant: of_constant, ast.Compare: of_comparison, ast.BinOp: of_operation, ast.Call: of_call,
    ast.Attribute: of_attribute, ast.Slice: of_slice, ast.If: of_condition, ast.IfExp: of_condition,
    ast.UnaryOp: lambda node: iter([node.operand]),
    ast.BoolOp: lambda node: iter([ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)]),
}  # fmt: skip


def of_statement(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """A statement left out, or only what it surrounds."""
    if isinstance(node, (ast.Expr, ast.AugAssign, ast.Raise, ast.If, ast.For)) or (
        isinstance(node, ast.Assign) and not isinstance(node.targets[0], (ast.Name, ast.Tuple))
    ):
        yield [ast.Pass()]
    elif isinstance(node, ast.With):
        yield node.body
    elif isinstance(node, ast.Try):
        yield node.body
        yield [*node.body, *node.finalbody]


# --- all mutants of a function


def mutants(exercise: str, function: Callable[..., Any]) -> Iterator[Mutant]:
    """All mutants of a function, each once, in the order of its source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body = definition.body[1:]  # without the docstring
    original, seen = ast.unparse(tree), Counter[str]()
    for changed in changed_trees(tree, [argument.arg for argument in definition.args.args]):
        try:
            source = ast.unparse(ast.fix_missing_locations(changed))
            compile(source, exercise, "exec")
        except (SyntaxError, ValueError):
            continue
        if source != original and not seen[source]:
            seen[source] += 1
            yield Mutant(exercise, difference(original, source), source)


def changed_trees(tree: ast.Module, arguments: list[str]) -> Iterator[ast.Module]:
    """A tree with each change, one at a time."""
    for path, node in places(tree):
        if in_message(tree, path):
            continue
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef):
            for statements in of_statement(node):
                yield with_statements(tree, path, statements)
        for replacement in EXPRESSIONS.get(type(node), lambda _: iter(()))(node):
            yield replaced(tree, path, replacement)
        if isinstance(node, ast.Name) and node.id in arguments and isinstance(node.ctx, ast.Load):
            for other in arguments:
                yield replaced(tree, path, ast.Name(other, ast.Load()))


Path_ = tuple[tuple[str, int | None], ...]  # fields, with the place where a field is a list


def places(node: ast.AST, path: Path_ = ()) -> Iterator[tuple[Path_, ast.AST]]:
    """All nodes below one, with the way to each; no annotations."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "ctx"):
            continue
        for number, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(item, ast.AST):
                here = (*path, (name, number))
                yield here, item
                yield from places(item, here)


def at(tree: ast.AST, path: Path_) -> Any:
    """The node at the end of a way."""
    for name, number in path:
        tree = getattr(tree, name) if number is None else getattr(tree, name)[number]
    return tree


def in_message(tree: ast.AST, path: Path_) -> bool:
    """Whether a node is part of what an exception says."""
    return any(isinstance(at(tree, path[:length]), ast.Raise) for length in range(len(path)))


def replaced(tree: ast.Module, path: Path_, replacement: ast.AST) -> ast.Module:
    """A tree with another node at a place."""
    changed = copy.deepcopy(tree)
    parent, (name, number) = at(changed, path[:-1]), path[-1]
    new = copy.deepcopy(replacement)
    if number is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[number] = new
    return changed


def with_statements(tree: ast.Module, path: Path_, statements: list[ast.stmt]) -> ast.Module:
    """A tree with other statements in place of one."""
    changed = copy.deepcopy(tree)
    parent, (name, number) = at(changed, path[:-1]), path[-1]
    assert number is not None
    getattr(parent, name)[number : number + 1] = copy.deepcopy(statements)
    return changed


def difference(before: str, after: str) -> str:
    """The lines that a change is about, before and after."""
    old, new = before.splitlines(), after.splitlines()
    start = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    shown = [" ⏎ ".join(line.strip() for line in lines[start : len(lines) - end]) for lines in (old, new)]
    return " → ".join(shown)
