// A process that runs blocks of code of the pages, as modules, one after the other. A server that a block starts gets a port that is free, and each
// of its pages is asked for twice, as a browser asks. The process that started this one is told of each block how it went.

import { readFileSync } from "node:fs";
import { type AddressInfo, Server } from "node:net";
import { pathToFileURL } from "node:url";
import type { Told } from "./workshop.ts";

const PATHS = /\.(?:get|all|use)\(\s*["'](\/[^"':*]*)["']/g;
const OWN_FAULT = 500;
/** It bounds what hangs, and never what is slow. */
const PATIENCE_MS = 60_000;

let begun: Server[] = [];
let failures: string[] = [];

/** Where a block says on which port, any will do. Unix sockets stay where they are. */
function listenAnywhere(): void {
  const listen = Server.prototype.listen;
  const anywhere = function (this: Server, ...args: unknown[]): Server {
    const [place] = args;
    const isPort = typeof place === "number" || (typeof place === "object" && place !== null && "port" in place);
    if (!isPort) return Reflect.apply(listen, this, args);
    begun.push(this);
    // A block that tests its server ends it, too.
    this.once("close", () => {
      begun = begun.filter((one) => one !== this);
    });
    const told = args.findLast((one) => typeof one === "function");
    return Reflect.apply(listen, this, [{ port: 0, host: "127.0.0.1" }, ...(told === undefined ? [] : [told])]);
  };
  Object.defineProperty(Server.prototype, "listen", { value: anywhere, writable: true, configurable: true });
}

async function portOf(server: Server): Promise<number> {
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

/** A browser with the cookies of one site. */
async function visit(port: number, paths: readonly string[]): Promise<void> {
  const cookies = new Map<string, string>();
  for (const path of [...paths, ...paths]) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { cookie },
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    for (const line of reply.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const text = await reply.text();
    if (reply.status >= OWN_FAULT) failures.push(`${path} answers ${reply.status}: ${text}`);
  }
}

async function run(file: string): Promise<string | undefined> {
  begun = [];
  failures = [];
  try {
    await import(pathToFileURL(file).href);
    const paths = [...readFileSync(file, "utf8").matchAll(PATHS)].map(([, path = "/"]) => path);
    // What the system tells later, a warning say.
    await new Promise(setImmediate);
    for (const server of begun) await visit(await portOf(server), paths.length === 0 ? ["/"] : paths);
  } catch (error) {
    failures.push(String(error instanceof Error ? error.stack : error));
  }
  for (const server of begun) {
    server.close();
    if ("closeAllConnections" in server) (server as unknown as { closeAllConnections(): void }).closeAllConnections();
  }
  return failures.length === 0 ? undefined : failures.join("\n");
}

listenAnywhere();
process.on("unhandledRejection", (reason) => failures.push(`unhandled: ${String(reason)}`));
process.on("warning", (warning) => failures.push(`a warning: ${warning.name}: ${warning.message}`));
for (const file of process.argv.slice(2)) {
  const told: Told = { file, failure: await run(file) };
  await new Promise((resolve) => process.send?.(told, resolve));
}
// Clients that blocks have opened would keep it.
process.exit(0);
