"""The settings of a run as numbers and words, for tables that compare runs."""

from collections.abc import Callable
from typing import Any

from pdtla.training import bindings


def hyperparameters(root: Callable[..., Any]) -> dict[str, bool | int | float | str]:
    """The UPPER_CASE macros of the current configuration that reach `root`.

    Every run of a stage gets the same names, whether their values are defaults or not,
    so that a table of several runs has no gaps. What is no number, truth value or
    string is given as gin writes it.
    """
    used = {binding for binding in bindings.find_usage([root]).used if binding.is_macro}
    return {
        binding.scope: value
        if isinstance(value, bool | int | float | str)
        else str(value)
        for binding, value in sorted(bindings.snapshot().items())
        if binding in used and binding.scope.isupper()
    }
