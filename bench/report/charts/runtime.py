"""What draws the charts in a page: Vega, Vega-Lite and Vega-Embed as one script, from the package that is installed."""

from __future__ import annotations

from pathlib import Path

from bench.store import write_text

VEGA_LITE = "6.4"  # the version of the specifications, for the page and for stills
SNIPPET = "window.vegaEmbed = vegaEmbed;\n"
HEAD = (
    "// Vega, Vega-Lite and Vega-Embed, BSD 3-Clause, (c) University of Washington Interactive Data Lab and others.\n"
)


def write_runtime(assets: Path) -> Path:
    """Writes `vega.js`, which sets `vegaEmbed` and loads nothing."""
    import vl_convert

    path = assets / "vega.js"
    script: str = vl_convert.javascript_bundle(SNIPPET, vl_version=VEGA_LITE)
    write_text(path, HEAD + script)
    return path
