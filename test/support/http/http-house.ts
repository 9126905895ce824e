// A node:http server on 127.0.0.1 and requests to it, as a browser sends them: one at a time, with what came back in plain form.
import { once } from "node:events";
import { type ClientRequest, createServer, type RequestListener, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Ask {
  readonly method?: string;
  readonly cookie?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly setCookies: readonly string[];
  readonly bytes: Buffer;
  readonly text: string;
  /** `name=value` pairs of the cookies that were set. */
  readonly cookie: string;
}

/** A server on 127.0.0.1, whoever runs it. */
export class HttpDoor {
  readonly port: number;
  /** What all paths begin with. */
  readonly base: string;

  constructor(port: number, base = "") {
    this.port = port;
    this.base = base;
  }

  /** A request that is not ended yet. */
  begin(path: string, { method = "GET", cookie, headers = {} }: Ask = {}): ClientRequest {
    const cookies = cookie === undefined ? {} : { cookie };
    return request({
      host: "127.0.0.1",
      port: this.port,
      path: this.base + path,
      method,
      headers: { ...headers, ...cookies },
      agent: false,
    });
  }

  async ask(path: string, ask: Ask = {}): Promise<Reply> {
    const sent = this.begin(path, ask);
    sent.end(ask.body);
    return readReply(sent);
  }
}

export class HttpHouse extends HttpDoor {
  readonly server: Server;

  private constructor(server: Server, port: number) {
    super(port);
    this.server = server;
  }

  static async open(listener: RequestListener): Promise<HttpHouse> {
    const server = createServer(listener);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new HttpHouse(server, (server.address() as AddressInfo).port);
  }

  async close(): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

export async function readReply(sent: ClientRequest): Promise<Reply> {
  const [response] = await once(sent, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const setCookies: string[] = response.headers["set-cookie"] ?? [];
  const cookie = setCookies.map((line) => line.split(";", 1)[0]).join("; ");
  return {
    status: response.statusCode,
    headers: response.headers,
    setCookies,
    bytes,
    text: bytes.toString(),
    cookie,
  };
}
