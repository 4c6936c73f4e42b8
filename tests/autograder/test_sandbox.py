"""The sandbox: what is not visible inside, what cannot be done there, and that its limits hold."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograder.authoring.support import support_files
from autograder.course import ROOT
from autograder.sandbox import bubblewrap, confinement
from autograder.sandbox.bubblewrap import SandboxError
from autograder.sandbox.limits import Limits, alive, processes_below
from autograder.sandbox.warm import Ended, Warm

pytestmark = pytest.mark.slow
LIMITS = Limits(memory_megabytes=1000, processes=16, disk_megabytes=20, cpu_seconds=30)
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", params=["one for all", "one each"])
def warm(request: pytest.FixtureRequest, bubblewrap: str) -> Iterator[Warm]:
    """A warm process whose submissions get namespaces of their own; and one in a bubblewrap for one submission."""
    process = Warm(support_files("lab3_l1_filters"), [], LIMITS, "bubblewrap")
    process.shared = process.shared and request.param == "one for all"
    yield process
    process.close()


@pytest.fixture
def run(warm: Warm) -> Run:
    """Run code in a fresh process of the sandbox → what it printed, or the text of its error."""
    warm.fork({"answer.txt": b"handed in"})

    def code(source: str, seconds: float = 10.0) -> Any:
        command = json.dumps({"do": "run", "source": source, "seconds": seconds}).encode()
        answer = json.loads(warm.exchange((command, b""), seconds + 10)[0])
        return "".join(output.get("text") or output.get("evalue") or "" for output in answer["outputs"]).strip()

    return code


def test_the_files_handed_in_are_there(run: Run) -> None:
    assert run("print(open('answer.txt').read())") == "handed in"


def test_the_labs_packages_are_there_and_nothing_else_of_the_project(run: Run) -> None:
    assert run("import course_utils, minicifar, checks") == ""
    assert run("from autograder import editions").startswith("cannot import name 'editions'")
    assert "No module named 'solutions'" in run("import solutions.l1")


def test_tests_solutions_and_gradebook_are_not_visible(run: Run) -> None:
    found = run(
        "import os\n"
        "names = [os.path.join(folder, name) for folder, _, files in os.walk('/') for name in files]\n"
        "print([name for name in names if any(word in name for word in"
        " ('hidden_lab', 'solutions/l1.py', 'course/gradebook.db', 'answers/lab'))])",
        seconds=60,  # a hundred thousand files, perhaps not in any cache
    )
    assert found == "[]"


def test_this_folder_is_not_visible(run: Run) -> None:
    assert run(f"import os; print(os.path.exists({str(ROOT / 'autograder' / 'answers')!r}))") == "False"


def test_the_environment_tells_nothing(run: Run) -> None:
    secret = "PRUNING_LABS_SECRET"
    os.environ[secret] = "x"
    try:
        assert run(f"import os; print({secret!r} in os.environ)") == "False"
    finally:
        del os.environ[secret]


def test_only_the_work_folder_and_tmp_can_be_written_to(run: Run) -> None:
    found = run(
        "import os\n"
        "for folder, _, _ in os.walk('/'):\n"
        "    try:\n"
        "        open(os.path.join(folder, 'x'), 'w').close()\n"
        "        print(folder)\n"
        "    except OSError:\n"
        "        pass"
    )
    private = ("/student", "/tmp", "/dev/shm")
    assert all(folder.startswith(private) for folder in found.split()), found


def test_what_one_submission_writes_the_next_does_not_see(warm: Warm, run: Run) -> None:
    places = "('/tmp/left', '/dev/shm/left', '/student/left', 'left')"
    assert run(f"for place in {places}:\n    open(place, 'w').write('x')") == ""
    warm.fork({})
    command = json.dumps(
        {"do": "run", "source": f"import os; print([os.path.exists(p) for p in {places}])", "seconds": 5}
    )
    answer = json.loads(warm.exchange((command.encode(), b""), 10)[0])
    assert answer["outputs"][0]["text"].strip() == "[False, False, False, False]"


def test_there_is_no_network(run: Run) -> None:
    assert "unreachable" in run("import socket; socket.create_connection(('192.0.2.1', 80), timeout=2)")


def test_no_other_process_is_visible_or_can_be_signalled(run: Run) -> None:
    mine = psutil.Process().pid
    assert run(f"import os; os.kill({mine}, 0)") != ""
    assert run("print(sorted(name for name in __import__('os').listdir('/proc') if name.isdigit())[2:])") == "[]"


@pytest.mark.parametrize(
    "call",
    ["unshare(0x10000000)", "unshare(0x20000)", "mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)", "umount2(b'/proc', 2)",
     "chroot(b'/tmp')", "setns(3, 0)", "sethostname(b'x', 1)"],
)  # fmt: skip
def test_nothing_can_be_mounted_and_no_namespace_made(run: Run, call: str) -> None:
    assert run(f"import ctypes; print(ctypes.CDLL(None).{call})") == "-1"


@pytest.mark.parametrize("call", ["ptrace(0, 0, 0, 0)", "syscall(250, 0, -3, 1)", "syscall(321, 0, 0, 0)"])
def test_other_dangerous_calls_are_refused(run: Run, call: str) -> None:
    assert run(f"import ctypes; print(ctypes.CDLL(None).{call})") == "-1"


def test_there_are_no_privileges(run: Run) -> None:
    ask = "import ctypes, struct; data = ctypes.create_string_buffer(24)"
    ask += "; ctypes.CDLL(None).capget(struct.pack('<II', 0x20080522, 0), data); print(any(data.raw))"
    assert run(ask) == "False"
    assert run("import os; print(os.getuid())") == "65534"


def test_the_filter_for_system_calls_lets_threads_and_processes_through(run: Run) -> None:
    assert run("import threading; t = threading.Thread(target=print, args=('a',)); t.start(); t.join()") == "a"
    assert run("import subprocess; print(subprocess.run(['echo', 'b'], capture_output=True, text=True).stdout)") == "b"


# --- limits


def ended(run: Run, source: str, seconds: float = 10.0) -> str:
    with pytest.raises(Ended) as caught:
        run(source, seconds)
    return str(caught.value)


def test_time_is_limited_and_said(run: Run) -> None:
    assert run("while True: pass", 0.5) == "this ran for more than 0.5 s: an endless loop?"


def test_a_loop_that_ignores_its_limit_is_ended(warm: Warm, run: Run) -> None:
    run("import time")
    loop = "while True:\n    try:\n        while True: time.sleep(9)\n    except BaseException: pass"
    command = json.dumps({"do": "run", "source": loop, "seconds": 0.3}).encode()
    with pytest.raises(Ended, match="could not be interrupted"):
        warm.exchange((command, b""), 1.5)


def test_memory_of_one_process_is_limited(run: Run) -> None:
    assert run("x = bytearray(3 * 10**9)") == ""  # MemoryError has no text
    assert run("print(1)") == "1"


def test_memory_of_all_processes_together_is_limited(run: Run) -> None:
    source = (
        "import os, time\nfor _ in range(4):\n    if not os.fork():\n        x = bytearray(4 * 10**8); time.sleep(60)\n"
    )
    assert "1,000 MB of memory" in ended(run, source + "time.sleep(60)", 30)


def test_the_number_of_processes_is_limited(run: Run) -> None:
    assert "more than 16 processes" in ended(
        run, "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", 20
    )


def test_the_disk_is_limited(run: Run) -> None:
    source = "for name in range(5):\n    open(str(name), 'wb').write(bytes(10**7))"
    assert "No space left on device" in run(source) or "File too large" in run(source)


def test_output_is_limited(run: Run) -> None:
    assert run("print('x' * 10**8)").startswith("(This cell wrote more than")


def test_a_crash_is_said(run: Run) -> None:
    assert "crashed (SIGSEGV)" in ended(run, "import ctypes; ctypes.string_at(0)")


def test_an_exit_is_said(run: Run) -> None:
    assert "exit code 3" in ended(run, "import os; os._exit(3)")


def test_nothing_is_left_of_a_submission(warm: Warm, run: Run) -> None:
    run("import os, time\nif not os.fork():\n    os.setsid()\n    if not os.fork(): time.sleep(600)\n    os._exit(0)")
    warm.end()
    if warm.process is not None:
        assert [one for one in processes_below(warm.root) if alive(one)] == []


def test_cpu_time_is_limited(bubblewrap: str) -> None:
    process = Warm(support_files("lab3_l1_filters"), [], Limits(cpu_seconds=1), "bubblewrap")
    process.fork({})
    command = json.dumps({"do": "run", "source": "while True: pass", "seconds": 30}).encode()
    with pytest.raises(Ended, match="1 s of processor time"):
        process.exchange((command, b""), 30)
    process.close()


# --- without bubblewrap


def test_without_bubblewrap_grading_stops_and_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxError, match="apt install bubblewrap"):
        bubblewrap.find_bubblewrap()


def test_a_bubblewrap_that_does_not_work_is_no_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho no permission >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(SandboxError, match="no permission"):
        bubblewrap.find_bubblewrap()


def test_plain_processes_have_limits_too() -> None:
    process = Warm(support_files("lab3_l1_filters"), [], LIMITS, "process")
    process.fork({"answer.txt": b"handed in"})
    command = json.dumps({"do": "run", "source": "print(open('answer.txt').read())", "seconds": 5}).encode()
    answer = json.loads(process.exchange((command, b""), 10)[0])
    assert answer["outputs"][0]["text"].strip() == "handed in"
    command = json.dumps({"do": "run", "source": "x = bytearray(3 * 10**9)", "seconds": 5}).encode()
    assert json.loads(process.exchange((command, b""), 10)[0])["outputs"][0]["ename"] == "MemoryError"
    process.close()


def test_the_filter_is_a_whole_number_of_instructions() -> None:
    for machine in confinement.FILTERS:
        assert len(confinement.filter_program(machine)) % 8 == 0
