"""The leaderboard: what is measured and shown, and that no submission can break it or be taken on its word."""

import csv
import inspect
import io
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from helpers.challenge_files import entry, few_images, linear_file, weights
from onnx import helper, numpy_helper
from rich.console import Console
from typer.testing import CliRunner

from autograder.__main__ import app
from autograder.challenge import board, entries, measure_entry, measuring
from autograder.challenge.board import as_table, make_boards, write_board
from autograder.challenge.entries import LeaderboardError
from autograder.challenge.measuring import Measurers, disagreements
from autograder.challenge.page import board_data
from autograder.challenge.rerun import Repeated, rerun, train_again
from autograder.course import ROOT
from autograder.sandbox.bubblewrap import SandboxError
from autograder.text import one_line
from course_utils import VERSION, challenge
from course_utils.challenge.computation import computed_operators
from course_utils.challenge.entry import file_hash
from course_utils.challenge.graph import graph_of
from course_utils.challenge.score import RULES, score_onnx
from course_utils.challenge.storage import Storage
from course_utils.onnx_files import reading, running
from minicifar import Loader

MOSTLY_WRONG = weights()[:, [0, 1, 3, 2]]  # two of four classes


class Here:
    """In place of `Measurers`: measure in this process, and count how often."""

    calls = 0

    def __init__(self, dataset, fingerprint, isolation, seconds, secret=""):
        self.images = few_images(dataset, "test"), few_images(dataset, "val")

    def __call__(self, data):
        Here.calls += 1
        return measure_entry.measured(data, self.folder, *self.images, "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def close(self):
        pass


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Few images, measured in this process, with a cache of its own → the folder of the submissions."""
    monkeypatch.setattr(board, "Measurers", Here)
    monkeypatch.setattr(board, "load", few_images)
    monkeypatch.setattr(measuring, "cache_folder", lambda: tmp_path / "cache")
    Here.folder, Here.calls = tmp_path, 0
    (tmp_path / "entries").mkdir()
    return tmp_path / "entries"


def lines(folder, dataset="minicifar"):
    (board,) = make_boards(folder, [dataset], workers=1)
    return {line["team"]: line for line in board["entries"]}


def refusal(folder):
    (line,) = lines(folder).values()
    assert line["status"] == "refused" and line["accuracy"] is None and line["score"] is None
    json.dumps(line, allow_nan=False)
    return line["reason"]


def test_everything_is_measured_from_the_file(here):
    path = entry(here / "us") / "network.onnx"
    line = lines(here)["us"]
    scored = score_onnx(path)
    assert (line["status"], line["reason"], line["accuracy"], line["val_accuracy"]) == ("qualified", "", 1.0, 0.9)
    assert (line["score"], line["macs"], line["parameters"]) == (scored.score, 4 * 3072, 4 * 3072)
    assert (line["nonzero"], line["weight_bits"], line["hash"]) == (3072, 1, file_hash(path.read_bytes()))
    assert line["megabytes"] == path.stat().st_size / 1e6
    assert (line["method"], line["seeds"], line["date"]) == ("by hand", [0], "2026-11-02T10:00:00+00:00")


def test_what_submit_writes_is_taken_as_it_is(here, monkeypatch, tmp_path):
    monkeypatch.setattr("course_utils.challenge.entry.load", few_images)
    monkeypatch.setattr("course_utils.challenge.entry.baseline_entry", lambda *_: [])
    challenge.submit(linear_file(tmp_path / "x.onnx"), name="linear", team="us", folder=here)
    line = lines(here)["us"]
    assert (line["status"], line["claims"]) == ("qualified", [])


def test_qualified_entries_by_score_then_the_others(here):
    entry(here / "cheap")
    entry(here / "dear", weights() + 0.001 * np.random.RandomState(0).rand(3072, 4).astype(np.float32))
    entry(here / "half right", MOSTLY_WRONG)
    entry(here / "broken")
    (here / "broken" / "network.onnx").write_bytes(b"no")
    ranked = lines(here)
    assert list(ranked) == ["cheap", "dear", "half right", "broken"]
    assert ranked["half right"]["status"] == "not qualified"
    assert ranked["half right"]["reason"] == "50.00% of the test images; 84% are asked for."


def test_entries_may_lie_in_a_students_folder(here):
    entry(here / "student 1" / "us")
    entry(here / "student 1" / "challenge" / "them")
    assert set(lines(here)) == {"us", "them"}


def test_a_board_for_every_division_that_has_entries(here):
    entry(here / "a")
    entry(here / "b", dataset="cifar10")
    boards = make_boards(here, workers=1)
    assert [(board["dataset"], board["threshold"]) for board in boards] == [("minicifar", 0.84), ("cifar10", 0.9)]
    assert [[line["team"] for line in board["entries"]] for board in boards] == [["a"], ["b"]]
    assert boards[0]["images"] == "A few images made by the tests."


def test_claims_that_disagree_are_shown(here):
    score = score_onnx(entry(here / "us") / "network.onnx").score
    entry(here / "us", claims={"accuracy": 0.5, "val_accuracy": 0.9, "score": score * 0.9}, images="others")
    line = lines(here)["us"]
    assert {claim["what"]: (claim["claimed"], claim["measured"]) for claim in line["claims"]} == {
        "accuracy": (0.5, 1.0),
        "score": (score * 0.9, score),
        "images": ("others", "few-images/4 classes"),
    }


@pytest.mark.parametrize("claims", [None, [], {"accuracy": None}, "0.9", {}, {"accuracy": 0.9001}])
def test_what_claims_nothing_else_is_not_shown(claims):
    measured = {"accuracy": 0.9, "val_accuracy": 0.9, "score": 0.1}
    assert disagreements({"claims": claims}, measured, "f") == []


@pytest.mark.parametrize("claimed", [math.nan, "<b>1</b>", [1], True, 10**400])
def test_a_claim_that_is_no_number_is_shown_as_text(claimed):
    (claim,) = disagreements({"claims": {"score": claimed}}, {"accuracy": 1.0, "val_accuracy": 1.0, "score": 1.0}, "f")
    assert isinstance(claim["claimed"], str) and len(claim["claimed"]) <= 40


def test_the_same_file_of_two_teams_is_said_on_both_lines(here):
    entry(here / "a")
    entry(here / "b")
    entry(here / "c", 2 * weights())
    ranked = lines(here)
    assert ranked["a"]["same_as"] == ["b: linear"] and ranked["b"]["same_as"] == ["a: linear"]
    assert ranked["c"]["same_as"] == []
    assert ranked["a"]["score"] == ranked["b"]["score"]


def random_weights(seed):
    """Weights of random signs where the usual ones are zero: 3072 of them decide."""
    return weights() + np.random.RandomState(seed).randn(3072, 4).astype(np.float32) / 1000


def changed_in_a_bit(folder):
    path = folder / "network.onnx"
    model = onnx.load(path)
    raw = bytearray(numpy_helper.to_array(model.graph.initializer[0]).tobytes())
    raw[5] ^= 1
    array = np.frombuffer(bytes(raw), np.float32).reshape(tuple(model.graph.initializer[0].dims))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[0].name))
    onnx.save(model, path)


def test_another_teams_file_in_which_a_bit_was_changed_is_named_without_a_reproach(here):
    entry(here / "a", random_weights(0))
    changed_in_a_bit(entry(here / "b", random_weights(0)))
    entry(here / "c", random_weights(1))
    ranked = lines(here)
    assert ranked["a"]["same_as"] == ranked["b"]["same_as"] == []
    (remark,) = ranked["b"]["remarks"]
    assert remark == "Its weights are nearly those of a: linear: they have a common beginning, at least."
    assert ranked["c"]["remarks"] == [] and "parts" not in ranked["a"] and "owner" not in ranked["a"]


def test_a_teams_name_that_comes_from_two_folders_is_named(here):
    entry(here / "ants" / "us")
    entry(here / "bees" / "us", random_weights(1))
    entry(here / "ants" / "us again", random_weights(2))
    (board,) = make_boards(here, ["minicifar"], workers=1)
    about = [line["remarks"] for line in board["entries"] if line["team"] == "us"]
    assert about == [["Entries of a team of this name lie in ants, bees: whose are they?"]] * 2
    assert [line["remarks"] for line in board["entries"] if line["team"] != "us"] == [[]]


def test_a_network_that_knows_the_test_images_only_is_refused(here, monkeypatch):
    entry(here / "a")
    accuracies = iter([0.86, 0.85, 0.28])
    monkeypatch.setattr("course_utils.challenge.entry.run_onnx", lambda *_, **__: (next(accuracies), 1.0))
    monkeypatch.setattr("course_utils.challenge.entry.moved_accuracy", lambda *_: next(accuracies))
    assert "28.0% of the validation images: it seems to know the test images" in refusal(here)


def test_a_second_run_measures_nothing(here):
    entry(here / "a")
    entry(here / "b", MOSTLY_WRONG)
    entry(here / "c", np.full((3072, 4), np.nan, np.float32))
    first = lines(here)
    assert Here.calls == 3
    assert lines(here) == first
    assert Here.calls == 3


def test_other_code_or_another_file_is_measured_again(here, monkeypatch):
    entry(here / "a")
    lines(here)
    monkeypatch.setattr(measuring, "measuring_version", lambda: "new")
    lines(here)
    assert Here.calls == 2
    entry(here / "a", 2 * weights())
    lines(here)
    assert Here.calls == 3


@pytest.mark.parametrize(
    "function",
    [
        *(challenge.measure, score_onnx, graph_of, Storage, computed_operators),
        *(reading.counted_operators, running.run_onnx, running.moved_accuracy, Loader),
    ],
)
def test_all_code_that_measures_counts_as_its_version(function):
    assert str(Path(inspect.getsourcefile(function)).relative_to(ROOT)) in measuring.MEASURING


def test_a_limit_that_was_hit_is_not_remembered(here, monkeypatch):
    entry(here / "a")
    monkeypatch.setattr(Here, "__call__", lambda self, data: {"refused": "too slow", "again": True})
    assert refusal(here) == "too slow"
    monkeypatch.undo()
    assert not list((here.parent / "cache").rglob("*.json"))


def test_a_damaged_cache_is_no_problem(here):
    entry(here / "a")
    first = lines(here)
    (cached,) = (here.parent / "cache").rglob("*.json")
    for content in ("", "[]", '{"measured": 3}', "null"):
        cached.write_text(content)
        assert lines(here) == first


# bad submissions


def test_no_folder(tmp_path):
    with pytest.raises(LeaderboardError, match="give the one that holds the entries"):
        make_boards(tmp_path / "none")


def test_an_empty_folder_gives_an_empty_board(here, tmp_path):
    (board,) = make_boards(here)
    assert board["entries"] == []
    write_board(board, tmp_path / "out")


def test_no_network(here):
    (entry(here / "us") / "network.onnx").unlink()
    assert refusal(here) == "There is no network.onnx."


def test_no_card(here):
    (entry(here / "us") / "card.json").unlink()
    assert "no card.json" in refusal(here)


def test_a_folder_without_an_entry(here):
    (here / "us").mkdir()
    (here / "us" / "notes.txt").write_text("later")
    assert "There is no entry" in refusal(here)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b"3", "holds no card"),
        (b'["team"]', "holds no card"),
        (b"{}", "names no data set"),
        (b'{"dataset": "imagenet"}', "names no data set"),
        (b'{"dataset": ["minicifar"]}', "names no data set"),
        (b'{"team": "' + 200_000 * b"x" + b'"}', "at most 100 kB"),
        (b'{"seeds": ' + 9_000 * b"9" + b"}", "not JSON"),
    ],
)
def test_a_bad_card(content, said, here):
    (entry(here / "us") / "card.json").write_bytes(content)
    assert said in refusal(here)


@pytest.mark.parametrize("value", [None, 3, 1e300, True, [], {}, ["x"] * 1000, "x" * 9_000, "\u202e\x00\n\x1b[31m"])
def test_any_field_may_be_anything(value, here):
    fields = dict.fromkeys(("team", "name", "method", "seeds", "date", "claims", "images", "code", "format"), value)
    entry(here / "us", **fields)
    (line,) = make_boards(here, ["minicifar"], workers=1)[0]["entries"]
    assert line["status"] == "qualified"
    assert line["team"] and line["name"]
    for what, longest in entries.LONGEST.items():
        assert len(line[what]) <= longest and line[what].isprintable()
    json.dumps(line, allow_nan=False)


def test_a_line_of_text_has_no_letters_that_do_not_show():
    assert one_line("  a\u202eb\n\tc\x00\u200bd \ud800", 60) == "ab c d"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"


def test_not_onnx(here):
    (entry(here / "us") / "network.onnx").write_bytes(b"PK\x03\x04" * 30)
    assert "network.onnx" in refusal(here)


def test_weights_in_another_file(here):
    path = entry(here / "us") / "network.onnx"
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="secret", size_threshold=0)
    assert "in another file" in refusal(here)


def test_another_input(here):
    linear_file(entry(here / "us") / "network.onnx", np.ones((1024, 4), np.float32), shape=("N", 1, 32, 32))
    assert "(N, 3, 32, 32)" in refusal(here)


def test_another_number_of_classes(here):
    linear_file(entry(here / "us") / "network.onnx", np.ones((3072, 5), np.float32), classes=5)
    assert "must have the shape (40, 4)" in refusal(here)


def test_outputs_that_are_no_numbers(here):
    entry(here / "us", np.full((3072, 4), np.nan, np.float32))
    assert "not all finite" in refusal(here)


def test_an_operator_that_is_not_counted(here):
    nodes = [helper.make_node("Flatten", ["images"], ["x"]), helper.make_node("Einsum", ["x", "w"], ["logits"])]
    linear_file(entry(here / "us") / "network.onnx", nodes=nodes)
    assert "Einsum" in refusal(here)


def test_a_file_that_is_too_large(here):
    with open(entry(here / "us") / "network.onnx", "wb") as file:
        file.truncate(51_000_000)
    assert "at most 50 MB" in refusal(here)


def test_summing_over_a_batch_of_one_class_does_not_help(here):
    """In the order of the data set, a batch holds one class, and its sum knows it better than any image does."""
    nodes = [
        helper.make_node("Flatten", ["images"], ["x"]),
        helper.make_node("MatMul", ["x", "w"], ["own"]),
        helper.make_node("ReduceSum", ["own", "axis"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["own", "nought"], ["zeros"]),
        helper.make_node("Add", ["zeros", "sum"], ["logits"]),
    ]
    constants = {"axis": np.array([0]), "nought": np.array(0, np.float32)}
    linear_file(entry(here / "us") / "network.onnx", nodes=nodes, constants=constants)
    assert lines(here)["us"]["accuracy"] == 0.25


@pytest.mark.parametrize("name", ["network.onnx", "card.json"])
def test_a_file_that_is_a_link(name, here, tmp_path):
    secret = entry(tmp_path / "elsewhere") / name
    path = entry(here / "us") / name
    path.unlink()
    path.symlink_to(secret)
    assert "is a link" in refusal(here)


def test_a_folder_that_is_a_link(here, tmp_path):
    entry(tmp_path / "elsewhere")
    (here / "us").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refusal(here)


def test_a_pipe_does_not_hold_anything_up(here):
    folder = entry(here / "us")
    (folder / "card.json").unlink()
    os.mkfifo(folder / "card.json")
    assert "pipe" in refusal(here)


def test_one_bad_entry_does_not_touch_the_others(here):
    entry(here / "good")
    entry(here / "bad", dataset=None)
    (entry(here / "worse") / "network.onnx").unlink()
    ranked = lines(here)
    assert ranked["good"]["status"] == "qualified" and len(ranked) == 3


# what is written


def test_the_three_files(here, tmp_path):
    name = '<script>alert(1)</script>"&'
    entry(here / "us", team=name, method="=cmd()", claims={"accuracy": 0.5})
    entry(here / "them", MOSTLY_WRONG)
    (board,) = make_boards(here, workers=1)
    page = write_board(board, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "leaderboard.csv",
        "leaderboard.html",
        "leaderboard.json",
    ]
    assert json.loads((tmp_path / "out" / "leaderboard.json").read_text(encoding="utf-8")) == board
    assert "<script>alert" not in page.read_text(encoding="utf-8")
    head, first, second = csv.reader(
        (tmp_path / "out" / "leaderboard.csv").read_text(encoding="utf-8-sig").splitlines()
    )
    row = dict(zip(head, first, strict=True))
    assert (row["place"], row["team"], row["method"]) == ("1", name, "'=cmd()")
    assert float(row["score"]) == board["entries"][0]["score"]
    assert row["claims"] == "accuracy: claimed 0.5, measured 1.0"
    assert dict(zip(head, second, strict=True))["place"] == ""


def test_the_courses_version_stands_on_every_output(here, tmp_path):
    entry(here / "us")
    (ranking,) = make_boards(here, workers=1)
    page = write_board(ranking, tmp_path).read_text(encoding="utf-8")
    assert json.loads((tmp_path / "leaderboard.json").read_text(encoding="utf-8"))["version"] == VERSION
    assert f'"version":"{VERSION}"' in page and VERSION in str(as_table(ranking).caption)


def test_the_page_takes_what_the_board_holds(here):
    entry(here / "a", claims={"accuracy": 0.5})
    entry(here / "b", MOSTLY_WRONG)
    (here / "c").mkdir()
    (board,) = make_boards(here, workers=1)
    shown = board_data(board)
    assert [line["team"] for line in shown["entries"]] == [line["team"] for line in board["entries"]]
    assert [line["status"] for line in shown["entries"]] == ["qualified", "not qualified", "refused"]


def test_writing_twice_gives_the_same_bytes(here, tmp_path):
    entry(here / "a")
    for name in ("one", "two"):
        write_board(make_boards(here, workers=1)[0], tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("autograder.challenge.board", "nbgrader sqlalchemy"), ("autograder.__main__", "nbgrader sqlalchemy torch onnx")],
)
def test_what_is_slow_to_import_is_imported_where_it_is_needed(module, unwanted):
    code = f"import sys, {module}; print(*sorted(set({unwanted.split()!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.split() == []


def test_the_command(here, tmp_path):
    entry(here / "us")
    out = here / "out"  # inside the submissions: it is no entry
    for _ in range(2):
        result = CliRunner().invoke(app, ["leaderboard", str(here), "--output", str(out), "--workers", "1"])
        assert result.exit_code == 0, result.output
    board = json.loads((out / "minicifar" / "leaderboard.json").read_text(encoding="utf-8"))
    assert [line["team"] for line in board["entries"]] == ["us"]
    assert RULES["minicifar"].division in " ".join(result.output.split())


def test_in_a_terminal_of_80_columns_nothing_is_cut(here):
    entry(here / "us", team="The Pruning Penguins", claims={"accuracy": 0.5})
    entry(here / "them", MOSTLY_WRONG)
    (here / "nobody").mkdir()
    (board,) = make_boards(here, workers=1)
    console = Console(width=80, file=io.StringIO())
    console.print(as_table(board))
    shown = console.file.getvalue()
    assert "…" not in shown and "100.0%" in shown and "50.0%" in shown
    assert "claims accuracy 0.5" in shown and "The Pruning Penguins" in shown


# in the sandbox, with the images at hand


@pytest.fixture(scope="module")
def in_sandbox(bubblewrap, images_at_hand):
    fingerprint = board.load("minicifar", "test").fingerprint
    with Measurers("minicifar", fingerprint, "bubblewrap", 120) as measure:
        yield measure


@pytest.mark.slow
def test_the_sandbox_measures_the_same_as_a_process_outside(in_sandbox, tmp_path):
    path = linear_file(tmp_path / "x.onnx")
    outside = challenge.measure(path, *(board.load("minicifar", split) for split in ("test", "val")))
    assert in_sandbox(path.read_bytes()) == {"measured": outside}
    (measurer,) = in_sandbox.by_thread.values()
    assert 0 not in psutil.Process(measurer.child.process.pid).children()[0].uids()


@pytest.mark.slow
def test_a_file_that_takes_all_the_memory_is_refused_and_the_next_one_measured(in_sandbox, tmp_path):
    """19 million numbers for one image are allowed; a batch of 100 of them is beyond the sandbox."""
    nodes = [
        helper.make_node("Reshape", ["images", "column"], ["pixels"]),
        helper.make_node("Expand", ["pixels", "wide"], ["many"]),
        helper.make_node("ReduceMax", ["many", "axes"], ["few"], keepdims=0),
        helper.make_node("MatMul", ["few", "w"], ["logits"]),
    ]
    constants = {"column": np.array([-1, 3072, 1]), "wide": np.array([1, 3072, 6240]), "axes": np.array([2])}
    path = linear_file(tmp_path / "x.onnx", nodes=nodes, constants=constants)
    refused = in_sandbox(path.read_bytes())["refused"]
    assert "memory" in refused or "alloc" in refused, refused
    assert "measured" in in_sandbox(linear_file(tmp_path / "y.onnx").read_bytes())


@pytest.mark.slow
def test_a_file_that_takes_too_long_is_refused_and_the_next_one_measured(in_sandbox, tmp_path, monkeypatch):
    data = linear_file(tmp_path / "x.onnx").read_bytes()
    in_sandbox(data)
    (measurer,) = in_sandbox.by_thread.values()
    monkeypatch.setattr(measurer, "seconds", 0.001)
    assert in_sandbox(data) == {"refused": "It takes more than 0 minutes to run.", "again": True}
    monkeypatch.undo()
    assert "measured" in in_sandbox(data)


# training again

WRITES = """
import sys
from pathlib import Path
Path("network.onnx").write_bytes(bytes.fromhex("{content}") + sys.argv[1].encode())
print("noise")
"""


def test_train_again_gives_what_the_script_wrote(bubblewrap):
    assert train_again(WRITES.format(content=b"net".hex()).encode(), 7, 0.1) == (b"net7", "")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('no luck')", "no luck"),
        ("print('done')", "wrote no network.onnx"),
        ("import socket; socket.create_connection(('1.1.1.1', 53), 2)", "unreachable"),
        ("import autograder", "No module named 'autograder'"),
    ],
)
def test_training_that_fails_says_why(code, said, bubblewrap):
    data, reason = train_again(code.encode(), 0, 0.1)
    assert data is None and said in reason


def test_training_has_a_time_limit(bubblewrap):
    assert train_again(b"while True: pass", 0, 1 / 3600) == (None, "It was not done after 0.000277778 hours.")


def test_rerun_says_whether_the_accuracy_holds(here, monkeypatch, tmp_path):
    from autograder.challenge import rerun as module

    folder = entry(here / "us", seeds=[1, 2, 3])
    (folder / "train.py").write_text("")
    good, bad = (linear_file(tmp_path / "x.onnx", weight).read_bytes() for weight in (weights(), MOSTLY_WRONG))
    made = {1: (good, ""), 2: (bad, ""), 3: (None, "no luck")}
    monkeypatch.setattr(module, "train_again", lambda code, seed, hours, packages: made[seed])
    monkeypatch.setattr(module, "Measurers", Here)
    monkeypatch.setattr(module, "load", few_images)
    results = list(rerun(folder, 1))
    assert [(result.seed, result.accuracy, result.holds) for result in results] == [
        (1, 1.0, True),
        (2, 0.5, False),
        (3, None, False),
    ]
    assert results[2].reason == "no luck"


def test_rerun_without_code_says_whom_to_ask(here):
    with pytest.raises(LeaderboardError, match="ask the team"):
        list(rerun(entry(here / "us"), 1))


def test_rerun_without_a_sandbox_is_refused(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SandboxError):
        train_again(b"", 0, 1)


def test_the_rerun_command(here, monkeypatch):
    runs = [Repeated(1, 0.93, 0.93, ""), Repeated(2, None, 0.93, "[no] luck")]
    monkeypatch.setattr("autograder.challenge.rerun.rerun", lambda entry, hours, course: iter(runs))
    result = CliRunner().invoke(app, ["rerun", str(here)])
    assert "seed 1: 93.00% (handed in: 93.00%)" in result.output and "seed 2: [no] luck" in result.output
    assert "It holds for 1 of 2 seeds" in result.output and result.exit_code == 1
