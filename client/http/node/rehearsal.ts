// A rehearsal: two requests that nobody made, carried out when a process makes its first middleware. Node compiles a function when it is called
// first, and a first request calls some three hundred of ours: at a deployment whoever came first to a fresh worker waited for them, and so did
// everybody behind. Now they are compiled before the worker listens, while the one before it still answers. Nothing of it is seen outside: no
// daemon, no socket and no code of the application takes part, and no session is made. Where somebody has changed Node's responses there is none.
//
// Speed tier. CPU time of a fresh worker's thread from its first request to its eighth answer, eight visitors at once, medians of nine on a busy
// machine: 31 -> 19 ms (10 without sessions); one visitor's first request: 9.5 -> 4.6 ms (3.2). It takes 10 ms before the worker listens.
// To remove it: this file, client/link/stand-in.ts, the parameter `open` of Client, and the call.

import { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { requireContext } from "../../context.ts";
import { Client, type Opened, StandIn } from "../../link/client.ts";
import { DEFAULTS } from "../../options.ts";
import { Site } from "../exchange.ts";

type Serve = (req: IncomingMessage, res: ServerResponse, next: () => void) => void;

const ID = `rehearsal:${"0".repeat(24)}`;
/** The second finds what the first has left. */
const VISITS = 2;
const NODES_OWN: readonly string[] = ["constructor", "_finish", "_implicitHeader"];
const ERROR_OF_NODE = "ERR_HTTP_HEADERS_SENT";
const progress = { hasBegun: false };

/** Once in a process. Up to the saved session it is over when this returns: what comes next in the application may be `listen`. */
export function rehearse(serveFor: (site: Site) => Serve): void {
  if (progress.hasBegun) return;
  progress.hasBegun = true;
  if (isPatched(ServerResponse.prototype)) return;
  try {
    const serve = serveFor(new Site(new RehearsalClient(), {}));
    for (let visits = 0; visits < VISITS; visits++) visit(serve);
  } catch {
    // Whatever it is: a request that fails in the same way tells it.
  }
}

/**
 * A package that has put functions of its own into all responses, to watch them say, would see some that nobody asked for; what it throws later would end
 * the process. Node's have none of what they inherit, but for these, and of their own methods that one which others replace throws an error of Node's.
 */
function isPatched(responses: ServerResponse): boolean {
  const inherited: object = Object.getPrototypeOf(responses);
  const isOthers = (name: string): boolean => name in inherited && !NODES_OWN.includes(name);
  return !String(responses.writeHead).includes(ERROR_OF_NODE) || Object.getOwnPropertyNames(responses).some(isOthers);
}

class RehearsalClient extends Client {
  constructor() {
    // Its type is said: it must not decide that of the process.
    super({ type: "file", spawn: false }, (wanted) => new StandIn(wanted));
  }

  /** No file shows that a copy is current, and no promise is waited for. */
  override current(id: string): Opened["contents"] {
    let contents = super.current(id);
    void this.load(id).then((loaded) => {
      contents = loaded;
    });
    return contents;
  }
}

/** As most visits are: a value is read, and one is changed. */
function visit(serve: Serve): void {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }) as Socket;
  const req = new IncomingMessage(socket);
  Object.assign(req, { method: "GET", url: "/", headers: { cookie: `${DEFAULTS.cookieName}=${ID}` } });
  const res = new ServerResponse(req);
  res.assignSocket(socket);
  // What the server does at the end of a response.
  res.once("finish", () => {
    res.detachSocket(socket);
    res.emit("close");
  });
  serve(req, res, () => {
    const { handle } = requireContext();
    handle.set("visits", Number(handle.get("visits") ?? 0) + 1);
    res.end("rehearsed");
  });
}
