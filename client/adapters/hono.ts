// gambas-session/hono: `app.use(gambasSession(options))`. On @hono/node-server session() holds the response of node:http underneath. A Request
// that came from elsewhere, as in `app.request()`, has none: its Response is completed as that of any handler of fetch().

import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyWithin, FetchSite } from "../http/fetch/fetch-site.ts";
import { session } from "../http/node/middleware.ts";
import type { SessionOptions } from "../options.ts";

/** As much of a context of Hono 4 as is needed. */
interface Context {
  readonly env: unknown;
  readonly req: { readonly raw: Request };
  get res(): Response;
  set res(response: Response | undefined);
}

type HonoMiddleware = (context: Context, next: () => Promise<void>) => Promise<void>;

/** @throws SessionError ERR_BAD_OPTION, ERR_SOCKET_PATH for options that cannot work. */
export function gambasSession(options: SessionOptions = {}): HonoMiddleware {
  const enter = session(options);
  let elsewhere: FetchSite | undefined;
  return async (context, next) => {
    const { incoming, outgoing } = Object(context.env) as { incoming?: IncomingMessage; outgoing?: ServerResponse };
    if (incoming !== undefined && outgoing !== undefined) {
      const within = (): Promise<void> => next().then(() => keepContext(context));
      await new Promise<void>((resolve, reject) => {
        enter(incoming, outgoing, (error) => (error ? reject(error) : within().then(resolve, reject)));
      });
      return;
    }
    // What is asked of a request of node:http cannot be asked of another one.
    const { prefix, onError: _, ...others } = options;
    elsewhere ??= new FetchSite({ ...others, prefix: typeof prefix === "string" ? prefix : "" });
    replace(context, await elsewhere.answer(context.req.raw, () => next().then(() => context.res)));
  };
}

/** A body is read when all middleware is done, outside of every context. A text waits in the response as one until somebody wants a stream. */
function keepContext(context: Context): void {
  const { res } = context;
  const inside = Object.getOwnPropertySymbols(res).map((symbol): unknown => Reflect.get(res, symbol));
  if (inside.some((parts) => Array.isArray(parts) && typeof parts[1] === "string") || res.body === null) return;
  replace(context, new Response(bodyWithin({ run: AsyncLocalStorage.snapshot() }, res.body), res));
}

/** Hono adds the headers of the response before, ours among them, to one that takes its place. */
function replace(context: Context, response: Response): void {
  context.res = undefined;
  context.res = response;
}

export default gambasSession;
