// What an application does with packages that were written for express-session.

import { expect, it } from "vitest";
import type { Ask, Reply } from "../support/http/http-house.ts";
import type { Site } from "./cases.ts";

/** A browser, with all cookies of the application. */
class Jar {
  readonly #of: () => Site;
  readonly #cookies = new Map<string, string>();

  constructor(of: () => Site) {
    this.#of = of;
  }

  async ask(path: string, ask: Ask = {}): Promise<Reply> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const reply = await this.#of().door.ask(path, { ...ask, cookie });
    for (const line of reply.setCookies) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#cookies.set(name, value);
    }
    return reply;
  }

  async json(path: string): Promise<unknown> {
    const reply = await this.ask(path);
    return reply.status === 200 ? JSON.parse(reply.text) : reply.text;
  }

  get session(): string | undefined {
    return this.#cookies.get("connect.sid");
  }
}

export function itServesPackages(of: () => Site): void {
  const bob = { name: "bob", letters: 6 };

  it("signs in with passport under a new id, and out again", async () => {
    const jar = new Jar(of);
    expect(await jar.json("/cart/tea")).toEqual(["tea"]);
    const before = jar.session;
    expect(await jar.json("/login?user=bob")).toMatchObject({ cart: null, isIn: true });
    expect(jar.session).not.toBe(before);
    expect(await jar.json("/me")).toEqual({ user: bob, cart: null, isIn: true });
    expect(await jar.json("/logout")).toMatchObject({ user: null, isIn: false });
    expect(await jar.json("/me")).toEqual({ user: null, cart: null, isIn: false });
  });

  it("keeps the cart over a sign-in with keepSessionInfo", async () => {
    const jar = new Jar(of);
    await jar.json("/cart/tea");
    await jar.json("/cart/milk");
    const before = jar.session;
    expect(await jar.json("/login-and-keep?user=bob")).toMatchObject({ cart: ["tea", "milk"], isIn: true });
    expect(jar.session).not.toBe(before);
    expect(await jar.json("/me")).toEqual({ user: bob, cart: ["tea", "milk"], isIn: true });
  });

  it("shows what connect-flash was told, once", async () => {
    const jar = new Jar(of);
    expect((await jar.ask("/say/one")).status).toBe(302);
    await jar.ask("/say/two");
    expect(await jar.json("/said")).toEqual(["one", "two"]);
    expect(await jar.json("/said")).toEqual([]);
  });

  it.each([
    ["csurf", "/csurf"],
    ["csrf-csrf", "/double"],
  ])("takes what comes with a token of %s, and nothing else", async (_name, path) => {
    const jar = new Jar(of);
    const { text } = await jar.ask(path);
    const post = (token: string): Promise<Reply> =>
      jar.ask(path, { method: "POST", headers: { "x-csrf-token": token } });
    expect((await post(text)).text).toBe("taken");
    expect((await post("made up")).status).toBe(403);
  });
}
