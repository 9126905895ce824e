// session() under node:http2.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import { Session } from "../../../../client/static/session.ts";
import { house, openSite } from "../../../support/http/session-site.ts";

openSite();

describe("HTTP/2", () => {
  it("works through the compatibility API", async () => {
    const bind = session(house.options);
    const server = createHttp2Server((req, res) => {
      bind(req as unknown as IncomingMessage, res as unknown as ServerResponse, () => {
        Session.n = ((Session.n as number | undefined) ?? 0) + 1;
        res.setHeader("x-a", "1");
        res.end(String(Session.n));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const ask = async (cookie?: string): Promise<{ headers: Record<string, unknown>; text: string }> => {
      const stream = client.request({ ":path": "/", ...(cookie === undefined ? {} : { cookie }) });
      const [headers] = await once(stream, "response");
      let text = "";
      for await (const chunk of stream) text += chunk;
      return { headers, text };
    };
    const first = await ask();
    const [line = ""] = first.headers["set-cookie"] as string[];
    expect([first.text, first.headers["x-a"]]).toEqual(["1", "1"]);
    expect(line).toMatch(/^SESSION=127\.0\.0\.1:[0-9A-F]{24};path=\/;httponly;SameSite=Lax$/);
    expect((await ask(line.split(";", 1)[0])).text).toBe("2");
    client.close();
    server.close();
  });
});
