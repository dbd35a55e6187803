"""Imports go one way, and the BUILD files say the same."""

import ast
import functools
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("pdtla", "launch", "benchmarks", "tests")
# What a package may import stands before it; packages of one line know nothing of
# each other.
ORDER = [
    ["//pdtla"],
    ["//pdtla:specs", "//pdtla:replica", "//pdtla:error_text"],
    ["//pdtla:stage"],
    ["//pdtla/environments", "//pdtla/layers"],
    ["//pdtla/experts"],
    ["//pdtla/datasets"],
    ["//pdtla/latent_actions"],
    ["//pdtla/policies"],
    ["//pdtla/analysis"],
    ["//pdtla/rollouts"],
    ["//pdtla/export"],
    ["//pdtla/training"],
    ["//pdtla/online"],
    ["//launch"],
    ["//benchmarks"],
]
RANKS = {label: rank for rank, labels in enumerate(ORDER) for label in labels}


def imported_modules(path):
    """Dotted names that a file imports; the repository's own, down to their files."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"Relative import in {path}."
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@functools.cache
def libraries():
    """Libraries by label: their files and their declared dependencies."""
    found = {}
    for build in [file for top in FOLDERS for file in (ROOT / top).glob("**/BUILD")]:
        package = "//" + build.parent.relative_to(ROOT).as_posix()
        for call in ast.walk(ast.parse(build.read_text())):
            rule = getattr(getattr(call, "func", None), "id", None)
            if rule not in ("py_library", "pytest_tests"):
                continue
            arguments = {argument.arg: argument.value for argument in call.keywords}
            name = "helpers"
            files = set(build.parent.glob("*.py"))
            if rule == "py_library":
                name = arguments["name"].value
                files = source_files(build.parent, arguments["srcs"])
            dependencies = ast.literal_eval(arguments.get("deps", ast.List(elts=[])))
            found[label(package, name)] = (
                files,
                {absolute_label(package, text) for text in dependencies},
            )
    return found


def source_files(folder, expression):
    if isinstance(expression, ast.Call):  # glob([...])
        patterns = ast.literal_eval(expression.args[0])
        return {path for pattern in patterns for path in folder.glob(pattern)}
    return {folder / name for name in ast.literal_eval(expression)}


def label(package, name):
    return package if package.rpartition("/")[2] == name else f"{package}:{name}"


def absolute_label(package, text):
    package, _, name = (package + text if text[0] == ":" else text).partition(":")
    return label(package, name or package.rpartition("/")[2])


@functools.cache
def labels_of_files():
    return {file: name for name, (files, _) in libraries().items() for file in files}


def library_of(module):
    """The library that a dotted name is part of; None for other people's."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path, path.parent):
        for file in (candidate.with_suffix(".py"), candidate / "__init__.py"):
            if file in labels_of_files():
                return labels_of_files()[file]
    return helpers().get(module.partition(".")[0])


@functools.cache
def helpers():
    """Libraries of the modules in folders of tests, which import them by bare name."""
    return {
        file.stem: name
        for file, name in labels_of_files().items()
        if name.startswith("//tests/")
    }


def used_libraries(name):
    """What a library's files import, and the package that they are within."""
    files, _ = libraries()[name]
    modules = {module for file in files for module in imported_modules(file)}
    used = {library_of(module) for module in modules}
    if name.startswith("//pdtla"):
        used.add("//pdtla")  # imported before anything in it
    return used - {None, name}


def test_every_file_is_in_one_library():
    files = {file for top in FOLDERS for file in (ROOT / top).glob("**/*.py")}
    assert not files - set(labels_of_files())
    sizes = sum(len(files) for files, _ in libraries().values())
    assert sizes == len(labels_of_files())


@pytest.mark.parametrize("name", sorted(RANKS))
def test_imports_go_one_way(name):
    wrong = {used for used in used_libraries(name) if RANKS[used] >= RANKS[name]}
    assert not wrong, f"{name} stands before {wrong} and may not import from there."


def test_nothing_in_the_library_stands_outside_the_order():
    inside = {name for name in libraries() if not name.startswith("//tests")}
    assert inside == set(RANKS)


@pytest.mark.parametrize("name", sorted(libraries()))
def test_build_file_states_the_imports(name):
    _, declared = libraries()[name]
    used = used_libraries(name)
    assert declared == used, (
        f"{name}: add {sorted(used - declared)}, remove {sorted(declared - used)}."
    )


def test_training_knows_no_particular_stage():
    reached, open_ = set(), ["//pdtla/training"]
    while open_:
        new = used_libraries(open_.pop()) - reached
        reached |= new
        open_ += new
    assert not reached & {"//pdtla/latent_actions", "//pdtla/policies"}


def test_layers_know_keras_and_numpy_alone():
    files, _ = libraries()["//pdtla/layers"]
    roots = {m.partition(".")[0] for file in files for m in imported_modules(file)}
    assert roots - sys.stdlib_module_names <= {"keras", "numpy", "pdtla"}
    allowed = {"//pdtla", "//pdtla:replica", "//pdtla:specs"}
    assert used_libraries("//pdtla/layers") <= allowed


def requirements(name):
    text = re.sub(r"\s*#.*", "", (ROOT / name).read_text())
    return {line for line in text.splitlines() if line}


def test_accelerators_need_the_same_but_tensorflow():
    cpu, gpu = requirements("requirements.txt"), requirements("requirements-gpu.txt")
    (on_cpu,), (on_gpu,) = cpu - gpu, gpu - cpu
    assert on_cpu.replace("-cpu", "") == on_gpu.replace("[and-cuda]", "")
    assert all("==" in line for line in cpu)
