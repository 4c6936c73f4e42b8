"""The sandbox: what is not visible inside, what cannot be done there, and that its limits hold."""

import json
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import sandbox_page

from autograder.authoring.support import support_files
from autograder.challenge.measuring import measurer_binds
from autograder.challenge.rerun import CONFINING, train_again, training_binds
from autograder.course import ROOT
from autograder.grading.judge import judge_binds
from autograder.sandbox import account, bubblewrap, channels, confinement, limits, refused, system_calls
from autograder.sandbox.bubblewrap import Sandbox, SandboxError
from autograder.sandbox.channels import KNOW, RUN, VERDICT, begins_with, frame_of
from autograder.sandbox.child import Child
from autograder.sandbox.confinement import Confinement
from autograder.sandbox.limits import Limits, alive, processes_below
from autograder.sandbox.warm import Ended, NotConfined, Warm, warm_binds

pytestmark = pytest.mark.slow
LIMITS = Limits(memory_megabytes=1000, processes=16, disk_megabytes=20, cpu_seconds=30)
SECRET = "PRUNING_LABS_SECRET"  # stands in this process's environment
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", params=["one for all", "one each"])
def warm(request: pytest.FixtureRequest, bubblewrap: str) -> Iterator[Warm]:
    """A warm process whose submissions get namespaces of their own; and one in a bubblewrap for one submission."""
    process = Warm(support_files("lab3_l1_filters"), [], LIMITS, "bubblewrap")
    process.shared = process.shared and request.param == "one for all"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, "x")
        yield process
    process.close()


def running(warm: Warm) -> Run:
    """Run code in the sandbox → what it printed, or the text of its error."""

    def code(source: str, seconds: float = 10.0) -> Any:
        answer = ask(warm, source, seconds, seconds + 10)
        return "".join(output.get("text") or output.get("evalue") or "" for output in answer["outputs"]).strip()

    return code


@pytest.fixture(scope="module")
def look(warm: Warm) -> Run:
    """Run code that leaves nothing behind, in one process for all of these tests; they stand before all others."""
    warm.fork({"answer.txt": b"handed in"})
    return running(warm)


@pytest.fixture
def run(warm: Warm) -> Run:
    """Run code in a fresh process."""
    warm.fork({"answer.txt": b"handed in"})
    return running(warm)


def ask(warm: Warm, source: str, seconds: float, at_most: float) -> Any:
    """Run code in the process that there is → its answer."""
    return json.loads(warm.exchange(frame_of({"do": RUN, "source": source, "cell": 3, "seconds": seconds}), at_most)[0])


one_for_all = pytest.mark.parametrize("warm", ["one for all"], indirect=True)  # what is the same in the other kind


# --- what is there, and what cannot be done: all of it in one process


def test_the_files_handed_in_are_there(look: Run) -> None:
    assert look("print(open('answer.txt').read())") == "handed in"


def test_the_labs_packages_are_there_and_nothing_else_of_the_project(look: Run) -> None:
    assert look("import course_utils, minicifar, checks") == ""
    names = "print(sorted(part.name for part in __import__('pkgutil').iter_modules({}.__path__)))"
    assert look(f"import autograder; {names.format('autograder')}") == "['sandbox', 'wall']"
    inside = "['channels', 'confinement', 'kernel', 'system_calls']"
    assert look(f"import autograder.sandbox; {names.format('autograder.sandbox')}") == inside
    assert "No module named 'solutions'" in look("import solutions.l1")


def test_tests_solutions_and_gradebook_are_not_visible(look: Run) -> None:
    visible = look(
        "import os\n"
        "names = [os.path.join(folder, name) for folder, _, files in os.walk('/') for name in files]\n"
        "print([name for name in names if any(word in name for word in"
        " ('hidden_lab', 'solutions/l1.py', 'course/gradebook.db', 'answers/lab'))])",
        seconds=60,  # a hundred thousand files, perhaps not in any cache
    )
    assert visible == "[]"


def test_this_folder_is_not_visible(look: Run) -> None:
    assert look(f"import os; print(os.path.exists({str(ROOT / 'autograder' / 'answers')!r}))") == "False"


