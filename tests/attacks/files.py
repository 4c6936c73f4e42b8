"""What is handed in besides code: links, pipes, archives, names, timestamps, and ONNX files that lie."""

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from attacks.bank import LAB, MARK, Attack, markdown_cell

HANDED_IN, ARTIFACTS = "files handed in", "artifacts"
NOTEBOOK, ONNX = f"{LAB}.ipynb", "lab3_pruned.onnx"
HONEST = "honest"


# --- links, pipes, names


def link(name: str, target: str) -> Callable[[Path, Path], None]:
    """A link in the submission; `target` is relative to the course, unless it is absolute."""

    def prepare(folder: Path, course: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target if target.startswith("/") else course / target)

    return prepare


def linked_folder(folder: Path, course: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(course / "submitted" / HONEST / LAB)


def linked_student(folder: Path, course: Path) -> None:
    shutil.rmtree(folder.parent)
    folder.parent.symlink_to(course / "submitted" / HONEST)


def special_files(folder: Path, course: Path) -> None:
    os.mkfifo(folder / ONNX)
    (folder / "zero.onnx").symlink_to("/dev/zero")
    (folder / "loop.onnx").symlink_to("loop.onnx")
    (folder / "data").symlink_to("/")
    (folder / "fifo.ipynb.txt").symlink_to(folder / ONNX)
    os.mkfifo(folder / "pipe")


def pipe_as_notebook(folder: Path, course: Path) -> None:
    (folder / NOTEBOOK).unlink()
    os.mkfifo(folder / NOTEBOOK)


def pipe_as_timestamp(folder: Path, course: Path) -> None:
    os.mkfifo(folder / "timestamp.txt")


def folder_as_notebook(folder: Path, course: Path) -> None:
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK).mkdir()


def sparse_giants(folder: Path, course: Path) -> None:
    for number in range(5):
        with open(folder / f"{number}.bin", "wb") as file:
            file.truncate(4_000_000_000_000 if number % 2 else 60_000_000)


