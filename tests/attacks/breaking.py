"""Processes, resources and escape: code that ends, fills or leaves what it runs in."""

from attacks.bank import EXERCISES, MARK, Attack, functions

PROCESSES, RESOURCES, ESCAPE = "processes", "resources", "escape"

LIBC = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
"""

NAMED = f"ctypes.CDLL(None).prctl(15, b'{MARK}', 0, 0, 0)"

TIED = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"

ATTACKS = [
    Attack(
        "os-exit-in-a-cell",
        PROCESSES,
        "a cell ends the process, so that no check is run",
        first="import os\nos._exit(0)",
        says="os._exit",
    ),
    Attack(
        "os-exit-in-a-function",
        PROCESSES,
        "every tested function ends the process",
        cells=functions("import os\nos._exit(0)", EXERCISES),
        says="os._exit",
    ),
    Attack(
        "kill-everybody",
        PROCESSES,
        "the parent, all processes, and then the process group are killed",
        first="""
import os, signal, time
for target, kinds in (
    *((target, (signal.SIGSTOP, signal.SIGKILL)) for target in (os.getppid(), 1, -1)), (0, (signal.SIGKILL,))
):
    for kind in kinds:
        try:
            os.kill(target, kind)
        except OSError:
            pass
    time.sleep(0.1)
""",
        stock=False,
        alone=True,
    ),
    Attack(
        "kill-in-a-function",
        PROCESSES,
        "a tested function kills its parent and itself",
        cells=functions("import os\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)"),
        stock=False,
    ),
    Attack(
        "children-left-behind",
        PROCESSES,
        "children that have left group and session, and ignore all signals, go on for ever",
        first=f"""