def test_the_environment_tells_nothing(look: Run) -> None:
    assert look(f"import os; print({SECRET!r} in os.environ)") == "False"


def test_only_the_work_folder_and_tmp_can_be_written_to(look: Run) -> None:
    writable = look(
        "import os\n"
        "for folder, _, _ in os.walk('/'):\n"
        "    try:\n"
        "        open(os.path.join(folder, 'x'), 'w').close()\n"
        "        print(folder)\n"
        "    except OSError:\n"
        "        pass"
    )
    private = ("/student", "/tmp", "/dev/shm")
    assert all(folder.startswith(private) for folder in writable.split()), writable


def test_there_is_no_network(look: Run) -> None:
    assert "unreachable" in look("import socket; socket.create_connection(('192.0.2.1', 80), timeout=2)")


def test_no_other_process_is_visible_or_can_be_signalled(look: Run) -> None:
    mine = psutil.Process().pid
    assert look(f"import os; os.kill({mine}, 0)") != ""
    assert look("print(sorted(name for name in __import__('os').listdir('/proc') if name.isdigit())[2:])") == "[]"


@pytest.mark.parametrize(
    "call",
    ["unshare(0x10000000)", "unshare(0x20000)", "mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)", "umount2(b'/proc', 2)",
     "chroot(b'/tmp')", "setns(3, 0)", "sethostname(b'x', 1)"],
)  # fmt: skip
def test_nothing_can_be_mounted_and_no_namespace_made(look: Run, call: str) -> None:
    assert look(f"import ctypes; print(ctypes.CDLL(None).{call})") == "-1"


@pytest.mark.parametrize("call", ["ptrace(0, 0, 0, 0)", "syscall(250, 0, -3, 1)", "syscall(321, 0, 0, 0)"])
def test_other_dangerous_calls_are_refused(look: Run, call: str) -> None:
    assert look(f"import ctypes; print(ctypes.CDLL(None).{call})") == "-1"


def test_there_are_no_privileges(look: Run) -> None:
    ask = "import ctypes, struct; data = ctypes.create_string_buffer(24)"
    ask += "; ctypes.CDLL(None).capget(struct.pack('<II', 0x20080522, 0), data); print(any(data.raw))"
    assert look(ask) == "False"
    assert look("import os; print(os.getuid())") == "65534"


def test_nothing_runs_under_the_account_of_who_grades(warm: Warm, look: Run) -> None:
    accounts = {user for process in warm.processes() for user in process.uids()}
    expected = set(psutil.Process().uids()) if not account.is_root() else {max(accounts)}
    assert accounts == expected and 0 not in accounts


def test_when_memory_runs_out_the_submission_is_ended_before_what_it_came_from(warm: Warm, look: Run) -> None:
    def score(process: psutil.Process) -> int:
        return int(Path(f"/proc/{process.pid}/oom_score_adj").read_text())

    assert warm.root is not None
    assert score(warm.processes()[-1]) == 1000 > score(warm.root)


def test_what_is_the_machines_cannot_be_changed(look: Run) -> None:
    changed = look(
        "import os\n"
        "calls = {'mode': lambda it: os.chmod(it, 0o666), 'owner': lambda it: os.chown(it, 65534, 65534)}\n"
        "for it in ('/dev/null', '/dev/urandom', 0, 1, 2):\n"
        "    for name, call in calls.items():\n"
        "        try:\n"
        "            call(it)\n"
        "            print(name, it)\n"
        "        except OSError:\n"
        "            pass"
    )
    assert changed == ""


@one_for_all
def test_not_even_the_times_of_a_device_can_be_changed(look: Run) -> None:
    assert "Read-only" in look("import os; os.utime('/dev/null')") and "Read-only" in look("import os; os.utime(1)")


def test_what_may_be_changed_is_ones_own(look: Run) -> None:
    source = "import os, shutil; open('a', 'w').close(); os.chmod('a', 0o600); os.utime('a'); shutil.copy2('a', 'b')"
    assert look(f"{source}; print(oct(os.stat('b').st_mode))") == "0o100600"


