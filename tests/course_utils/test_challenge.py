"""What a student calls: submit, and the three ways to quantise."""

import json
import re

import numpy as np
import onnx
import pytest
import torch
from helpers.challenge_files import colours, few_images, linear_file, weights
from onnx import numpy_helper
from torch import nn

from course_utils import VERSION
from course_utils.challenge import entry, quantize
from course_utils.challenge.entry import submit
from course_utils.challenge.errors import ChallengeError
from course_utils.challenge.quantize import levels_and_scale
from course_utils.challenge.ranking import standing
from course_utils.challenge.score import score_onnx
from course_utils.onnx_files.export import export_onnx
from course_utils.onnx_files.reading import OnnxFileError
from course_utils.onnx_files.running import run_onnx


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """Few images, a working folder of its own, and a baseline that nobody has to measure."""
    monkeypatch.setattr(entry, "load", few_images)
    baseline = [{"team": "the course", "name": "vgg_mini", "accuracy": 0.5, "score": 0.19, "status": "not qualified"}]
    monkeypatch.setattr(entry, "baseline_entry", lambda dataset, test: baseline)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 4)
    )


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    return export_onnx(network, tmp_path_factory.mktemp("challenge") / "network.onnx")


def card_of(folder):
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


def test_a_folder_with_the_file_and_a_card(tmp_path):
    path = linear_file(tmp_path / "mine.onnx")
    (tmp_path / "make.py").write_text("print('trained')")
    submit(path, name="Linear, 100 %", team="Ä Team", method="by hand", seeds=[3, 4], code="make.py")
    folder = tmp_path / "challenge" / "ä_team-linear_100"
    assert sorted(file.name for file in folder.iterdir()) == ["card.json", "network.onnx", "train.py"]
    assert (folder / "network.onnx").read_bytes() == path.read_bytes()
    assert (folder / "train.py").read_text() == "print('trained')"
    card = card_of(folder)
    assert (card["team"], card["name"], card["dataset"]) == ("Ä Team", "Linear, 100 %", "minicifar")
    assert (card["method"], card["seeds"], card["images"]) == ("by hand", [3, 4], "few-images/4 classes")
    assert card["version"] == VERSION
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", card["date"])


def test_claims_are_what_was_measured(tmp_path):
    path = linear_file(tmp_path / "mine.onnx")
    submit(path, name="a", team="b")
    claims = card_of(tmp_path / "challenge" / "b-a")["claims"]
    assert claims == {"accuracy": 1.0, "val_accuracy": 0.9, "score": score_onnx(path).score}


def test_a_network_is_exported(network, exported, tmp_path):
    submit(network, name="conv", team="us", seeds=7)
    folder = tmp_path / "challenge" / "us-conv"
    assert card_of(folder)["claims"]["score"] == score_onnx(exported).score
    about = {entry.key: entry.value for entry in onnx.load(folder / "network.onnx").metadata_props}
    assert about["fingerprint"] == "few-images/4 classes"


def test_it_is_the_same_with_any_division(tmp_path):
    submit(linear_file(tmp_path / "mine.onnx"), name="a", team="b", dataset="cifar10")
    assert card_of(tmp_path / "challenge" / "b-a")["dataset"] == "cifar10"


def test_the_table_says_where_it_would_stand(tmp_path):
    others = [
        {"team": "x", "name": "cheap", "status": "qualified", "score": 1e-9, "accuracy": 0.9},
        {"team": "y", "name": "dear", "status": "qualified", "score": 5.0, "accuracy": 0.99},
        {"team": "z", "name": "bad", "status": "not qualified", "score": 1e-12, "accuracy": 0.3},
        {"team": "w", "name": "broken", "status": "refused", "score": None, "accuracy": None},
    ]
    (tmp_path / "challenge").mkdir()
    board = {"dataset": "minicifar", "entries": others}
    (tmp_path / "challenge" / "leaderboard.json").write_text(json.dumps(board))
    table = submit(linear_file(tmp_path / "mine.onnx"), name="a", team="b")
    assert [row[:2] for row in table.rows] == [
        ("x: cheap", "1"),
        ("→ b: a", "2"),
        ("y: dear", "3"),
        ("z: bad", "–"),
        ("w: broken", "–"),
    ]
    assert "b-a is ready to hand in" in table.note and "synthetic" in table.note


