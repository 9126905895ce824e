// ResponseGate alone: what is held, in which order it is done, and what a response says of itself meanwhile.
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { ResponseGate } from "../../../../client/http/node/response-gate.ts";
import { HttpHouse } from "../../../support/http/http-house.ts";

let server: HttpHouse | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** Preparations that the test lets finish one by one. `isReady` says what the test says. */
class Script {
  isReady = true;
  asked = 0;
  readonly errors: unknown[] = [];
  readonly preparations: ((isFine: boolean) => void)[] = [];

  guard(res: ServerResponse): ResponseGate {
    return new ResponseGate(res, {
      isReady: () => {
        this.asked += 1;
        return this.isReady;
      },
      prepare: () => new Promise((resolve) => this.preparations.push(resolve)),
      onBroken: (error) => this.errors.push(error),
    });
  }

  /** Ends the preparation that is under way. */
  finish({ isFine = true, isReady = true } = {}): void {
    this.isReady = isReady;
    this.preparations.shift()?.(isFine);
  }
}

async function serve(handler: (res: ServerResponse, req: IncomingMessage) => unknown): Promise<HttpHouse> {
  server = await HttpHouse.open((req, res) => void handler(res, req));
  return server;
}

describe("ResponseGate", () => {
  it("asks before the first thing leaves and at the end, and else not at all", async () => {
    const script = new Script();
    const house = await serve((res) => {
      script.guard(res);
      for (let n = 0; n < 5; n++) res.write(String(n));
      setImmediate(() => {
        res.end();
        res.end();
      });
    });
    expect((await house.ask("/")).text).toBe("01234");
    expect(script.asked).toBe(2);
  });

  it("does what was kept in its order, once it may", async () => {
    const script = new Script();
    script.isReady = false;
    const house = await serve((res) => {
      script.guard(res);
      res.writeHead(201, { "X-A": "1" });
      expect(res.write("one ")).toBe(true);
      res.flushHeaders();
      expect(res.write("two ")).toBe(true);
      expect(res.end("three")).toBe(res);
      expect(res.headersSent && res.writableEnded && !res.writableFinished).toBe(true);
      setImmediate(() => script.finish());
    });
    const reply = await house.ask("/");
    expect([reply.status, reply.headers["x-a"], reply.text]).toEqual([201, "1", "one two three"]);
  });

  it("prepares again when there is something new at the end", async () => {
    const script = new Script();
    script.isReady = false;
    let preparations = 0;
    const house = await serve((res) => {
      script.guard(res);
      res.write("one ");
      res.end("two");
      const again = setInterval(() => {
        if (script.preparations.length === 0) return;
        preparations += 1;
        script.finish({ isReady: preparations === 3 });
        if (preparations === 3) clearInterval(again);
      }, 1);
    });
    expect((await house.ask("/")).text).toBe("one two");
    expect(preparations).toBe(3);
  });

  it("keeps the status it had when the response was answered", async () => {
    const script = new Script();
    script.isReady = false;
    const house = await serve((res) => {
      script.guard(res);
      res.statusCode = 201;
      res.end("made");
      res.statusCode = 500;
      setImmediate(() => script.finish());
    });
    expect((await house.ask("/")).status).toBe(201);
  });

  it("adds its cookies to those of the response", async () => {
    const script = new Script();
    script.isReady = false;
    const house = await serve((res) => {
      const gate = script.guard(res);
      res.setHeader("Set-Cookie", "theirs=1");
      res.end();
      expect([res.headersSent, gate.haveHeadersLeft]).toEqual([true, false]);
      gate.addCookie("ours=1");
      setImmediate(() => script.finish());
    });
    expect((await house.ask("/")).setCookies).toEqual(["theirs=1", "ours=1"]);
  });

  it("answers 500 in place of what was kept when it may not be sent", async () => {
    const script = new Script();
    script.isReady = false;
    const called: string[] = [];
    const house = await serve((res) => {
      script.guard(res);
      res.setHeader("Transfer-Encoding", "chunked");
      res.setHeader("Set-Cookie", "theirs=1");
      res.write("all ", () => called.push("write"));
      res.end("is well", () => called.push("end"));
      setImmediate(() => script.finish({ isFine: false }));
    });
    const reply = await house.ask("/");
    expect([reply.status, reply.setCookies, reply.headers["transfer-encoding"]]).toEqual([500, [], undefined]);
    expect(reply.text).not.toContain("well");
    expect(called).toEqual(["write", "end"]);
  });

  it("cuts the connection when it may not go on after the headers", async () => {
    const script = new Script();
    const house = await serve((res) => {
      script.guard(res);
      res.write("begun", () => {
        script.isReady = false;
        res.end("well");
        setImmediate(() => script.finish({ isFine: false }));
      });
    });
    await expect(house.ask("/")).rejects.toThrow();
  });

  it("says when there is room again, once what was kept has left, and not before", async () => {
    const script = new Script();
    script.isReady = false;
    const seen: unknown[] = [];
    const house = await serve((res) => {
      script.guard(res);
      res.on("drain", () => {
        seen.push("drain");
        res.end("!");
      });
      seen.push(res.write("x".repeat(200_000)), res.writableNeedDrain);
      seen.push(res.write(Buffer.alloc(100_000, "y")));
      setImmediate(() => {
        seen.push("released");
        script.finish();
      });
    });
    expect((await house.ask("/")).text.length).toBe(300_001);
    expect(seen).toEqual([false, true, false, "released", "drain"]);
  });

  it("tells a client whose response goes on after its 500 to close, and lets the application come to its end", async () => {
    const script = new Script();
    script.isReady = false;
    const done: string[] = [];
    const house = await serve((res) => {
      script.guard(res);
      res.on("finish", () => done.push("finish"));
      res.write("begun", () => done.push("begun"));
      setImmediate(() => {
        script.finish({ isFine: false });
        setImmediate(() => {
          res.write("more", () => done.push("more"));
          res.end("last", () => done.push("ended"));
        });
      });
    });
    const reply = await house.ask("/");
    expect([reply.status, reply.headers.connection]).toEqual([500, "close"]);
    await expect.poll(() => [...done].sort()).toEqual(["begun", "ended", "finish", "more"]);
  });
});
