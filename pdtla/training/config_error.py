"""`ConfigError`, `RunError`, and how errors are put in one line for a person."""

import difflib
import re
from collections.abc import Iterable

from pdtla import error_text


class ConfigError(ValueError):
    """The run was asked for wrongly; the message is one line, meant for the user."""


class RunError(Exception):
    """A run cannot go on; the message is one line, meant for the user."""


def one_line(error: BaseException) -> str:
    """The first line of an error's message, with what of gin's it names.

    That is a file and its line, or what could not be made.
    """
    message = str(error)
    first = error_text.first_line(error)
    where = re.search(r'In (?:file "(?P<file>[^"]+)", line (?P<line>\d+))', message)
    if where and where["file"] not in first:
        first = f"{first} ({where['file']}:{where['line']})"
    made = re.search(r"In call to configurable '([^']+)'", message)
    if made and made[1] not in ("train", *re.findall(r"\w+", first)):
        first = f"{first} (in {made[1]})"
    return first


def nearest(name: str, names: Iterable[str]) -> str:
    """A sentence that suggests the names closest to `name`, or nothing."""
    by_lower = {candidate.lower(): candidate for candidate in sorted(names)}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if not matches:
        return ""
    return f" Did you mean {' or '.join(by_lower[match] for match in matches)}?"
