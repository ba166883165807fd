#!/usr/bin/env python3
"""Records what a real Envoy does with the scenarios in this directory.

    cargo build --release --target wasm32-wasip1 --manifest-path probe/Cargo.toml --target-dir DIR
    ./record.py ENVOY DIR/wasm32-wasip1/release/probe.wasm [SCENARIO...]

Every *.trace file names its filters with their scripts, its options and its request; this program
runs them and rewrites the parts after `[trace]` and `[response]`. Python's standard library is
enough. Everything listens on loopback.
"""
import json, pathlib, re, socket, struct, subprocess, sys, tempfile, threading, time

HERE = pathlib.Path(__file__).parent
API = "type.googleapis.com/envoy.extensions"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Upstream(threading.Thread):
    """Answers by path; the native test has the same answers."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        data, greeted = b"", False
        while chunk := connection.recv(65536):
            data += chunk
            head, complete, rest = data.partition(b"\r\n\r\n")
            if complete and b"/svc/Chat " in head and not greeted:
                greeted = True
                self.answer_grpc(connection, "ChatBegins")
            length = re.search(rb"content-length: (\d+)", head)
            if not complete or length and len(rest) < int(length[1]):
                continue
            if b"chunked" in head and not re.search(rb"(^|\r\n)0\r\n(.*\r\n)?\r\n$", rest, re.S):
                continue
            data = b""
            path = head.split()[1].decode()
            if path == "/svc/Echo":
                # What the service was sent: header lines in order, and the body.
                lines = head.decode().replace("\r\n", ";")
                body = rest.split(b"\r\n")[1][5:].decode()
                self.answer_grpc(connection, "Echo", f"{lines};{body}")
            elif self.answer(connection, path) == "gone":
                return

    def answer(self, connection, path):
        def respond(status, headers, body=b""):
            head = "".join(f"{h}\r\n" for h in [f"HTTP/1.1 {status} X", *headers, ""])
            connection.sendall(head.encode() + body)

        def reset():
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
            return "gone"

        if path.startswith("/slow"):
            time.sleep(1)
        if path == "/reset" or path == "/svc/Reset":
            return reset()
        if path.startswith("/svc/"):
            return self.answer_grpc(connection, path.removeprefix("/svc/"))
        if path == "/reset-after":
            respond(200, ["content-length: 100"], b"hello")
            time.sleep(0.2)
            return reset()
        if path == "/chunks":
            respond(200, ["transfer-encoding: chunked"])
            for piece in (b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"):
                time.sleep(0.1)
                connection.sendall(piece)
        elif path == "/trailers":
            body = b"3\r\nabc\r\n0\r\nx-t: v\r\n\r\n"
            respond(200, ["transfer-encoding: chunked"], body)
        elif path == "/grpc":
            respond(200, ["content-type: application/grpc", "grpc-status: 7", "content-length: 0"])
        elif path == "/grpc-trailers":
            head = ["content-type: application/grpc", "transfer-encoding: chunked"]
            respond(200, head, b"3\r\nabc\r\n0\r\ngrpc-status: 14\r\n\r\n")
        elif path == "/empty":
            respond(204, ["x-up: 1"])
        elif path == "/500":
            respond(500, ["content-length: 2"], b"no")
        else:
            headers = ["server: up", "set-cookie: a=1", "set-cookie: b=2", "content-length: 5"]
            respond(200, ["x-up: 1", *headers], b"hello")


    def answer_grpc(self, connection, method, reply="reply"):
        """A gRPC service, over HTTP/1.1: Envoy's client does not mind."""

        def send(*parts):
            connection.sendall(b"".join(parts))

        def head(*headers, status=200):
            lines = [f"HTTP/1.1 {status} X", "content-type: application/grpc", *headers, "", ""]
            return "\r\n".join(lines).encode()

        def message(text):
            frame = struct.pack(">BI", 0, len(text)) + text.encode()
            return f"{len(frame):x}\r\n".encode() + frame + b"\r\n"

        def trailers(*lines):
            return "\r\n".join(["0", *lines, "", ""]).encode()

        chunked = "transfer-encoding: chunked"
        if method == "Late":
            time.sleep(1)
        if method == "Refuse":
            send(head("content-length: 0", "grpc-status: 7", "grpc-message: no%20way", "x-tail: t"))
        elif method == "Broken":
            send(head("content-length: 2", status=500), b"no")
        elif method.startswith("Http"):
            send(head("content-length: 2", status=method[4:]), b"no")
        elif method == "Reset-after":
            send(head(chunked), message("part"))
            time.sleep(0.2)
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
            return "gone"
        elif method == "Unfinished":
            send(head(chunked), message("part"), trailers())
        elif method == "Empty":
            send(head(chunked), trailers("grpc-status: 0"))
        elif method == "Fails":
            send(head(chunked), message("part"), trailers("grpc-status: 13", "grpc-message: oops"))
        elif method == "Twice":
            send(head(chunked), message("one"), message("two"), trailers("grpc-status: 0"))
        elif method == "ChatBegins":
            send(head(chunked, "x-meta: m"), message("hello"))
        elif method == "Chat":
            send(message("bye"), trailers("grpc-status: 0", "x-tail: t"))
        else:
            send(head(chunked, "x-meta: m"), message(reply), trailers("grpc-status: 0", "x-tail: t"))


