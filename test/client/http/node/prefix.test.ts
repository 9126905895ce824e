// The prefix of new ids: the client's address, however proxies write it.
import type { IncomingMessage } from "node:http";
import { describe, expect, it, vi } from "vitest";
import type { SessionOptions } from "../../../../client/options.ts";
import type { SessionError } from "../../../../protocol/errors.ts";
import {
  errors,
  house,
  idOf,
  makeSession,
  openSite,
  serve,
  setAndShow,
  show,
} from "../../../support/http/session-site.ts";

openSite();

describe("the prefix of new ids", () => {
  const prefixOf = async (options: SessionOptions, headers: Record<string, string> = {}): Promise<string> => {
    const server = await serve(setAndShow, options);
    return idOf(await server.ask("/?a=1", { headers })).slice(0, -25);
  };

  it("is the address of the connection, whatever the headers say", async () => {
    expect(await prefixOf({}, { "x-forwarded-for": "9.9.9.9" })).toBe("127.0.0.1");
  });

  it("is the address a trusted proxy names, if it is one", async () => {
    const header = { "x-forwarded-for": "1.1.1.1, 2.2.2.2, ::ffff:3.3.3.3" };
    expect(await prefixOf({ trustProxy: true }, header)).toBe("1.1.1.1");
    expect(await prefixOf({ trustProxy: 1 }, header)).toBe("3.3.3.3");
    expect(await prefixOf({ trustProxy: 2 }, header)).toBe("2.2.2.2");
    expect(await prefixOf({ trustProxy: 9 }, header)).toBe("1.1.1.1");
    expect(await prefixOf({ trustProxy: true })).toBe("127.0.0.1");
    expect(await prefixOf({ trustProxy: true }, { "x-forwarded-for": "2001:db8::7" })).toBe("2001:db8::7");
  });

  it.each([
    ["203.0.113.1:4000", "203.0.113.1"],
    ["203.0.113.1:", "203.0.113.1"],
    ['"203.0.113.1:4000"', "203.0.113.1"],
    ["[2001:db8::7]:80", "2001:db8::7"],
    ["[2001:db8::7]", "2001:db8::7"],
    ['"[2001:db8::7]:80"', "2001:db8::7"],
    ["2001:db8:1:2:3:4:5:6:443", "2001:db8:1:2:3:4:5:6"],
    ["2001:DB8:0:0::7", "2001:db8::7"],
    ["::ffff:203.0.113.1", "203.0.113.1"],
    ["::FFFF:203.0.113.1:4000", "203.0.113.1"],
    ["[::ffff:203.0.113.1]:4000", "203.0.113.1"],
    ["0:0:0:0:0:ffff:cb00:7101", "203.0.113.1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["[FE80::1%eth0]:80", "fe80::1%eth0"],
    [", ,\t203.0.113.1:1 ,, 10.0.0.1", "203.0.113.1"],
  ])("understands what proxies write: %s", async (header, prefix) => {
    expect(await prefixOf({ trustProxy: true }, { "x-forwarded-for": header })).toBe(prefix);
    expect(errors).toEqual([]);
  });

  it("counts proxies over several lines and empty parts", async () => {
    const lines = ["203.0.113.1:1, ", "10.0.0.1:2,,10.0.0.2:3"];
    const server = await serve(setAndShow, { trustProxy: 3 });
    expect(idOf(await server.ask("/?a=1", { headers: { "x-forwarded-for": lines } }))).toMatch(/^203\.0\.113\.1:/);
  });

  it.each([
    "unknown",
    "_hidden",
    "",
    " , ,",
    "../../../etc",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.4 5",
    "[203.0.113.1",
    "[]:80",
    "localhost:80",
    "for=203.0.113.1",
    "\xff\x80",
    `fe80::1%${"z".repeat(300)}`,
    `${"9".repeat(5000)}, 10.0.0.1`,
  ])("is one of its own, and said, where a trusted proxy names no address: %j", async (header) => {
    const server = await serve(setAndShow, { trustProxy: true, unique: true });
    const make = async (): Promise<string> =>
      idOf(await server.ask("/?a=1&secret=x", { headers: { "x-forwarded-for": header } }));
    const ids = [await make(), await make()];
    for (const id of ids) expect(id).toMatch(/^unknown-[0-9a-f]{16}:[0-9A-F]{24}$/);
    expect(ids.map((id) => house.has(id))).toEqual([true, true]);
    const said = errors.map((error) => [(error as SessionError).code, (error as Error).message]);
    expect(said).toEqual([
      [
        "ERR_BAD_ADDRESS",
        expect.stringContaining(
          `GET / names no address that can be read: ${JSON.stringify(header.trim().slice(0, 100)).slice(0, -1)}`,
        ),
      ],
      ["ERR_BAD_ADDRESS", expect.not.stringContaining("secret")],
    ]);
    expect(said[0]?.[1]?.length).toBeLessThan(500);
  });

  it("is said by a warning without onError, once for a session, and not for what makes none", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    const server = await serve(setAndShow, { trustProxy: 1, onError: undefined } as object);
    const headers = { "x-forwarded-for": "unknown" };
    await server.ask("/", { headers });
    const { cookie } = await server.ask("/?a=1&b=2", { headers });
    await server.ask("/?c=3", { headers, cookie });
    await vi.waitFor(() =>
      expect(warnings.map((warning) => (warning as SessionError).code)).toEqual(["ERR_BAD_ADDRESS"]),
    );
    process.off("warning", onWarning);
  });

  it("unique visitors behind a proxy that writes ports do not end each other", async () => {
    const server = await serve(setAndShow, { trustProxy: true, unique: true });
    const visit = async (hop: string): Promise<string> =>
      idOf(await server.ask("/?a=1", { headers: { "x-forwarded-for": hop } }));
    const [ann, bob] = [await visit("203.0.113.1:4000"), await visit("203.0.113.2:4001")];
    expect([house.has(ann), house.has(bob)]).toEqual([true, true]);
    const again = await visit("203.0.113.1:5000");
    expect([house.has(ann), house.has(bob), house.has(again)]).toEqual([false, true, true]);
  });

  it("is what the option says, or makes of the request", async () => {
    expect(await prefixOf({ prefix: "shop" })).toBe("shop");
    expect(await prefixOf({ prefix: (req) => String(req.headers.host).split(":")[0] ?? "" })).toBe("127.0.0.1");
  });

  const failing: [(req: IncomingMessage) => string, string][] = [
    [() => "a b", 'The session prefix "a b" is not allowed'],
    [(req) => req.headers["x-user"] as string, "The session prefix undefined is not allowed"],
    [
      () => {
        throw new Error("no prefix");
      },
      "Error: no prefix",
    ],
  ];

  it.each(failing)(
    "is one of its own where the function fails, and said once, naming the request: %s",
    async (prefix, why) => {
      const server = await serve(setAndShow, { prefix, unique: true });
      const ids = [idOf(await server.ask("/?a=1&b=2")), idOf(await server.ask("/?a=1"))];
      for (const id of ids) expect(id).toMatch(/^unknown-[0-9a-f]{16}:[0-9A-F]{24}$/);
      expect(ids.map((id) => house.has(id))).toEqual([true, true]);
      const said = errors.map((error) => [(error as SessionError).code, (error as Error).message]);
      const one = [
        "ERR_BAD_OPTION",
        expect.stringContaining(`option prefix failed for GET /, and the new session gets a prefix of its own: ${why}`),
      ];
      expect(said).toEqual([one, one]);
    },
  );

  it.each(failing)("is not asked for where no session begins: %s", async (prefix) => {
    const id = await makeSession({ a: 1 });
    const server = await serve(show, { prefix });
    expect((await server.ask("/")).status).toBe(200);
    expect((await server.ask("/", { cookie: `SESSION=${id}` })).text).toContain('"a":1');
    expect(errors).toEqual([]);
  });

  it("unique ends the other sessions of it", async () => {
    const server = await serve(setAndShow, { prefix: "only", unique: true });
    const first = idOf(await server.ask("/?a=1"));
    const second = idOf(await server.ask("/?a=1"));
    expect([house.has(first), house.has(second)]).toEqual([false, true]);
  });

  it("timeout is that of new sessions", async () => {
    const server = await serve(setAndShow, { timeout: 77 });
    expect((await house.worker().open(idOf(await server.ask("/?a=1"))))?.timeout).toBe(77);
  });
});
