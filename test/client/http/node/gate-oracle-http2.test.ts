// The oracle of gate-oracle.test.ts under HTTP/2: the compatibility API and the stream below it, held and not held.
import { once } from "node:events";
import { connect, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ResponseGate } from "../../../../client/http/node/response-gate.ts";
import { makeScript, named, type Response, type Step, snapshot, told } from "../../../support/http/response-steps.ts";
import { Random } from "../../../support/values/random.ts";

const OURS = "SESSION=127.0.0.1:0123456789ABCDEF01234567;path=/";

/** Whether bytes have left cannot be the same: how much waits is, until the stream would have taken it. */
const WHETHER_THEY_LEFT = ["writableLength", "writableFinished", "stream length", "stream finished"];
/** What HTTP/2 has not, warns of, sends rubbish for (nothing), or answers by ending the stream at once: held, nothing has left by then. */
const NOT_HERE =
  /^(_implicitHeader|strictContentLength|statusMessage|writeProcessing|shouldKeepAlive|useChunked|destroy|uncork|cork|setHeader bad name|setHeader close|write number|write null|write nothing|end number|flushHeaders)/;

const streamOf = (res: Response): ServerHttp2Stream => (res as unknown as { stream: ServerHttp2Stream }).stream;
const onStream: Readonly<Record<string, Step[1]>> = {
  "stream.respond": (res) => streamOf(res).respond({ ":status": 203, "x-s": "1" }),
  "stream.respond nothing": (res) => streamOf(res).respond(),
  "stream.respond and end": (res) => streamOf(res).respond({ ":status": 203 }, { endStream: true }),
  "stream.respond bad header": (res) => streamOf(res).respond({ connection: "close" }),
  "stream.respond bad status": (res) => streamOf(res).respond({ ":status": 99 }),
  "stream.write": (res, note) => streamOf(res).write("s", note("stream written")),
  "stream.end": (res) => void streamOf(res).end("end of stream"),
  "writeHead bad connection": (res) => void res.writeHead(200, { ":bad": "x" }),
};
const step = (name: string): Step => [name, onStream[name] as Step[1]];

interface Run {
  readonly seen: readonly (readonly [step: string, answer: unknown, shown: Record<string, unknown>])[];
  readonly arrived: Record<string, unknown>;
}

let server: Http2Server;
let handler: (res: Response) => void = () => undefined;