import ctypes, os, signal, time
for number in range(6):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            {NAMED}
            for kind in range(1, 65):
                try:
                    signal.signal(kind, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            while True:
                time.sleep(60)
        os._exit(0)
""",
        stock=False,
        alone=True,
    ),
    Attack(
        "fork-bomb",
        PROCESSES,
        "a fork bomb",
        first=f"import ctypes, os\n{NAMED}\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        stock=False,
        alone=True,
    ),
    Attack(
        "thread-bomb",
        PROCESSES,
        "a thousand threads that never end",
        first="""
import threading, time
for number in range(1000):
    threading.Thread(target=time.sleep, args=(10_000,)).start()
""",
        stock=False,
    ),
    Attack(
        "deaf-to-signals",
        PROCESSES,
        "all signals are blocked and the timer is taken away before an endless loop",
        first=TIED + "signal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass",
        says="could not be interrupted",
        stock=False,
    ),
    Attack(
        "stopped",
        PROCESSES,
        "the process stops itself, and never answers",
        cells={
            "filters_to_keep": "def filters_to_keep(*args):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGSTOP)"
        },
        stock=False,
    ),
    Attack(
        "traced",
        PROCESSES,
        "the parent and all other processes are attached to, and written into",
        first=LIBC
        + """
for pid in {1, os.getppid(), *range(2, 50)} - {os.getpid()}:
    if libc.ptrace(16, pid, None, None) == 0:
        print("BREACH: traced", pid)
    if libc.process_vm_readv(pid, None, 0, None, 0, 0) == 0:
        print("BREACH: read", pid)
""",
        stock=False,
    ),
    Attack(
        "crashes",
        PROCESSES,
        "functions read from address 0 and overflow the stack",
        cells={
            "filters_to_keep": "def filters_to_keep(*args):\n    import ctypes\n    ctypes.string_at(0)",
            "narrow_conv": "import sys\ndef narrow_conv(*args):\n    sys.setrecursionlimit(10**9)\n    return narrow_conv(*args)",
            "greedy_l1_norms": "def greedy_l1_norms(*args):\n    import os\n    os.abort()",
        },
    ),
    Attack(
        "dies-again-and-again",
        PROCESSES,
        "cells behave well at first, and end the process whenever they are run again",
        first="""
import os
seen = "BEEN_HERE"
print(os.environ.setdefault(seen, "1"))
""",
        cells=functions("import os\nos._exit(3)", EXERCISES),
        last="import os\nos._exit(1)",
        stock=False,
    ),
    # --- resources
    Attack(
        "memory-bomb",
        RESOURCES,
        "a cell asks for 400 GB",
        first="held = []\nfor number in range(1000):\n    held.append(bytes(400_000_000))",
        says="memory",
        stock=False,
    ),
    Attack(
        "memory-in-children",
        RESOURCES,
        "eight children take 500 MB each, less than the limit of any one of them",
        first="""
import os, time
for number in range(8):
    if os.fork() == 0:
        held = bytearray(b"x") * 500_000_000
        time.sleep(100)
        os._exit(0)
time.sleep(5)
""",
        says="memory",
        stock=False,
    ),
    Attack(
        "memory-without-a-process",
        RESOURCES,
        "files in memory and System V segments, which belong to no process, are filled beyond the limit",
        first=LIBC
        + """
total, block = 0, b"x" * 20_000_000
def more(size):
    global total
    total += size
    if total > 2_500_000_000:
        raise SystemExit("BREACH: 2.5 GB are held")
libc.shmat.restype, libc.shmdt.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for number in range(20):
    try:
        held = os.memfd_create("x")
        for part in range(8):
            more(os.write(held, block))
    except OSError:
        break
for number in range(20):
    segment = libc.shmget(0, 160_000_000, 0o1600)
    if segment < 0:
        break
    place = libc.shmat(segment, None, 0)
    libc.memset(place, 1, 160_000_000)
    libc.shmdt(place)
    more(160_000_000)
""",
        stock=False,
    ),
    Attack(
        "disk-full",
        RESOURCES,
        "all folders that can be written to are filled, with large files and with a million small ones",
        first="""
import os
for place in (".", "/tmp", "/dev/shm"):
    total = 0
    try:
        for number in range(30):
            with open(f"{place}/large-{number}", "wb") as file:
                total += file.write(b"x" * 50_000_000)
    except OSError as error:
        last = error
    if total > 1_000_000_000:
        print("BREACH: 1 GB in", place)
raise last
""",
        says="200 MB",
        stock=False,
        alone=True,
    ),
    Attack(
        "two-gigabytes-of-output",
        RESOURCES,
        "a cell prints 2 GB",
        first="line = 'x' * 999 + '\\n'\nfor number in range(2_000):\n    print(line * 1000)",
        stock=False,
    ),
    Attack(
        "endless-loop-in-a-cell",
        RESOURCES,
        "a cell loops for ever, and catches every exception",
        first="while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        says="could not be interrupted",
        stock=False,
    ),
    Attack(
        "endless-loop-in-a-function",
        RESOURCES,
        "a tested function loops for ever",
        cells=functions("while True:\n    pass", ("filters_to_keep",)),
        says="its tests ran for more than 5 s: an endless loop?",
        stock=False,
    ),
    Attack(
        "endless-calls-back",
        RESOURCES,
        "prune_vgg calls the helpers that it is lent for ever",
        cells={
            "prune_vgg": """
def prune_vgg(network, keep_ratio):
    while type(filter_l1_norms).__mro__[1].__name__ == "Handle":
        filter_l1_norms(torch.zeros(2, 2, 1, 1))
    raise ValueError()
"""
        },
        stock=False,
    ),
    Attack(
        "networks-that-compute-for-ever",
        RESOURCES,
        "networks are given back that pad and enlarge images to terabytes, or compute for years",
        cells={
            "narrow_conv": "def narrow_conv(*args):\n    return nn.Sequential(nn.Conv2d(4, 3, 1, padding=100_000))",
            "narrow_batchnorm": "def narrow_batchnorm(*args):\n    return nn.Sequential(*[nn.Upsample(scale_factor=64)] * 9)",
            "narrow_linear": "def narrow_linear(*args):\n    return nn.Sequential(*[nn.Unflatten(1, (-1, 1))] * 9000)",
            "prune_vgg": """
def prune_vgg(network, keep_ratio):
    network.conv = nn.Conv2d(3, 64, 31, padding=400)
    slow = nn.Sequential(nn.Upsample(scale_factor=8), nn.Conv2d(3, 64, 15, padding=7))
    network.features = nn.Sequential(slow, *[nn.Conv2d(64, 64, 15, padding=7)] * 500)
    return network
""",
        },
        stock=False,
    ),
    Attack(
        "gigantic-tensors",
        RESOURCES,
        "tensors of 10¹² elements that take no memory are given back, of stride 0 and from meta and sparse memory",
        cells={
            "filters_to_keep": "filters_to_keep = lambda *args: torch.ones(1).expand(10**12)",
            "narrow_conv": "narrow_conv = lambda *args: torch.empty(10**12, device='meta')",
            "narrow_batchnorm": "narrow_batchnorm = lambda *args: torch.sparse_coo_tensor([[0]], [1.0], (10**12,))",
            "narrow_linear": "narrow_linear = lambda *args: nn.Parameter(torch.ones(1).expand(10**5, 499))",
            "greedy_l1_norms": "greedy_l1_norms = lambda *args: torch.ones(1).expand(7000, 7000)",
        },
        stock=False,
    ),
    Attack(
        "gigantic-collections",
        RESOURCES,
        "lists of millions, lists that hold themselves, dicts of a million keys, ranges without end are given back",
        first="circle = []\ncircle += [circle, circle]\ndeep = []\nfor number in range(50_000):\n    deep = [deep]",
        cells={
            "filters_to_keep": "filters_to_keep = lambda *args: range(10**15)",
            "narrow_conv": "narrow_conv = lambda *args: {number: [number] for number in range(10**6)}",
            "narrow_batchnorm": "narrow_batchnorm = lambda *args: circle",
            "narrow_linear": "narrow_linear = lambda *args: deep",
            "greedy_l1_norms": "greedy_l1_norms = lambda *args: 1 << 10**8",
        },
        stock=False,
    ),
    Attack(
        "memory-in-sockets",
        RESOURCES,
        "2 GB wait in sockets that nobody reads",
        first="""
import os, socket, time
kept, total = [], 0
done, tell = os.pipe()
for _ in range(5):
    if os.fork():
        continue
    for _ in range(450):
        pair = socket.socketpair()
        kept.append(pair)
        for end in pair:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
            end.setblocking(False)
            try:
                while True:
                    total += end.send(bytes(60_000))
            except BlockingIOError:
                pass
    os.write(tell, b"x")
    time.sleep(60)
full = b""
while len(full) < 5:  # however slow the machine is
    full += os.read(done, 5)
time.sleep(2.5)
print("BREACH: 2 GB are held")
""",
        stock=False,
        says="MB of memory",
    ),
    Attack(
        "files-and-watches",
        RESOURCES,
        "100,000 empty files, and as many inotify instances as the user may have",
        first="""
import ctypes, os
made = 0
try:
    for made in range(100_000):
        os.close(os.open(f"/tmp/{made}", os.O_CREAT))
    print("BREACH: 100,000 files")
except OSError:
    pass
if ctypes.CDLL(None).inotify_init1(0) >= 0:
    print("BREACH: inotify")
""",
        stock=False,
        says="inotify_init1",
    ),
    Attack(
        "arguments-that-grow",
        RESOURCES,
        "functions change what they are given: lists and tensors grow, networks get a million hooks and layers",
        cells={
            "narrow_conv": """
def narrow_conv(conv, outputs, inputs):
    for number in range(300_000):
        conv.register_forward_hook(lambda *_: None)
    outputs.data = torch.ones(1, dtype=torch.int64).expand(10**9)
    return conv
""",
            "narrow_batchnorm": """
def narrow_batchnorm(norm, channels):
    norm.inner = norm.inmost = norm
    return norm
""",
            "narrow_linear": """
def narrow_linear(linear, channels, pixels):
    linear.weight.data = torch.zeros(1).expand(30_000, 30_000)
    return linear
""",
        },
        stock=False,
    ),
    # --- escape
    Attack(
        "namespaces-and-mounts",
        ESCAPE,
        "new namespaces, mounts, another root: everything that would change what is visible",
        first=LIBC
        + """
os.makedirs("new", exist_ok=True)
calls = {
    "unshare": lambda: libc.unshare(0x10000000), "unshare mounts": lambda: libc.unshare(0x00020000),
    "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
    "bind": lambda: libc.mount(b"/", b"new", None, 4096, None),
    "proc": lambda: libc.mount(b"proc", b"/proc", b"proc", 0, None), "umount": lambda: libc.umount2(b"/proc", 2),
    "remount": lambda: libc.mount(None, b"/", None, 32, None), "chroot": lambda: libc.chroot(b"new"),
    "pivot": lambda: libc.syscall(155, b"new", b"new"), "setns": lambda: libc.setns(3, 0),
    "clone": lambda: libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0), "clone3": lambda: libc.syscall(435, b"\\0" * 88, 88),
    "fsopen": lambda: libc.syscall(430, b"tmpfs", 0), "open_tree": lambda: libc.syscall(428, -100, b"/", 1),
    "move_mount": lambda: libc.syscall(429, -100, b"/tmp", -100, b"new", 0),
    "mknod": lambda: libc.mknod(b"disk", 0o60666, 8 << 8), "setuid": lambda: libc.setuid(0),
    "sethostname": lambda: libc.sethostname(b"x", 1), "swapon": lambda: libc.swapon(b"x", 0),
    "init_module": lambda: libc.syscall(175, b"x", 1, b""), "kexec": lambda: libc.syscall(246, 0, 0, 0, 0),
    "reboot": lambda: libc.syscall(169, 0xFEE1DEAD, 672274793, 0), "iopl": lambda: libc.syscall(172, 3),
}
for name, call in calls.items():
    if call() == 0:
        print("BREACH:", name)
