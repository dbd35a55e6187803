"""Command-line configuration: gin files, bindings, and errors before any work.

    python -m launch.train --gin_file=gin/stages/bc.gin --gin.ENV_ID=bigfish

Values are taken from `gin/base.gin`, then from every `--gin_file` in order, then from
`--gin_bindings` and `--gin.NAME=VALUE`; the last one wins. A file may bind what this
program does not use, for one file serves several stages. What the command line binds
must be used.
"""

import ast
import difflib
import pathlib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging

import gin
from pdtla.training import bindings as bindings_lib
from pdtla.training import statements

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BASE_FILE = "gin/base.gin"

_PREFIX = "--gin."
_PARSE_ERRORS = (
    ValueError,
    SyntaxError,
    NameError,
    AttributeError,
    ImportError,
    OSError,
    RuntimeError,
)
_MACRO_BOUND = re.compile(r"^([A-Z][A-Z0-9_]*)\s*=", re.MULTILINE)
_MACRO_READ = re.compile(r"%([A-Z][A-Z0-9_]*)")


class ConfigError(ValueError):
    """The run was asked for wrongly; the message is one line, meant for the user."""


def define_flags() -> None:
    """Defines `--gin_file`, `--gin_bindings` and `--dry_run`."""
    flags.DEFINE_multi_string(
        "gin_file", [], "Gin file, relative to the repository; the last one wins."
    )
    flags.DEFINE_multi_string(
        "gin_bindings", [], "Binding that replaces those of the files: 'NAME = VALUE'."
    )
    flags.DEFINE_bool(
        "dry_run", False, "Print the resolved configuration and do no work."
    )


def rewrite_gin_arguments(arguments: Sequence[str]) -> list[str]:
    """Turns every `--gin.NAME=VALUE` into a `--gin_bindings` argument.

    Numbers, tuples, dicts, quoted strings, True, False, None, `@references` and
    `%macros` keep their meaning; true and false are taken as True and False; any
    other value is a string.

    Raises:
      ConfigError: an argument has no "=".
    """
    return [
        f"--gin_bindings={_binding(argument)}"
        if argument.startswith(_PREFIX)
        else argument
        for argument in arguments
    ]


def parse_gin(
    files: Sequence[str],
    bindings: Sequence[str],
    *,
    roots: Iterable[Callable[..., Any]],
    base_file: str | None = BASE_FILE,
) -> bindings_lib.Usage:
    """Reads the configuration of a program and checks it as a whole.

    Args:
      files: gin files, found from the working directory or the repository root.
      bindings: `NAME = VALUE` statements of the command line.
      roots: the configurables that the program calls.
      base_file: file with the defaults, read first; None for none.

    Returns:
      What the roots reach.

    Raises:
      ConfigError: a file, selector, parameter or macro is unknown, a required value
        is not set, or a binding of the command line has no effect.
    """
    gin.clear_config()
    for file in ([base_file] if base_file else []) + list(files):
        _parse_file(file)
    in_files = bindings_lib.snapshot()
    given = _parse_bindings(bindings)
    _check_parameters()
    _check_macros(in_files, given)
    usage = bindings_lib.find_usage(roots)
    _check_usage(usage, given)
    return usage


def run_main(main: Callable[[list[str]], Any]) -> NoReturn:
    """Runs `main` under absl; a `ConfigError` ends in one line and exit status 2."""

    def guarded(argv: list[str]) -> Any:
        logging.set_verbosity(max(logging.get_verbosity(), logging.INFO))
        # TensorFlow reports the microseconds of every checkpoint.
        logging.get_absl_logger().addFilter(lambda r: r.module != "functional_saver")
        try:
            return main(argv)
        except ConfigError as error:
            logging.debug("Where the error arose:", exc_info=True)
            _fail(error)

    try:
        argv = rewrite_gin_arguments(sys.argv)
    except ConfigError as error:
        _fail(error)
    app.run(guarded, argv=argv)
    raise SystemExit(0)


def one_line(error: BaseException) -> str:
    """The first line of an error's message, with the gin file and line it names."""
    message = str(error).strip() or type(error).__name__
    first, *rest = message.splitlines()
    where = re.search(r'In (?:file "(?P<file>[^"]+)", line (?P<line>\d+))', message)
    if rest and where and where["file"] not in first:
        first = f"{first} ({where['file']}:{where['line']})"
    return first


def nearest(name: str, names: Iterable[str]) -> str:
    """A sentence that suggests the names closest to `name`, or nothing."""
    by_lower = {candidate.lower(): candidate for candidate in sorted(names)}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if not matches:
        return ""
    return f" Did you mean {' or '.join(by_lower[match] for match in matches)}?"


def _binding(argument: str) -> str:
    name, equals, value = argument.removeprefix(_PREFIX).partition("=")
    if not equals:
        raise ConfigError(f"Write --gin.NAME=VALUE, got {argument!r}.")
    return f"{name.strip()} = {_literal(value.strip())}"


def _literal(value: str) -> str:
    if value.lower() in ("true", "false"):
        return value.capitalize()
    try:
        return repr(ast.literal_eval(value))
    except (ValueError, SyntaxError):
        pass
    if value.startswith(("@", "%", "(", "[", "{")):
        return value
    return repr(value)


