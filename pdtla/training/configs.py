"""Command-line configuration: gin files, bindings, and errors before any work.

    python -m launch.train --gin_file=gin/stages/bc.gin --gin.ENV_ID=bigfish

Values are taken from `gin/base.gin`, then from every `--gin_file` in order, then from
`--gin_bindings` and `--gin.NAME=VALUE`; the last one wins. A file may bind what this
program does not use, for one file serves several stages. What the command line binds
must be used.
"""

import ast
import os
import pathlib
import sys
import tokenize
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import gin
from absl import app, flags, logging

from pdtla.training import bindings as bindings_lib
from pdtla.training import config_checks, statements, value_checks
from pdtla.training.config_checks import BASE_FILE, REPOSITORY
from pdtla.training.config_error import ConfigError, RunError, nearest, one_line

_PREFIX = "--gin."
_PARSE_ERRORS = (
    ValueError,
    SyntaxError,
    NameError,
    AttributeError,
    ImportError,
    OSError,
    RuntimeError,
    tokenize.TokenError,
)


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
        f"--gin_bindings={binding(argument.removeprefix(_PREFIX))}"
        if argument.startswith(_PREFIX)
        else argument
        for argument in arguments
    ]


def binding(assignment: str) -> str:
    """The gin statement of a `NAME=VALUE`, as after `--gin.`.

    Raises:
      ConfigError: there is no "=".
    """
    name, equals, value = assignment.partition("=")
    if not equals:
        raise ConfigError(f"Write --gin.NAME=VALUE, got {_PREFIX + assignment!r}.")
    return f"{name.strip()} = {_literal(value.strip())}"


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
        is not set, a value is of a wrong type, or a binding of the command line has no
        effect.
    """
    gin.clear_config()
    for file in ([base_file] if base_file else []) + list(files):
        _parse_file(file)
    in_files = bindings_lib.snapshot()
    given = _parse_bindings(bindings)
    config_checks.check_parameters()
    config_checks.check_macros(in_files, given)
    usage = bindings_lib.find_usage(roots)
    config_checks.check_usage(usage, given)
    value_checks.check_values(usage.used)
    return usage


def run_main(main: Callable[[list[str]], Any]) -> NoReturn:
    """Runs `main` under absl; a `ConfigError` ends in one line and exit status 2.

    So do wrong flags. A `RunError` ends in one line as well, and exit status 1.
    """

    def guarded(argv: list[str]) -> Any:
        logging.set_verbosity(max(logging.get_verbosity(), logging.INFO))
        # TensorFlow reports the microseconds of every checkpoint.
        logging.get_absl_logger().addFilter(lambda r: r.module != "functional_saver")
        try:
            return main(argv)
        except (ConfigError, RunError, app.UsageError) as error:
            logging.debug("Where the error arose:", exc_info=True)
            _fail(error, status=1 if isinstance(error, RunError) else 2)

    try:
        _check_backend()
        argv = rewrite_gin_arguments(sys.argv)
    except ConfigError as error:
        _fail(error)
    app.run(guarded, argv=argv, flags_parser=_parse_flags)
    raise SystemExit(0)


def _check_backend() -> None:
    if (backend := os.environ["KERAS_BACKEND"]) != "tensorflow":
        raise ConfigError(
            f"PDTLA_KERAS_BACKEND is {backend!r}: programs run under 'tensorflow', "
            "pdtla.layers alone under another one."
        )


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _fail(error)


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
        raise ConfigError(config_checks.explain(error)) from error


def _parse_bindings(texts: Sequence[str]) -> dict[bindings_lib.Binding, str]:
    """Binds the statements of the command line; returns each with its text."""
    given: dict[bindings_lib.Binding, str] = {}
    for text in texts:
        try:
            gin.parse_config(text)
            for statement in statements.read_bindings(text):
                given[_locate(statement)] = text
        except _PARSE_ERRORS as error:
            raise ConfigError(
                f"{config_checks.explain(error)} (in {text!r})"
            ) from error
    return given


def _locate(statement: statements.Statement) -> bindings_lib.Binding:
    if not statement.parameter:
        return bindings_lib.Binding(statement.name, "gin.macro", "value")
    configurable = gin.config._REGISTRY.get_match(statement.selector)
    return bindings_lib.Binding(
        statement.scope, configurable.selector, statement.parameter
    )


def _fail(error: BaseException, status: int = 2) -> NoReturn:
    sys.stderr.write(f"error: {one_line(error)}\n")
    raise SystemExit(status)
