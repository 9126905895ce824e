// While a response is held it shows what it would show without us, and the same bytes leave: one script is run on a response that is held
// until its end and on one that nobody holds, and what was seen after each step is compared, errors, answers, callbacks and events included.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ResponseGate } from "../../../../client/http/node/response-gate.ts";
import { makeScript, named, type Response, type Step, snapshot, told } from "../../../support/http/response-steps.ts";
import { Random } from "../../../support/values/random.ts";

const OURS = "SESSION=127.0.0.1:0123456789ABCDEF01234567;path=/";

/**
 * What cannot be the same, because it says where the bytes are, and they have not left:
 * - `outputData`, `outputSize`: kept there, as node:http does for a response that waits for its turn on a pipelined connection;
 * - `writableLength`, `writableNeedDrain`, `writableFinished`, the answer of `write`: the same until node:http would have handed bytes to the
 *   kernel, which is at the end of the event loop's turn, at `flushHeaders` and at `end`;
 * - a callback given to a second `end` is told that the response is finished already, or waits until it is;
 * - what is destroyed right after its end has left without us, and has not with us.
 */
const WHERE_BYTES_ARE = ["outputData", "outputSize"];
const WHETHER_THEY_LEFT = ["writableLength", "writableNeedDrain", "writableFinished"];

interface Run {
  readonly seen: readonly (readonly [step: string, answer: unknown, shown: Record<string, unknown>])[];
  /** Events and callbacks, each kind in its order. */
  readonly events: readonly string[];
  readonly bytes: string;
}

let server: Server;
let handler: (res: Response) => void = () => undefined;

