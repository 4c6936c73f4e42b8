"""The report's experiments, at a size that takes seconds: every run ends narrow, and a study goes on where it was."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.noise import Noise

from course_utils.networks import rgb_autoencoder, vgg_mini
from course_utils.pictures import study_plots
from course_utils.records import AlphaResult, AlphaStudy, AutoencoderResult, Study, read_study
from course_utils.scenes.driving_scenes import driving_scenes
from studies import alpha, autoencoder
from studies.alpha import CONTROLS, VARIANTS, Variant, alpha_run, control


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EPOCHS": 4, "BASELINE_EPOCHS": 1}.items():
        monkeypatch.setattr(alpha, name, value)


NETWORK = vgg_mini(widths=(6, 8)).eval()
SAMPLES = next(iter(Noise()))[0]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_ends_narrow_and_says_what_it_saw(name: str) -> None:
    variant = replace(VARIANTS[name], levels=2)
    narrow, notes = alpha_run(NETWORK, Noise(), Noise(), SAMPLES, variant)
    assert [narrow.features[0].out_channels, narrow.features[3].out_channels] == [3, 3]
    alphas = [level for level, _ in notes["by_alpha"]]
    assert alphas == sorted(alphas, reverse=True) and alphas[-1] == 0 and max(alphas) < 1
    assert ("unmerged_accuracy" in notes) != variant.merged


@pytest.mark.parametrize("restarts", [1, 2, 3])
def test_all_epochs_are_used_however_many_restarts_there_are(restarts: int) -> None:
    loader = Noise()
    alpha_run(NETWORK, loader, Noise(), SAMPLES, Variant(levels=2, restarts=restarts))
    assert loader.epoch == alpha.EPOCHS


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_but_one_ends_narrow(name: str) -> None:
    narrow, notes = control(name, NETWORK, Noise(), Noise(), SAMPLES, 0)
    widths = [narrow.features[0].out_channels, narrow.features[3].out_channels]
    assert narrow is not NETWORK and widths == ([6, 8] if name == "not pruned" else [3, 3])
    assert ("before_retraining" in notes) == (name != "narrow from scratch")


def test_the_study_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images = SimpleNamespace(fingerprint="made up", classes=range(4))
    monkeypatch.setattr(alpha, "MiniCIFAR", lambda *_: images)
    monkeypatch.setattr(alpha, "Loader", lambda *_, **__: Noise())
    monkeypatch.setattr(alpha, "baseline", lambda _: NETWORK)
    path = tmp_path / "results.jsonl"
    alpha.main(path, seeds=[0], only=["L1"])
    (first,) = read_study(path).of(AlphaResult)
    alpha.main(path, seeds=[0, 1], only=["L1"])
    again, second = read_study(path).of(AlphaResult)
    assert (first.method, first.seed) == ("L1", 0) and (second.method, second.seed) == ("L1", 1) and again == first


def test_the_autoencoders_study_compares_and_draws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scenes = driving_scenes(12, size=16)
    monkeypatch.setattr(autoencoder, "images_of", lambda *_: (scenes[:8], scenes[8:]))
    path = tmp_path / "results.jsonl"
    for _ in range(2):
        autoencoder.main(path, width=0.1, epochs=1, retraining=6, seeds=[0])
    results = read_study(path).of(AutoencoderResult)
    left = {result.way: result.parameters_left for result in results}
    assert len(results) == len(left) and left.pop("original") == 1
    assert set(left) == set(autoencoder.WAYS) and len(set(left.values())) == 1 and max(left.values()) < 0.3
    assert path.with_suffix(".png").stat().st_size > 1000


def test_the_encoder_can_go_first() -> None:
    network = rgb_autoencoder(width=0.1)
    pairs = autoencoder.Pairs(driving_scenes(8, size=16), batch_size=4)
    samples = next(iter(pairs))[0]
    narrow: Any = autoencoder.pruned_by_alpha(
        network, pairs, samples, 3, 0.05, lambda layer: layer.startswith("encoder")
    )
    assert narrow.encoder[0].out_channels == 3 and narrow.encoder[-4].out_channels == 5
    assert narrow.decoder[0].in_channels == 5 and narrow.decoder[0].out_channels == 13


def test_the_study_that_comes_with_the_course_is_whole() -> None:
    runs = [(result.method, result.seed) for result in study_plots.recorded_study("alpha").of(AlphaResult)]
    assert sorted(runs) == sorted((name, seed) for name in (*CONTROLS, *VARIANTS) for seed in (0, 1, 2))


def test_the_table_has_the_best_on_top_and_what_alpha_at_0_costs() -> None:
    falling = ((0.5, 0.8), (0.0, 0.4))
    results = [
        *(AlphaResult("at random", seed, 0.7, 0.1, by_alpha=falling) for seed in (0, 1)),
        AlphaResult("L1", 0, 0.9, 0.1, before_retraining=0.3),
        AlphaResult("L1", 1, 0.8, 0.1, before_retraining=0.2),
        AlphaResult("narrow", 0, 0.6, 0.1),
    ]
    assert study_plots.alpha_table(Study(AlphaStudy(images="these", baseline_accuracy=0.9), results)).rows == [
        ("L1", "25.0% (20.0% … 30.0%)", "85.0% (80.0% … 90.0%)", "5.0"),
        ("at random", "40.0%", "70.0%", "20.0"),
        ("narrow", "", "60.0%", "30.0"),
    ]
