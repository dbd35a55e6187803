"""Checks of a parsed configuration: every mistake found, with the nearest names."""

import pathlib
import re
import sys
from typing import Any

import gin

from pdtla.training import bindings as bindings_lib
from pdtla.training.config_error import ConfigError, nearest, one_line

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BASE_FILE = "gin/base.gin"

_MACRO_BOUND = re.compile(r"^([A-Z][A-Z0-9_]*)\s*=", re.MULTILINE)
_MACRO_READ = re.compile(r"%([A-Z][A-Z0-9_]*)")


def check_parameters() -> None:
    """Finds misspelt arguments of classes that forward **kwargs to a base class."""
    for binding in bindings_lib.snapshot():
        names = bindings_lib.parameters(binding.selector)
        if names is not None and binding.parameter not in names:
            raise ConfigError(unknown_parameter(binding.selector, binding.parameter))


def check_macros(
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


def check_usage(
    usage: bindings_lib.Usage, given: dict[bindings_lib.Binding, str]
) -> None:
    """Finds values that are missing, and command-line bindings without effect."""
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


def explain(error: BaseException) -> str:
    """One line for an error of gin's parser, with suggestions where there are any."""
    line = one_line(error)
    parameter = re.search(
        r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'", line
    )
    if parameter:
        selector = gin.config._REGISTRY.get_match(parameter[1])
        if selector is not None:
            found = unknown_parameter(selector.selector, parameter[2])
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


def unknown_parameter(selector: str, parameter: str) -> str:
    """The message about a parameter that a configurable does not have."""
    names = bindings_lib.parameters(selector) or set()
    return (
        f"{bindings_lib.short_name(selector)} has no parameter {parameter!r}."
        f"{nearest(parameter, names)}"
    )