def deep_folders(folder: Path, course: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(folder)
        for _ in range(400):  # pytest itself cannot remove deeper ones
            os.mkdir("a")
            os.chdir("a")
    finally:
        os.chdir(here)


def name_that_is_no_text(folder: Path, course: Path) -> None:
    with open(os.path.join(os.fsencode(folder), b"\xff\xfe.onnx"), "wb") as file:
        file.write(b"x")
    os.symlink("/etc/passwd", os.path.join(os.fsencode(folder), b"link-\xff"))


STRANGE = (
    "a\nb.onnx",
    "-rf",
    "--output=x.onnx",
    "a'b\".onnx",
    "$(touch x).onnx",
    "{lab}.onnx",
    "*",
    "?.onnx",
    "\\.onnx",
)
STRANGE += (
    "x" * 250,
    " ",
    "<img src=x onerror=alert(1)>.onnx",
    "\u202egnp.onnx",
    "..onnx",
    "%2e%2e.onnx",
    "a\tb\rc.onnx",
)


# --- archives


def archive(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w", method) as target:
        for name, data in entries:
            target.writestr(name, data)
    return text.getvalue()


def zipped(*entries: tuple[str, bytes], **options: Any) -> Callable[[Path, Path], None]:
    """The notebook in an archive, with other entries beside it."""

    def prepare(folder: Path, course: Path) -> None:
        notebook = (folder / NOTEBOOK).read_bytes()
        (folder / NOTEBOOK).unlink()
        (folder / "handed-in.zip").write_bytes(archive((NOTEBOOK, notebook), *entries, **options))

    return prepare


def zip_bomb(folder: Path, course: Path) -> None:
    zipped(*((f"{number}.onnx", bytes(60_000_000)) for number in range(10)))(folder, course)


def zip_cut_up(folder: Path, course: Path) -> None:
    zipped()(folder, course)
    data = bytearray((folder / "handed-in.zip").read_bytes())
    start = 30 + len(NOTEBOOK)
    data[start : start + 40] = b"\xff" * 40
    (folder / "handed-in.zip").write_bytes(data)


def zip_of_lzma_cut_up(folder: Path, course: Path) -> None:
    zipped(method=zipfile.ZIP_LZMA)(folder, course)
    data = bytearray((folder / "handed-in.zip").read_bytes())
    start = 34 + len(NOTEBOOK)
    data[start : start + 40] = b"\xff" * 40
    (folder / "handed-in.zip").write_bytes(data)


def other_name(text: bytes) -> Callable[[Path, Path], None]:
    def prepare(folder: Path, course: Path) -> None:
        (folder / NOTEBOOK).unlink()
        (folder / "my notebook.ipynb").write_bytes(text)

    return prepare


def written(text: bytes) -> Callable[[Path, Path], None]:
    """Something else in place of the notebook."""

    def prepare(folder: Path, course: Path) -> None:
        (folder / NOTEBOOK).write_bytes(text)

    return prepare


def pasted_picture(notebook: dict[str, Any]) -> None:
    """What JupyterLab makes of a picture that is pasted into an answer."""
    answer = next(cell for cell in notebook["cells"] if cell["id"].startswith("answer-"))
    answer["source"] = "My drawing: ![image.png](attachment:image.png)"
    answer["attachments"] = {"image.png": {"image/png": "iVBORw0KGgo="}}


def many_cells(notebook: dict[str, Any]) -> None:
    """A thousand cells that look like the released ones that have no grade id, but never quite."""
    models = [cell for cell in notebook["cells"] if cell["metadata"].get("tags") and "nbgrader" not in cell["metadata"]]
    sources = ["".join(cell["source"]) for cell in models]
    cells = [
        markdown_cell(f"m{number}", "".join(reversed(sources[number % len(sources)])) + str(number))
        | {"cell_type": "code", "outputs": [], "execution_count": None}
        for number in range(900)
    ]
    notebook["cells"] = cells


# --- ONNX files


def fingerprint() -> str:
    from minicifar import MiniCIFAR

    return str(MiniCIFAR("test").fingerprint)


def onnx_file(
    nodes: list[Any],
    initializers: list[Any] = (),  # type: ignore[assignment]
    shape: tuple[Any, ...] = ("batch", 3, 32, 32),
    classes: Any = 4,
    sparse: list[Any] = (),  # type: ignore[assignment]
) -> bytes:
    """A model from "images" to "logits" whose metadata claim that all is well."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, list(shape))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], classes])
    graph = helper.make_graph(nodes, "g", [images], [logits], list(initializers), sparse_initializer=list(sparse))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    claims = {"made_by": "pruning-labs", "fingerprint": fingerprint(), "images": "MiniCIFAR", "accuracy": "1.0"}
    helper.set_model_props(model, {**claims, "parameters": "10", "recipe": '{"builder": "vgg_mini", "arguments": {}}'})
    return bytes(model.SerializeToString())


def constant(name: str, values: Any, dtype: Any = np.int64) -> Any:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def handing_in(make: Callable[[], bytes], name: str = ONNX) -> Callable[[Path, Path], None]:
    """Hand in an ONNX file that is made when it is needed: images must be at hand by then."""

    def prepare(folder: Path, course: Path) -> None:
        (folder / name).write_bytes(make())

    return prepare


FLAT = [
    helper.make_node("Flatten", ["images"], ["flat"]),
    helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
]


def gigantic_constant() -> bytes:
    """A few bytes that ask for 10¹² numbers, whose size depends on the images."""
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("ReduceProd", ["shape"], ["many"], keepdims=1),
        helper.make_node("Mul", ["many", "more"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["giant"]),
        helper.make_node("ReduceSum", ["giant"], ["one"], keepdims=1),
        helper.make_node("Expand", ["one", "logits_shape"], ["logits"]),
    ]
    return onnx_file(nodes, [constant("more", [1_000_000]), constant("logits_shape", [1, 4])])


def tiled() -> bytes:
    nodes = [helper.make_node("Flatten", ["images"], ["t0"])]
    nodes += [helper.make_node("Tile", [f"t{n}", "times"], [f"t{n + 1}"]) for n in range(8)]
    nodes += [helper.make_node("Slice", ["t8", "start", "end", "axis"], ["logits"])]
    times = [constant("times", [1, 64]), constant("start", [0]), constant("end", [4]), constant("axis", [1])]
    return onnx_file(nodes, times)


def endless() -> bytes:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("n", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    nodes = [helper.make_node("Loop", ["", "yes"], [], body=body), *FLAT]
    return onnx_file(nodes, [constant("yes", True, np.bool_), constant("weight", np.zeros((3072, 4)), np.float32)])


def elsewhere(place: str) -> Callable[[], bytes]:
    """A weight that lies in another file."""

    def make() -> bytes:
        weight = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[3072, 4])
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", place), ("offset", "0"), ("length", str(3072 * 16))):
            entry = weight.external_data.add()
            entry.key, entry.value = key, value
        return onnx_file(FLAT, [weight])

    return make


def baseline_layers() -> list[tuple[np.ndarray, np.ndarray]]:
    """The unpruned baseline's convolutions with their batch norms folded in, and its linear layer."""
    import torch

    from course_utils.baseline import baseline
    from minicifar import MiniCIFAR

    network, layers = baseline(MiniCIFAR("test")).eval(), []
    for layer in network.features:
        if isinstance(layer, torch.nn.Conv2d):
            weight = layer.weight.detach()
        elif isinstance(layer, torch.nn.BatchNorm2d):
            scale = layer.weight.detach() / torch.sqrt(layer.running_var + layer.eps)
            bias = layer.bias.detach() - layer.running_mean * scale
            layers.append(((weight * scale[:, None, None, None]).numpy(), bias.numpy()))
    return [*layers, (network.classifier.weight.detach().numpy(), network.classifier.bias.detach().numpy())]


def hidden_weights(hide: Callable[[str, np.ndarray, list, list, list], str]) -> bytes:
    """The whole baseline, without a convolution: windows are cut out, and multiplied by weights that `hide` brings."""
    nodes = [
        helper.make_node("ReduceSum", ["images"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "nothing"], ["zero_float"]),
        helper.make_node("Cast", ["zero_float"], ["zero"], to=TensorProto.INT32),
        helper.make_node("ReduceSum", ["zero_float"], ["zero_one"], keepdims=1),
        helper.make_node("Transpose", ["images"], ["maps"], perm=[0, 2, 3, 1]),
    ]
    initializers = [constant("nothing", 0.0, np.float32), constant("pads", [0, 1, 1, 0, 0, 1, 1, 0])]
    initializers += [constant("axes", [1, 2])]
    sparse: list[Any] = []
    maps, side = "maps", 32
    *convolutions, (last, last_bias) = baseline_layers()
    for number, (weight, bias) in enumerate(convolutions):
        nodes.append(helper.make_node("Pad", [maps, "pads"], [f"padded{number}"]))
        windows = []
        for y in range(3):
            for x in range(3):
                window = f"window{number}-{y}{x}"
                begin, end = constant(window + "b", [y, x]), constant(window + "e", [y + side, x + side])
                initializers += [begin, end]
                nodes.append(helper.make_node("Slice", [f"padded{number}", begin.name, end.name, "axes"], [window]))
                windows.append(window)
        nodes.append(helper.make_node("Concat", windows, [f"columns{number}"], axis=3))
        matrix = weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))
        factors = hide(f"w{number}", matrix, nodes, initializers, sparse)
        nodes.append(helper.make_node("MatMul", [f"columns{number}", factors], [f"product{number}"]))
        shift = hide(f"b{number}", np.tile(bias, (1, 1)), nodes, initializers, sparse)
        nodes.append(helper.make_node("Add", [f"product{number}", shift], [f"shifted{number}"]))
        nodes.append(helper.make_node("Relu", [f"shifted{number}"], [f"relu{number}"]))
        maps = f"relu{number}"
        if number % 2:
            nodes.append(helper.make_node("Transpose", [maps], [f"first{number}"], perm=[0, 3, 1, 2]))
            pool = helper.make_node(
                "MaxPool", [f"first{number}"], [f"pool{number}"], kernel_shape=[2, 2], strides=[2, 2]
            )
            nodes.append(pool)
            nodes.append(helper.make_node("Transpose", [f"pool{number}"], [f"maps{number}"], perm=[0, 2, 3, 1]))
            maps, side = f"maps{number}", side // 2
    nodes.append(helper.make_node("Transpose", [maps], ["front"], perm=[0, 3, 1, 2]))
    nodes.append(
        helper.make_node("AveragePool", ["front"], ["small"], kernel_shape=[side // 2] * 2, strides=[side // 2] * 2)
    )
    nodes.append(helper.make_node("Flatten", ["small"], ["features"]))
    factors = hide("last", last.T.copy(), nodes, initializers, sparse)
    nodes.append(helper.make_node("MatMul", ["features", factors], ["product"]))
    shift = hide("bias", np.tile(last_bias, (1, 1)), nodes, initializers, sparse)
    nodes.append(helper.make_node("Add", ["product", shift], ["logits"]))
    return onnx_file(nodes, initializers, sparse=sparse)


def in_integers(name: str, values: np.ndarray, nodes: list, initializers: list, sparse: list) -> str:
    """Weights as whole numbers, to which a 0 from the images is added: constants of no operator that is counted."""
    scale = float(np.abs(values).max()) / 32_000 or 1.0
    initializers += [
        constant(name + "-int", np.round(values / scale), np.int32),
        constant(name + "-s", scale, np.float32),
    ]
    nodes.append(helper.make_node("Add", [name + "-int", "zero"], [name + "-sum"]))
    nodes.append(helper.make_node("Cast", [name + "-sum"], [name + "-float"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Mul", [name + "-float", name + "-s"], [name]))
    return name


def in_single_numbers(name: str, values: np.ndarray, nodes: list, initializers: list, sparse: list) -> str:
    """Weights one by one, each with a 0 from the images added; of each matrix as many as the last layer has."""
    parts = []
    for number, value in enumerate(values.astype(np.float32).ravel()[:2048]):
        initializers.append(constant(f"{name}-{number}", [value], np.float32))
        nodes.append(helper.make_node("Add", [f"{name}-{number}", "zero_one"], [f"{name}-sum{number}"]))
        parts.append(f"{name}-sum{number}")
    rest = constant(f"{name}-rest", [1 + values.size // len(parts)])
    shape = constant(f"{name}-shape", values.shape)
    size, zero = constant(f"{name}-size", [values.size]), constant(f"{name}-zero", [0])
    initializers += [rest, shape, size, zero]
    nodes.append(helper.make_node("Concat", parts, [f"{name}-few"], axis=0))
    nodes.append(helper.make_node("Tile", [f"{name}-few", rest.name], [f"{name}-many"]))
    nodes.append(helper.make_node("Slice", [f"{name}-many", zero.name, size.name], [f"{name}-all"]))
    nodes.append(helper.make_node("Reshape", [f"{name}-all", shape.name], [name]))
    return name


def in_sparse_tensors(name: str, values: np.ndarray, nodes: list, initializers: list, sparse: list) -> str:
    """Weights as sparse constants that happen to hold every element."""
    flat = values.astype(np.float32).ravel()
    indices = constant(name + "-i", np.arange(flat.size))
    sparse.append(helper.make_sparse_tensor(numpy_helper.from_array(flat, name), indices, list(values.shape)))
    return name


def memorised() -> bytes:
    """No network at all: a table from each test image's sum to its class."""
    from minicifar import Loader, MiniCIFAR

    keys, classes = [], []
    for images, labels in Loader(MiniCIFAR("test"), batch_size=250):
        keys += images.numpy().astype(np.float64).sum(axis=(1, 2, 3)).tolist()
        classes += labels.tolist()
    numbers, first = np.unique(np.array(keys), return_index=True)
    nodes = [
        helper.make_node("Cast", ["images"], ["exact"], to=TensorProto.DOUBLE),
        helper.make_node("ReduceSum", ["exact", "all"], ["key"], keepdims=0),
        helper.make_node("Unsqueeze", ["key", "one"], ["column"]),
        helper.make_node("Sub", ["column", "keys"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["distance"]),
        helper.make_node("Less", ["distance", "near"], ["known"]),
        helper.make_node("Cast", ["known"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["ones", "classes"], ["logits"]),
    ]
    table = [constant("keys", [numbers], np.float64), constant("all", [1, 2, 3]), constant("one", [1])]
    known = np.eye(4)[np.array(classes)[first]]
    table += [constant("near", 1e-6, np.float64), constant("classes", known, np.float32)]
    return onnx_file(nodes, table)


def in_a_vectorizer() -> bytes:
    """Weights as settings of an operator that counts words."""
    words = [float(number) for number in np.random.RandomState(0).randn(12_288)]
    settings = {"mode": "TF", "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0, "ngram_counts": [0]}
    settings |= {"ngram_indexes": list(range(12_288)), "pool_int64s": list(range(12_288)), "weights": words}
    nodes = [
        helper.make_node("TfIdfVectorizer", ["all"], ["row"], **settings),
        helper.make_node("Reshape", ["row", "sizes"], ["weight"]),
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weight"], ["logits"]),
    ]
    return onnx_file(nodes, [constant("all", np.arange(12_288)), constant("sizes", [3072, 4])])


def in_a_string() -> bytes:
    """Weights as one long string, split and cast."""
    text = " ".join(f"{number:.3f}" for number in np.random.RandomState(0).randn(12_288))
    nodes = [
        helper.make_node("StringSplit", ["text"], ["words", "count"], delimiter=" "),
        helper.make_node("Cast", ["words"], ["row"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["row", "sizes"], ["weight"]),
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weight"], ["logits"]),
    ]
    written = helper.make_tensor("text", TensorProto.STRING, [1], [text.encode()])
    return onnx_file(nodes, [written, constant("sizes", [3072, 4])])


def weights_of_zero() -> list[Any]:
    return [constant("weight", np.zeros((3072, 4)), np.float32)]


def large_and_ignorant() -> bytes:
    wide = constant("wide", np.zeros((3072, 60)), np.float32), constant("weight", np.zeros((60, 4)), np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "wide"], ["flat"]),
    ]
    return onnx_file([*nodes, FLAT[1]], list(wide))


# Files whose weights must be counted, or which must be refused: how they hide them, and how many there are at least.
HIDING: dict[str, tuple[Callable, int]] = {
    "in integers": (in_integers, 280_000),
    "in single numbers": (in_single_numbers, 10_000),
    "in sparse tensors": (in_sparse_tensors, 280_000),
}


ATTACKS = [
    Attack(
        "notebook-is-a-link",
        HANDED_IN,
        "the notebook is a link to another student's",
        prepare=link(NOTEBOOK, f"submitted/{HONEST}/{LAB}/{NOTEBOOK}"),
        says="link",
        reads=True,
    ),
    Attack(
        "network-is-a-link",
        HANDED_IN,
        "the ONNX file is a link to another student's, another file to /etc/passwd",
        prepare=link(ONNX, f"submitted/neighbour/{LAB}/{ONNX}"),
        says="link",
        reads=True,
    ),
    Attack(
        "password-file",
        HANDED_IN,
        "files are links to /etc/passwd and /proc/self/environ",
        prepare=link("passwd.onnx", "/etc/passwd"),
        first="print(__import__('os').listdir('.'))\nprint('BREACH:', open('passwd.onnx').read())",
        says="link",
    ),
    Attack(
        "folder-is-a-link",
        HANDED_IN,
        "the folder handed in is a link to another student's, whose work would be graded and shown",
        prepare=linked_folder,
        says="link",
        stock=False,
        reads=True,
    ),
    Attack(
        "student-is-a-link",
        HANDED_IN,
        "the student's whole folder is a link to another student's",
        prepare=linked_student,
        says="link",
        stock=False,
        reads=True,
    ),
    Attack(
        "special-files",
        HANDED_IN,
        "files are pipes, links to /dev/zero, to themselves and to /",
        prepare=special_files,
        stock=False,
        reads=True,
    ),
    Attack(
        "notebook-is-a-pipe", HANDED_IN, "the notebook is a pipe", prepare=pipe_as_notebook, stock=False, reads=True
    ),
    Attack(
        "notebook-is-a-folder",
        HANDED_IN,
        "the notebook is a folder",
        prepare=folder_as_notebook,
        stock=False,
        reads=True,
    ),
    Attack(
        "timestamp-is-a-pipe",
        HANDED_IN,
        "timestamp.txt is a pipe, from which nbgrader would read for ever",
        prepare=pipe_as_timestamp,
        stock=False,
        reads=True,
    ),
    Attack(
        "timestamp-is-nonsense",
        HANDED_IN,
        "timestamp.txt is no time, so that nbgrader gives up",
        files={"timestamp.txt": b"the day before yesterday"},
        stock=False,
        reads=True,
    ),
    Attack(
        "timestamp-is-a-secret",
        HANDED_IN,
        "timestamp.txt is a link to a file of the instructor's, which would be copied",
        prepare=link("timestamp.txt", "secret.txt"),
        stock=False,
        reads=True,
    ),
    Attack("sparse-giants", HANDED_IN, "files say that they have 4 TB", prepare=sparse_giants, stock=False, reads=True),
    Attack(
        "deep-folders",
        HANDED_IN,
        "1,200 folders lie in each other",
        prepare=deep_folders,
        stock=False,
        reads=True,
    ),
    Attack(
        "name-that-is-no-text",
        HANDED_IN,
        "a file's name is no UTF-8",
        prepare=name_that_is_no_text,
        stock=False,
        reads=True,
    ),
    Attack(
        "strange-names",
        HANDED_IN,
        "names of files hold newlines, quotes, dashes, markup, commands, and have 250 letters",
        files={name: MARK.encode() for name in STRANGE},
        stock=False,
        reads=True,
    ),
    Attack(
        "zip-with-paths",
        HANDED_IN,
        "an archive holds paths that lead out of the folder, absolute paths and links",
        prepare=zipped(
            (f"../../{HONEST}/{LAB}/{NOTEBOOK}", b"{}"),
            (f"../../../../{MARK}.onnx", b"x"),
            (f"/tmp/{MARK}.onnx", b"x"),
            (f"..\\..\\{MARK}.onnx", b"x"),
            ("C:\\x.onnx", b"x"),
        ),
        stock=False,
        reads=True,
    ),
    Attack(
        "zip-bomb",
        HANDED_IN,
        "an archive of 600 kB unpacks to 600 MB",
        prepare=zip_bomb,
        stock=False,
        reads=True,
    ),
    Attack(
        "zip-cut-up",
        HANDED_IN,
        "an archive cannot be unpacked",
        prepare=zip_cut_up,
        stock=False,
        reads=True,
    ),
    Attack(
        "zip-of-lzma-cut-up",
        HANDED_IN,
        "an archive of another method cannot be unpacked",
        prepare=zip_of_lzma_cut_up,
        stock=False,
        reads=True,
    ),
    Attack(
        "zip-with-long-names",
        HANDED_IN,
        "names in an archive are too long for any file system",
        prepare=zipped(("a" * 300 + ".onnx", b"x"), ("b" * 245 + ".onnx", b"x")),
        stock=False,
        reads=True,
    ),
    Attack(
        "other-name-and-metadata",
        HANDED_IN,
        "the notebook has another name, and metadata that are a list",
        prepare=other_name(b'{"cells": [], "metadata": []}'),
        stock=False,
        reads=True,
    ),
    Attack("not-json", HANDED_IN, "the notebook is no JSON", prepare=written(b"\xff\xfe{{{"), stock=False, reads=True),
    Attack(
        "nested-json",
        HANDED_IN,
        "the notebook is 100,000 lists in each other",
        prepare=written(b'{"cells": ' + b"[" * 100_000),
        stock=False,
        reads=True,
    ),
    Attack(
        "json-of-other-types",
        HANDED_IN,
        "nothing in the notebook has the type that it should have",
        prepare=written(
            json.dumps(
                {"cells": [7, None, {"cell_type": [], "source": {"a": 1}, "metadata": 7, "id": 9}] * 50}
            ).encode()
        ),
        stock=False,
        reads=True,
    ),
    Attack(
        "thousand-cells",
        HANDED_IN,
        "900 cells nearly look like released ones",
        edit=many_cells,
        stock=False,
        reads=True,
    ),
    Attack(
        "pasted-picture",
        HANDED_IN,
        "an answer refers to an attachment, which grading takes away",
        edit=pasted_picture,
        stock=False,
        reads=True,
    ),
    # --- artifacts
    Attack(
        "onnx-giant",
        ARTIFACTS,
        "a small ONNX file makes 10¹² numbers",
        prepare=handing_in(gigantic_constant),
        stock=False,
    ),
    Attack(
        "onnx-tiles",
        ARTIFACTS,
        "a small ONNX file repeats the images 64 times, 8 times over",
        prepare=handing_in(tiled),
        stock=False,
    ),
    Attack(
        "onnx-endless", ARTIFACTS, "an ONNX file holds a loop without end", prepare=handing_in(endless), stock=False
    ),
    Attack(
        "onnx-elsewhere",
        ARTIFACTS,
        "an ONNX file's weights lie in a file of the neighbour's, and in /etc/passwd",
        prepare=handing_in(elsewhere(f"../../../submitted/neighbour/{LAB}/{ONNX}")),
        stock=False,
    ),
    Attack(
        "onnx-cut-short",
        ARTIFACTS,
        "an ONNX file is cut short",
        prepare=handing_in(lambda: onnx_file(FLAT, weights_of_zero())[:-20_000]),
        stock=False,
    ),
    Attack(
        "onnx-other-input",
        ARTIFACTS,
        "an ONNX file takes the answers as its input, and exactly 1 image",
        prepare=handing_in(lambda: onnx_file(FLAT, weights_of_zero(), shape=(1, 3, 32, 32))),
        stock=False,
    ),
    Attack(
        "onnx-is-a-pickle",
        ARTIFACTS,
        "the ONNX file is a pickle that runs a command, another one a checkpoint",
        files={
            ONNX: b"cos\nsystem\n(S'touch /tmp/" + MARK.encode() + b"'\ntR.",
            "b.onnx": struct.pack("<Q", 2**60) + b"{}",
        },
        stock=False,
    ),
    Attack(
        "onnx-claims",
        ARTIFACTS,
        "metadata claim an accuracy of 100 % and 10 parameters, for a network that knows nothing and is too large",
        prepare=handing_in(large_and_ignorant),
        stock=False,
    ),
    Attack(
        "test-images-memorised",
        ARTIFACTS,
        "no network at all: a table of the test images and their classes",
        prepare=handing_in(memorised),
        stock=False,
        says="it seems to know these images by heart",
    ),
    Attack(
        "weights-in-a-vectorizer",
        ARTIFACTS,
        "12,288 weights are settings of an operator that counts words, and no parameters",
        prepare=handing_in(in_a_vectorizer),
        stock=False,
        says="TfIdfVectorizer",
    ),
    Attack(
        "weights-in-a-string",
        ARTIFACTS,
        "12,288 weights are one long text, which the file splits and turns into numbers",
        prepare=handing_in(in_a_string),
        stock=False,
        says="StringSplit",
    ),
]
