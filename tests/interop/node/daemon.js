// Starts the daemon under test: a free port, a data directory of its own, an environment without keys.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";

const STARTUP_MS = 20_000;

/// Named, because with nothing named a local Ollama would be asked.
export const REHEARSAL = { upstreams: { rehearsal: { kind: "rehearsal" } } };

export class Daemon {
  static async start(config, env = {}) {
    const daemon = new Daemon();
    daemon.folder = fs.mkdtempSync(path.join(os.tmpdir(), "nuncio-interop-"));
    daemon.dataDir = path.join(daemon.folder, "data");
    const configFile = path.join(daemon.folder, "config.yaml");
    fs.writeFileSync(configFile, JSON.stringify(config, null, 2)); // JSON is YAML
    const port = await freePort();
    daemon.baseURL = `http://127.0.0.1:${port}/v1`;
    daemon.logFile = path.join(daemon.folder, "nuncio.log");
    const log = fs.openSync(daemon.logFile, "w");
    const args = ["serve", "--host", "127.0.0.1", "--port", port, "--data-dir", daemon.dataDir, "--config", configFile];
    daemon.process = spawn(process.env.NUNCIO_BIN, args.map(String), {
      cwd: daemon.folder,
      // Nothing of the caller's environment but PATH: a key there would choose another upstream.
      env: { PATH: process.env.PATH, HOME: daemon.folder, NUNCIO_LOG: "info", ...env },
      stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    try {
      await waitFor(() => daemon.#healthy(port), STARTUP_MS, "GET /health answers");
    } catch (error) {
      daemon.process.kill("SIGKILL");
      throw new Error(`${error.message}\n${daemon.log}`);
    }
    return daemon;
  }

  get log() {
    return fs.readFileSync(this.logFile, "utf8");
  }

  async #healthy(port) {
    assert.equal(this.process.exitCode, null, "nuncio did not start");
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
    return answer?.ok;
  }

  /// The official SDK: no retries that hide an answer.
  client(options = {}) {
    return new OpenAI({ baseURL: this.baseURL, apiKey: "none", maxRetries: 0, timeout: 30_000, ...options });
  }

  /// The content of each file of this name in the sessions' workspaces.
  workspaceFiles(name) {
    const root = path.join(this.dataDir, "workspaces");
    const folders = fs.existsSync(root) ? fs.readdirSync(root) : [];
    const files = folders.map((folder) => path.join(root, folder, name));
    return files.filter((file) => fs.existsSync(file)).map((file) => fs.readFileSync(file, "utf8"));
  }

  /// Stops the process and checks that it had lived.
  async stop() {
    const died = this.process.exitCode ?? this.process.signalCode;
    if (died === null) {
      const exit = once(this.process, "exit");
      this.process.kill("SIGTERM");
      const timer = setTimeout(() => this.process.kill("SIGKILL"), 10_000);
      await exit;
      clearTimeout(timer);
    }
    const log = this.log;
    fs.rmSync(this.folder, { recursive: true, force: true });
    assert.equal(died, null, `the daemon had died:\n${log}`);
    assert.doesNotMatch(log, /panicked at/);
  }
}

async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

/// Polls until `condition()` is truthy; fails after `ms`.
export async function waitFor(condition, ms, what) {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}
