// An Envoy with security-headers in front of a small web site, on free ports.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { REPOSITORY } from "./demo.js";

const START_TIMEOUT = 60_000;

// {address(host, path), statuses(path), last(path, method), stop()}: `statuses` are those of the site's own
// responses, in order.
export async function startShop(envoy, configuration) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-responses-"));
  const seen = [];
  const site = createServer((request, response) => {
    answer(request, response);
    const { method, url, headers } = request;
    seen.push({ method, path: url.split("?")[0], headers, status: response.statusCode });
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  const port = await freePort();
  const file = join(folder, "envoy.json");
  writeFileSync(file, JSON.stringify(bootstrap(port, site.address().port, configuration)));
  const options = ["--config-path", file, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"];
  const process = spawn(envoy, options, { cwd: REPOSITORY, stdio: "inherit" });
  const shop = {
    address: (host, path) => `http://${host}:${port}${path}`,
    statuses: (path) => seen.filter((one) => one.path === path).map((one) => one.status),
    last: (path, method = "GET") => seen.findLast((one) => one.path === path && one.method === method),
    async stop() {
      if (process.exitCode === null && process.kill()) await once(process, "exit");
      site.closeAllConnections();
      site.close();
      rmSync(folder, { recursive: true });
    },
  };
  for (const end = Date.now() + START_TIMEOUT; Date.now() < end; await sleep(100)) {
    const ready = await fetch(shop.address("127.0.0.1", "/ready")).catch(() => undefined);
    if (ready?.status === 200) return shop;
  }
  await shop.stop();
  throw new Error("Envoy is not ready; is something missing in dist (make build)?");
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function page(response, headers, body = "") {
  response.writeHead(200, { "content-type": "text/html", ...headers });
  response.end(`<!doctype html><title>page</title>${body}`);
}

function answer(request, response) {
  const { pathname, search } = new URL(request.url, "http://shop");
  const values = search.slice(1).split("&").filter(Boolean).map(decodeURIComponent);
  const name = pathname.split("/").at(-1);
  switch (name) {
    // Revalidated as in Express 4: the 304 has no header that begins with content-.
    case "own-policy":
    case "no-policy": {
      if (request.headers["if-none-match"]) {
        response.writeHead(304, { etag: '"1"' });
        response.end();
        return;
      }
      const stored = { etag: '"1"', "cache-control": "no-cache" };
      const policy = { "content-security-policy": "script-src 'unsafe-inline'" };
      page(response, name === "own-policy" ? { ...stored, ...policy } : stored, "<script>document.title = 'ran'</script>");
      return;
    }
    case "options":
      page(response, { "x-frame-options": values });
      return;
    case "policy":
      page(response, { "content-security-policy": values });
      return;
    case "features":
      page(response, { "feature-policy": values });
      return;
    case "framing":
      page(response, { "content-security-policy": "frame-ancestors 'none'" }, `<iframe src="${values[0]}"></iframe>`);
      return;
    case "cookies":
      page(response, {
        "set-cookie": [
          "part=1; Partitioned",
          "none=1; SameSite=None",
          "__Http-a=1",
          "__Host-Http-b=1; Path=/",
          "__Host-c=1",
          "__Secure-d=1",
        ],
      });
      return;
    case "form":
      page(response, values.length ? {} : { "x-form": "received" }, `<form method="post" action="${values[0]}"><button>Send</button></form>`);
      return;
    default:
      page(response, {});
  }
}

function bootstrap(port, upstream, configuration) {
  const address = (port_value) => ({ socket_address: { address: "127.0.0.1", port_value } });
  const typed = (type, fields = {}) => ({ "@type": `type.googleapis.com/${type}`, ...fields });
  const wasm = typed("envoy.extensions.filters.http.wasm.v3.Wasm", {
    config: {
      name: "security-headers",
      vm_config: {
        vm_id: "responses",
        runtime: "envoy.wasm.runtime.v8",
        code: { local: { filename: "dist/security_headers.wasm" } },
      },
      configuration: typed("google.protobuf.StringValue", { value: JSON.stringify(configuration) }),
    },
  });
  const manager = typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: "shop",
    route_config: {
      virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "site" } }] }],
    },
    http_filters: [
      { name: "security-headers", typed_config: wasm },
      { name: "router", typed_config: typed("envoy.extensions.filters.http.router.v3.Router") },
    ],
  });
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }];
  return {
    static_resources: {
      listeners: [{
        name: "shop",
        address: address(port),
        filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
      }],
      clusters: [{ name: "site", type: "STATIC", load_assignment: { cluster_name: "site", endpoints } }],
    },
  };
}
