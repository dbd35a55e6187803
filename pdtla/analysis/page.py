"""Self-contained HTML pages from the templates of this package."""

import base64
import pathlib
from typing import Any

import jinja2
import markupsafe


def render(template: str, **values: Any) -> str:
    """The text of a page.

    Args:
      template: name of a file in `templates`.
      **values: what the template names.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = format_number
    environment.filters["duration"] = format_duration
    environment.filters["decimals"] = "{:.2f}".format
    return environment.get_template(template).render(**values)


def format_number(value: Any) -> str:
    """Two decimals, more for what would vanish; other things as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def format_duration(seconds: float) -> str:
    """Seconds as a person reads them: 4.2 s, 3 min 20 s, 1 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def data_uri(data: bytes, media_type: str) -> markupsafe.Markup:
    """A file as the address of itself, for a page that needs no other."""
    encoded = base64.b64encode(data).decode()
    return markupsafe.Markup(f"data:{media_type};base64,{encoded}")
