"""Python's wsgiref, with an application that resolves paths as file servers do.

The path is resolved with posixpath.normpath, as http.server's SimpleHTTPRequestHandler does.
"""

import json
import posixpath
import sys
from http.cookies import CookieError, SimpleCookie
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def app(environ, start_response):
    path = posixpath.normpath(environ["PATH_INFO"].replace("\\", "/")).lstrip("/")
    handler = path.split("/")[0]
    known = handler in ("admin", "public", "login", "hooks", "account")
    body = json.dumps(
        {
            "handler": handler if known else None,
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "host": environ.get("HTTP_HOST"),
            "cookie": cookie(environ.get("HTTP_COOKIE", "")),
            "query": parse_qs(environ["QUERY_STRING"]).get("k", [None])[0],
            "x_user": environ.get("HTTP_X_USER"),
            "api_key": environ.get("HTTP_X_API_KEY"),
        }
    ).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    start_response("200 OK" if known else "404 Not Found", headers)
    return [body]


def cookie(text):
    try:
        found = SimpleCookie(text).get("session")
    except CookieError:
        return None
    return found and found.value


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app, Server, Quiet).serve_forever()