def test_nothing_is_inherited_but_the_streams_and_the_socket_to_the_grader(look: Run) -> None:
    kinds = look(
        "import os, stat\n"
        "for number in range(1024):\n"
        "    try:\n"
        "        about = os.fstat(number)\n"
        "        print('socket' if stat.S_ISSOCK(about.st_mode) else oct(about.st_mode), end=' ')\n"
        "    except OSError:\n"
        "        pass"
    )
    assert kinds.split() == ["0o20666"] * 3 + ["socket"]


def test_refused_calls_are_named(warm: Warm, look: Run) -> None:
    before = Counter(warm.refused)
    look("import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0); ctypes.CDLL(None).inotify_init1(0)")
    assert warm.refused - before == Counter({"ptrace": 1, "inotify_init1": 1})
    sentence = "System calls that a notebook does not need were refused: ptrace (2), bpf."
    assert refused.in_words(Counter({"ptrace": 2, "bpf": 1})) == [sentence] and refused.in_words(Counter()) == []


@pytest.mark.parametrize("family", [40, 38, 17])  # to the host of a virtual machine, to the kernel's ciphers, raw
def test_sockets_that_know_no_namespaces_are_refused(look: Run, family: int) -> None:
    assert "not permitted" in look(f"import socket; socket.socket({family}, socket.SOCK_STREAM)")


def test_the_filter_for_system_calls_lets_threads_and_processes_through(look: Run) -> None:
    assert look("import threading; t = threading.Thread(target=print, args=('a',)); t.start(); t.join()") == "a"
    assert look("import subprocess; print(subprocess.run(['echo', 'b'], capture_output=True, text=True).stdout)") == "b"


def test_names_that_the_notebook_holds_are_known_with_the_cell_that_defined_them(warm: Warm, look: Run) -> None:
    look("here = 1")
    known = json.loads(warm.exchange(frame_of({"do": KNOW, "names": ["here", "nowhere"]}), 10)[0])
    assert known == {"here": 3}


def test_a_name_is_defined_by_the_last_cell_that_bound_it(warm: Warm, look: Run) -> None:
    cells = ["def f(): return 1", "f()", "del f\ndef f(): return 2", "f()"]
    known = []
    for number, source in enumerate(cells):
        warm.exchange(frame_of({"do": RUN, "source": source, "cell": number, "seconds": 5}), 10)
        known.append(json.loads(warm.exchange(frame_of({"do": KNOW, "names": ["f"]}), 10)[0])["f"])
    assert known == [0, 0, 2, 2]


def test_time_is_limited_and_said(look: Run) -> None:
    assert look("while True: pass", 0.5) == "this ran for more than 0.5 s: an endless loop?"


def test_memory_of_one_process_is_limited(look: Run) -> None:
    assert look("x = bytearray(3 * 10**9)") == ""  # MemoryError has no text
    assert look("print(1)") == "1"


# --- the page of the docs


@one_for_all
def test_the_page_of_the_docs_names_all_that_is_visible(look: Run) -> None:
    seen = json.loads(
        look(
            "import json, os\n"
            "places = {place: os.listdir(place) for place in ('/', '/etc', '/dev', '/proc')}\n"
            "print(json.dumps({**places, 'variables': list(os.environ)}))"
        )
    )
    images = [Path(root)] if (root := os.environ.get("MINICIFAR_ROOT")) else []
    elsewhere = {path.parts[1] for path in [*bubblewrap.interpreter_folders(), *images]}
    assert set(seen["/"]) - elsewhere <= set(sandbox_page.TOP)
    for place, named in (("/etc", sandbox_page.ETC), ("/dev", sandbox_page.DEVICES), ("/proc", sandbox_page.PROC)):
        assert set(seen[place]) <= set(named)
    assert set(seen["variables"]) <= set(sandbox_page.VARIABLES)


@one_for_all
def test_the_page_of_the_docs_names_the_calls_that_are_refused(look: Run) -> None:
    """Each is made with -1 for all that it asks for."""
    numbers = system_calls.numbers(platform.machine())
    calls = {name: numbers[name] for name in sandbox_page.refused_calls() if name in numbers}
    answered = look(
        f"import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\nfor name, number in {calls}.items():\n"
        "    code = libc.syscall(number, -1, -1, -1, -1, -1, -1)\n"
        "    print(name, errno.errorcode.get(ctypes.get_errno()) if code == -1 else code)"
    )
    errors = dict(line.split() for line in answered.splitlines())
    assert errors == {name: "ENOSYS" if name == "clone3" else "EPERM" for name in calls}