def bootstrap(filters, options, module, ports, upstream):
    def wasm(index, script):
        return {
            "name": f"w{index}",
            "typed_config": {
                "@type": f"{API}.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": script.splitlines()[0],
                    "root_id": f"root{index}",
                    **({"failure_policy": options["policy"]} if "policy" in options else {}),
                    "vm_config": {
                        "vm_id": f"vm{index}" if "own_vms" in options else "vm",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": module}},
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": script,
                    },
                },
            },
        }

    def route(prefix, cluster, **action):
        action = {"cluster": cluster, **action}
        return {"match": {"prefix": prefix}, "name": f"r{prefix}", "route": action}

    def cluster(name, port):
        http = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        http1 = {"http_protocol_options": {"enable_trailers": True}}
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}] if port else []
        return {
            "name": name,
            "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": endpoints},
            "typed_extension_protocol_options": {
                http: {"@type": f"type.googleapis.com/{http}", "explicit_http_config": http1}
            },
        }

    retry = {"retry_on": "5xx", "num_retries": 2}
    direct = {"status": 200, "body": {"inline_string": "direct"}}
    routes = [
        route("/uh", "nohosts"),
        route("/uf", "dead"),
        route("/nc", "ghost"),
        route("/slow/timeout", "up", timeout="0.5s"),
        route("/500", "up", retry_policy=retry),
        {"match": {"prefix": "/direct"}, "name": "r/direct", "direct_response": direct},
        route("/", "up"),
    ]
    if "few_routes" in options:
        routes = routes[:-1]
    hcm = {
        "@type": f"{API}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "t",
        "http_protocol_options": {"enable_trailers": True},
        "http_filters": [wasm(i, f) for i, f in enumerate(filters)]
        + [{"name": "r", "typed_config": {"@type": f"{API}.filters.http.router.v3.Router"}}],
        "route_config": {
            "validate_clusters": False,
            "virtual_hosts": [
                {
                    "name": "default",
                    "domains": ["*"],
                    "routes": routes,
                    "include_request_attempt_count": "attempt_counts" in options,
                    "include_attempt_count_in_response": "attempt_counts" in options,
                }
            ],
        },
    }
    listen = lambda port: {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    chain = [{"filters": [{"name": "hcm", "typed_config": hcm}]}]
    return {
        "admin": {"address": listen(ports[1])},
        "static_resources": {
            "listeners": [{"name": "l", "address": listen(ports[0]), "filter_chains": chain}],
            "clusters": [cluster("up", upstream), cluster("dead", ports[2]), cluster("nohosts", 0)],
        },
    }


def parse(text):
    sections, current = {}, None
    for line in text.splitlines():
        if re.fullmatch(r"\[[a-z]+\]|\[filter \w+\]", line):
            current = sections.setdefault(line[1:-1], [])
        elif current is not None and line and not line.startswith("#"):
            current.append(line)
    return sections


def request_pieces(lines):
    """The request's bytes, in pieces to be sent one after the other."""
    head, pieces, trailers, body = [], [], [], None
    for line in lines[1:]:
        kind, _, value = line.partition(" ")
        if kind == "chunk":
            pieces.append(f"{len(value):x}\r\n{value}\r\n".encode())
        elif kind == "trailer":
            trailers.append(value)
        elif kind == "body":
            body = value
        else:
            head.append(line)
    if pieces:
        end = "".join(f"{t}\r\n" for t in trailers)
        head.append("transfer-encoding: chunked")
        pieces.append(f"0\r\n{end}\r\n".encode())
    elif body is not None:
        head.append(f"content-length: {len(body)}")
        pieces.append(body.encode())
    head = [f"{lines[0]} HTTP/1.1", "host: example.com", *head, "", ""]
    first = "\r\n".join(head).encode()
    return [first, *pieces] if "chunk" in str(lines) else [first + b"".join(pieces)]


def normalised(line):
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", line)
    line = re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "<date>", line)
    line = re.sub(r"(backend_latency -> )\d+", r"\1<ns>", line)
    return re.sub(r"(x-envoy-upstream-service-time(=|: ))\"?\d+\"?", r"\1<ms>", line)


