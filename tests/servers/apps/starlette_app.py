"""Starlette, behind uvicorn."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def handler_of(handler):
    async def answer(request):
        return JSONResponse(
            {
                "handler": handler,
                "method": request.method,
                "path": request.url.path,
                "host": request.headers.get("host"),
                "cookie": request.cookies.get("session"),
                "query": request.query_params.get("k"),
                "x_user": request.headers.get("x-user"),
                "api_key": request.headers.get("x-api-key"),
            }
        )

    return answer


def routes():
    for name in ("admin", "public", "login", "hooks", "account"):
        for path in (f"/{name}", f"/{name}/{{rest:path}}"):
            yield Route(path, handler_of(name), methods=METHODS)


app = Starlette(routes=list(routes()))