def test_the_page_of_the_docs_is_up_to_date() -> None:
    if os.environ.get("WRITE_PAGES"):
        sandbox_page.PAGE.write_text(sandbox_page.page(), encoding="utf-8")
    assert sandbox_page.PAGE.read_text(encoding="utf-8") == sandbox_page.page()


# --- what it gives back and keeps apart


def test_what_one_submission_writes_the_next_does_not_see(warm: Warm, run: Run) -> None:
    places = "('/tmp/left', '/dev/shm/left', '/student/left', 'left')"
    assert run(f"for place in {places}:\n    open(place, 'w').write('x')") == ""
    warm.fork({})
    answer = ask(warm, f"import os; print([os.path.exists(p) for p in {places}])", 5, 10)
    assert answer["outputs"][0]["text"].strip() == "[False, False, False, False]"


@one_for_all
def test_a_cells_result_display_and_error_come_back_as_a_notebook_has_them(warm: Warm, run: Run) -> None:
    outputs = ask(warm, "from IPython.display import display\nprint(1)\ndisplay('a')\n2", 5, 10)["outputs"]
    assert [output["output_type"] for output in outputs] == ["stream", "display_data", "execute_result"]
    assert outputs[2]["data"] == {"text/plain": "2"} and outputs[2]["execution_count"] == 1
    (error,) = ask(warm, "1 / 0", 5, 10)["outputs"]
    assert (error["output_type"], error["ename"], error["evalue"]) == ("error", "ZeroDivisionError", "division by zero")


# --- limits


def ended(run: Run, source: str, seconds: float = 10.0) -> str:
    with pytest.raises(Ended) as caught:
        run(source, seconds)
    return str(caught.value)


@one_for_all
def test_a_loop_that_ignores_its_limit_is_ended(warm: Warm, run: Run) -> None:
    run("import time")
    loop = "while True:\n    try:\n        while True: time.sleep(9)\n    except BaseException: pass"
    with pytest.raises(Ended, match="could not be interrupted"):
        ask(warm, loop, 0.3, 1.5)


def test_memory_of_all_processes_together_is_limited(run: Run) -> None:
    source = (
        "import os, time\nfor _ in range(4):\n    if not os.fork():\n        x = bytearray(4 * 10**8); time.sleep(60)\n"
    )
    assert "1,000 MB of memory" in ended(run, source + "time.sleep(60)", 30)


def test_the_number_of_processes_is_limited(run: Run) -> None:
    assert "more than 16 processes" in ended(
        run, "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", 20
    )


@one_for_all
def test_the_disk_is_limited(run: Run) -> None:
    source = "for name in range(5):\n    open(str(name), 'wb').write(bytes(10**7))"
    assert "No space left on device" in run(source) or "File too large" in run(source)


@one_for_all
def test_the_number_of_files_is_limited(run: Run) -> None:
    source = "import os\nfor name in range(30_000):\n    os.close(os.open(str(name), os.O_CREAT))"
    assert "No space left on device" in run(source)


FILL = """
import os, socket, time
def fill(sockets):
    for pair in sockets:
        for end in pair:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
            end.setblocking(False)
            try:
                while True: end.send(bytes(60_000))
            except BlockingIOError: pass
for _ in range(5):
    if not os.fork():
        kept = [socket.socketpair() for _ in range(450)]
        fill(kept)
        time.sleep(60)
time.sleep(60)
"""


@one_for_all
def test_memory_held_in_sockets_counts(run: Run) -> None:
    assert "1,000 MB of memory" in ended(run, FILL, 30)


def test_control_groups_of_graders_that_were_killed_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    (tmp_path / "cgroup.controllers").touch()
    for process in (os.getpid(), 2**22 + 1):
        (tmp_path / f"pruning-labs-{process}").mkdir()
    limits.control_groups(1, 5)
    assert sorted(path.name for path in tmp_path.glob("pruning-labs-*")) == sorted(
        ["pruning-labs-1", f"pruning-labs-{os.getpid()}"]
    )