def response_lines(raw):
    head, _, body = raw.partition("\r\n\r\n")
    if not head:
        return ["none"]
    status, *headers = head.split("\r\n")
    trailers = []
    if "transfer-encoding: chunked" in headers:
        body, _, end = body.partition("0\r\n")
        body = "".join(re.findall(r"[0-9a-f]+\r\n(.+?)\r\n", body))
        trailers = [f"trailer {line}" for line in end.split("\r\n") if line]
    codec = ("transfer-encoding:", "connection:", "content-length: 0")
    headers = [normalised(h) for h in headers if not h.startswith(codec)]
    return [status.split()[1], *headers, *([f"body {body}"] if body else []), *trailers]


def run(envoy, module, scenario):
    text = scenario.read_text()
    sections = parse(text)
    options = dict(line.split(" ") for line in sections.get("options", []))
    filters = [
        "\n".join([name.split()[1], *lines])
        for name, lines in sections.items()
        if name.startswith("filter ")
    ]
    ports = [free_port() for _ in range(3)]
    config = bootstrap(filters, options, module, ports, Upstream().port)
    with tempfile.TemporaryDirectory() as scratch:
        path, log_path = f"{scratch}/envoy.json", f"{scratch}/log"
        pathlib.Path(path).write_text(json.dumps(config))
        arguments = ["--disable-hot-restart", "--concurrency", "1", "--log-format", "[%t] [%l] %v"]
        with open(log_path, "w") as log:
            process = subprocess.Popen([envoy, "-c", path, *arguments], stdout=log, stderr=log)
        try:
            raw, start = exchange(ports, request_pieces(sections["request"]), options, log_path)
        finally:
            process.kill()
            process.wait()
        log = pathlib.Path(log_path).read_text()
        # The main thread, which logs first, has timers too: its ticks come whenever they like.
        main = log.partition(" ")[0]
        lines = [line for line in log[start:].splitlines() if not line.startswith(main)]
    names = "|".join(script.splitlines()[0] for script in filters)
    said = re.compile(rf"\[\d+\] \[\w+\] wasm log[^:]*: ((?:{names}) .*)")
    trace = [normalised(m[1]).rstrip() for m in map(said.match, lines) if m]
    head = text.partition("[trace]")[0]
    response = response_lines(raw)
    scenario.write_text("\n".join([head + "[trace]", *trace, "[response]", *response, ""]))


def exchange(ports, pieces, options, log_path):
    """Sends the request when Envoy is ready; disconnects when nothing comes for two seconds."""
    for _ in range(100):
        time.sleep(0.1)
        try:
            with socket.create_connection(("127.0.0.1", ports[1])) as admin:
                admin.sendall(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                if b"LIVE" in admin.recv(65536):
                    break
        except OSError:
            pass
    time.sleep(0.5)
    start = len(pathlib.Path(log_path).read_text())
    with socket.create_connection(("127.0.0.1", ports[0])) as client:
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.1)
        client.settimeout(float(options.get("patience", "2")))
        raw = b""
        try:
            while chunk := client.recv(65536):
                raw += chunk
                client.settimeout(1)
        except (TimeoutError, ConnectionError):
            pass
    time.sleep(0.3)
    return raw.decode("latin1"), start


if __name__ == "__main__":
    names = sys.argv[3:] or sorted(p.stem for p in HERE.glob("*.trace"))
    for name in names:
        print(name, file=sys.stderr)
        run(sys.argv[1], sys.argv[2], HERE / f"{name}.trace")
