"""Starts the servers, each on a free port of the loopback interface."""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

APPS = Path(__file__).resolve().parent / "apps"
START_TIMEOUT_SECONDS = 120

COMMANDS = {
    "express": lambda port: ["node", "express_app.js", str(port)],
    "flask": lambda port: [
        *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--log-level", "critical"),
        # Names with `_` pass, as in gunicorn before 22 and in other WSGI servers.
        *("--worker-class", "gthread", "--threads", "8", "--header-map", "dangerous"),
        *("--no-control-socket", "flask_app:app"),
    ],
    # The same application on Werkzeug's own server, which lets more methods pass than gunicorn.
    "werkzeug": lambda port: [sys.executable, "werkzeug_server.py", str(port)],
    "starlette": lambda port: [
        *(sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "critical", "starlette_app:app"),
    ],
    "wsgiref": lambda port: [sys.executable, "wsgi_app.py", str(port)],
}


@contextlib.contextmanager
def running(names):
    """The servers of these names, each with its port."""
    ports = dict(zip(names, free_ports(len(names))))
    with contextlib.ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(process(COMMANDS[name](port), cwd=APPS))
        for name, port in ports.items():
            wait_for(port, name)
        yield ports


@contextlib.contextmanager
def process(command, **options):
    child = subprocess.Popen(command, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(port, name):
    end = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"{name} does not listen on port {port}")