def test_a_control_group_that_a_process_cannot_join_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its memory would be 0 for ever, and nobody would look at the processes."""
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    (tmp_path / "cgroup.controllers").touch()
    write = Path.write_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> int:
        if path.parent.parent == tmp_path:
            raise PermissionError
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", refuse)
    assert limits.control_groups(1, 5, 100) == [] and not list(tmp_path.glob("pruning-labs-*"))


def test_memory_held_in_sockets_counts_where_there_are_no_control_groups() -> None:
    here = [psutil.Process()]
    before = limits.memory_of(here)
    pairs = [socket.socketpair() for _ in range(100)]
    assert limits.may_hold_much(here, 10**6)
    assert limits.memory_of(here) - before > 200 * 0.4
    for end in (end for pair in pairs for end in pair):
        end.close()


@one_for_all
def test_output_is_limited(run: Run) -> None:
    assert run("print('x' * 10**8)").startswith("(This cell wrote more than")


@one_for_all
def test_a_crash_is_said(run: Run) -> None:
    assert "crashed (SIGSEGV)" in ended(run, "import ctypes; ctypes.string_at(0)")


def test_an_exit_is_said(run: Run) -> None:
    assert "exit code 3" in ended(run, "import os; os._exit(3)")


def test_nothing_is_left_of_a_submission(warm: Warm, run: Run) -> None:
    run("import os, time\nif not os.fork():\n    os.setsid()\n    if not os.fork(): time.sleep(600)\n    os._exit(0)")
    warm.end()
    if warm.root is not None:
        assert [process for process in processes_below(warm.root) if alive(process)] == []


def test_cpu_time_is_limited(bubblewrap: str) -> None:
    process = Warm(support_files("lab3_l1_filters"), [], Limits(cpu_seconds=1), "bubblewrap")
    process.fork({})
    with pytest.raises(Ended, match="1 s of processor time"):
        ask(process, "while True: pass", 30, 30)
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
    answer = ask(process, "print(open('answer.txt').read())", 5, 10)
    assert answer["outputs"][0]["text"].strip() == "handed in"
    assert ask(process, "x = bytearray(3 * 10**9)", 5, 10)["outputs"][0]["ename"] == "MemoryError"
    process.close()


def test_where_namespaces_are_refused_each_submission_gets_a_bubblewrap_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = Warm({}, [], LIMITS, "bubblewrap")
    process.shared, tries = True, []
    here, there = socket.socketpair()

    def confined_copy(self: Warm) -> socket.socket:
        tries.append(self.shared)
        if self.shared:
            raise NotConfined("not here")
        return here

    monkeypatch.setattr(Warm, "confined_copy", confined_copy)
    process.fork({"answer.txt": b"handed in"})
    process.hang_up()
    assert tries == [True, False] and channels.receive(there) == frame_of({"answer.txt": 9}, b"handed in")


def test_what_cannot_be_shut_in_at_all_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def confined_copy(self: Warm) -> socket.socket:
        raise NotConfined("A submission could not be shut in")

    monkeypatch.setattr(Warm, "confined_copy", confined_copy)
    with pytest.raises(SandboxError, match="could not be shut in"):
        Warm({}, [], LIMITS, "bubblewrap").fork({})


# --- the filter for system calls


def answer(machine: str, call: int, argument: int = 0, architecture: int | None = None) -> int:
    """What the filter says to a call: its instructions one by one, as seccomp(2) has them."""
    program = confinement.filter_program(machine)
    said = struct.pack("<iIQ6Q", call, architecture or confinement.ARCHITECTURES[machine], 0, argument, *[0] * 5)
    steps, at, value = list(struct.iter_unpack("<HBBI", program)), 0, 0
    while True:
        code, if_true, if_false, number = steps[at]
        if code == 0x06:
            return int(number)
        if code == 0x20:
            (value,) = struct.unpack_from("<I", said, number)
            at += 1
            continue
        test = {0x15: value == number, 0x25: value > number, 0x35: value >= number, 0x45: bool(value & number)}[code]
        at += 1 + (if_true if test else if_false)


machines = pytest.mark.parametrize("machine", list(confinement.ARCHITECTURES))


@machines
def test_what_is_listed_is_allowed_and_all_else_refused(machine: str) -> None:
    numbers, looked_into = system_calls.numbers(machine), {"socket": 1, "prctl": 1}
    answers = {name: answer(machine, number, looked_into.get(name, 0)) for name, number in numbers.items()}
    allowed = {name for name, said in answers.items() if said == confinement.ALLOW}
    assert allowed == system_calls.allowed() & set(numbers)
    assert {name for name, said in answers.items() if said == confinement.NO_SUCH_CALL} == {"clone3"}


@machines
def test_what_is_younger_than_the_list_is_no_such_call_and_what_is_of_another_kind_not_permitted(machine: str) -> None:
    assert answer(machine, system_calls.LAST + 1) == confinement.NO_SUCH_CALL
    assert answer(machine, 0x40000000) == confinement.NOT_PERMITTED  # x32's numbers
    assert answer(machine, 63, architecture=0x40000003) == confinement.NOT_PERMITTED  # i386's


@machines
def test_of_some_calls_a_kind_is_refused(machine: str) -> None:
    numbers = system_calls.numbers(machine)
    assert answer(machine, numbers["clone"], 0x10000000) == confinement.NOT_PERMITTED  # a namespace of users
    assert answer(machine, numbers["clone"], 0x00010000) == confinement.ALLOW  # a thread
    assert answer(machine, numbers["socket"], 40) == confinement.NOT_PERMITTED  # to the host of a virtual machine
    assert answer(machine, numbers["prctl"], 4) == confinement.NOT_PERMITTED  # to hide from who watches


def test_nobody_may_do_what_nobody_needs() -> None:
    """A few by name, whatever else the list may come to hold."""
    refused = "ptrace unshare setns mount umount2 pivot_root chroot bpf keyctl add_key userfaultfd io_uring_setup"
    refused += (
        " perf_event_open memfd_create shmget msgget mq_open inotify_init1 fanotify_init mknodat fchownat setxattr"
    )
    refused += " process_vm_readv pidfd_getfd open_by_handle_at init_module reboot swapon setuid capset seccomp sync"
    assert not set(refused.split()) & system_calls.allowed()


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", f"{folder}asm/unistd_64.h") for folder in ("x86_64-linux-gnu/", "")]
    + [("aarch64", "asm-generic/unistd.h")],
)
def test_system_calls_have_the_numbers_of_the_kernels_headers(machine: str, header: str) -> None:
    path = Path("/usr/include", header)
    if not path.is_file() or (machine == "x86_64" and platform.machine() != machine):
        pytest.skip(f"There is no {path} for {machine} here.")
    defined = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", path.read_text()))
    numbers = system_calls.numbers(machine)
    assert numbers == {name: int(defined.get(name, number)) for name, number in numbers.items()}
    if machine == "x86_64":  # the other header also has calls of machines with 32 bits
        assert {name for name, number in defined.items() if int(number) <= system_calls.LAST} <= set(numbers)


# --- what is visible to whom


def shown(arguments: list[str]) -> dict[str, str]:
    """Where bubblewrap's arguments show what: path inside → path outside, with a star if it can be written to."""
    binds = {"--ro-bind": "", "--ro-bind-try": "", "--bind": "*"}
    return {
        arguments[place + 2]: arguments[place + 1] + binds[option]
        for place, option in enumerate(arguments)
        if option in binds
    }


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/caches")
    monkeypatch.setenv("MINICIFAR_ROOT", "/data")