beforeAll(async () => {
  server = createServer((_req, res) => handler(res as unknown as Response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(async () => {
  server.close();
  await once(server, "close");
});

function look(res: Response): Record<string, unknown> {
  const stream = streamOf(res);
  const { date: _, ...sentHeaders } = stream.sentHeaders ?? {};
  const shown = {
    stream: [
      stream.headersSent,
      stream.destroyed,
      stream.closed,
      stream.aborted,
      stream.writableEnded,
      stream.writable,
    ],
    "stream length": stream.writableLength,
    "stream finished": stream.writableFinished,
    sentHeaders: Object.fromEntries(Object.entries(sentHeaders)),
  };
  return { ...snapshot(res), ...shown };
}

async function run(script: readonly Step[], method: string, isHeld: boolean): Promise<Run> {
  const seen: Run["seen"][number][] = [];
  handler = (res) => {
    let release: (isFine: boolean) => void = () => undefined;
    let isReady = !isHeld;
    if (isHeld) {
      const prepare = (): Promise<boolean> => new Promise((resolve) => (release = resolve));
      new ResponseGate(res, { isReady: () => isReady, prepare, onBroken: () => undefined }).addCookie(OURS);
    }
    res.on("error", () => undefined);
    streamOf(res).on("error", () => undefined);
    for (const [name, make] of script) {
      let answer: unknown;
      try {
        answer = make(res, () => () => undefined);
      } catch (error) {
        answer = told(error);
      }
      seen.push([name, answer, look(res)]);
    }
    isReady = true;
    release(true);
    setImmediate(() => {
      try {
        if (!res.writableEnded) res.end();
      } catch {
        res.destroy();
      }
    });
  };
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on("error", () => undefined);
  const stream = client.request({ ":path": "/", ":method": method });
  const arrived: Record<string, unknown> = {};
  const infos: unknown[] = [];
  stream.on("headers", (headers) => infos.push({ ...headers }));
  stream.on("response", ({ date: _, ...headers }) => (arrived.headers = { ...headers }));
  stream.on("trailers", (headers) => (arrived.trailers = { ...headers }));
  stream.on("error", () => undefined);
  const chunks: Buffer[] = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  stream.end();
  await new Promise((resolve) => stream.on("close", resolve));
  client.close();
  return {
    seen,
    arrived: {
      ...arrived,
      infos,
      rstCode: stream.rstCode,
      body: Buffer.concat(chunks)
        .toString("latin1")
        .replace(/x{100,}/g, ({ length }) => `${length} x`),
    },
  };
}

async function compare(script: readonly Step[], method = "GET"): Promise<void> {
  const [free, held] = [await run(script, method, false), await run(script, method, true)];
  // Newer versions show what they have refused.
  const mayDiffer = script.some(([name]) => name.includes("bad"))
    ? [...WHETHER_THEY_LEFT, "sentHeaders"]
    : WHETHER_THEY_LEFT;
  for (const [index, [name, answer, shown]] of free.seen.entries()) {
    const [, heldAnswer, heldShown = {}] = held.seen[index] ?? [];
    const without = (all: Record<string, unknown>): object =>
      Object.fromEntries(Object.entries(all).filter(([property]) => !mayDiffer.includes(property)));
    expect({ index, name, answer: heldAnswer, shown: without(heldShown) }).toEqual({
      index,
      name,
      answer,
      shown: without(shown),
    });
  }
  const headers = held.arrived.headers as Record<string, unknown> | undefined;
  const cookies = (headers?.["set-cookie"] ?? []) as string[];
  expect(cookies.filter((line) => line === OURS)).toHaveLength(free.arrived.headers === undefined ? 0 : 1);
  const others = cookies.filter((line) => line !== OURS);
  const { "set-cookie": _, ...rest } = headers ?? {};
  const expected = others.length > 0 ? { ...rest, "set-cookie": others } : rest;
  expect({ ...held.arrived, headers: headers && expected }).toEqual({ ...free.arrived, headers: free.arrived.headers });
}

describe("under HTTP/2 a response that is held shows what it would show without us, and the same leaves", () => {
  it.each<[string, Step[]]>([
    ["text", named("setHeader", "end text")],
    ["nothing", named("end")],
    ["pieces", named("setHeader cookies", "write", "write bytes", "end text")],
    ["headers first", named("writeHead object", "write", "setHeader", "end")],
    ["a status that is none", named("writeHead bad status", "statusCode", "end text")],
    ["no body", named("statusCode 204", "write", "end text")],
    ["trailers", named("addTrailers", "write", "end")],
    ["hints ahead of it", named("writeContinue", "writeEarlyHints", "end text")],
    ["an end after the end", named("end text", "end", "end text")],
    ["answers of the stream itself", [step("stream.respond"), step("stream.write"), step("stream.end")]],
    ["the stream only written to", [step("stream.write"), step("stream.end")]],
    ["the stream, twice", [step("stream.respond"), step("stream.respond"), ...named("writeHead", "setHeader", "end")]],
    ["the stream, ended at once", [step("stream.respond and end"), ...named("end")]],
    [
      "what the stream refuses",
      [step("stream.respond bad header"), step("stream.respond bad status"), ...named("end")],
    ],
    ["what writeHead refuses", [step("writeHead bad connection"), ...named("end text")]],
  ])("%s", (_what, script) => compare(script));

  it("with HEAD", () => compare(named("setHeader length 5", "end text"), "HEAD"));

  it.each(Array.from({ length: 6 }, (_, group) => group))(
    "whatever is done to it, seeds of group %i",
    async (group) => {
      for (let seed = group * 20; seed < group * 20 + 20; seed++) {
        const random = new Random(seed);
        const script = makeScript(random, (name) => !NOT_HERE.test(name));
        if (random.below(3) === 0)
          script.splice(random.below(script.length), 0, step(random.of(Object.keys(onStream))));
        // What is written after the end destroys the stream: held, nothing has left by then.
        const end = script.findIndex(([name]) => name.includes("end"));
        if (end >= 0 && script.some(([name], at) => at > end && /write(?!Head)|end /.test(name))) continue;
        const method = random.of(["GET", "GET", "HEAD", "POST"]);
        await compare(script, method).catch((error: Error) => {
          error.message = `seed ${seed}, ${method}: ${script.map(([name]) => name).join(", ")}\n${error.message}`;
          throw error;
        });
      }
    },
  );
});
