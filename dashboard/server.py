"""The server's app: Streamlit behind our own door, which looks at every request before Streamlit does.

The door refuses names and origins that are not ours, gives a browser its cookie for a link or the typed token, keeps
what is private, and takes no upload from whoever may only look. What the rules are is `data.door`'s to say.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from html import escape
from urllib.parse import parse_qs

import streamlit as st
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import delta_generator, runtime
from streamlit.components.v2 import manifest_scanner
from streamlit.web.server.starlette import starlette_server

from dashboard import assets, moved
from dashboard.data import door
from dashboard.data.access import bound
from engine.cli import launch

KEPT_S = 30 * 86_400
"""Seconds a browser keeps its cookie; it is worth nothing once the token is another."""
PENALTY_S = 1.0
"""Seconds a wrong guess waits for its answer; a right one never does."""
MOST_HELD = 32
"""Wrong guesses that wait at once; more are turned away."""
LONGEST_FORM = 4096
"""Bytes of a typed token with its form."""
LONGEST_MESSAGE, LONGEST_LOOK = 16 << 20, 256 << 10
"""Bytes of what a page may tell the server at once: a text to be counted from who may start runs; from who may only
look no more than the state of its controls, as each session's stays in memory."""
MOST_UPLOADS = 4
"""Files that a session may keep in the server's memory at once."""
UPLOADS, HEALTH, LOGIN = "/_stcore/upload_file/", "/_stcore/health", "/login"
_USED = (
    "This link was used before, or is older than ten minutes; start budgetscope again for another, or enter the token."
)
_PRIVATE = "Looking at this dashboard takes the link that budgetscope printed when it started, or the launch token."
_WRONG = "That is not the launch token."
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Budgetscope</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<body style="font-family:sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem">
<h1 style="font-size:1.4rem">Budgetscope</h1><p>{says}</p>
<form method="post" action="{login}"><label>Launch token
<input type="password" name="token" autocomplete="off" maxlength="200" autofocus></label>
<button>Unlock</button></form>"""
_LOST = """<!doctype html><html lang="en"><meta charset="utf-8"><title>No page here · Budgetscope</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<body style="font-family:sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem">
<h1 style="font-size:1.4rem">Budgetscope</h1><p>There is no page at this address{meant}.</p><p>{pages}</p>"""
_OWN_PATHS = ("_stcore", "static", "media", "component", "vendor", "app", "auth", "oauth2callback", "healthz", "~")
"""First parts of the addresses that Streamlit answers itself."""
_KEPT_TO_ITSELF = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # Without any, a browser would not say that the form is our own.
    "Cache-Control": "no-store",
}


class Door:
    """The middleware in front of Streamlit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._used: set[str] = set()
        self._held = 0
        self._uploading: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asks, path = HTTPConnection(scope), str(scope["path"])
        answer: Response | None = None
        if len(Headers(scope=scope).getlist("host")) != 1 or not door.answers_to(asks.headers.get("host"), bound()):
            answer = PlainTextResponse(door.STRANGE, 403)
        elif not door.is_own(asks.headers.get("origin"), asks.headers.get("host")):
            answer = PlainTextResponse("Another page's requests are not answered here.", 403)
        elif scope["type"] == "http" and path == LOGIN:
            answer = await self._login(Request(scope, receive))
        elif door.is_private() and path != HEALTH and not door.holds(asks.cookies):
            answer = _form(_PRIVATE, 401)
        elif UPLOADS in path and scope["method"] in ("PUT", "POST"):
            await self._upload(path.partition(UPLOADS)[2].partition("/")[0], scope, receive, send)
            return
        elif scope["type"] == "http":
            answer = assets.answer(scope["method"], path, asks) or _lost(Request(scope))
        if answer is None and scope["type"] == "websocket":
            looks = door.closed(asks.cookies, asks.headers, bound()) is not None
            await self._app(scope, _bounded(receive, send, LONGEST_LOOK if looks else LONGEST_MESSAGE), send)
        elif answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Closed before it was accepted, which is a refusal of the handshake.
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, send)

    async def _login(self, request: Request) -> Response:
        """The cookie for a link's code or for the typed token, and a way on without either in the address."""
        token = launch.launch_token()
        code = request.query_params.get("code", "")
        if request.method == "POST":
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_FORM:
                    return _form(_WRONG, 413)
            typed = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
            if launch.is_token(typed, token) and launch.token_fault() is None:
                return _let_in(request, "/run")
            return await self._wrong(_WRONG)
        if door.holds(request.cookies):
            return RedirectResponse("/", 303, _KEPT_TO_ITSELF)
        if not code:
            return _form(door.LOCKED if token else door.BARE)
        launched = os.environ.get(launch.LAUNCHED, "")
        if launch.is_code(code, token, launched, time.time()) and code not in self._used:
            self._used.add(code)
            return _let_in(request, "/")
        return await self._wrong(_USED)

    async def _wrong(self, says: str) -> Response:
        """The answer to a wrong guess, which waits: whoever guesses is slowed down, and nobody who knows."""
        if self._held >= MOST_HELD:
            return _form("Too many wrong tokens at once: try again in a moment.", 429)
        self._held += 1
        try:
            await asyncio.sleep(PENALTY_S)
        finally:
            self._held -= 1
        return _form(says, 403)

    async def _upload(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A file, from a session that may start runs and keeps few of them: nothing of another reaches memory."""
        asks = HTTPConnection(scope)
        if why := door.closed(asks.cookies, asks.headers, bound()):
            await PlainTextResponse(why, 403)(scope, receive, send)
            return
        kept = runtime.get_instance().uploaded_file_mgr.file_storage.get(session, {})  # type: ignore[attr-defined]
        if len(kept) + self._uploading[session] >= MOST_UPLOADS:
            says = f"A session keeps at most {MOST_UPLOADS} uploaded files: remove one, or load the page anew."
            await PlainTextResponse(says, 413)(scope, receive, send)
            return
        self._uploading[session] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._uploading[session] -= 1
            self._uploading += Counter()  # Sessions that upload nothing any more are forgotten.


def _bounded(receive: Receive, send: Send, most: int) -> Receive:
    """What a page says, up to so many bytes at once; with more the connection ends."""

    async def bounded() -> Message:
        message = await receive()
        if len(message.get("bytes") or message.get("text") or b"") <= most:
            return message
        await send({"type": "websocket.close", "code": 1009})
        return {"type": "websocket.disconnect", "code": 1009}

    return bounded


def _let_in(request: Request, to: str) -> Response:
    answer = RedirectResponse(to, 303, _KEPT_TO_ITSELF)
    name, value = launch.cookie(launch.launch_token())
    safe = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
    answer.set_cookie(name, value, max_age=KEPT_S, path="/", secure=safe, httponly=True, samesite="lax")
    return answer


def _lost(request: Request) -> Response | None:
    """What a browser that asks for a page is told at an address that has none; None: it has, or no page is asked for.

    Streamlit would send its program, which finds no page there, or none of its own parts below a second slash."""
    path = str(request.scope["path"])
    asks_for_page = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")
    if not asks_for_page or moved.known(path) or path.split("/", 2)[1] in _OWN_PATHS:
        return None
    if st.get_option("server.baseUrlPath"):
        return None  # Its owner put all pages below another address, which Streamlit knows.
    if moved.known(path.rstrip("/")):
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/{path.strip('/')}{query}", 307)
    near = moved.nearest(path)
    meant = (
        "" if near is None else f'; the nearest is <a href="/{near}">{moved.TITLES.get(near, near.capitalize())}</a>'
    )
    pages = " · ".join(f'<a href="/{address}">{title}</a>' for _, title, address in moved.PAGES)
    return HTMLResponse(_LOST.format(meant=meant, pages=pages), 404, _KEPT_TO_ITSELF)


def _form(says: str, status: int = 200) -> Response:
    return HTMLResponse(_FORM.format(says=escape(says), login=LOGIN), status, _KEPT_TO_ITSELF)


# Streamlit gives the web server one bound for both ways, 200 MB, which it collects before the door sees a message.
starlette_server.get_max_message_size_bytes = lambda: LONGEST_MESSAGE  # type: ignore[attr-defined]
# It looks for components in what every installed package says of itself, half a second long, and ours are in our pages.
manifest_scanner.scan_component_manifests = lambda max_workers=None: []
# A first page would wait while all modules are looked through for whether somebody typed this at a prompt.
delta_generator._use_warning_has_been_displayed = True
app = st.App("app.py", middleware=[Middleware(Door)])
