// The pages that every application has, whatever its framework: what they do with their session, and what they answer.

import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Session } from "gambas-session";

export interface Page {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A body that is made while it is read. */
  readonly chunks?: () => AsyncGenerator<string>;
}

/** All applications meet the daemon of the test, by the root in their environment. */
export const OPTIONS = { spawn: false } as const;

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const PAGES: Readonly<Record<string, (body: unknown) => Page | Promise<Page>>> = {
  plain: () => ({ body: "plain" }),
  begin: async () => {
    Session.n = 0;
    await soon();
    return { status: 303, headers: { Location: "/n" } };
  },
  n: () => ({ body: String(Session.n) }),
  set: () => {
    Session.n = 7;
    return { body: "set" };
  },
  count: async () => {
    await Session.Transaction(async () => {
      const before = Number(Session.n ?? 0);
      await soon();
      Session.n = before + 1;
    });
    return { body: String(Session.n) };
  },
  stream: () => {
    Session.first = "yes";
    return { chunks: () => slowly("middle") };
  },
  lazy: () => ({ chunks: () => slowly("lazy") }),
  body: (body) => {
    Session.body = body;
    return { body: "kept" };
  },
  throw: () => {
    Session.thrown = "yes";
    throw new Error("mine");
  },
  abandon: async () => {
    await Session.Abandon();
    return { status: 303, headers: { Location: "/" } };
  },
  again: async () => {
    await Session.Abandon();
    Session.n = 100;
    return { body: String(Session.Id) };
  },
  regenerate: async () => {
    await Session.Regenerate();
    return { status: 303, headers: { Location: "/n" } };
  },
  cookies: () => {
    Session.n = 1;
    return { headers: { "Set-Cookie": "theme=dark" }, body: "two" };
  },
  empty: () => {
    Session.n = 204;
    return { status: 204 };
  },
  unchanged: () => {
    Session.n = 304;
    return { status: 304 };
  },
  big: () => {
    Session.big = "x".repeat(2_000_000);
    return { body: "all is well" };
  },
  never: async () => {
    await Session.Transaction(() => Session.set("begun", "yes"));
    Session.left = "yes";
    return new Promise(() => undefined);
  },
};

async function* slowly(key: string): AsyncGenerator<string> {
  yield "one ";
  await soon();
  Session.set(key, "yes");
  await soon();
  yield `${Session.n} `;
  yield "three";
}

/** What the last part of the path names. */
export async function visit(url: string | undefined, body?: unknown): Promise<Page> {
  const name = url?.split("?", 1)[0]?.split("/").at(-1) ?? "";
  return PAGES[name]?.(body) ?? { status: 404, body: `no page ${name}` };
}

/** What an error handler answers; it has the session, too. */
export function apologize(error: unknown): Page {
  Session.seen = (error as Error).message;
  return { status: 418, body: String(Session.thrown) };
}

/** Says where the server listens; it ends with the test that has started it. */
export async function announce(server: Server): Promise<void> {
  if (!server.listening) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  process.stdin.on("end", () => process.exit()).resume();
  console.log(`port ${(server.address() as AddressInfo).port}`);
}
