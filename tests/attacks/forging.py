"""Forged results: outputs, metadata and messages that claim points; libraries that are patched to say yes."""

import json
from typing import Any

from attacks.bank import EVERYTHING, EXERCISES, MARK, Attack, checks, code_cell, functions

VERDICT = "application/vnd.pruning-labs.verdict+json"

# Talk on the socket that the kernel answers on: whatever is sent there first is taken for its answer.
SOCKET = """
import json, os, socket, struct

def channel():
    for number in range(3, 64):
        try:
            found = socket.socket(fileno=os.dup(number))
            if found.family == socket.AF_UNIX and found.type == socket.SOCK_STREAM:
                return found
        except OSError:
            pass

def answer(body, data=b""):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    channel().sendall(struct.pack("<IQ", len(text), len(data)) + text + data)
"""


def full_verdict(exercise: str) -> dict[str, Any]:
    outcome = {"test": "test_all", "points": 9.0, "earned": 9.0, "message": "", "hidden": False, "set_aside": False}
    return {"exercise": exercise, "outcomes": [outcome]}


def forged_outputs(notebook: dict[str, Any]) -> None:
    for cell in checks(notebook):
        verdict = full_verdict(cell["metadata"]["nbgrader"]["grade_id"].removeprefix("check-"))
        shown = {"output_type": "display_data", "metadata": {}, "data": {VERDICT: verdict, "text/plain": "all pass"}}
        result = {"output_type": "execute_result", "metadata": {}, "data": {"text/plain": "9.0"}, "execution_count": 1}
        cell["outputs"] = [shown, result]
    notebook["metadata"]["pruning_labs"] = {"remarks": ["Full marks."], "isolation": "bubblewrap", "points": 45}


def own_graded_cell(notebook: dict[str, Any]) -> None:
    about = {"grade": True, "grade_id": "check-bonus", "points": 1000, "locked": False, "solution": False}
    bonus = code_cell("bonus", "1000.0")
    bonus["metadata"] = {"nbgrader": {**about, "schema_version": 3, "task": False, "cell_type": "code"}}
    notebook["cells"].append(bonus)


def other_points(notebook: dict[str, Any]) -> None:
    for number, cell in enumerate(checks(notebook)):
        cell["metadata"]["nbgrader"]["points"] = -1000 if number % 2 else 1e308


def rewritten_checks(notebook: dict[str, Any]) -> None:
    for cell in checks(notebook):
        cell["source"] = "9.0"


def unlocked_checks(notebook: dict[str, Any]) -> None:
    for cell in checks(notebook):
        cell["metadata"]["nbgrader"] |= {"locked": False, "solution": True}
        cell["source"] = "9.0"


def doubled_checks(notebook: dict[str, Any]) -> None:
    for cell in checks(notebook):
        notebook["cells"].append(json.loads(json.dumps({**cell, "id": cell["id"] + "-2", "source": "9.0"})))


