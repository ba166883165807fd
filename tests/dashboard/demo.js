// Starts Envoys, such as the demo's, on free ports, so that tests can run next to a `make demo`.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const REPOSITORY = join(import.meta.dirname, "../..");
const START_TIMEOUT = 60_000;

// With PORTCULLIS_HOST=library, the plugins run in the library, and with the demo's files rewritten.
const IN_LIBRARY = process.env.PORTCULLIS_HOST === "library";

// As `startEnvoys`, with the demo's files.
export function startDemo(envoy) {
  return startEnvoys(envoy, ["upstream.yaml", "demo.yaml"], ["9901", "9902"]);
}

// Starts an Envoy for each of some files in the folder envoy, and waits for the admin interfaces of these ports.
// Returns {address(port), send(path, headers, port), stop()}: ports are those in the files. `send` sends a GET request,
// by default to the demo's shop, and returns the status of the response.
export async function startEnvoys(envoy, files, adminPorts) {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-dashboard-"));
  const texts = files.map(textOf);
  const ports = await freePorts(texts);
  const merged = textOf("stats_tags.yaml");
  const environment = { ...process.env, ENVOY_DYNAMIC_MODULES_SEARCH_PATH: join(REPOSITORY, "dist") };
  const processes = texts.map((text, index) => {
    const file = join(folder, `${index}.yaml`);
    writeFileSync(file, text.replace(/port_value: (\d+)/g, (_, port) => `port_value: ${ports.get(port)}`));
    const options = ["--config-path", file, "--config-yaml", merged + libraryMetrics(text), "--concurrency", "1"];
    return spawn(envoy, [...options, "--use-dynamic-base-id", "--log-level", "error"], { cwd: REPOSITORY, env: environment, stdio: "inherit" });
  });
  const demo = {
    address: (port) => `http://127.0.0.1:${ports.get(String(port))}`,
    send: (path, headers = {}, port = 10000) => send(Number(ports.get(String(port))), path, { host: "shop.example", ...headers }),
    async stop() {
      for (const process of processes) {
        if (process.exitCode === null && process.kill()) await once(process, "exit");
      }
      rmSync(folder, { recursive: true });
    },
  };
  try {
    for (const port of adminPorts) await untilReady(Number(ports.get(port)));
  } catch (error) {
    await demo.stop();
    throw error;
  }
  return demo;
}

function textOf(name) {
  const file = join(REPOSITORY, "envoy", name);
  if (!IN_LIBRARY) return readFileSync(file, "utf8");
  return execFileSync("sed", ["-E", "-f", join(REPOSITORY, "envoy/library.sed"), file], { encoding: "utf8" });
}

// The upstream has a runtime of its own, and no plugins.
function libraryMetrics(text) {
  return IN_LIBRARY && text.includes("dynamic_modules.v3") ? textOf("library_metrics.yaml") : "";
}

// Maps each port to a free one. All of these are held until the last one is chosen.
async function freePorts(texts) {
  const names = new Set(texts.flatMap((text) => [...text.matchAll(/port_value: (\d+)/g)].map(([, port]) => port)));
  const ports = new Map();
  const held = [];
  for (const name of names) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    ports.set(name, server.address().port);
    held.push(server);
  }
  for (const server of held) server.close();
  return ports;
}

async function untilReady(port) {
  for (const end = Date.now() + START_TIMEOUT; Date.now() < end; await sleep(100)) {
    if ((await send(port, "/ready").catch(() => 0)) === 200) return;
  }
  throw new Error(`no Envoy is ready on port ${port}; is something missing in dist (make build)?`);
}

// fetch cannot set the host header.
async function send(port, path, headers) {
  const sent = request({ host: "127.0.0.1", port, path, headers, agent: false }).end();
  const [response] = await once(sent, "response");
  response.resume();
  await once(response, "end");
  return response.statusCode;
}