def _parse_file(file: str) -> None:
    path = pathlib.Path(file)
    candidates = [path, REPOSITORY / path]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        available = [
            str(known.relative_to(REPOSITORY))
            for known in sorted((REPOSITORY / "gin").rglob("*.gin"))
        ]
        raise ConfigError(f"No gin file {file!r}.{nearest(file, available)}")
    if str(REPOSITORY) not in gin.config._LOCATION_PREFIXES:
        gin.add_config_file_search_path(str(REPOSITORY))  # for include statements
    try:
        gin.parse_config_file(str(found.resolve()))
    except _PARSE_ERRORS as error:
        raise ConfigError(_explain(error)) from error


def _parse_bindings(texts: Sequence[str]) -> dict[bindings_lib.Binding, str]:
    """Binds the statements of the command line; returns each with its text."""
    given: dict[bindings_lib.Binding, str] = {}
    for text in texts:
        try:
            gin.parse_config(text)
            for statement in statements.read_bindings(text):
                given[_locate(statement)] = text
        except _PARSE_ERRORS as error:
            raise ConfigError(f"{_explain(error)} (in {text!r})") from error
    return given


def _locate(statement: statements.Statement) -> bindings_lib.Binding:
    if not statement.parameter:
        return bindings_lib.Binding(statement.name, "gin.macro", "value")
    configurable = gin.config._REGISTRY.get_match(statement.selector)
    return bindings_lib.Binding(
        statement.scope, configurable.selector, statement.parameter
    )


def _check_parameters() -> None:
    """Finds misspelt arguments of classes that forward **kwargs to a base class."""
    for binding in bindings_lib.snapshot():
        names = bindings_lib.parameters(binding.selector)
        if names is not None and binding.parameter not in names:
            raise ConfigError(_unknown_parameter(binding.selector, binding.parameter))


def _check_macros(
    in_files: dict[bindings_lib.Binding, Any], given: dict[bindings_lib.Binding, str]
) -> None:
    """Finds macros that nobody declares or reads: misspelt ones."""
    declared = {binding.scope for binding in in_files if binding.is_macro}
    read = {
        name
        for value in bindings_lib.snapshot().values()
        for name in bindings_lib.read_macros(value)
    }
    for binding, text in given.items():
        if binding.is_macro and binding.scope not in declared | read:
            raise ConfigError(
                f"Unknown macro {binding.scope} in {text!r}."
                f"{nearest(binding.scope, declared | read)}"
            )
    public = _public_macros()
    for name in sorted(declared - read - public):
        if "/" not in name and name.isupper():
            raise ConfigError(
                f"Macro {name} is bound in a gin file, but nothing reads it."
                f"{nearest(name, (declared | read | public) - {name})}"
            )


def _public_macros() -> set[str]:
    """Macros that the repository's own files declare or read, this run's or not."""
    names: set[str] = set()
    for file in (REPOSITORY / "gin").rglob("*.gin"):
        text = file.read_text()
        names.update(_MACRO_READ.findall(text))
        if file == REPOSITORY / BASE_FILE:
            names.update(_MACRO_BOUND.findall(text))
    return names


def _check_usage(
    usage: bindings_lib.Usage, given: dict[bindings_lib.Binding, str]
) -> None:
    for name in sorted(usage.undefined_macros):
        known = {b.scope for b in bindings_lib.snapshot() if b.is_macro}
        raise ConfigError(f"Macro {name} is read but not set.{nearest(name, known)}")
    if usage.required:
        names = sorted(str(binding) for binding in usage.required)
        raise ConfigError(
            f"{', '.join(names)} must be set, for instance --gin.{names[0]}=VALUE."
        )
    for argument in sorted(usage.missing):
        raise ConfigError(f"{argument} has no default and is not bound.")
    for binding, text in given.items():
        if binding not in usage.used:
            raise ConfigError(f"{text!r} has no effect: this run never uses {binding}.")


def _explain(error: BaseException) -> str:
    """One line for an error of gin's parser, with suggestions where there are any."""
    line = one_line(error)
    parameter = re.search(
        r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'", line
    )
    if parameter:
        selector = gin.config._REGISTRY.get_match(parameter[1])
        if selector is not None:
            found = _unknown_parameter(selector.selector, parameter[2])
            return line.replace(parameter[0] + ".", found)
    unknown = re.search(r"No configurable matching (?:reference )?'@?([^'(]+)", line)
    if unknown:
        known = {s.rsplit(".", 1)[-1] for s in bindings_lib.selectors()}
        return line + nearest(unknown[1].rsplit(".", 1)[-1], known)
    attribute = re.search(r"<module '([^']+)'.* has no attribute (\w+)", line)
    if attribute:
        names = [n for n in dir(sys.modules[attribute[1]]) if not n.startswith("_")]
        return f"{attribute[1]} has no {attribute[2]}.{nearest(attribute[2], names)}"
    return line


def _unknown_parameter(selector: str, parameter: str) -> str:
    names = bindings_lib.parameters(selector) or set()
    return (
        f"{bindings_lib.short_name(selector)} has no parameter {parameter!r}."
        f"{nearest(parameter, names)}"
    )


def _fail(error: BaseException) -> NoReturn:
    sys.stderr.write(f"error: {one_line(error)}\n")
    raise SystemExit(2)
