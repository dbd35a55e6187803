"""Which gin bindings a program uses, found without building anything.

A program starts at one or a few configurables, its roots. From there, references lead
to every other configurable it can construct. Whatever is bound elsewhere has no effect
on the program; whatever is reached and has no value stops it. Knowing both before any
work starts is worth reading a few private tables of gin (0.5.0, its last release).
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import gin
from gin import config as gin_config

_MACRO = "gin.macro"
_CONSTANT = "gin.constant"


class Binding(NamedTuple):
    """The place of one value in the configuration.

    Attributes:
      scope: scopes joined by "/", or the name of a macro.
      selector: complete name of the configurable, "gin.macro" for a macro.
      parameter: name of the argument, "value" for a macro.
    """

    scope: str
    selector: str
    parameter: str

    @property
    def is_macro(self) -> bool:
        """Whether the binding gives a macro its value."""
        return self.selector == _MACRO

    def __str__(self) -> str:
        if self.is_macro:
            return self.scope
        scope = f"{self.scope}/" if self.scope else ""
        return f"{scope}{short_name(self.selector)}.{self.parameter}"


@dataclasses.dataclass
class Usage:
    """What the roots of a program reach.

    Attributes:
      used: the bindings that reach a constructor or a function.
      required: macros and parameters that are reached and still `%gin.REQUIRED`.
      undefined_macros: macros that are read and never bound.
      missing: `Class.argument` of constructions that lack an argument.
    """

    used: set[Binding] = dataclasses.field(default_factory=set)
    required: set[Binding] = dataclasses.field(default_factory=set)
    undefined_macros: set[str] = dataclasses.field(default_factory=set)
    missing: set[str] = dataclasses.field(default_factory=set)


def snapshot() -> dict[Binding, Any]:
    """Every binding of the current configuration, with its unevaluated value."""
    return {
        Binding(scope, selector, parameter): value
        for (scope, selector), parameters in gin_config._CONFIG.items()
        for parameter, value in parameters.items()
    }


def find_usage(roots: Iterable[Callable[..., Any]]) -> Usage:
    """Follows the references from `roots`, which are called without a scope.

    References without parentheses count as called, in the scope of whoever receives
    them, as a factory passed to `train` is.
    """
    walk = _Walk()
    for root in roots:
        walk.visit_configurable(_registered(root), (), complete=False)
    return walk.usage


def argument_settings(name: str) -> dict[str, str]:
    """Every binding that the value of an argument reaches, as text.

    Args:
      name: of an argument that the current configuration binds without a scope.

    Returns:
      The values by their places as a command line writes them, references not
      followed: what they lead to has places of its own.
    """
    walk = _Walk()
    config = snapshot()
    for binding, value in config.items():
        if binding.parameter == name and not binding.scope:
            walk._visit_value(value, (), (), binding)
    return {str(binding): repr(config[binding]) for binding in walk.usage.used}


def unused_macros(roots: Iterable[Callable[..., Any]]) -> frozenset[str]:
    """Names of the macros that do not reach the roots."""
    used = {binding.scope for binding in find_usage(roots).used}
    macros = {binding.scope for binding in snapshot() if binding.is_macro}
    return frozenset(macros - used)


def short_name(selector: str) -> str:
    """The shortest selector that a command line can use."""
    return gin_config._REGISTRY.minimal_selector(selector)


def selectors() -> list[str]:
    """Complete selectors of everything the parsed files registered."""
    return [selector for selector, _ in gin_config._REGISTRY.items()]


def parameters(selector: str) -> set[str] | None:
    """Names of the arguments of a configurable, or None if it takes any name."""
    fn_or_cls = gin_config._REGISTRY[selector].wrapped
    if not inspect.isclass(fn_or_cls):
        return _named_parameters(fn_or_cls, follow_kwargs=False)
    # A layer forwards **kwargs to its base class, so the bases have the last word.
    names: set[str] = set()
    for base in inspect.getmro(fn_or_cls):
        init = base.__dict__.get("__init__")
        if init is None:
            continue
        found = _named_parameters(init, follow_kwargs=True)
        if found is None:
            return None
        names |= found
    return names - {"self"}


def read_macros(value: Any) -> Iterator[str]:
    """Names of the macros that an unevaluated value reads."""
    for reference in _references(value):
        if reference.configurable.selector == _MACRO:
            yield "/".join(reference.scopes)


class _Walk:
    """Depth-first visit of the configurables that can be constructed."""

    def __init__(self):
        self.usage = Usage()
        self._seen: set[tuple[tuple[str, ...], str]] = set()

    def visit_configurable(
        self, configurable: Any, scope: tuple[str, ...], complete: bool
    ) -> None:
        """Visits what a call in `scope` reads; `complete` if gin makes the call."""
        selector = configurable.selector
        if (scope, selector) in self._seen:
            return
        self._seen.add((scope, selector))
        effective: dict[str, tuple[Binding, Any]] = {}
        for depth in range(len(scope) + 1):  # inner scopes replace outer ones
            partial = "/".join(scope[:depth])
            bound = gin_config._CONFIG.get((partial, selector), {})
            for name, value in bound.items():
                effective[name] = Binding(partial, selector, name), value
        for binding, value in effective.values():
            self.usage.used.add(binding)
            self._visit_value(value, scope, scope, binding)
        if complete:
            for name in sorted(_required_parameters(configurable.wrapped)):
                if name not in effective:
                    self.usage.missing.add(f"{short_name(selector)}.{name}")

    def _visit_value(
        self,
        value: Any,
        scope: tuple[str, ...],
        call_scope: tuple[str, ...],
        binding: Binding,
    ) -> None:
        for reference in _references(value):
            selector = reference.configurable.selector
            if selector == _CONSTANT:
                if reference.scoped_configurable_fn() is gin.REQUIRED:
                    self.usage.required.add(binding)
            elif selector == _MACRO:
                self._visit_macro("/".join(reference.scopes), call_scope)
            else:
                inherited = scope if reference.evaluate else call_scope
                self.visit_configurable(
                    reference.configurable,
                    tuple(reference.scopes) or inherited,
                    complete=reference.evaluate,
                )

    def _visit_macro(self, name: str, call_scope: tuple[str, ...]) -> None:
        bound = gin_config._CONFIG.get((name, _MACRO))
        if bound is None:
            self.usage.undefined_macros.add(name)
            return
        binding = Binding(name, _MACRO, "value")
        visited = (("%", name, *call_scope), _MACRO)
        if visited in self._seen:
            return
        self._seen.add(visited)
        self.usage.used.add(binding)
        # gin evaluates `@X()` in the scope of the macro, while a bare `@X` is called
        # later by whoever receives it.
        self._visit_value(bound["value"], tuple(name.split("/")), call_scope, binding)


def _registered(root: Callable[..., Any]) -> Any:
    configurable = gin_config._inverse_lookup(root)
    if configurable is None:
        gin.external_configurable(root)
        configurable = gin_config._inverse_lookup(root)
    return configurable


def _references(value: Any) -> Iterator[Any]:
    if isinstance(value, gin_config.ConfigurableReference):
        yield value
    elif isinstance(value, Mapping):
        for item in (*value.keys(), *value.values()):
            yield from _references(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _references(item)


def _construction_function(fn_or_cls: Any) -> Callable[..., Any]:
    if inspect.isclass(fn_or_cls):
        return gin_config._find_class_construction_fn(fn_or_cls)
    return fn_or_cls


def _named_parameters(fn: Callable[..., Any], follow_kwargs: bool) -> set[str] | None:
    try:
        signature = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return None
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature)
    if open_ended and not follow_kwargs:
        return None
    return {
        p.name for p in signature if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }


def _required_parameters(fn_or_cls: Any) -> set[str]:
    try:
        signature = inspect.signature(_construction_function(fn_or_cls)).parameters
    except (TypeError, ValueError):
        return set()
    return {
        p.name
        for p in signature.values()
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and p.name != "self"
    }
