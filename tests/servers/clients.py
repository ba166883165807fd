"""Two clients that send exactly the given bytes."""

import json
import re
import socket

import h2.config
import h2.connection
import h2.events

PATIENCE_SECONDS = 20
CHUNKED = b"transfer-encoding: chunked"
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Answer:
    """A response: its status, and the values that the server's handler has read."""

    def __init__(self, status, body):
        self.status = status
        try:
            self.seen = json.loads(body)
        except ValueError:
            self.seen = {}

    @property
    def handler(self):
        """The name of the handler that ran, if one did."""
        return self.seen.get("handler")


def http1(port, method, path, headers=(), host=b"shop.example"):
    """One request on a connection of its own. All arguments are bytes."""
    lines = [b"%s %s HTTP/1.1" % (method, path), b"host: " + host, b"connection: close", b"content-length: 0"]
    lines += [name + b": " + value for name, value in headers]
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        received = b""
        # Not until the end of the connection alone: Envoy leaves some open for a second.
        while not is_complete(received):
            try:
                more = connection.recv(65536)
            except ConnectionResetError:
                break
            if not more:
                break
            received += more
    head, _, body = received.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if CHUNKED in head.lower():
        body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
    return Answer(int(status[0]) if status else 0, body)


def is_complete(received):
    head, end, body = received.partition(b"\r\n\r\n")
    if CHUNKED in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = LENGTH.search(head)
    return bool(end and length) and len(body) >= int(length[1])


def http2(port, method, path, headers=(), host=b"shop.example"):
    """One request on a connection of its own, without any checks or normalisation."""
    config = h2.config.H2Configuration(
        header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    state = h2.connection.H2Connection(config)
    state.initiate_connection()
    pseudo = [(b":method", method), (b":scheme", b"http"), (b":authority", host), (b":path", path)]
    state.send_headers(1, [*pseudo, *headers], end_stream=True)
    status, body = 0, b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(state.data_to_send())
        while True:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return Answer(status, body)
            for event in state.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    return Answer(status, body)
            connection.sendall(state.data_to_send())
