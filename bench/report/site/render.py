"""Templates filled in: everything that isn't markup of ours is escaped, and data in a page can't end their script."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report import wording
from bench.store import write_text

HERE = Path(__file__).parent
TEMPLATES, STATIC = HERE / "templates", HERE / "static"
# what could end a script element, begin a comment in it, or end a line of JavaScript before ES2019
_UNSAFE = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


@cache
def environment() -> Environment:
    """Jinja with everything escaped; a name that a template uses and nobody gave is an error, not a blank.

    Filters: `number(places)`, `seconds`, `count` (1,670,755), `address` (a path in a link), `file_name`, `slug` and
    `json`.
    """
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "number": wording.number,
        "seconds": wording.seconds,
        "count": count,
        "address": address,
        "file_name": file_name,
        "json": inline_json,
        "slug": slug,
    }
    made.globals |= {"here": "", "description": ""}
    return made


def render(name: str, **values: Any) -> str:
    """The template `name` with these values. Pages that build on `base.html.j2` need `root`, `nav` and `run`.

    Args:
        root: the way from the page to the site's top: "" or "../".
        nav: (address from the top, label); those below `tasks/` and `samples/` are shown as two lists.
        run: the run's name.
        here: the page's own address from the top, which its link in `nav` is marked by; optional.
        description: for search engines and previews; optional.
    """
    return environment().get_template(name).render(**values)


def write_page(path: Path, name: str, **values: Any) -> Path:
    """`render`, written whole or not at all. Lone surrogates, which UTF-8 can't hold, show as the replacement mark."""
    text = render(name, **values).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    write_text(path, text)
    return path


def inline_json(value: Any) -> Markup:
    """JSON for inside a `<script>` element, and only there; NaN and infinities become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_finite(each) for each in value]
    return value


def count(value: float) -> str:
    """`1,670,755`; "-" for what is not there."""
    return "-" if math.isnan(value) or not value else f"{value:,.0f}"


def slug(text: str) -> str:
    """`diversity-and-novelty`: words as one word, as for a class in CSS."""
    return re.sub(r"\W+", "-", text)


def address(path: str) -> str:
    """A relative path as a link's address: nothing in it can be taken for a scheme, a query or a fragment."""
    return quote(path, safe="/")


def file_name(name: str) -> str:
    """`name` if it can be a file's name anywhere, else the nearest that can, with a hash that keeps two apart."""
    safe = re.sub(r"[^0-9A-Za-z._-]", "_", name).lstrip(".")
    return safe if safe == name else f"{safe[:80]}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"


def write_assets(out: Path) -> None:
    """All of `static/`, once, into `assets/`."""
    for path in sorted(STATIC.iterdir()):
        write_text(out / "assets" / path.name, path.read_text(encoding="utf-8"))
