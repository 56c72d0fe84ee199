"""The style of the code as a test: what a reader may rely on in every file."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSES = ("schemas", "dialects", "bus", "stores", "gateway", "workers", "console", "cli", "deploy", "bench")

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 60
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|common|helpers?|managers?|misc|v\d+)$")
FORBIDDEN_CLASSES = re.compile(r"(Util|Helper|Manager|V\d+)s?$")
FORBIDDEN_MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
THIS = Path(__file__)


@cache
def tracked() -> tuple[Path, ...]:
    """Files of the project: those git knows, and new ones it does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return tuple(path for name in sorted(filter(None, listed.split("\0"))) if (path := ROOT / name).is_file())


@cache
def trees() -> dict[str, tuple[str, ast.Module]]:
    """Text and syntax tree of every Python file, by its path from the root."""
    sources = {name_of(path): path.read_text() for path in tracked() if path.suffix == ".py"}
    return {name: (text, ast.parse(text)) for name, text in sources.items()}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_files_are_short() -> None:
    lengths = {name: len(text.splitlines()) for name, (text, _) in trees().items()}
    assert {name: length for name, length in lengths.items() if length > FILE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}"
        for name, (_, tree) in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS) and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_file_says_what_it_is() -> None:
    ours = {name: tree for name, (_, tree) in trees().items() if Path(name).parts[0] in HOUSES}
    silent = [name for name, tree in ours.items() if not ast.get_docstring(tree)]
    assert silent == []


def test_nothing_is_left_to_be_done() -> None:
    marked = [name for name, (text, _) in trees().items() if FORBIDDEN_MARKS.search(text)]
    assert marked == [name_of(THIS)]


def test_names_say_something() -> None:
    vague = []
    for name, (_, tree) in trees().items():
        path = Path(name)
        vague += [name for part in (*path.parts[:-1], path.stem) if FORBIDDEN_NAMES.search(part)]
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS) and FORBIDDEN_NAMES.search(node.name):
                vague.append(f"{name}:{node.lineno} {node.name}")
            if isinstance(node, ast.ClassDef) and FORBIDDEN_CLASSES.search(node.name):
                vague.append(f"{name}:{node.lineno} {node.name}")
    assert vague == []


def test_every_house_is_a_package_of_its_own() -> None:
    folders = {Path(name).parent for name in trees() if Path(name).parts[0] in HOUSES}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


def test_committed_files_name_no_machine() -> None:
    places = ("/" + "work/", "/" + "root/", "/home/" + "runner")
    texts = {name_of(path): path.read_text(errors="replace") for path in tracked() if path.suffix != ".mmdb"}
    assert [f"{name}: {place}" for name, text in texts.items() for place in places if place in text] == []
