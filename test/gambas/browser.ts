// A browser as far as cookies go: one jar for Node servers and Gambas' CGI programs on the same host, and requests to both.
import { request } from "node:http";
import type { GambasHouse } from "../support/gambas/gambas-house.ts";
import type { OracleAnswer, OracleCommand } from "../support/gambas/oracle-process.ts";
import { readReply } from "../support/http/http-house.ts";
import { pack, unpack } from "./packed.ts";
import type { Step } from "./programs/steps.ts";

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

export interface NodeReply {
  readonly answers: unknown[];
  readonly setCookies: readonly string[];
}

export interface GambasReply {
  /** Those of the commands alone. */
  readonly answers: readonly OracleAnswer[];
  readonly setCookies: readonly string[];
}

export class Browser {
  #cookies: Cookie[] = [];

  /** What a request for this path carries, the longest path first (RFC 6265, 5.4); undefined when there is nothing. */
  header(path: string): string | undefined {
    const sent = this.#cookies.filter((cookie) => matches(path, cookie.path));
    sent.sort((a, b) => b.path.length - a.path.length);
    return sent.length === 0 ? undefined : sent.map(({ name, value }) => `${name}=${value}`).join("; ");
  }

  /** All cookies, as `name=value` with their path, in the order in which they were set. */
  get cookies(): string[] {
    return this.#cookies.map(({ name, value, path }) => `${name}=${value} ${path}`);
  }

  set(cookie: Cookie): void {
    this.#remove(cookie);
    this.#cookies.push(cookie);
  }

  /** A request that performs these steps in a Node server (programs/worker.ts, listen). */
  async askNode(port: number, path: string, ...steps: readonly Step[]): Promise<NodeReply> {
    const cookie = this.header(path);
    const headers = cookie === undefined ? {} : { cookie };
    const sent = request({ host: "127.0.0.1", port, path, method: "POST", headers, agent: false });
    sent.end(pack(steps));
    const { status, text, setCookies } = await readReply(sent);
    if (status !== 200) throw new Error(`the server answered ${status}: ${text}`);
    this.accept(setCookies, path);
    return { answers: unpack(text), setCookies };
  }

  /** A request that a Gambas CGI program at this path answers: the commands, then the headers, then its session is saved. */
  async askGambas(house: GambasHouse, path: string, ...commands: readonly OracleCommand[]): Promise<GambasReply> {
    const env = { HTTP_COOKIE: this.header(path), SCRIPT_NAME: path, REMOTE_ADDR: "127.0.0.1" };
    const answers = await house.oracle([...commands, ["respond"]], { env });
    const lines = answers.at(-1)?.headers ?? [];
    const setCookies = lines.filter((line) => line.startsWith("Set-Cookie: ")).map((line) => line.slice(12));
    this.accept(setCookies, path);
    return { answers: answers.slice(0, -1), setCookies };
  }

  /** What an answer to a request for this path has set. */
  accept(setCookies: readonly string[], requestPath: string): void {
    for (const line of setCookies) this.#acceptOne(line, requestPath);
  }

  #acceptOne(line: string, requestPath: string): void {
    const [pair = "", ...attributes] = line.split(";");
    const at = pair.indexOf("=");
    const named = (name: string): string | undefined =>
      attributes.find((text) => text.trim().toLowerCase().startsWith(`${name}=`))?.split("=")[1];
    const path = named("path") ?? directoryOf(requestPath);
    const cookie = { name: pair.slice(0, at), value: pair.slice(at + 1), path };
    const expires = named("expires");
    if (expires === undefined || Date.parse(expires) > Date.now()) this.set(cookie);
    else this.#remove(cookie);
  }

  #remove({ name, path }: Cookie): void {
    this.#cookies = this.#cookies.filter((cookie) => cookie.name !== name || cookie.path !== path);
  }
}

function matches(requestPath: string, cookiePath: string): boolean {
  if (requestPath === cookiePath || cookiePath === "/") return true;
  return requestPath.startsWith(cookiePath.endsWith("/") ? cookiePath : `${cookiePath}/`);
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
