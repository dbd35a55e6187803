"""Whether bound values are of the types that the arguments are annotated with."""

import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from gin import config as gin_config

from pdtla.training import bindings as bindings_lib
from pdtla.training.config_error import ConfigError

_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, set)


def check_values(used: Iterable[bindings_lib.Binding]) -> None:
    """Finds values that an argument cannot take, before anything is made of them.

    What an object made by the configuration itself (`@X()`) will be is not known.

    Args:
      used: the bindings that reach the program.

    Raises:
      ConfigError: names the macro, or the argument, its type and the value.
    """
    values = bindings_lib.snapshot()
    for binding in sorted(used):
        if binding.is_macro:
            continue
        hint = _hint(binding)
        name, value = _resolved(str(binding), values[binding], values)
        if not _fits(value, hint):
            raise ConfigError(f"{name} must be {_described(hint)}, got {value!r}.")


def _resolved(
    name: str, value: Any, values: Mapping[bindings_lib.Binding, Any]
) -> tuple[str, Any]:
    """Follows macros; the name is that of the last one, which holds the value."""
    seen = set()
    while isinstance(value, gin_config.ConfigurableReference):
        macro = "/".join(value.scopes)
        bound = bindings_lib.Binding(macro, "gin.macro", "value")
        if value.configurable.selector != "gin.macro" or bound not in values:
            break
        if macro in seen:
            raise ConfigError(f"Macro {macro} is bound to itself.")
        seen.add(macro)
        name, value = macro, values[bound]
    return name, value


def _hint(binding: bindings_lib.Binding) -> Any:
    """The type of an argument, that of its default where it has no annotation."""
    fn_or_cls = gin_config._REGISTRY[binding.selector].wrapped
    makers: list[Callable] = [fn_or_cls]
    if inspect.isclass(fn_or_cls):
        inits = [base.__dict__.get("__init__") for base in inspect.getmro(fn_or_cls)]
        makers = [init for init in inits if inspect.isfunction(init)]
    for maker in makers:
        parameter = inspect.signature(maker).parameters.get(binding.parameter)
        if parameter is None:
            continue
        if isinstance(parameter.annotation, str):  # of a module that is not imported
            return Any
        if parameter.annotation is not parameter.empty:
            return parameter.annotation
        if isinstance(parameter.default, bool | float):
            return type(parameter.default) | None
        return Any
    return Any


def _fits(value: Any, hint: Any) -> bool:
    if hint in (Any, object):
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return value in arguments
    if hint is None or hint is types.NoneType:
        return value is None
    if isinstance(value, gin_config.ConfigurableReference):
        return value.evaluate or hint not in (bool, int, float, str)
    if isinstance(hint, types.GenericAlias) or inspect.isclass(hint):
        return _is_a(value, origin or hint, arguments)
    return True


def _is_a(value: Any, kind: type | Callable, arguments: tuple) -> bool:
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and not math.isnan(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (bool, str):
        return isinstance(value, kind)
    if inspect.isclass(kind) and issubclass(kind, Mapping):
        return isinstance(value, dict)
    if inspect.isclass(kind) and issubclass(kind, Collection):
        return isinstance(value, list | tuple) and _items_fit(value, arguments)
    return not isinstance(value, _PLAIN)


def _items_fit(values: Collection, arguments: tuple) -> bool:
    if not arguments:
        return True
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        return all(_fits(value, arguments[0]) for value in values)
    return len(values) == len(arguments) and all(map(_fits, values, arguments))


def _described(hint: Any) -> str:
    if inspect.isclass(hint) and not isinstance(hint, types.GenericAlias):
        return f"of type {hint.__name__}"
    text = str(hint).replace("typing.", "").replace("collections.abc.", "")
    return f"of type {text}"
