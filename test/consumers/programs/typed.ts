// An application that says what its keys hold. It is only compiled, in a project of its own: the declaration is for the whole of it.

import {
  type CookieMaxAge,
  type Handle,
  Session,
  type SessionOptions,
  session,
  sessionOf,
  typed,
} from "gambas-session";

interface Line {
  readonly name: string;
  readonly price: number;
}

declare module "gambas-session" {
  interface SessionData {
    cart: Line[];
    visits?: number;
  }
}

export function declared(handle: Handle): readonly unknown[] {
  const cart: Line[] = Session.cart;
  const same: Line[] = Session.get("cart");
  const third: Line[] = handle.get("cart");
  const visits: number | undefined = Session.visits;
  Session.visits = (Session.visits ?? 0) + 1;
  Session.cart.push({ name: "tea", price: 3 });
  Session.set("visits", typed("Long", 1));
  Session.set("cart", null);
  handle.set("cart", [{ name: "tea", price: 3 }]);
  // @ts-expect-error: not what the key holds
  Session.cart = "tea";
  // @ts-expect-error: not what the key holds
  Session.set("cart", 5);
  // @ts-expect-error: not what the key holds
  handle.set("visits", "many");
  // @ts-expect-error: a line has no colour
  const colour = Session.cart[0]?.colour;
  return [cart, same, third, visits, colour];
}

export function others(handle: Handle, name: string): readonly unknown[] {
  const number: number = Session.get<number>("n");
  const text: string = handle.get<string>("name");
  const anything: unknown = Session.get(name);
  Session.set("n", 5);
  Session.set(name, { any: "thing" });
  Session.user = "anna";
  // @ts-expect-error: nobody has said what it holds
  const guessed: string = Session.user;
  // @ts-expect-error: nor of this one
  const other: string = Session.get("user");
  return [number, text, anything, guessed, other];
}

export function cookies(request: object): SessionOptions {
  const age: CookieMaxAge | null = Session.CookieMaxAge;
  Session.CookieMaxAge = "timeout";
  Session.CookieMaxAge = null;
  const own = sessionOf(request);
  if (own !== undefined) own.cookieMaxAge = 3600;
  // @ts-expect-error: it is maxAge
  session({ maxage: 5 });
  // @ts-expect-error: there is no such setting
  session({ daemon: { cacheBites: 5 } });
  return {
    maxAge: age ?? 60,
    domain: "example.com",
    sameSite: "none",
    secure: true,
    partitioned: true,
    daemon: { sweepMs: 0, logLevel: "warn" },
    daemonPath: "daemon.js",
  };
}
