"""Where the images come from, what is checked on the way, and what every error says."""

import errno
import hashlib
import io
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from minicifar import (
    CIFAR10,
    CIFAR100,
    ChecksumWrong,
    ClassMissing,
    CutShort,
    DiskFull,
    ImagesNotFound,
    MiniCIFAR,
    MiniCIFARError,
    OutOfRange,
    formats,
    load,
)
from minicifar.class_names import CIFAR10_CLASSES, CIFAR100_CLASSES

TRAIN, TEST = 10, 3  # images a class in the fixtures


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache of its own for every test, and no images from the user's environment."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MINICIFAR_ROOT", raising=False)
    monkeypatch.delenv("MINICIFAR_SYNTHETIC", raising=False)


@pytest.fixture
def pixels():
    """uint8 (10 classes, 13 images, 32, 32, 3): ten for training, three for testing."""
    return np.random.default_rng(0).integers(0, 256, (10, TRAIN + TEST, 32, 32, 3), dtype=np.uint8)


def write_class_folders(root: Path, pixels: np.ndarray, suffix: str = "png", classes=CIFAR10_CLASSES) -> Path:
    for label, name in enumerate(classes):
        for index in range(TRAIN + TEST):
            folder = root / ("train" if index < TRAIN else "test") / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[label % 10, index]).save(folder / f"{index:04d}.{suffix}")
    return root


def write_archive(path: Path, folder: Path) -> Path:
    if path.name.endswith(".zip"):
        shutil.make_archive(str(path.with_suffix("")), "zip", folder.parent, folder.name)
        return path
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        archive.add(folder, arcname=folder.name)
    return path


def write_official(root: Path, pixels: np.ndarray, monkeypatch) -> Path:
    """Official batches, the classes mixed (image 0 of every class, then image 1, ...), with checksums to match."""
    from torchvision import datasets

    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    md5 = {}

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        md5[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(images):
        return {
            "data": images.swapaxes(0, 1).transpose(0, 1, 4, 2, 3).reshape(-1, 3072),
            "labels": list(range(10)) * images.shape[1],
        }

    for number in range(5):
        write(f"data_batch_{number + 1}", batch(pixels[:, 2 * number : 2 * number + 2]))
    write("test_batch", batch(pixels[:, TRAIN:]))
    write("batches.meta", {"label_names": CIFAR10_CLASSES})
    monkeypatch.setattr(
        datasets.CIFAR10, "train_list", [(f"data_batch_{i}", md5[f"data_batch_{i}"]) for i in range(1, 6)]
    )
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [("test_batch", md5["test_batch"])])
    monkeypatch.setattr(
        datasets.CIFAR10,
        "meta",
        {"filename": "batches.meta", "key": "label_names", "md5": md5["batches.meta"]},
    )
    return root


def expected(pixels: np.ndarray) -> torch.Tensor:
    """What `trainval` of the fixture holds: ordered by class and position, (100, 3, 32, 32)."""
    return torch.from_numpy(pixels[:, :TRAIN].transpose(0, 1, 4, 2, 3).reshape(-1, 3, 32, 32).copy())


def test_class_folders_are_read_in_order(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels)
    data = CIFAR10("trainval", root=root)
    assert torch.equal(data.images, expected(pixels))
    assert data.labels.tolist() == [label for label in range(10) for _ in range(TRAIN)]
    assert data.classes == CIFAR10_CLASSES
    assert data.source.kind == "folders"


@pytest.mark.parametrize("name", ["images.tar", "images.tar.gz", "images.tgz", "images.zip"])
def test_an_archive_holds_the_same_as_its_folder(tmp_path, pixels, name):
    folder = write_class_folders(tmp_path / "images", pixels)
    (tmp_path / "archives").mkdir()
    archive = write_archive(tmp_path / "archives" / name, folder)
    by_itself, by_its_folder = CIFAR10("trainval", root=archive), CIFAR10("trainval", root=archive.parent)
    assert torch.equal(by_itself.images, expected(pixels))
    assert by_itself.source == by_its_folder.source
    assert by_itself.fingerprint == CIFAR10("test", root=folder).fingerprint
    assert name in by_itself.source.description


def test_official_batches_hold_the_same_as_class_folders(tmp_path, pixels, monkeypatch):
    official = CIFAR10("trainval", root=write_official(tmp_path / "official", pixels, monkeypatch))
    folders = CIFAR10("trainval", root=write_class_folders(tmp_path / "folders", pixels))
    assert torch.equal(official.images, folders.images)
    assert official.fingerprint == folders.fingerprint
    assert official.source.kind == "official"


