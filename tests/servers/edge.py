"""The Envoy in front of the servers: a listener for each server, each set of settings, and each policy."""

import contextlib
import importlib.machinery
import importlib.util
import json
import subprocess
import tempfile
from pathlib import Path

from upstreams import free_ports, process, wait_for

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TYPES = "type.googleapis.com/envoy.extensions.filters."

# Envoy's defaults, and what docs/security.md asks for.
SETTINGS = {
    "defaults": {},
    "one_reading": {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
    },
}

# Requests that a limit admits in a run.
LIMIT = 2


def jwt(*rules):
    keys = json.loads((REPOSITORY / "envoy/keys/jwks.json").read_text())
    provider = {"issuer": "https://idp.example", "audiences": ["shop"], "jwks": {"inline": keys}}
    return "jwt_auth", {"providers": {"idp": {**provider, "claims_to_headers": {"x-user": "sub"}}}, "rules": list(rules)}


def limit(key, match=None):
    rule = {"name": "limit", "key": key, "rate": {"requests": LIMIT, "per": "24h"}}
    return "rate_limit", {"limits": [{**rule, "match": match} if match else rule]}


TOKEN = {"provider": "idp"}
# By name: the module, and its configuration.
POLICIES = {
    # Exceptions from a rule for all, and a rule for some.
    "jwt_open": jwt(
        {"name": "public", "match": {"path": {"prefix": "/public/"}}, "require": "none"}, {"name": "rest", "require": TOKEN}
    ),
    "jwt_closed": jwt(
        *({"name": name, "match": {"path": path}, "require": TOKEN} for name, path in
          [("admin", {"exact": "/admin"}), ("below", {"prefix": "/admin/"})]),
        {"name": "rest", "require": "none"},
    ),
    "jwt_method": jwt({"name": "post", "match": {"methods": ["POST"]}, "require": TOKEN}, {"name": "rest", "require": "none"}),
    "jwt_headers": jwt({"name": "all", "require": TOKEN, "allow_missing": True}),
    "limit_path": limit(["remote_address"], {"path": {"regex": "/login(/.*)?"}}),
    "limit_method": limit(["remote_address"], {"methods": ["POST"]}),
    "limit_cookie": limit([{"cookie": "session"}]),
    "limit_query": limit([{"query": "k"}]),
    "limit_host": limit(["host"]),
    "limit_header": limit([{"header": "x-api-key"}]),
    "cross_site": (
        "security_headers",
        {
            "cross_site": {"mode": "enforce"},
            "rules": [{"name": "hooks", "match": {"path": {"prefix": "/hooks/"}}, "cross_site": {"mode": "off"}}],
        },
    ),
}


@contextlib.contextmanager
def running(servers, policies):
    """Runs Envoy in front of these servers (name: port). Returns the port of each (server, settings, policy)."""
    combinations = [(s, t, p) for s in servers for t in SETTINGS for p in policies]
    ports = dict(zip(combinations, free_ports(len(combinations))))
    bootstrap = {
        "static_resources": {
            "listeners": [listener(*combination, port) for combination, port in ports.items()],
            "clusters": [cluster(name, port) for name, port in servers.items()],
        }
    }
    envoy = subprocess.run([REPOSITORY / "envoy/get-envoy"], check=True, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as directory:
        configuration, log = Path(directory, "envoy.json"), Path(directory, "envoy.log")
        configuration.write_text(json.dumps(bootstrap))
        command = [envoy.stdout.strip(), "--config-path", configuration, "--concurrency", "1", "--log-path", log]
        command += ["--disable-hot-restart", "--log-level", "warning"]
        with process(command, cwd=REPOSITORY) as child:
            try:
                wait_for(next(iter(ports.values())), "Envoy")
            except SystemExit:
                raise SystemExit(f"Envoy does not start:\n{log.read_text()[-4000:]}") from None
            yield ports
            if child.poll() is not None:
                raise SystemExit(f"Envoy has ended:\n{log.read_text()[-4000:]}")


def listener(server, settings, policy, port):
    name = f"{server}-{settings}-{policy}"
    module, configuration = POLICIES[policy]
    filters = [wasm(module, {"name": name.replace("_", "-"), **configuration})]
    filters.append({"name": "router", "typed_config": {"@type": f"{TYPES}http.router.v3.Router"}})
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": server}}]
    manager = {
        "@type": f"{TYPES}network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": True,
        # Otherwise a connection that Envoy ends stays open for a second.
        "delayed_close_timeout": "0s",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": filters,
        **SETTINGS[settings],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"name": name, "address": address(port), "filter_chains": [chain]}


def wasm(module, configuration):
    value = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)}
    code = {"local": {"filename": str(REPOSITORY / "dist" / f"{module}.wasm")}}
    vm = {"vm_id": "portcullis", "runtime": "envoy.wasm.runtime.v8", "code": code}
    plugin = {"name": module, "vm_config": vm, "failure_policy": "FAIL_RELOAD", "configuration": value}
    return {"name": module, "typed_config": {"@type": f"{TYPES}http.wasm.v3.Wasm", "config": plugin}}


def cluster(name, port):
    endpoint = {"endpoint": {"address": address(port)}}
    return {
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def token(**claims):
    """A token that the policies above accept."""
    loader = importlib.machinery.SourceFileLoader("token_of_the_demo", str(REPOSITORY / "envoy/token"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module.token(claims).encode()
