// What application code does to a response and what it can see of it, for comparing one that is held with one that is not: steps by name,
// each with arguments that are right, odd or wrong, and a snapshot of every property that middleware reads.
import type { ServerResponse } from "node:http";
import type { Random } from "../values/random.ts";

/** With what node:http has and does not declare. */
export type Response = ServerResponse & Record<string, unknown>;
export type Step = readonly [
  name: string,
  run: (res: Response, note: (what: string) => (error?: Error | null) => void) => unknown,
];

function put(res: Response, properties: object): void {
  Object.assign(res, properties);
}

const big = "x".repeat(200_000);

export const STEPS: readonly Step[] = [
  ["setHeader", (res) => res.setHeader("X-A", "1") === res],
  ["setHeader cookies", (res) => res.setHeader("Set-Cookie", ["a=1", "b=2"]) === res],
  ["setHeader bad value", (res) => res.setHeader("X-A", "a\nb") === res],
  ["setHeader bad name", (res) => res.setHeader("a b", "c") === res],
  ["setHeader length 5", (res) => res.setHeader("Content-Length", 5) === res],
  ["setHeader close", (res) => res.setHeader("Connection", "close") === res],
  ["setHeader Latin-1", (res) => res.setHeader("X-Wide", "é") === res],
  ["setHeader trailer", (res) => res.setHeader("Trailer", "X-T") === res],
  ["setHeaders", (res) => res.setHeaders(new Map([["x-m", "1"]])) === res],
  ["appendHeader", (res) => res.appendHeader("X-A", "2") === res],
  ["removeHeader", (res) => res.removeHeader("X-A")],
  ["removeHeader transfer", (res) => res.removeHeader("Transfer-Encoding")],
  ["removeHeader date", (res) => res.removeHeader("Date")],
  ["statusCode", (res) => put(res, { statusCode: 201 })],
  ["statusCode 204", (res) => put(res, { statusCode: 204 })],
  ["statusCode 304", (res) => put(res, { statusCode: 304 })],
  ["statusCode bad", (res) => put(res, { statusCode: 99_999 })],
  ["statusMessage", (res) => put(res, { statusMessage: "Fine" })],
  ["statusMessage bad", (res) => put(res, { statusMessage: "a\nb" })],
  ["writeHead", (res) => res.writeHead(202) === res],
  ["writeHead reason", (res) => res.writeHead(202, "Well", { "X-B": "1" }) === res],
  ["writeHead object", (res) => res.writeHead(200, { "X-B": ["1", "2"], "Set-Cookie": "c=3" }) === res],
  ["writeHead list", (res) => res.writeHead(200, ["X-B", "1", "X-B", "2"] as never) === res],
  ["writeHead odd list", (res) => res.writeHead(200, ["X-B"] as never) === res],
  ["writeHead bad value", (res) => res.writeHead(200, { x: "a\nb" }) === res],
  ["writeHead bad status", (res) => res.writeHead(9999) === res],
  ["_implicitHeader", (res) => (res._implicitHeader as () => void)()],
  ["write", (res, note) => res.write("one ", note("written"))],
  ["write bytes", (res, note) => res.write(Buffer.from("two "), "utf8", note("bytes written"))],
  ["write hex", (res) => res.write("6869", "hex")],
  ["write Latin-1", (res) => res.write("é", "latin1")],
  ["write nothing", (res, note) => res.write("", note("nothing written"))],
  ["write much", (res, note) => res.write(big, note("much written"))],
  ["write number", (res) => res.write(123 as never)],
  ["write null", (res) => res.write(null)],
  ["write encoding", (res) => res.write("x", "nosuch" as never)],
  ["cork", (res) => res.cork()],
  ["uncork", (res) => res.uncork()],
  ["flushHeaders", (res) => res.flushHeaders()],
  ["addTrailers", (res) => res.addTrailers({ "X-T": "1" })],
  ["addTrailers bad", (res) => res.addTrailers({ "X-T": "a\nb" })],
  ["end", (res, note) => res.end(note("ended")) === res],
  ["end text", (res, note) => res.end("last", note("ended with text")) === res],
  ["end bytes", (res) => res.end(Buffer.from("last")) === res],
  ["end much", (res) => res.end(big) === res],
  ["end number", (res) => res.end(123 as never) === res],
  ["strictContentLength", (res) => put(res, { strictContentLength: true })],
  ["sendDate", (res) => put(res, { sendDate: false })],
  ["writeContinue", (res) => res.writeContinue()],
  ["writeProcessing", (res) => (res.writeProcessing as (() => void) | undefined)?.()],
  ["writeEarlyHints", (res) => res.writeEarlyHints({ link: "</a.css>; rel=preload" })],
  ["setTimeout", (res) => res.setTimeout(50_000) === res],
  ["shouldKeepAlive", (res) => put(res, { shouldKeepAlive: false })],
  ["useChunkedEncodingByDefault", (res) => put(res, { useChunkedEncodingByDefault: false })],
  ["destroy", (res) => res.destroy() === res],
];

