// A program that is started for each request, answers it and ends (CGI, RFC 3875), as pages of Gambas do. Knows nothing of sessions.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";

export class CgiProgram {
  readonly #path: string;
  readonly #command: readonly string[];
  readonly #running = new Set<ChildProcess>();

  /**
   * @param path of its pages; what the program is told as SCRIPT_NAME.
   * @param command the program and its arguments.
   */
  constructor(path: string, command: readonly string[]) {
    this.#path = path;
    this.#command = command;
  }

  /** The answer leaves when the program has ended: Gambas saves a session at the very end of its program. */
  async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const [program = "", ...args] = this.#command;
    const child = spawn(program, args, { env: this.#variables(req), stdio: ["pipe", "pipe", "inherit"] });
    this.#running.add(child);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    // A program may leave the form unread, and end.
    child.stdin.on("error", () => req.resume());
    req.pipe(child.stdin);
    try {
      await once(child, "close");
      send(res, Buffer.concat(chunks).toString("latin1"));
    } catch (error) {
      console.error(`${program} could not be started: ${error}`);
      res.writeHead(502).end();
    } finally {
      this.#running.delete(child);
    }
  }

  /** Ends the programs that still run. */
  end(): void {
    for (const child of this.#running) child.kill();
  }

  #variables({ method, url = "", headers, socket }: IncomingMessage): NodeJS.ProcessEnv {
    const { PATH, HOME, LANG } = process.env;
    return {
      ...{ PATH, HOME, LANG },
      GATEWAY_INTERFACE: "CGI/1.1",
      SERVER_PROTOCOL: "HTTP/1.1",
      SERVER_NAME: socket.localAddress,
      SERVER_PORT: String(socket.localPort),
      REMOTE_ADDR: socket.remoteAddress,
      REQUEST_METHOD: method,
      SCRIPT_NAME: this.#path,
      QUERY_STRING: url.split("?").slice(1).join("?"),
      CONTENT_TYPE: headers["content-type"],
      CONTENT_LENGTH: headers["content-length"],
      HTTP_HOST: headers.host,
      HTTP_COOKIE: headers.cookie,
    };
  }
}

/** Header lines, an empty line, and the body. One of the headers, Status, is none of HTTP. */
function send(res: ServerResponse, output: string): void {
  const [, head, body = ""] = /^([\s\S]*?)\r?\n\r?\n([\s\S]*)$/.exec(output) ?? [];
  if (head === undefined) {
    res.writeHead(502).end();
    return;
  }
  for (const line of head.split(/\r?\n/)) {
    const [, name = "", value = ""] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    if (name.toLowerCase() === "status") res.statusCode = Number.parseInt(value, 10);
    else if (name !== "") res.appendHeader(name, value);
  }
  res.end(body, "latin1");
}
