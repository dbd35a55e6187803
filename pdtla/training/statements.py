"""Gin statements as text, read without resolving what they refer to."""

from collections.abc import Iterator
from typing import NamedTuple

from gin import config_parser


class Statement(NamedTuple):
    """One binding.

    Attributes:
      scope: scopes joined by "/", or empty.
      selector: the configurable as it was written, or the name of a macro.
      parameter: name of the argument, empty for a macro.
      value: the value as gin writes it.
    """

    scope: str
    selector: str
    parameter: str
    value: str

    @property
    def name(self) -> str:
        """The left side of the statement."""
        scope = f"{self.scope}/" if self.scope else ""
        parameter = f".{self.parameter}" if self.parameter else ""
        return f"{scope}{self.selector}{parameter}"


def read_bindings(text: str) -> Iterator[Statement]:
    """The bindings of a configuration, in order.

    Raises:
      SyntaxError: the text is not gin.
    """
    for statement in config_parser.ConfigParser(text, _TextDelegate()):
        if isinstance(statement, config_parser.BindingStatement):
            scope, selector, parameter, value, _ = statement
            yield Statement(scope, selector, parameter, repr(value))


class _TextDelegate(config_parser.ParserDelegate):
    """Leaves references and macros as they are written."""

    def configurable_reference(self, scoped_selector, evaluate):
        return _Verbatim(f"@{scoped_selector}{'()' if evaluate else ''}")

    def macro(self, name):
        return _Verbatim(f"%{name}")


class _Verbatim(str):
    """Shown without quotes, so that a reference differs from a string."""

    def __repr__(self) -> str:
        return str(self)
