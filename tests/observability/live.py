"""Runs the demo, and a Prometheus that scrapes it, during a test."""

import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT_SECONDS = 90


@contextlib.contextmanager
def demo(repository):
    """Runs the demo. The block begins after its tour."""
    process = subprocess.Popen(
        [repository / "envoy/demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "keeps running" in line:
                break
        else:
            sys.exit("observability: the demo did not start. Its output:\n" + "".join(said[-20:]))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


@contextlib.contextmanager
def prometheus(binary, configuration, scratch):
    """Runs a Prometheus with the files of `configuration`, but with the demo as its target."""
    for file in configuration.glob("*.yaml"):
        # The demo does not run in a container here, and intervals of five seconds would make the test slow.
        text = re.sub(r"envoy:(\d+)", r"127.0.0.1:\1", file.read_text())
        text = re.sub(r"interval: \d+[sm]\b", "interval: 1s", text)
        pathlib.Path(scratch, file.name).write_text(text)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(f"{scratch}/log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [
                *(binary, f"--config.file={scratch}/prometheus.yaml"),
                *(f"--storage.tsdb.path={scratch}/data", f"--web.listen-address=127.0.0.1:{port}"),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            server = Server(f"http://127.0.0.1:{port}")
            server.wait_until('min(up{job="envoy"}) == 1', lambda: process.poll() is None)
            yield server
        except Unanswered as why:
            log.seek(0)
            sys.exit(f"observability: {why}; Prometheus said:\n" + log.read())
        finally:
            process.terminate()
            process.wait()


def make_traffic(repository, server):
    """Takes the tour again between two scrapes, because a rate needs two different values of a counter."""
    server.wait_for_scrapes(2)
    # Its result does not matter here, because a limit may still be used up by the first tour.
    subprocess.run([repository / "envoy/tour"], stdout=subprocess.DEVNULL)
    # Rules that use other rules' results are a few evaluations behind.
    server.wait_for_scrapes(5)


class Unanswered(Exception):
    """Prometheus did not report something in time."""


class Server:
    """Prometheus' HTTP API."""

    def __init__(self, base):
        self.base = base

    def get(self, path, **parameters):
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(f"{self.base}/api/v1/{path}{query}", timeout=10) as reply:
            return json.load(reply)["data"]

    def query(self, expression):
        """The samples of an expression. An invalid expression is an error."""
        try:
            return self.get("query", query=expression)["result"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error

    def wait_until(self, expression, alive=lambda: True):
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline and alive():
            with contextlib.suppress(OSError):
                if self.query(expression):
                    return
            time.sleep(0.2)
        raise Unanswered(f"{expression} never came true")

    def wait_for_scrapes(self, count):
        # There is one each second.
        self.wait_until(f'min(timestamp(up{{job="envoy"}})) > {time.time() + count}')
