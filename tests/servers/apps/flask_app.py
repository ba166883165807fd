"""Flask, behind gunicorn: it routes by the decoded path, and does not change methods."""

from flask import Flask, request

app = Flask(__name__)
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def answer(handler):
    return {
        "handler": handler,
        "method": request.method,
        "path": request.path,
        "host": request.host,
        "cookie": request.cookies.get("session"),
        "query": request.args.get("k"),
        "x_user": request.environ.get("HTTP_X_USER"),
        "api_key": request.environ.get("HTTP_X_API_KEY"),
    }


def route(handler):
    app.add_url_rule(f"/{handler}", f"{handler}-bare", lambda: answer(handler), methods=METHODS)
    app.add_url_rule(f"/{handler}/", f"{handler}-slash", lambda: answer(handler), methods=METHODS)
    app.add_url_rule(f"/{handler}/<path:rest>", handler, lambda rest: answer(handler), methods=METHODS)


for name in ("admin", "public", "login", "hooks", "account"):
    route(name)
