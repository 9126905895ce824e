// One browser of the load generator: a kept-alive connection, one request at a time, a session cookie. As little work as possible, so
// that it is not what is measured.

import { connect, type Socket } from "node:net";

const HEAD_END = "\r\n\r\n";

export class Browser {
  readonly #socket: Socket;
  readonly #host: string;
  #cookie = "";
  #received = "";
  #resolve: (body: string) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;
  #isClosed = false;
  #requests = new Map<string, string>();

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#host = `127.0.0.1:${port}`;
    socket.setEncoding("latin1").on("data", (text) => this.#receive(String(text)));
    socket.on("close", () => this.#closed());
    socket.on("error", (error) => this.#reject(error));
  }

  static open(port: number): Promise<Browser> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(new Browser(socket, port)));
      socket.once("error", reject);
    });
  }

  /** Resolves to the body; rejects for any status but 200. */
  get(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#isClosed) this.#closed();
      this.#socket.write(this.#requestFor(path), "latin1");
    });
  }

  close(): void {
    this.#reject = () => undefined;
    this.#socket.destroy();
  }

  #closed(): void {
    this.#isClosed = true;
    this.#reject(new Error("the site closed the connection"));
  }

  #requestFor(path: string): string {
    const known = this.#requests.get(path);
    if (known !== undefined) return known;
    const cookie = this.#cookie === "" ? "" : `Cookie: ${this.#cookie}\r\n`;
    const request = `GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${cookie}\r\n`;
    this.#requests.set(path, request);
    return request;
  }

  #receive(text: string): void {
    this.#received = this.#received === "" ? text : this.#received + text;
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const bodyAt = headEnd + HEAD_END.length;
    if (this.#received.length < bodyAt + contentLength(this.#received)) return;
    const response = this.#received;
    this.#received = "";
    this.#keepCookie(response, headEnd);
    if (response.startsWith("HTTP/1.1 200")) this.#resolve(response.slice(bodyAt));
    else this.#reject(new Error(`The site answered ${response.slice(0, 200)}`));
  }

  #keepCookie(response: string, headEnd: number): void {
    const at = response.indexOf("\r\nSet-Cookie: ");
    if (at < 0 || at > headEnd) return;
    const cookie = response.slice(at + 14, response.indexOf(";", at));
    if (cookie === this.#cookie) return;
    this.#cookie = cookie;
    this.#requests = new Map();
  }
}

function contentLength(response: string): number {
  const at = response.indexOf("Content-Length: ");
  return Number.parseInt(response.slice(at + 16, at + 26), 10);
}