""",
        stock=False,
        alone=True,
    ),
    Attack(
        "rare-system-calls",
        ESCAPE,
        "io_uring, BPF, performance events, user faults, keyrings, handles of files, other processes' descriptors",
        first=LIBC
        + """
buffer = ctypes.create_string_buffer(4096)
for number, arguments in {
    425: (8, buffer), 321: (0, buffer, 120), 298: (buffer, 0, -1, -1, 0), 323: (0,), 248: (b"user", b"x", b"y", 1, -4),
    250: (0, -3, 1), 304: (-100, buffer, 0), 438: (3, 0, 0), 310: (1, None, 0, None, 0, 0),
}.items():
    if libc.syscall(number, *arguments) >= 0:
        print("BREACH: system call", number)
""",
        stock=False,
    ),
    Attack(
        "the-machines-devices",
        ESCAPE,
        "the mode (to what it is), the owner and the times of devices are changed, by name and through open descriptors",
        first="""
import os
calls = {"mode": lambda it: os.chmod(it, 0o666), "owner": lambda it: os.chown(it, os.getuid(), os.getgid()),
         "times": os.utime}
for it in ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/tty", *range(64)):
    if isinstance(it, int) and not os.path.exists(f"/dev/fd/{it}") and it > 2:
        continue
    for name, call in calls.items():
        try:
            call(it)
            print("BREACH: changed the", name, "of", it)
        except (OSError, TypeError):
            pass
