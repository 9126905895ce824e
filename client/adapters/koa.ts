// gambas-session/koa: `app.use(gambasSession(options))`. session() holds the response that Koa writes when its middleware is done; a stream
// that is the body has its context from here.

import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { session } from "../http/node/middleware.ts";
import type { SessionOptions } from "../options.ts";

/** As much of a context of Koa 2 and 3 as is needed. */
interface Context {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

type KoaMiddleware = (context: Context, next: () => Promise<unknown>) => Promise<void>;

/** @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work. */
export function gambasSession(options: SessionOptions = {}): KoaMiddleware {
  const enter = session(options);
  return ({ req, res }, next) =>
    new Promise((resolve, reject) => {
      enter(req, res, (error) => {
        if (error) reject(error);
        else {
          res.on("pipe", readInContext);
          next().then(() => resolve(), reject);
        }
      });
    });
}

/**
 * Koa pipes a body when all middleware is done, outside of every context, and a stream that makes its chunks on demand is asked for them there.
 * The listeners of a response run in the context of its request.
 */
function readInContext(source: Partial<Pick<Readable, "_read">>): void {
  const { _read } = source;
  if (_read === undefined) return;
  const within = AsyncLocalStorage.snapshot();
  source._read = (size) => within(() => Reflect.apply(_read, source, [size]));
}

export default gambasSession;