beforeAll(async () => {
  server = createServer((req, res) => {
    if (req.url === "/second") res.end("second");
    else handler(res as Response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

async function run(script: readonly Step[], method: string, isHeld: boolean): Promise<Run> {
  const seen: Run["seen"][number][] = [];
  const events: string[] = [];
  handler = (res) => {
    let release: (isFine: boolean) => void = () => undefined;
    let isReady = !isHeld;
    if (isHeld) {
      const prepare = (): Promise<boolean> => new Promise((resolve) => (release = resolve));
      const gate = new ResponseGate(res, {
        isReady: () => isReady,
        prepare,
        onBroken: (error) => events.push(told(error)),
      });
      gate.addCookie(OURS);
    }
    for (const name of ["prefinish", "finish", "close", "error", "drain"]) res.on(name, () => events.push(name));
    const note = (what: string) => (error?: Error | null) => {
      const isPlain = !error || (error as NodeJS.ErrnoException).code === "ERR_STREAM_ALREADY_FINISHED";
      events.push(isPlain ? what : `${what}: ${told(error)}`);
    };
    for (const [name, step] of script) {
      let answer: unknown;
      try {
        answer = step(res, note);
      } catch (error) {
        answer = told(error);
      }
      seen.push([name, answer, snapshot(res)]);
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
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(`${method} /first HTTP/1.1\r\nHost: x\r\n\r\n`);
  socket.write("GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await once(socket, "close");
  const bytes = Buffer.concat(chunks)
    .toString("latin1")
    .replace(/Date: [^\r]*/g, "Date: now");
  return { seen, events, bytes };
}

/** From here on bytes would have left. */
const LEAVES = /^(flushHeaders|end|destroy|write much|uncork)/;

async function compare(script: readonly Step[], method = "GET"): Promise<void> {
  const [free, held] = [await run(script, method, false), await run(script, method, true)];
  let mayDiffer = WHERE_BYTES_ARE;
  for (const [index, [name, answer, shown]] of free.seen.entries()) {
    if (LEAVES.test(name)) mayDiffer = [...WHERE_BYTES_ARE, ...WHETHER_THEY_LEFT];
    const [, heldAnswer, heldShown] = held.seen[index] ?? [];
    const isRoom = mayDiffer.length > WHERE_BYTES_ARE.length && typeof answer === "boolean" && name.startsWith("write");
    const what = (about: unknown): object => ({ step: index, name, about });
    if (!isRoom) expect(what(heldAnswer)).toEqual(what(answer));
    const without = (all: Record<string, unknown> = {}): object =>
      Object.fromEntries(Object.entries(all).filter(([property]) => !mayDiffer.includes(property)));
    expect(what(without(heldShown))).toEqual(what(without(shown)));
  }
  const line = `Set-Cookie: ${OURS}\r\n`;
  expect(held.bytes.replace(line, "")).toEqual(free.bytes);
  expect(held.bytes.split(line).length - 1).toBe(hasArrived(free.bytes) ? 1 : 0);
  expect(inTwo(held.events)).toEqual(inTwo(free.events));
}

/** What says that bytes have left, `finish` say, comes later than errors do when they wait; of each kind the order is the same. */
function inTwo(events: readonly string[]): readonly string[][] {
  const isError = (name: string): boolean => name.includes("threw") || name === "error";
  const others = events.filter((name) => name !== "drain" && name !== "prefinish");
  const errors = others.filter(isError);
  // Those who wrote to a connection that was destroyed are told when it is, or when what they wrote was to leave.
  if (errors.some((name) => name.includes("DESTROYED"))) errors.sort();
  const left = others.filter((name) => !isError(name) && name !== "ended");
  return [errors, left, others.filter((name) => name === "ended")];
}

/** The headers of the first response, and not only those of the second one. */
function hasArrived(bytes: string): boolean {
  const answers = bytes.match(/HTTP\/1\.1 [2-9]\d\d/g)?.length ?? 0;
  return answers > (bytes.endsWith("second") ? 1 : 0);
}

describe("a response that is held shows what it would show without us, and its bytes are the same", () => {
  it.each<[string, Step[]]>([
    ["text", named("setHeader", "end text")],
    ["nothing", named("end")],
    ["what compression 1.7 does", named("_implicitHeader", "write", "write", "end")],
    ["headers first", named("writeHead object", "write", "end text")],
    ["headers twice", named("writeHead", "writeHead", "setHeader", "end")],
    ["headers late", named("write", "setHeader", "removeHeader", "appendHeader", "setHeaders", "end")],
    ["headers that are none", named("writeHead bad value", "writeHead bad status", "statusCode", "end text")],
    ["chunks that are none", named("write number", "write null", "end number", "end text")],
    ["an encoding that is none", named("write", "write encoding", "end text")],
    ["the wrong length", named("strictContentLength", "setHeader length 5", "write", "end text", "end")],
    ["an end after the end", named("end text", "end", "end text", "write")],
    ["trailers", named("setHeader trailer", "write", "addTrailers", "addTrailers bad", "end")],
    ["bytes", named("write bytes", "write hex", "write Latin-1", "end bytes")],
    ["a header beyond ASCII", named("setHeader Latin-1", "end text")],
    ["a header beyond ASCII before bytes", named("setHeader Latin-1", "write bytes", "end")],
    ["no body", named("statusCode 204", "write", "end text")],
    ["an unchanged page", named("statusCode 304", "setHeader length 5", "end")],
    ["hints ahead of it", named("writeContinue", "writeProcessing", "writeEarlyHints", "end text")],
    ["corked", named("cork", "write", "write bytes", "uncork", "end text")],
    ["much", named("write much", "write much", "end much")],
    ["an old client's connection", named("useChunkedEncodingByDefault", "write", "end")],
    ["cut off", named("write", "destroy", "write", "end")],
  ])("%s", (_what, script) => compare(script));

  it("with HEAD", () => compare(named("setHeader length 5", "write", "end text"), "HEAD"));

  it.each(Array.from({ length: 12 }, (_, group) => group))(
    "whatever is done to it, seeds of group %i",
    async (group) => {
      for (let seed = group * 25; seed < group * 25 + 25; seed++) {
        const random = new Random(seed);
        const script = makeScript(random);
        // A response that is corked after its end keeps the connection, without us too.
        const end = script.findIndex(([name]) => name.startsWith("end") || name === "flushHeaders");
        if (end >= 0 && script.some(([name], at) => at > end && (name === "destroy" || name === "cork"))) continue;
        const method = random.of(["GET", "GET", "HEAD", "POST"]);
        await compare(script, method).catch((error: Error) => {
          error.message = `seed ${seed}, ${method}: ${script.map(([name]) => name).join(", ")}\n${error.message}`;
          throw error;
        });
      }
    },
  );
});