IMAGES = {
    "/cache/minicifar": "/home/me/caches/minicifar",
    "/cache/pruning-labs": "/home/me/caches/pruning-labs",
    "/data": "/data",
}
PASSWD = {"/etc/passwd": "/tmp/x/passwd"}


def test_a_submission_sees_its_course_and_the_images(caches: None) -> None:
    assert shown(warm_binds(Path("/tmp/x"))) == {"/course": "/tmp/x/course", **PASSWD, **IMAGES}


def test_the_judge_sees_the_release_and_what_judges_and_alone_writes_to_the_caches(caches: None) -> None:
    written = {place: f"{path}*" for place, path in IMAGES.items() if place.startswith("/cache")}
    seen = {"/release": "/tmp/x", str(ROOT / "autograder"): str(ROOT / "autograder")}
    assert shown(judge_binds(Path("/tmp/x"))) == {**seen, **IMAGES, **written}


def test_what_measures_entries_sees_no_solutions(caches: None) -> None:
    project = [str(ROOT / name) for name in ("minicifar", "course_utils", "autograder")]
    assert shown(measurer_binds()) == {**dict(zip(project, project, strict=True)), **IMAGES}


def test_training_sees_what_it_may_import(caches: None) -> None:
    packages = {f"/course/{name}": str(ROOT / name) for name in ("minicifar", "course_utils", "solutions", "studies")}
    assert shown(training_binds(Path("/tmp/x"))) == {
        "/entry/train.py": "/tmp/x/train.py",
        **{f"/launcher/{name}": str(ROOT / name) for name in CONFINING},
        **PASSWD,
        **packages,
        **IMAGES,
    }


