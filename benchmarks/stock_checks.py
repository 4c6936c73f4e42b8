"""A lab's tests as stock nbgrader has them: plain code in the check cell."""

import ast

from autograder.authoring.editions import check_files

LAB = "lab3_l1_filters"


def used_names(node: ast.AST) -> list[str]:
    return sorted({part.id for part in ast.walk(node) if isinstance(part, ast.Name)})


def brought_in(names: list[str], known: dict[str, ast.stmt], there: set[str]) -> list[str]:
    """The code of the imports and helpers among `names` that are not there yet, what they use themselves first."""
    lines: list[str] = []
    for name in names:
        if name in known and name not in there:
            there.add(name)
            lines += [*brought_in(used_names(known[name]), known, there), ast.unparse(known[name])]
    return lines


def plain_names(statement: ast.stmt) -> dict[str, ast.stmt]:
    """What a test file's top-level statement brings in, each as a statement that can stand in a cell."""
    if isinstance(statement, ast.ImportFrom) and statement.module and statement.module.startswith("autograder.checks"):
        renamed = [alias for alias in statement.names if alias.asname]
        return {alias.asname or "": ast.parse(f"{alias.asname} = {alias.name}").body[0] for alias in renamed}
    if isinstance(statement, ast.Import):
        return {alias.asname or alias.name: ast.Import([alias]) for alias in statement.names}
    if isinstance(statement, ast.ImportFrom):
        return {alias.asname or alias.name: ast.ImportFrom(statement.module, [alias], 0) for alias in statement.names}
    return {statement.name: statement} if isinstance(statement, ast.FunctionDef) else {}


def plain_test(test: ast.FunctionDef, artifact: bool) -> list[str]:
    """A test's function without marks, and its calls: one, or one a case; for an artifact also what they earn."""
    marks = {mark.func.attr: mark.args for mark in test.decorator_list}  # type: ignore[attr-defined]
    function = ast.FunctionDef(test.name, test.args, test.body, [], lineno=0)
    arguments, worth = [argument.arg for argument in test.args.args], ast.unparse(marks["points"][0])
    if "award" in arguments:
        arguments[arguments.index("award")] = f"lambda share, message: earned.append({worth} * share)"
    call = f"{test.name}({', '.join(arguments)})"
    if "parametrize" in marks:
        names, cases = ast.literal_eval(marks["parametrize"][0]), ast.unparse(marks["parametrize"][1])
        call = f"for {names if isinstance(names, str) else ', '.join(names)} in {cases}:\n    {call}"
    if artifact and "award" not in used_names(test):
        call += f"\nearned.append({worth})"
    return [ast.unparse(ast.fix_missing_locations(function)), call]


def plain_check(exercise: str, artifact: bool) -> str:
    """The check cell of an exercise as its instructor would write it for stock nbgrader.

    Full points if no test fails, else none; the file handed in earns what the cell's last line comes to.
    """
    lines = ["from pathlib import Path", f'{exercise} = Path("{exercise.removesuffix("_onnx")}.onnx")', "earned = []"]
    code, known, there = lines if artifact else [], {}, {exercise}
    for file in check_files(LAB):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for statement in body:
            known.update(plain_names(statement))
        tests = [node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        part = []
        for test in tests:
            if test.args.args[0].arg == exercise:
                inside = [name for line in test.body for name in used_names(line)]
                part += [*brought_in(inside, known, there), *plain_test(test, artifact)]
        hidden = file.name.startswith("hidden_") and part
        code += ["### BEGIN HIDDEN TESTS", *part, "### END HIDDEN TESTS"] if hidden else part
    return "\n".join([*code, *(["round(sum(earned), 2)"] if artifact else [])])