def test_without_a_board_it_is_compared_with_the_baseline(tmp_path):
    table = submit(linear_file(tmp_path / "mine.onnx"), name="a", team="b")
    assert [row[0] for row in table.rows] == ["→ b: a", "the course: vgg_mini"]


def test_a_board_for_other_images_is_not_compared_with(tmp_path):
    (tmp_path / "board.json").write_text(json.dumps({"dataset": "cifar10", "entries": []}))
    with pytest.raises(ChallengeError, match="is for cifar10, not for minicifar"):
        submit(linear_file(tmp_path / "mine.onnx"), name="a", team="b", board="board.json")


def test_below_the_threshold_it_is_said():
    mine = {"team": "b", "name": "a", "status": "not qualified", "accuracy": 0.8, "score": 0.1}
    assert "80.00% of the test images, and 84% are asked for" in standing(mine, [], 0.84).note


def test_an_earlier_version_of_the_entry_is_not_compared_with():
    mine = {"team": "b", "name": "a", "status": "qualified", "accuracy": 0.9, "score": 0.1}
    assert len(standing(mine, [mine | {"score": 0.2}], 0.84).rows) == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": ""}, "name= must be a name"),
        ({"team": "x" * 61}, "team= must be a name"),
        ({"team": "two\nlines"}, "team= must be a name"),
        ({"team": None}, "team= must be a name"),
        ({"name": "!!!"}, "no letter and no digit"),
        ({"dataset": "imagenet"}, 'Choose dataset="minicifar"'),
        ({"seeds": ["one"]}, "seeds= must be whole numbers"),
        ({"code": "none.py"}, "code= must be the path"),
    ],
)
def test_bad_input_says_what_to_do_and_writes_nothing(settings, said, tmp_path):
    path = linear_file(tmp_path / "mine.onnx")
    with pytest.raises(ChallengeError, match=re.escape(said)):
        submit(path, **{"name": "a", "team": "b", **settings})
    assert not (tmp_path / "challenge").exists()


@pytest.mark.parametrize(("model", "said"), [("none.onnx", "There is no file none.onnx"), (3, "not a int")])
def test_a_model_that_is_none(model, said, tmp_path):
    with pytest.raises(ChallengeError, match=said):
        submit(model, name="a", team="b")
    assert not list((tmp_path / "challenge").iterdir())


def test_a_network_that_cannot_be_exported():
    class Undecided(nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :4] if images.sum() > 0 else images.flatten(1)[:, 4:8]

    with pytest.raises(ChallengeError, match="cannot be exported"):
        submit(Undecided(), name="a", team="b")


def test_a_file_with_the_wrong_number_of_classes_leaves_nothing(tmp_path):
    path = linear_file(tmp_path / "mine.onnx", np.ones((3072, 7), np.float32), classes=7)
    with pytest.raises(OnnxFileError, match="must have the shape"):
        submit(path, name="a", team="b")
    assert not list((tmp_path / "challenge").iterdir())


def test_an_entry_is_replaced_only_when_asked(tmp_path):
    path = linear_file(tmp_path / "mine.onnx")
    submit(path, name="a", team="b")
    with pytest.raises(ChallengeError, match="replace=True"):
        submit(path, name="a", team="b", method="new")
    submit(path, name="a", team="b", method="new", replace=True)
    assert card_of(tmp_path / "challenge" / "b-a")["method"] == "new"
    assert [file.name for file in (tmp_path / "challenge").iterdir()] == ["b-a"]


def test_an_entry_of_others_is_never_replaced(tmp_path):
    path = linear_file(tmp_path / "mine.onnx")
    submit(path, name="b c", team="a")
    with pytest.raises(ChallengeError, match="holds something else"):
        submit(path, name="B C", team="A", replace=True)
    assert card_of(tmp_path / "challenge" / "a-b_c")["name"] == "b c"


# quantisation


