// gambas-session/fastify: `await app.register(gambasSession, options)`. Fastify's requests and responses are those of node:http underneath, and
// session() holds these; all there is to do is to stand first among the hooks, and outside of the encapsulation of a plugin.

import type { IncomingMessage, ServerResponse } from "node:http";
import { type Middleware, session } from "../http/node/middleware.ts";
import type { SessionOptions } from "../options.ts";

/** `prefix` is that of session ids, as everywhere: this plugin has no routes that Fastify could put under one. */
export type FastifySessionOptions = SessionOptions;

/** As much of Fastify as the plugin asks of it; any server of Fastify 4 and 5 fits, on HTTP/1 and on HTTP/2. */
interface Hooks {
  addHook(
    name: "onRequest",
    hook: (request: { readonly raw: unknown }, reply: { readonly raw: unknown }, done: (error?: Error) => void) => void,
  ): unknown;
}

/** Options that Fastify's `register` has for itself and leaves among those of the plugin. Of a plugin without routes they say nothing. */
const OF_REGISTER: readonly string[] = ["logLevel", "logSerializers"];

/** For options that cannot work `register` and `ready` reject with a SessionError, ERR_BAD_OPTION or ERR_SOCKET_PATH. */
export function gambasSession(app: Hooks, options: FastifySessionOptions, done: (error?: Error) => void): void {
  let enter: Middleware;
  try {
    const own = Object.entries(options).filter(([name]) => !OF_REGISTER.includes(name));
    enter = session(Object.fromEntries(own) as FastifySessionOptions);
  } catch (error) {
    // What a plugin with a callback throws would end the process: Fastify does not catch it.
    done(error as Error);
    return;
  }
  app.addHook("onRequest", (request, reply, next) => {
    enter(request.raw as IncomingMessage, reply.raw as ServerResponse, (error) => next(error as Error | undefined));
  });
  done();
}

// What Fastify looks at: no encapsulation, so that the hook is everybody's; a name for its messages; and the versions it was tried with.
Object.assign(gambasSession, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "gambas-session",
  [Symbol.for("plugin-meta")]: { name: "gambas-session", fastify: ">=4" },
});

export default gambasSession;