""",
        stock=False,
    ),
    Attack(
        "network",
        ESCAPE,
        "connections to the internet, to this machine, to name servers, and to sockets of the host",
        first="""
import glob, os, socket
for family, kind, address in [
    (socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 443)), (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 22)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("8.8.8.8", 53)), (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 80)),
    (socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)), (socket.AF_NETLINK, socket.SOCK_RAW, (1, 1)),
]:
    try:
        with socket.socket(family, kind) as line:
            line.settimeout(1)
            line.connect(address)
            if family != socket.AF_NETLINK:
                print("BREACH: connected to", address)
    except OSError:
        pass
try:
    socket.getaddrinfo("example.org", 80)
    print("BREACH: a name was found")
except OSError:
    pass
for place in ("/run", "/var/run", "/tmp", "/dev"):
    for path in glob.glob(place + "/**", recursive=True):
        try:
            socket.socket(socket.AF_UNIX).connect(path)
            print("BREACH:", path)
        except OSError:
            pass
""",
        stock=False,
        alone=True,
    ),
    Attack(
        "kernel-settings",
        ESCAPE,
        "settings of the kernel, control groups and devices are written to",
        first="""
import glob, os
paths = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/dev/sda", "/dev/kmsg",
         "/sys/kernel/uevent_helper", "/dev/fuse", "/dev/kvm", "/dev/net/tun"]
paths += glob.glob("/sys/fs/cgroup/**", recursive=True)[:2000] + glob.glob("/proc/sys/**", recursive=True)[:2000]
for path in paths:
    if os.path.isdir(path):
        continue
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
        print("BREACH: open for writing:", path)
    except OSError:
        pass
""",
        stock=False,
    ),
    Attack(
        "programs-that-give-rights",
        ESCAPE,
        "bubblewrap, sudo, su, unshare, mount and other programs are used to get out",
        first="""
import subprocess
for command in ("sudo -n id -u", "su -c 'id -u' root", "pkexec id -u", "unshare -r id -u", "bwrap --bind / / id -u",
                "mount -t tmpfs none /tmp && echo 0", "nsenter -t 1 -a id -u", "docker run alpine id -u",
                "systemd-run --wait id -u", "crontab -l && echo 0", "at now && echo 0", "chroot / id -u"):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL)
    if done.returncode == 0 and done.stdout.strip().endswith("0"):
        print("BREACH:", command)
""",
        stock=False,
    ),
]
