// Serves the files of the live page without Envoy, with the same Content-Security-Policy, for tests with simulated
// statistics.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";

import { REPOSITORY } from "./demo.js";

const TYPES = { ".css": "text/css", ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".svg": "image/svg+xml" };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'";

// {address, stop()}
export async function serveFiles() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://page");
    const name = pathname === "/" ? "index.html" : pathname.slice(1);
    const body = /^[\w-]+\.\w+$/.test(name) && await readFile(join(REPOSITORY, "envoy/dashboard", name)).catch(() => undefined);
    response.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(name)] ?? "text/plain", "content-security-policy": POLICY });
    response.end(body || "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
