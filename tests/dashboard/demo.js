// Starts Envoys, such as the demo's, on free ports, so that tests can run next to a `make demo`.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect } from "node:net";
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

// Starts an Envoy for each of some files in the folder envoy, and waits for the admin interfaces of these ports. With a
// file can come a script for sed: "fleet.yaml fleet/second.sed". Returns {address(port), send(path, headers, port), stop()}: ports are those in the files. `send` sends a GET request,
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
  const [file, ...scripts] = [...name.split(" "), ...(IN_LIBRARY ? ["library.sed"] : [])];
  if (scripts.length === 0) return readFileSync(join(REPOSITORY, "envoy", file), "utf8");
  const options = scripts.flatMap((script) => ["-f", script]);
  return execFileSync("sed", ["-E", ...options, file], { cwd: join(REPOSITORY, "envoy"), encoding: "utf8" });
}

// Starts a Redis, and the rate-limit service of the demo's fleet on this port. Returns {stop()}; undefined where there is
// no Redis.
export async function startRateLimitService(port) {
  const redisPort = (await freePorts(["port_value: 1"])).get("1");
  const redis = spawn(join(REPOSITORY, "tests/redis-server"), [String(redisPort)], { stdio: "ignore" });
  if (!(await untilOpen(redis, redisPort))) return undefined;
  const settings = { RUNTIME_ROOT: "envoy/fleet", REDIS_URL: `127.0.0.1:${redisPort}`, GRPC_PORT: String(port) };
  const service = spawn(join(REPOSITORY, ".tools/ratelimit-service"), [], { cwd: REPOSITORY, env: { ...process.env, ...settings }, stdio: ["ignore", "ignore", "inherit"] });
  const stop = async () => {
    for (const process of [service, redis]) if (process.exitCode === null && process.kill()) await once(process, "exit");
  };
  if (await untilOpen(service, port)) return { stop };
  await stop();
  throw new Error("the rate-limit service did not start");
}

// Whether a process listens on a port before it ends.
async function untilOpen(process, port) {
  for (; process.exitCode === null; await sleep(50)) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(() => true, () => false);
    socket.destroy();
    if (isOpen) return true;
  }
  return false;
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