def test_a_sandbox_shares_no_namespace_drops_all_privileges_and_clears_the_environment() -> None:
    arguments = bubblewrap.arguments(Sandbox([], disk=7), {"A": "1"})
    assert " ".join(arguments).startswith(
        "--unshare-all --unshare-user --disable-userns --uid 65534 --gid 65534 --hostname lab --die-with-parent"
        " --new-session --as-pid-1 --clearenv --cap-drop ALL --setenv A 1 --perms 1777 --size 7 --tmpfs /tmp"
    )
    memory = "--perms 1777 --size 7 --tmpfs"
    assert " ".join(arguments).endswith(
        f"--proc /proc --dev /dev {memory} /dev/shm {memory} /student --chdir /tmp --remount-ro /dev --remount-ro /"
    )
    assert "--share-net" not in arguments and "--cap-add" not in arguments
    assert "*" not in "".join(shown(arguments).values())


def test_who_makes_namespaces_for_others_has_two_privileges() -> None:
    words = " ".join(bubblewrap.arguments(Sandbox([], disk=7, privileges=True), {}))
    assert "--cap-drop ALL --cap-add CAP_SYS_ADMIN --cap-add CAP_SETPCAP --perms" in words
    assert words.count("--cap-add") == 2


def test_root_sets_up_a_sandbox_in_a_namespace_that_knows_another_account() -> None:
    words = " ".join(bubblewrap.arguments(Sandbox([], disk=7), {}, namespace=9))
    assert words.startswith(
        "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try --userns 9 --hostname"
    )
    assert "--cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID --setenv PRUNING_LABS_SANDBOX_OF_ROOT 1" in words


# --- the account


AS_SOMEBODY = """
set -e
for folder in {hidden}; do  # what only root may enter is left as far as it is needed
    for path in {needed}; do case $path in $folder/*)
        mkdir -p {place}$path; mount --bind $path {place}$path;; esac; done
    mount -t tmpfs -o mode=755 none $folder
    for path in {needed}; do case $path in $folder/*) mkdir -p $path; mount --bind {place}$path $path;; esac; done
done
exec setpriv --reuid 54321 --regid 54321 --clear-groups env HOME={place} XDG_CACHE_HOME={place}/caches {python} -m pytest \\
    -p no:cacheprovider --basetemp={place}/tests {tests} -k "for and (visible or privileges or account or machines or mounted or dangerous)"
"""


def test_an_ordinary_users_sandbox_is_as_tight(tmp_path_factory: pytest.TempPathFactory, bubblewrap: str) -> None:
    """The tests of what is visible and may be changed, by somebody who is not root, in mounts of their own."""
    if not account.is_root():
        pytest.skip("This is an ordinary user: all of these tests were run by one.")
    place = Path(tempfile.mkdtemp(prefix="pruning-labs-somebody-"))
    place.chmod(0o777)
    needed = [Path(sys.base_prefix), Path(sys.prefix), ROOT]
    needed += [Path(root)] if (root := os.environ.get("MINICIFAR_ROOT")) else []
    parents = {parent for path in needed for parent in path.parents}
    hidden = sorted(parent for parent in parents if not parent.stat().st_mode & 0o001)
    uppermost = [folder for folder in hidden if not any(other in folder.parents for other in hidden)]
    script = AS_SOMEBODY.format(
        hidden=" ".join(map(str, uppermost)),
        needed=" ".join(map(str, needed)),
        place=place,
        python=sys.executable,
        tests=Path(__file__),
    )
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "CI": "1"})
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
        assert re.search(r"[1-9]\d passed", done.stdout), done.stdout
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize(
    ("known", "number", "expected"),
    [("0 0 4294967295", 7, account.FIRST + 7), ("0 100000 65536", 7, 65528), ("0 1000 1\n1 100000 9", 25, 8)],
)
def test_an_account_is_one_of_those_that_there_are_and_not_root(known: str, number: int, expected: int) -> None:
    assert account.nobodys_number(known, number) == expected


