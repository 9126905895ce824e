// One browser, Gambas' CGI programs and a Node server behind the same host: the cookie that either sends the other honours.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeGambas, isNewerGambas, type OracleCommand } from "../support/gambas/gambas.ts";
import { Browser, type GambasReply } from "./browser.ts";
import { integer, TwoSides } from "./two-sides.ts";

const form = /^GBSESSIONID=127\.0\.0\.1:[0-9A-F]{24};path=\/app;httponly;SameSite=Lax$/;
/** 3.19 and later write the names of attributes with capitals, but for those of a removal. */
const gambasForm = isNewerGambas
  ? new RegExp(form.source.replace("path", "Path").replace("httponly", "HttpOnly"))
  : form;
const expiry = "expires=Thu, 01 Jan 1970 00:00:00 GMT";

let sides: TwoSides;
let browser: Browser;
/** A server with the default cookie name, and one that shares Gambas' own. */
let byDefault: number;
let sharing: number;

describeGambas("one cookie jar", () => {
  beforeAll(async () => {
    sides = await TwoSides.open();
    byDefault = await sides.node.listen();
    sharing = await sides.node.listen({ cookieName: "GBSESSIONID", cookiePath: "/app" });
  });
  afterAll(() => sides.close());

  function gambas(...commands: readonly OracleCommand[]): Promise<GambasReply> {
    return browser.askGambas(sides.house, "/app", ...commands);
  }

  describe.each(["by default", 'with cookieName "GBSESSIONID"'] as const)("a Node server %s", (name) => {
    const port = (): number => (name === "by default" ? byDefault : sharing);

    it("goes on with the session of Gambas' cookie and sends none of its own", async () => {
      browser = new Browser();
      const born = await gambas(["put", [["n", integer(1)]]], ["read", "Id"]);
      const id = born.answers[1]?.value;
      const { answers, setCookies } = await browser.askNode(
        port(),
        "/app/a",
        ["get", "n"],
        ["set", "n", 2],
        ["read", "Id"],
      );
      expect([answers, setCookies]).toEqual([[1, undefined, id], []]);
      const again = await gambas(["get", "n"], ["read", "Id"]);
      expect(again.answers.map(({ value }) => value)).toEqual([integer(2), id]);
      expect(browser.cookies).toEqual([`GBSESSIONID=${id} /app`]);
    });

    it("takes Gambas' cookie away with the session, at the path it was set for", async () => {
      browser = new Browser();
      const { answers } = await gambas(["put", [["n", integer(1)]]], ["read", "Id"]);
      expect(browser.cookies).toHaveLength(1);
      const { setCookies } = await browser.askNode(port(), "/app/out", ["abandon"]);
      expect(setCookies).toEqual([`GBSESSIONID=;${expiry};path=/app;httponly;SameSite=Lax`]);
      expect(browser.cookies).toEqual([]);
      expect(sides.house.hasSession(String(answers[1]?.value))).toBe(false);
    });

    it("keeps the path that Gambas moved the cookie to", async () => {
      browser = new Browser();
      const { answers } = await gambas(["write", "CookiePath", "/"], ["put", [["n", integer(1)]]], ["read", "Id"]);
      expect(browser.cookies).toEqual([`GBSESSIONID=${answers[2]?.value} /`]);
      expect((await browser.askNode(port(), "/elsewhere", ["get", "n"])).answers).toEqual([1]);
      await browser.askNode(port(), "/elsewhere", ["abandon"]);
      expect(browser.cookies).toEqual([]);
    });

    it("starts afresh for an id that Gambas no longer knows either", async () => {
      browser = new Browser();
      const { answers } = await gambas(["put", [["n", integer(1)]]], ["write", "Timeout", 0], ["read", "Id"]);
      const { answers: seen } = await browser.askNode(port(), "/app", ["read", "Id"], ["set", "n", 5], ["read", "Id"]);
      expect(seen[0]).toBeNull();
      expect(seen[2]).not.toBe(answers[2]?.value);
    });
  });

  it("a new session of the sharing server is one Gambas goes on with, under the same cookie", async () => {
    browser = new Browser();
    const { answers, setCookies } = await browser.askNode(sharing, "/app/a", ["set", "n", 1], ["read", "Id"]);
    expect(setCookies).toHaveLength(1);
    const { answers: seen } = await gambas(["get", "n"], ["put", [["n", integer(2)]]], ["read", "Id"]);
    expect([seen[0]?.value, seen[2]?.value]).toEqual([integer(1), answers[1]]);
    expect((await browser.askNode(sharing, "/app/b", ["get", "n"])).answers).toEqual([2]);
    expect(browser.cookies).toEqual([`GBSESSIONID=${answers[1]} /app`]);
  });

  it("a session that Gambas ends is one the server no longer hears of, until Gambas begins another", async () => {
    browser = new Browser();
    await browser.askNode(sharing, "/app", ["set", "n", 1]);
    const { setCookies } = await gambas(["touch"], ["abandon"]);
    expect(setCookies.at(-1)).toBe(`GBSESSIONID=;${expiry};path=/app;SameSite=Lax`);
    expect((await browser.askNode(sharing, "/app", ["read", "Id"])).answers).toEqual([null]);
    const born = await gambas(["put", [["n", integer(7)]]]);
    expect(born.setCookies).toHaveLength(1);
    expect((await browser.askNode(sharing, "/app", ["get", "n"])).answers).toEqual([7]);
  });

  // 3.18 loads nothing before it ends something.
  if (isNewerGambas) {
    it("Gambas' Abandon as first access removes the cookie that the server has set", async () => {
      browser = new Browser();
      await browser.askNode(sharing, "/app", ["set", "n", 1]);
      const { setCookies } = await gambas(["abandon"]);
      expect(setCookies).toEqual([expect.stringMatching(gambasForm), `GBSESSIONID=;${expiry};path=/app;SameSite=Lax`]);
      expect(browser.cookies).toEqual([]);
      expect((await browser.askNode(sharing, "/app", ["read", "Id"])).answers).toEqual([null]);
    });
  }

  it("the server sends the cookies that Gambas sends, and hides the removal from scripts too", async () => {
    browser = new Browser();
    const byGambas = await gambas(["put", [["n", integer(1)]]]);
    const endedByGambas = await gambas(["touch"], ["abandon"]);
    browser = new Browser();
    const byNode = await browser.askNode(sharing, "/app", ["set", "n", 1]);
    const endedByNode = await browser.askNode(sharing, "/app", ["abandon"]);
    expect([byGambas.setCookies, byNode.setCookies]).toEqual([
      [expect.stringMatching(gambasForm)],
      [expect.stringMatching(form)],
    ]);
    const [removal] = endedByGambas.setCookies.slice(-1);
    expect(endedByNode.setCookies).toEqual([removal?.replace(";SameSite", ";httponly;SameSite")]);
  });

  it("of two cookies the server's own name wins, and Gambas' is not touched", async () => {
    browser = new Browser();
    const born = await gambas(["put", [["n", integer(1)]]], ["read", "Id"]);
    const other = new Browser();
    const own = await other.askNode(byDefault, "/", ["set", "n", 2], ["read", "Id"]);
    const both = new Browser();
    both.set({ name: "GBSESSIONID", value: String(born.answers[1]?.value), path: "/app" });
    both.set({ name: "SESSION", value: String(own.answers[1]), path: "/" });
    expect((await both.askNode(byDefault, "/app", ["get", "n"], ["abandon"])).answers[0]).toBe(2);
    expect(both.cookies).toEqual([`GBSESSIONID=${born.answers[1]?.value} /app`]);
    expect((await both.askNode(byDefault, "/app", ["get", "n"])).answers).toEqual([1]);
  });
});