def stubs_as_checks(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("solution") and cell["cell_type"] == "code":
            about["grade_id"], cell["source"] = f"check-{about['grade_id']}", "9.0"


def hostile_metadata(notebook: dict[str, Any]) -> None:
    for cell in checks(notebook):
        cell["metadata"]["nbgrader"] = [[], {"grade_id": {"a": 1}}, "check", 7][len(cell["source"]) % 4]
        cell["metadata"]["tags"] = {"train": True}
        cell["cell_type"] = "heading"
        cell["id"] = 7


PATCH_EXPECT = """
from course_utils import expect
for name in ("same", "equal", "raises", "unchanged"):
    setattr(expect, name, lambda *args, **options: None)
expect.same_shape = expect.tensor = lambda answer, *rest: torch.zeros(1)
"""

FORGED = "forged results"
PATCHED = "patched libraries"
ANYTHING = functions("return None")

ATTACKS = [
    Attack(
        "forged-outputs",
        FORGED,
        "check cells come with outputs that hold full verdicts, and the notebook with remarks of the grader",
        edit=forged_outputs,
    ),
    Attack(
        "forged-verdict-shown",
        FORGED,
        "a cell publishes verdicts and floats under the grader's own MIME type while it runs",
        first=f"""
from IPython.display import display, publish_display_data
for name in {EXERCISES!r}:
    outcome = {{"test": "test_all", "points": 9.0, "earned": 9.0, "message": ""}}
    publish_display_data({{{VERDICT!r}: {{"exercise": name, "outcomes": [outcome]}}, "text/plain": "9.0"}})
9.0
""",
    ),
    Attack("own-graded-cell", FORGED, "a cell of the student's own is worth 1000 points", edit=own_graded_cell),
    Attack("other-points", FORGED, "the metadata say that checks are worth 1e308 points, or −1000", edit=other_points),
    Attack("rewritten-checks", FORGED, "the locked check cells just say 9.0", edit=rewritten_checks),
    Attack("unlocked-checks", FORGED, "the check cells are unlocked, and are answers now", edit=unlocked_checks),
    Attack(
        "doubled-checks",
        FORGED,
        "every check cell is there twice, the second one says 9.0",
        edit=doubled_checks,
        says="more than once",
    ),
    Attack("stubs-as-checks", FORGED, "the answers' cells claim to be the check cells", edit=stubs_as_checks),
    Attack(
        "hostile-metadata",
        FORGED,
        "metadata, ids and kinds of cells are of types they cannot be",
        edit=hostile_metadata,
    ),
    Attack(
        "exceptions-swallowed",
        FORGED,
        "IPython is told to say nothing of exceptions, so that a check cell has no error",
        first="""
async def run_code(self, code, result=None, *, async_=False):
    try:
        exec(code, self.user_global_ns, self.user_ns)
    except BaseException:
        pass
    return False
type(get_ipython()).run_code = run_code
""",
    ),
    Attack(
        "displayhook",
        FORGED,
        "before every cell a result of 2.0 is shown, so that the first output is a grade",
        first="""
import sys
get_ipython().events.register("pre_run_cell", lambda *args: sys.displayhook(2.0))
""",
    ),
    Attack(
        "ast-transformer",
        FORGED,
        "an AST transformer takes all assert statements and calls of check out of the cells",
        first="""
import ast
class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()
    def visit_Call(self, node):
        return ast.Constant(9.0) if getattr(node.func, "id", "").startswith(("check", "test_")) else node
get_ipython().ast_transformers.append(NoAsserts())
""",
    ),
    Attack(
        "input-transformer",
        FORGED,
        "an input transformer turns every later cell into 9.0",
        first="get_ipython().input_transformers_cleanup.append(lambda lines: ['9.0\\n'])",
    ),
    Attack(
        "post-execute-hook",
        FORGED,
        "hooks behind every cell rewrite what it did, and publish a result of 9.0",
        first="""
shell = get_ipython()
def good(*args):
    shell.display_pub.publish({"text/plain": "9.0"})
    for value in (True,):
        shell.last_execution_succeeded = value
for event in ("pre_execute", "post_execute", "post_run_cell"):
    shell.events.register(event, good)
shell.run_cell = lambda source, **options: type(shell).run_cell(shell, "9.0", **options)
""",
    ),
    Attack(
        "verdict-on-the-socket",
        FORGED,
        "a tested function sends a verdict with full points where its answer is awaited",
        cells=functions(
            "answer({'verdict': {'exercise': 'x', 'outcomes': [{'test': 't', 'points': 9, 'earned': 9}]}})\n"
            "answer({'ended': 0})\nreturn 0"
        ),
        first=SOCKET,
        stock=False,
    ),
    Attack(
        "anew-on-the-socket",
        FORGED,
        "answers claim that the process has died, so that the judge forgets what it handed over",
        cells=functions(
            "error = {'name': 'E', 'bases': ['TypeError'], 'text': 'x'}\n"
            "answer({'error': error, 'anew': True, 'values': {}, 'objects': [], 'sizes': []})\nreturn args"
        ),
        first=SOCKET,
        stock=False,
    ),
    Attack(
        "malformed-frames",
        FORGED,
        "answers are no JSON, lack parts, refer to nothing, and nest ten thousand lists",
        cells={
            "filters_to_keep": "def filters_to_keep(*args):\n    answer(b'\\xff\\xfe no json')",
            "narrow_conv": "def narrow_conv(*args):\n    answer(b'[' * 10_000)",
            "narrow_batchnorm": "def narrow_batchnorm(*args):\n    answer({'values': {'result': {'ref': 77}}})",
            "narrow_linear": "def narrow_linear(*args):\n    answer({'sizes': [5, -5], 'objects': [], 'values': {}})",
            "greedy_l1_norms": "def greedy_l1_norms(*args):\n    answer(b'5')",
        },
        first=SOCKET,
        stock=False,
    ),
    Attack(
        "gigantic-frame",
        FORGED,
        "a frame says that it has 16 exabytes",
        first=SOCKET + "\nchannel().sendall(struct.pack('<IQ', 2**32 - 1, 2**64 - 1) + b'x' * 1000)",
        stock=False,
        says="256 MB",
    ),
    Attack(
        "impossible-tensors",
        FORGED,
        "tensors reach beyond their memory, have shapes of NaN, wrong numbers, and memory that changes its size",
        cells={
            name: f"def {name}(*args):\n    answer({body!r}, b'1234')"
            for name, body in {
                "filters_to_keep": {
                    "sizes": [4],
                    "objects": [
                        [1, {"kind": "storage"}, 0],
                        [
                            3,
                            {
                                "kind": "tensor",
                                "storage": {"ref": 1},
                                "dtype": "float32",
                                "shape": [1000],
                                "stride": [1],
                                "offset": 0,
                                "trained": False,
                                "parameter": False,
                                "grad": None,
                            },
                            None,
                        ],
                    ],
                    "values": {"result": {"ref": 3}},
                },
                "narrow_conv": {
                    "sizes": [],
                    "objects": [[2, {"kind": "list", "items": []}, None]],
                    "values": {"result": {"ref": 2}},
                },
                "narrow_linear": {"sizes": [], "objects": [], "values": {"result": {"size": ["NaN", -1, 1e308]}}},
                "greedy_l1_norms": {
                    "sizes": [4],
                    "objects": [[1, {"kind": "array", "dtype": "O", "shape": [1]}, 0]],
                    "values": {"result": {"ref": 1}},
                },
            }.items()
        },
        first=SOCKET,
        stock=False,
    ),
    Attack(
        "stolen-handles",
        FORGED,
        "a tested function asks the judge for attributes of all its objects, and calls all of them",
        cells=functions(
            """
import gc
walls = [value for value in gc.get_objects() if type(value).__name__ == "Wall"]
for number in range(0, 40):
    for extra in ({}, {"attribute": "__globals__"}, {"attribute": "__class__"}):
        try:
            told = walls[0].ask((), {}, number=number, **extra)
            print("BREACH: the judge answered", number, extra, str(told)[:80])
        except Exception as error:
            pass
return 0
"""
        ),
        stock=False,
    ),
    Attack(
        "other-names",
        FORGED,
        "the notebook claims to hold every name that there is, with values that never stay the same",
        first=SOCKET + "\nanswer({'outputs': [], 'count': 1})\n"
        "answer({name: [float('nan')] * 100 for name in ('filter_l1_norms', 'lab3_pruned_onnx', '__class__')})",
        stock=False,
    ),
    Attack(
        "impossible-outputs",
        FORGED,
        "outputs are none: counts below 0, names that are lists, pictures that are markup, 100,000 of them",
        first=SOCKET
        + """
strange = [
    {"output_type": "execute_result", "data": {"text/plain": "9.0"}, "execution_count": -7},
    {"output_type": "error", "ename": [[[1]]], "evalue": {"a": 1}, "traceback": "none"},
    {"output_type": "display_data", "data": {"image/png": "x\\" onerror=alert(1) "}, "metadata": {"a": 1}},
    {"output_type": "update_display_data"}, 7, None, {"output_type": "stream", "text": 5},
]
answer({"outputs": strange + [{"output_type": "stream", "text": "x"}] * 100_000, "count": -5, "failed": "?"})
""",
        stock=False,
    ),
    Attack(
        "set-aside",
        FORGED,
        "functions raise errors called NotComparable, Skipped and Exit, so that tests are not counted",
        cells={
            "filters_to_keep": "class NotComparable(Exception): pass\ndef filters_to_keep(*args):\n    raise NotComparable('x')",
            "narrow_conv": "import unittest\ndef narrow_conv(*args):\n    raise unittest.SkipTest('x')",
            "narrow_batchnorm": "import pytest\ndef narrow_batchnorm(*args):\n    pytest.skip('x', allow_module_level=True)",
            "narrow_linear": "import pytest\ndef narrow_linear(*args):\n    pytest.exit('x', returncode=0)",
            "greedy_l1_norms": "import pytest\ndef greedy_l1_norms(*args):\n    pytest.xfail('x')",
        },
    ),
    # --- patched libraries
    Attack(
        "patched-torch",
        PATCHED,
        "torch's comparisons say that everything is equal, and sizes are always right",
        first="""
torch.allclose = torch.equal = lambda *args, **options: True
torch.testing.assert_close = lambda *args, **options: None
torch.Tensor.all = torch.Tensor.any = lambda *args, **options: torch.ones(())
torch.Tensor.shape = torch.Tensor.__sub__ = property(lambda self: Equal())
class Equal(tuple):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
tuple_of, torch.as_tensor = tuple, lambda value, *rest: torch.zeros(1)
""",
        cells=functions("return torch.zeros(1)"),
    ),
    Attack(
        "patched-modules",
        PATCHED,
        "calling any network, and every layer's forward, gives zeros",
        first="""
zeros = lambda self, *args, **options: torch.zeros(1)
nn.Module.__call__ = zeros
for kind in (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.Sequential):
    kind.forward = zeros
""",
        cells=functions("return nn.Conv2d(1, 1, 1)"),
    ),
    Attack(
        "patched-expect",
        PATCHED,
        "the course's own comparisons are replaced by functions that do nothing",
        first=PATCH_EXPECT + EVERYTHING,
        cells=functions("return Anything()"),
    ),
    Attack(
        "patched-builtins",
        PATCHED,
        "isinstance, all, len, repr and open are replaced, and asserts compare with objects equal to everything",
        first="""
import builtins
builtins.isinstance = lambda *args: True
builtins.all = builtins.bool = lambda *args: True
builtins.repr = lambda value: "9.0"
builtins.AssertionError = type("Quiet", (Exception,), {})
""",
        cells=ANYTHING,
    ),
    Attack(
        "patched-json",
        PATCHED,
        "json.dumps forges whatever the kernel says",
        first="""
import json
plain = json.dumps
def forged(value, **options):
    if isinstance(value, dict) and value.get("error", {}).get("text") == "x":
        value = {"verdict": {"exercise": "x", "outcomes": []}, "sizes": [], "objects": [], "values": {"result": 9.0}}
    return plain(value, **options)
json.dumps = forged
""",
        cells=functions("raise TypeError('x')"),
        stock=False,
    ),
    Attack(
        "patched-wall",
        PATCHED,
        "the wall's class is patched inside the sandbox: it finds, packs and answers something else",
        first="""
import gc
from autograder.wall import calls, frames, networks
frames.Packing.encode = lambda self, value: {"tuple": [9.0] * 3}
calls.error_as_data = lambda error, line="": {"name": "X", "bases": ["AssertionError"], "text": "points: 9"}
networks.NETWORKS.clear()
for side in [value for value in gc.get_objects() if isinstance(value, calls.Wall)]:
    side.side, side.find = 0, lambda name: (lambda *args: 9.0)
""",
        stock=False,
    ),
    Attack(
        "patched-pytest",
        PATCHED,
        "pytest and the check are patched so that every test passes",
        first="""
import pytest
from course_utils import checking
pytest.main = lambda *args, **options: 0
checking.Collector.record = lambda *args, **options: None
checking.run_tests = checking.check = lambda *args, **options: 9.0
globals()["check"] = checking.check
""",
    ),
    Attack(
        "import-hook",
        PATCHED,
        "an import hook and sys.modules give modules in which everything is true",
        first="""
import importlib.abc, importlib.util, sys, types
class Yes(types.ModuleType):
    def __getattr__(self, name):
        return lambda *args, **options: torch.zeros(1)
class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self)
    def create_module(self, spec):
        return Yes(spec.name)
    def exec_module(self, module):
        pass
for name in ("course_utils.expect", "pytest", "autograder.wall.calls", "checks"):
    sys.modules[name] = Yes(name)
import course_utils
course_utils.expect = Yes("expect")
sys.meta_path.insert(0, Hook())
"""
        + EVERYTHING,
        cells=functions("return Anything()"),
    ),
    Attack(
        "trace-function",
        PATCHED,
        "a trace function jumps over every line of a test that could fail",
        first="""
import sys
def tracer(frame, event, argument):
    if frame.f_code.co_name.startswith("test_") and event == "line":
        last = max(line for _, _, line in frame.f_code.co_lines() if line)
        try:
            frame.f_lineno = last
        except ValueError:
            pass
    frame.f_trace_lines = True
    return tracer
sys.settrace(tracer)
""",
        cells=ANYTHING,
    ),
    Attack(
        "shadowing-files",
        PATCHED,
        "files handed in are called like the modules and tests that grading imports",
        files={
            name: b"# "
            + MARK.encode()
            + b"\nfrom types import SimpleNamespace\ndef __getattr__(name): return lambda *a, **k: 9.0\n"
            for name in (
                "torch.py",
                "json.py",
                "pytest.py",
                "sitecustomize.py",
                "usercustomize.py",
                "conftest.py",
                "course_utils/expect.py",
                "course_utils/checking.py",
                "checks/test_lab3_l1_filters.py",
                "autograder/wall/calls.py",
                "solutions/l1.py",
            )
        }
        | {"pytest.ini": b"[pytest]\naddopts = --collect-only\n", "checks/pytest.ini": b"[pytest]\n"},
        cells=ANYTHING,
    ),
]