/** Which calls end up in a response that says something: most scripts should. */
const USUAL = STEPS.filter(([name]) =>
  /^(setHeader|writeHead|write|write bytes|write much|end text|statusCode)$/.test(name),
);

export function makeScript(random: Random, isKnown: (name: string) => boolean = () => true): Step[] {
  const known = STEPS.filter(([name]) => isKnown(name));
  return Array.from({ length: 2 + random.below(7) }, () => random.of(random.below(2) === 0 ? USUAL : known));
}

export const named = (...names: string[]): Step[] =>
  names.map((name) => STEPS.find(([known]) => known === name) ?? [name, () => Promise.reject(new Error(name))]);

/** `_header` and the like are what middleware of old looks at. */
const PROPERTIES = [
  ...[
    "headersSent",
    "_header",
    "_headerSent",
    "statusCode",
    "statusMessage",
    "finished",
    "destroyed",
    "errored",
    "closed",
  ],
  ...["writable", "writableEnded", "writableFinished", "writableLength", "writableNeedDrain", "writableCorked"],
  ...["writableHighWaterMark", "writableObjectMode", "outputSize", "outputData", "sendDate", "shouldKeepAlive"],
  ...["chunkedEncoding", "useChunkedEncodingByDefault", "_hasBody", "_contentLength", "_removedTE", "_removedContLen"],
  ...[
    "_removedConnection",
    "_last",
    "_defaultKeepAlive",
    "_trailer",
    "_closed",
    "_keepAliveTimeout",
    "strictContentLength",
  ],
  ...["_expect_continue", "_sent100", "maxRequestsOnConnectionReached"],
];

/** What is seen of a response. Errors of a getter are seen too. */
export function snapshot(res: Response): Record<string, unknown> {
  const seen: Record<string, unknown> = {};
  const look = (name: string, read: () => unknown): void => {
    try {
      seen[name] = plain(read());
    } catch (error) {
      seen[name] = told(error);
    }
  };
  for (const name of PROPERTIES) look(name, () => res[name]);
  look("getHeaders", () => ({ ...res.getHeaders() }));
  look("getHeaderNames", () => res.getHeaderNames());
  look("getRawHeaderNames", () => (res.getRawHeaderNames as (() => string[]) | undefined)?.());
  look("getHeader", () => [res.getHeader("x-a"), res.hasHeader("set-cookie")]);
  look("socket", () => [typeof res.socket, res.socket === res.connection, res.socket?.destroyed]);
  look("req", () => typeof res.req);
  look("own", () =>
    ["_storeHeader", "_send", "writeHead", "write", "setHeader"].filter((name) => Object.hasOwn(res, name)),
  );
  return seen;
}

/** The time of day and an object's identity are no differences. */
function plain(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/Date: [^\r]*/g, "Date: now");
  if (typeof value === "function") return "a function";
  return value;
}

export function told(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return `threw ${code ?? ""} ${message}`;
}