def test_static_quantisation_is_8_bits_throughout(exported, tmp_path):
    path = quantize.quantize_static(exported, colours("train"), tmp_path / "q.onnx")
    scored = score_onnx(path)
    assert {(row.q_w, row.q_a) for row in scored.operators} == {(8, 8)}
    assert scored.macs == score_onnx(exported).macs
    assert run_onnx(path, colours("test"))[1] == pytest.approx(run_onnx(exported, colours("test"))[1], rel=0.05)


def test_dynamic_quantisation_is_8_bits_throughout(exported, tmp_path):
    path = quantize.quantize_dynamic(exported, tmp_path / "q.onnx")
    assert {(row.q_w, row.q_a) for row in score_onnx(path).operators if row.op.endswith("Integer")} == {(8, 8)}
    assert run_onnx(path, colours("test"))[1] == pytest.approx(run_onnx(exported, colours("test"))[1], rel=0.05)


def test_calibration_sees_all_classes(exported, tmp_path, monkeypatch):
    seen = []

    def loader(images, batch_size):
        seen.extend(images.labels.tolist())
        return iter([(images.images.float(), images.labels)])

    monkeypatch.setattr(quantize, "Loader", loader)
    quantize.quantize_static(exported, colours("train"), tmp_path / "q.onnx", count=8)
    assert set(seen) == {0, 1, 2, 3} and len(seen) == 8


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_weights_of_few_bits(bits, exported):
    path = quantize.quantize_weights(exported, bits)
    assert path.name == f"network-w{bits}.onnx"
    rows = [row for row in score_onnx(path).tensors if row.name.endswith("_levels")]
    assert len(rows) == 2 and all(row.bits <= bits for row in rows if row.elements > 100)
    assert {(row.q_a) for row in score_onnx(path).operators} == {32}


def test_binary_weights_are_sign_times_mean():
    """BinaryConnect's form gives a network back that has it already, also after a batch norm scaled its filters."""
    signs = np.sign(np.random.RandomState(0).randn(4, 3, 3, 3))
    weight = (signs * np.array([0.5, 1, 2, 3])[:, None, None, None]).astype(np.float32)
    levels, scale = levels_and_scale(weight, 1, 0)
    assert scale.tolist() == [0.5, 1, 2, 3]
    assert np.array_equal(levels * scale[:, None, None, None], weight)


def test_zeros_stay_zeros():
    weight = np.array([[0, 1, -3], [0, 0, 0]], np.float32)
    for bits in (1, 2, 8):
        levels, scale = levels_and_scale(weight, bits, 0)
        assert not levels[weight == 0].any() and np.isfinite(scale).all()


def test_levels_are_half_a_step_from_the_weights():
    weight = np.random.RandomState(0).randn(5, 40).astype(np.float32)
    levels, scale = levels_and_scale(weight, 4, 1)
    assert np.abs(levels).max() == 7
    assert (np.abs(levels * scale - weight) <= scale / 2 + 1e-6).all()


def test_a_weight_can_be_left_as_it_is(exported, tmp_path):
    name = next(t.name for t in onnx.load(exported).graph.initializer if len(t.dims) == 4)
    path = quantize.quantize_weights(exported, 1, tmp_path / "q.onnx", leave=[name])
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    assert tensors[name].dtype == np.float32


def test_a_quantised_file_keeps_what_it_says_of_itself(exported, tmp_path):
    path = quantize.quantize_weights(exported, 4, tmp_path / "q.onnx")
    assert {entry.key for entry in onnx.load(path).metadata_props} >= {"made_by", "recipe"}


def test_a_file_is_quantised_once(exported, tmp_path):
    path = quantize.quantize_weights(exported, 4, tmp_path / "q.onnx")
    with pytest.raises(ChallengeError, match="quantised already"):
        quantize.quantize_weights(path, 2)


def test_quantising_what_is_not_there(tmp_path):
    with pytest.raises(ChallengeError, match="export the network first"):
        quantize.quantize_dynamic(tmp_path / "none.onnx")


def test_the_linear_file_is_what_it_is_taken_for(tmp_path):
    assert run_onnx(linear_file(tmp_path / "x.onnx", weights()), colours("test"))[0] == 1.0