def test_where_there_is_only_root_grading_is_refused() -> None:
    with pytest.raises(account.AccountError, match="Start it as an ordinary user"):
        account.nobodys_number("0 1000 1", 7)


def test_each_sandbox_of_root_has_an_account_of_its_own() -> None:
    if not account.is_root():
        pytest.skip("This is an ordinary user.")
    namespaces = [account.user_namespace() for _ in range(2)]
    assert os.fstat(namespaces[0]).st_ino != os.fstat(namespaces[1]).st_ino
    for namespace in namespaces:
        os.close(namespace)


def test_root_grades_in_no_plain_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "is_root", lambda: True)
    with pytest.raises(SandboxError, match="started as root without a sandbox"):
        bubblewrap.require("process")
    monkeypatch.setattr(account, "is_root", lambda: False)
    bubblewrap.require("process")


# --- the launcher


def test_limits_are_read_as_they_were_written() -> None:
    limits = Confinement(memory=10**10, disk=2, folder="/x", cpu=3, processes=4, namespaces=True)
    assert Confinement.from_data(json.loads(json.dumps(limits.as_data()))) == limits


def test_a_frames_kind_is_its_first_key() -> None:
    assert begins_with(frame_of({VERDICT: None}), VERDICT)
    assert not begins_with(frame_of({"call": {"name": "x"}, VERDICT: 1}), VERDICT)


READY = "import json, socket; from autograder.sandbox import channels; channel = socket.socket(fileno={}); "


def test_a_child_says_that_it_is_ready_and_leaves_nothing() -> None:
    with Child("The test") as child:
        source = READY.format(child.other_end.fileno())
        source += "channels.send(channel, (json.dumps(json.loads(channels.receive(channel)[0])).encode(), b'')); "
        source += "import os, time; os.fork() or os.setsid(); time.sleep(600)"
        process = psutil.Process(child.start([sys.executable, "-c", source], {"PYTHONPATH": str(ROOT)}).pid)
        child.tell({"a": 1})
        assert child.ready() == {"a": 1} and child.running
    assert not alive(process) and not child.running and not child.folder.exists()


def test_a_child_that_does_not_start_says_why() -> None:
    child = Child("The test")
    child.start([sys.executable, "-c", "raise SystemExit('no luck')"], {})
    with pytest.raises(SandboxError, match="The test did not start: no luck"):
        child.ready()
    assert not child.running and not child.folder.exists()


def test_a_child_that_may_not_read_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "is_root", lambda: True)
    child = Child("The test")
    child.start([sys.executable, "-c", "raise PermissionError(13, 'Permission denied', '/here')"], {})
    with pytest.raises(SandboxError, match="readable for all"):
        child.ready()


def test_all_that_a_child_has_started_ends_with_it() -> None:
    with Child("The test") as child:
        source = READY.format(child.other_end.fileno()) + "import os, time; pid = os.fork(); pid or os.setsid(); "
        source += "pid or channels.send(channel, channels.frame_of({'pid': os.getpid()})); time.sleep(600)"
        child.start([sys.executable, "-c", source], {"PYTHONPATH": str(ROOT)})
        started = psutil.Process(child.ready()["pid"])
    psutil.wait_procs([started], timeout=20)
    assert not alive(started)


def test_training_gets_no_socket(bubblewrap: str) -> None:
    code = """
import os, stat
names = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
sockets = [name for name in names if stat.S_ISSOCK(os.stat(f"/proc/self/fd/{name}").st_mode)]
open("network.onnx", "w").write(str(sockets))
"""
    assert train_again(code.encode(), 0, 0.1) == (b"[]", "")
