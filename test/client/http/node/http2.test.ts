// session() under node:http2: the compatibility API, and the stream below it, on which a handler may answer by itself.
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type Http2Server,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import { Session } from "../../../../client/static/session.ts";
import { house, openSite } from "../../../support/http/session-site.ts";

openSite();

interface Reply {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly cookie: string;
}
type Ask = (cookie?: string) => Promise<Reply>;

const COOKIE = /^SESSION=127\.0\.0\.1:[0-9A-F]{24};path=\/;httponly;SameSite=Lax$/;
const begin = (res: Http2ServerResponse): void => {
  Session.n = 1;
  res.end();
};

let server: Http2Server;
let client: ClientHttp2Session;
let told: unknown[];

/** Serves with this handler, once a session is begun by another one. */
async function serve(handler: (res: Http2ServerResponse) => void, first = handler): Promise<Ask> {
  told = [];
  const bind = session({ ...house.options, onError: (error) => void told.push(error) });
  server = createServer((req, res) => bind(req, res, () => (req.url === "/first" ? first : handler)(res)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  if (first === handler) return (cookie) => ask("/", cookie);
  const { cookie: begun } = await ask("/first");
  return (cookie = begun) => ask("/", cookie);
}

async function ask(path: string, cookie?: string): Promise<Reply> {
  const stream = client.request({ ":path": path, ...(cookie === undefined ? {} : { cookie }) });
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  let text = "";
  for await (const chunk of stream) text += chunk;
  return { headers, text, cookie: headers["set-cookie"]?.[0]?.split(";", 1)[0] ?? cookie ?? "" };
}

async function stored(cookie: string): Promise<unknown> {
  return (await house.worker().open(cookie.slice("SESSION=".length)))?.get("n");
}

afterEach(() => {
  client.close();
  server.close();
});

describe("HTTP/2", () => {
  it("works through the compatibility API", async () => {
    const count = await serve((res) => {
      Session.n = Number(Session.n ?? 0) + 1;
      res.setHeader("x-a", "1");
      res.end(String(Session.n));
    });
    const first = await count();
    expect([first.text, first.headers["x-a"]]).toEqual(["1", "1"]);
    expect(first.headers["set-cookie"]).toEqual([expect.stringMatching(COOKIE)]);
    expect((await count(first.cookie)).text).toBe("2");
  });

  it("sends the cookie with headers that the stream is given, when the session is saved", async () => {
    const count = await serve(({ stream }) => {
      Session.n = 1;
      stream.respond({ ":status": 203 });
      stream.end("one");
    });
    const { headers, text, cookie } = await count();
    expect([headers[":status"], headers["set-cookie"], text]).toEqual([203, [expect.stringMatching(COOKIE)], "one"]);
    expect(await stored(cookie)).toBe(1);
  });

  it("saves what is changed after the stream has its headers, before the end of the body", async () => {
    const count = await serve(({ stream }) => {
      stream.respond({ ":status": 200 });
      stream.write("one ");
      Session.n = 2;
      stream.end("two");
    }, begin);
    const { text, cookie } = await count();
    expect([text, await stored(cookie), told]).toEqual(["one two", 2, []]);
  });

  it("saves what is changed while the end of the stream waits", async () => {
    const count = await serve(({ stream }) => {
      Session.n = 2;
      stream.respond({ ":status": 200 });
      stream.end("two");
      Session.n = 3;
    }, begin);
    const { text, cookie } = await count();
    await expect.poll(() => stored(cookie)).toBe(3);
    expect([text, told]).toEqual(["two", []]);
  });

  it("says that no session can begin once the stream has its headers", async () => {
    let refusal: unknown;
    const late = await serve(({ stream }) => {
      stream.respond({ ":status": 200 });
      try {
        Session.n = 1;
      } catch (error) {
        refusal = error;
      }
      stream.end("late");
    });
    expect([(await late()).text, refusal]).toEqual(["late", expect.objectContaining({ code: "ERR_HEADERS_SENT" })]);
  });
});
