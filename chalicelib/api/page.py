"""`GET /`, `GET /page/{name}`: the page; `GET /docs`, `GET /openapi.json`: the reference. Files, no build step."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from chalice import Response

from chalicelib import services, settings
from chalicelib.api.contract import Answer, Contract
from chalicelib.api.routing import Routes
from chalicelib.errors import NotFound

routes = Routes(__name__)

_FOLDER: Final = Path(__file__).parent.parent / "page"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


@routes.route(
    "/",
    methods=["GET"],
    contract=Contract(
        tag="The service",
        answers={200: Answer(media=("text/html",)), 308: Answer(headers=("Location",))},
        public=True,
    ),
)
def index() -> Response:
    """Answer with the page. Its links are relative, so `/stage` is sent on to `/stage/`."""
    path = str(routes.current_request.context.get("path", "/"))
    if not path.endswith("/"):
        return Response(
            body="", status_code=308, headers={"Location": f"{path}/", "Content-Type": "text/plain"}
        )
    return _file("index.html")


@routes.route(
    "/page/{name}",
    methods=["GET"],
    contract=Contract(
        tag="The service",
        answers={200: Answer(media=tuple(kind.partition(";")[0] for kind in _TYPES.values()))},
        public=True,
    ),
)
def asset(name: str) -> Response:
    """Answer with a file that the page needs."""
    return _file(name)


@routes.route(
    "/docs",
    methods=["GET"],
    contract=Contract(tag="The service", answers={200: Answer(media=("text/html",))}, public=True),
)
def reference() -> Response:
    """Answer with a page that shows every route, with parameters, bodies, answers and examples."""
    return _file("reference.html")


@routes.route(
    "/openapi.json",
    methods=["GET"],
    contract=Contract(tag="The service", answers={200: Answer(media=("application/json",))}, public=True),
)
def openapi() -> Response:
    """Answer with this API's description: OpenAPI 3.1."""
    return _file("openapi.json")


def _file(name: str) -> Response:
    text = _read(name)
    headers = {
        "Content-Type": _TYPES[Path(name).suffix],
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _policy(),
    }
    return Response(body=text, headers=headers)


@lru_cache(maxsize=64)
def _read(name: str) -> str:
    """Return a file of the page; only names that stand in its folder exist."""
    known = {path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES}
    if name not in known:
        raise NotFound("There is no such file.")
    return (_FOLDER / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _policy() -> str:
    """Nothing but our own files; uploads also go to the bucket, where that is another host."""
    connect = "'self'"
    if not settings.get().upload_path:
        bucket = urlsplit(services.objects().presign_get("x", seconds=1))
        connect += f" {bucket.scheme}://{bucket.netloc}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