def test_the_official_archive_is_read_without_unpacking(tmp_path, pixels, monkeypatch):
    root = write_official(tmp_path / "official", pixels, monkeypatch)
    (tmp_path / "download").mkdir()
    write_archive(tmp_path / "download" / "cifar-10-python.tar.gz", root / "cifar-10-batches-py")
    data = CIFAR10("trainval", root=tmp_path / "download")
    assert torch.equal(data.images, expected(pixels))
    assert [path.name for path in (tmp_path / "download").iterdir()] == ["cifar-10-python.tar.gz"]


def test_jpeg_files_are_a_lossy_copy_and_say_so(tmp_path, pixels):
    data = CIFAR10("test", root=write_class_folders(tmp_path / "images", pixels, "jpg"))
    assert "lossy" in data.source.description
    assert str(tmp_path) not in data.source.description, "it is copied into artifacts, so it names no private folder"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that are decoded from now on."""
    names = []
    decode = formats._decode_image
    monkeypatch.setattr(formats, "_decode_image", lambda content, name: names.append(name) or decode(content, name))
    return names


SPLITS = ("train", "val", "test")
SMALL = {"n_classes": 2, "R": 10}  # 1 training image a class; validation takes the 9 others


@pytest.mark.parametrize("packed", [False, True])
def test_of_jpeg_files_only_the_images_needed_are_decoded(tmp_path, pixels, decoded, packed):
    root = write_class_folders(tmp_path / "images", pixels, "jpg")
    root = write_archive(tmp_path / "images.tgz", root) if packed else root
    splits = [MiniCIFAR(split, root=root, **SMALL) for split in SPLITS]
    assert len(decoded) == len(set(decoded)) == sum(map(len, splits)) == 2 * (TRAIN + TEST)
    assert {name.split("/")[-2] for name in decoded} == {"airplane", "automobile"}
    whole = MiniCIFAR("train", n_classes=10, R=2, root=root)
    assert len(decoded) == 2 * (TRAIN + TEST) + 10 * (TRAIN + TEST)
    assert len(whole) == 10 * TRAIN // 2


@pytest.mark.parametrize("split", SPLITS)
def test_a_part_is_what_the_whole_has_there(tmp_path, pixels, monkeypatch, split):
    root = write_class_folders(tmp_path / "images", pixels, "jpg")
    part = MiniCIFAR(split, root=root, **SMALL)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    CIFAR10("test", root=root)
    monkeypatch.setattr(Image, "open", None)
    of_whole = MiniCIFAR(split, root=root, **SMALL)
    assert torch.equal(part.images, of_whole.images)
    assert torch.equal(part.labels, of_whole.labels)
    assert (part.fingerprint, part.source) == (of_whole.fingerprint, of_whole.source)


def test_the_fingerprint_of_jpeg_files_is_of_all_their_bytes(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels, "jpg")
    files = sorted(root.rglob("*.jpg"), key=lambda path: (path.parts[-3] == "test", path.parts[-2:]))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    assert MiniCIFAR("train", root=root, **SMALL).fingerprint == f"cifar10-{digest}/2 classes/R=10"


def test_of_png_files_all_are_decoded_and_kept(tmp_path, pixels, decoded):
    root = write_class_folders(tmp_path / "images", pixels)
    MiniCIFAR("train", root=root, **SMALL)
    assert len(decoded) == 10 * (TRAIN + TEST)
    assert torch.equal(CIFAR10("trainval", root=root).images, expected(pixels))
    assert len(decoded) == 10 * (TRAIN + TEST)


def test_a_mixed_source_has_one_fingerprint_however_it_is_read(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels, "jpg")
    Image.fromarray(pixels[9, 0]).save(root / "train" / "truck" / "0000.png")
    (root / "train" / "truck" / "0000.jpg").unlink()
    part, whole = MiniCIFAR("test", root=root, **SMALL), CIFAR10("trainval", root=root)
    assert part.source == whole.source
    assert torch.equal(whole.images[9 * TRAIN], expected(pixels)[9 * TRAIN])


def test_a_part_in_the_cache_is_not_taken_for_the_whole(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels, "jpg")
    few = MiniCIFAR("test", root=root, **SMALL)
    more, whole = MiniCIFAR("test", root=root, n_classes=3, R=10), CIFAR10("test", root=root)
    assert (len(few), len(more), len(whole)) == (2 * TEST, 3 * TEST, 10 * TEST)
    assert torch.equal(whole.images[: 2 * TEST], few.images)
    assert len(MiniCIFAR("train", root=root, n_classes=2, R=5)) == 2 * (TRAIN // 5)


def test_a_damaged_image_is_named_where_it_is_needed(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels, "jpg")
    path = root / "train" / "cat" / "0004.jpg"
    path.write_bytes(path.read_bytes()[:100])
    assert len(MiniCIFAR("train", root=root, **SMALL)) == 2
    with pytest.raises(CutShort, match=r"cat/0004\.jpg is no complete image"):
        MiniCIFAR("train", root=root, n_classes=4, R=10)


def test_out_of_range_is_said_before_images_are_decoded(tmp_path, pixels, decoded):
    with pytest.raises(OutOfRange, match="from 2 to 10"):
        MiniCIFAR("test", R=11, root=write_class_folders(tmp_path / "images", pixels, "jpg"))
    assert not decoded


def test_cifar100_is_told_from_cifar10_by_its_classes(tmp_path, pixels):
    write_class_folders(tmp_path / "roots" / "ten", pixels)
    write_class_folders(tmp_path / "roots" / "hundred", pixels, classes=CIFAR100_CLASSES)
    assert len(CIFAR100("test", root=tmp_path / "roots")) == 100 * TEST
    assert len(load("cifar10", "test", root=tmp_path / "roots")) == 10 * TEST
    assert len(load("minicifar", "test", root=tmp_path / "roots")) == 4 * TEST
    assert MiniCIFAR("test", n_classes=100, dataset="cifar100", root=tmp_path / "roots").classes == CIFAR100_CLASSES


def test_the_second_time_comes_from_the_cache(tmp_path, pixels, monkeypatch):
    root = write_class_folders(tmp_path / "images", pixels)
    first = CIFAR10("trainval", root=root)
    monkeypatch.setattr(Image, "open", None)
    second = CIFAR10("trainval", root=root)
    assert torch.equal(first.images, second.images)
    assert first.source == second.source


def test_a_changed_file_is_read_again(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels)
    before = CIFAR10("trainval", root=root)
    Image.new("RGB", (32, 32)).save(root / "train" / "cat" / "0000.png")
    after = CIFAR10("trainval", root=root)
    assert before.fingerprint != after.fingerprint
    assert after.images[3 * TRAIN].sum() == 0


def test_a_damaged_cache_entry_is_built_again(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels)
    CIFAR10("test", root=root)
    (entry,) = (tmp_path / "cache" / "minicifar").glob("*.npy")
    entry.write_bytes(entry.read_bytes()[:1000])
    assert torch.equal(CIFAR10("trainval", root=root).images, expected(pixels))


def _build(root: Path, start, results) -> None:
    start.wait()
    results.put(MiniCIFAR("test", root=root).images.sum().item())


@pytest.mark.slow
def test_two_processes_build_the_cache_at_once(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels, "jpg")
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_build, args=(root, start, results)) for _ in range(2)]
    for process in processes:
        process.start()
    sums = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sums == [MiniCIFAR("test", root=root).images.sum().item()] * 2
    assert sorted(path.suffix for path in (tmp_path / "cache" / "minicifar").iterdir()) == [".json", ".npy"]


def test_no_images_names_what_was_tried_and_the_offline_choices():
    with pytest.raises(ImagesNotFound) as caught:
        MiniCIFAR("train", download=False)
    for part in ("MINICIFAR_ROOT is not set", "earlier", "download=False", "synthetic=True"):
        assert part in str(caught.value)


def test_a_failed_download_is_named(monkeypatch):
    from torchvision.datasets import utils

    def no_network(*_):
        raise OSError("no route to host")

    monkeypatch.setattr(utils, "download_url", no_network)
    with pytest.raises(ImagesNotFound, match=r"the download failed.*no route to host"):
        MiniCIFAR("train")


def test_a_download_is_kept(tmp_path, pixels, monkeypatch):
    from torchvision.datasets import utils

    root = write_official(tmp_path / "official", pixels, monkeypatch)

    def download(_url, folder, filename, _md5):
        write_archive(Path(folder) / filename, root / "cifar-10-batches-py")

    monkeypatch.setattr(utils, "download_url", download)
    first = CIFAR10("trainval")
    again = CIFAR10("trainval", download=False)
    assert torch.equal(first.images, expected(pixels))
    assert first.source == again.source
    assert "download" in again.source.description


def test_a_root_without_images_is_an_error(tmp_path):
    with pytest.raises(ImagesNotFound, match=f"no CIFAR-10 images in {tmp_path}"):
        MiniCIFAR("train", root=tmp_path)


def test_an_environment_root_without_images_is_said_and_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICIFAR_ROOT", str(tmp_path))
    with pytest.warns(UserWarning, match="holds no CIFAR-10 images"), pytest.raises(ImagesNotFound):
        MiniCIFAR("train", download=False)


def test_the_environment_root_is_used(tmp_path, pixels, monkeypatch):
    monkeypatch.setenv("MINICIFAR_ROOT", str(write_class_folders(tmp_path / "images", pixels)))
    assert torch.equal(CIFAR10("trainval").images, expected(pixels))


def test_a_missing_class_is_named(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels, classes=CIFAR10_CLASSES[:-1])
    with pytest.raises(ClassMissing, match="no train images of: truck"):
        CIFAR10("train", root=root)


def test_a_class_cut_short_is_named(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels)
    (root / "test" / "frog" / "0011.png").unlink()
    with pytest.raises(CutShort, match=r"fewer test images of frog \(2\)"):
        CIFAR10("train", root=root)


@pytest.mark.parametrize("name", ["images.tar", "images.tgz", "images.zip"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_an_archive_cut_short_is_never_read_as_whole(tmp_path, pixels, name, share):
    archive = write_archive(tmp_path / name, write_class_folders(tmp_path / "images", pixels))
    content = archive.read_bytes().rstrip(b"\0")
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises((CutShort, ClassMissing), match="download it again"):
        CIFAR10("train", root=archive)


def test_a_damaged_image_is_named(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels)
    path = root / "train" / "cat" / "0004.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CutShort, match=r"cat/0004\.png is no complete image"):
        CIFAR10("train", root=root)


def test_an_image_of_another_size_is_refused(tmp_path, pixels):
    root = write_class_folders(tmp_path / "images", pixels)
    Image.new("RGB", (64, 48)).save(root / "train" / "cat" / "0004.png")
    with pytest.raises(MiniCIFARError, match="64x48 pixels; the images must be 32x32"):
        CIFAR10("train", root=root)


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_an_official_file_with_a_wrong_checksum_is_not_opened(tmp_path, pixels, monkeypatch):
    root = write_official(tmp_path / "official", pixels, monkeypatch)
    (root / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ChecksumWrong, match="data_batch_3 has the checksum"):
        CIFAR10("train", root=root)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_official_file_is_named(tmp_path, pixels, monkeypatch):
    root = write_official(tmp_path / "official", pixels, monkeypatch)
    (root / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(CutShort, match="no file test_batch"):
        CIFAR10("train", root=root)


def test_an_archive_with_hostile_names_writes_nothing(tmp_path, pixels):
    archive = write_archive(tmp_path / "images.tar", write_class_folders(tmp_path / "images", pixels))
    with tarfile.open(archive, "a") as tar:
        member = tarfile.TarInfo("../../escaped.png")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"bad"))
    assert torch.equal(CIFAR10("trainval", root=archive).images, expected(pixels))
    assert not list(tmp_path.parent.rglob("escaped.png"))


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path, pixels, monkeypatch):
    root = write_class_folders(tmp_path / "images", pixels)

    def full(file, *_args, **_options):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DiskFull, match="XDG_CACHE_HOME"):
        CIFAR10("train", root=root)
    assert not list((tmp_path / "cache" / "minicifar").iterdir())


def test_a_cache_that_cannot_be_written_only_warns(tmp_path, pixels, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not kept"):
        data = CIFAR10("trainval", root=write_class_folders(tmp_path / "images", pixels))
    assert torch.equal(data.images, expected(pixels))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_classes": 0}, "from 1 to 10"),
        ({"n_classes": 11}, "from 1 to 10"),
        ({"R": 1}, "from 2 to 10"),
        ({"R": 11}, "from 2 to 10"),
    ],
)
def test_choices_out_of_range_name_the_range(tmp_path, pixels, options, said):
    with pytest.raises(OutOfRange, match=said):
        MiniCIFAR("train", root=write_class_folders(tmp_path / "images", pixels), **options)


def test_an_unknown_split_is_named():
    with pytest.raises(ValueError, match="'train', 'val', 'test', not 'trian'"):
        MiniCIFAR("trian")


def test_importing_reads_nothing():
    code = "import sys, minicifar; sys.exit('torchvision' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
