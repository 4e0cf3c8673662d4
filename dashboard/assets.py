"""Streamlit's program for browsers: a hundred files, which every first visit asks for while the server gets ready.

Streamlit's own way to a file leads through a dozen layers and into five threads: over three milliseconds of a processor
each, of which two are saved where it is read on the spot. Only files that are there when the first one is asked for, by
their exact addresses: all else, such as a part of a file, is left to Streamlit.

Pages with figures start the programs that draw them as soon as the browser is connected. Streamlit would ask for each
when its first element arrives, and a browser needs most of a second to run the one that draws figures.
"""

from __future__ import annotations

import mimetypes
from functools import cache
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.responses import Response
from streamlit import file_util

FOLDER = "static"
CHARTS = ("", "compare", "budgets", "tokens", "thought")
"""Addresses of pages with figures."""
FIGURES, BESIDE = "PlotlyChart", ("BidiComponent", "Selectbox", "TextInput", "ButtonGroup", "Html", "PageLink")
"""Parts of the program: what draws figures, 4.7 MB, and what stands above and beside them."""
_KEPT = {"Cache-Control": f"public, immutable, max-age={365 * 86_400}"}
"""Their names change with their content, so a browser keeps them for a year, as Streamlit has it."""
_START = """<script type="module">
const start = new MutationObserver(() => {
  // Not earlier: until then the browser has its way to the server to run, and the server has nothing to wait for.
  if (!document.querySelector('.stApp[data-test-connection-state="CONNECTED"]')) return;
  start.disconnect();
  for (const part of [PARTS]) import(`./static/js/${part}`).catch(() => {});
});
start.observe(document.getElementById("root"), {
  subtree: true, childList: true, attributeFilter: ["data-test-connection-state"]
});
</script>
</body>"""


def answer(method: str, path: str, asks: HTTPConnection) -> Response | None:
    """The file at an address; None: not ours to answer."""
    if method != "GET":
        return None
    if path.removeprefix("/") in CHARTS and (page := _page()):
        return Response(page, 200, {"Cache-Control": "no-cache"}, "text/html")
    file = _files().get(path) if path.startswith(f"/{FOLDER}/") else None
    if file is None or "range" in asks.headers:
        return None
    try:
        return Response(file.read_bytes(), 200, _KEPT, mimetypes.guess_type(path)[0])
    except OSError:  # Taken away since: Streamlit says what it says then.
        return None


@cache
def _files() -> dict[str, Path]:
    root = Path(file_util.get_static_dir())
    return {f"/{file.relative_to(root).as_posix()}": file for file in (root / FOLDER).rglob("*") if file.is_file()}


@cache
def _page() -> str:
    """Streamlit's page with what starts the programs; empty: it is another one than this knows."""
    try:
        page = (Path(file_util.get_static_dir()) / "index.html").read_text("utf-8")
    except OSError:
        return ""
    scripts = {path.rpartition("/")[2] for path in _files() if path.endswith(".js")}
    named = {each: name for name in scripts if (each := name.partition(".")[0]) in (FIGURES, *BESIDE)}
    if len(named) < 1 + len(BESIDE) or "</head>" not in page or "</body>" not in page:
        return ""
    # Fetched and compiled while the browser waits for the rest: it is the largest by far.
    ahead = f'<link rel="modulepreload" crossorigin href="./static/js/{named[FIGURES]}">\n</head>'
    parts = ", ".join(f'"{named[each]}"' for each in (*BESIDE, FIGURES))
    return page.replace("</head>", ahead).replace("</body>", _START.replace("PARTS", parts))
