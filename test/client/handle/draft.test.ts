// The states of a session in the hands of one request, without a client.
import { describe, expect, it } from "vitest";
import { Draft } from "../../../client/handle/draft.ts";
import { SessionError } from "../../../protocol/errors.ts";
import { contentsOf } from "../../support/contents.ts";

const ID = "web:0123456789ABCDEF01234567";
const OPTIONS = { prefix: "web" };

const saved = (values = {}): Draft => new Draft({ id: ID, contents: contentsOf({ n: 1, ...values }) }, OPTIONS);

describe("NONE", () => {
  it("is to have no contents, whatever id was asked for", () => {
    const draft = new Draft({ id: ID }, OPTIONS);
    expect([draft.id, draft.keys, draft.isModified, draft.unsaved()]).toEqual([null, [], false, undefined]);
  });

  it("becomes NEW with the first value, and not with one that cannot be stored", () => {
    const draft = new Draft({ id: null }, OPTIONS);
    expect(() => draft.set("bad", () => 1)).toThrow(expect.objectContaining({ code: "ERR_BAD_VALUE" }));
    expect(draft.id).toBeNull();
    draft.set("n", 1);
    expect(draft.id).toMatch(/^web:[0-9A-F]{24}$/);
    expect([draft.isUnsaved, draft.needsCookie, draft.isModified]).toEqual([true, true, true]);
  });

  it("stays NONE where no session may begin", () => {
    const mayCreate = (): never => {
      throw new SessionError("ERR_HEADERS_SENT");
    };
    const draft = new Draft({ id: null }, { mayCreate });
    expect(() => draft.set("n", 1)).toThrow(expect.objectContaining({ code: "ERR_HEADERS_SENT" }));
    expect([draft.id, draft.has("n")]).toEqual([null, false]);
  });
});

describe("NEW", () => {
  const begun = (): Draft => {
    const draft = new Draft({ id: null }, OPTIONS);
    draft.set("n", 1);
    return draft;
  };

  it("sends its life time, and becomes SAVED with the contents of the commit", () => {
    const draft = begun();
    const unsaved = draft.unsaved();
    expect([...(unsaved?.entries.keys() ?? [])]).toEqual(["_", "n"]);
    expect(unsaved?.properties).toEqual({ timeoutSeconds: 86_400 });
    draft.noteSaved(contentsOf({ n: 1 }), unsaved);
    expect([draft.isUnsaved, draft.isModified, draft.unsaved()]).toEqual([false, false, undefined]);
  });

  it("is NONE again without its changes", () => {
    const draft = begun();
    draft.drop();
    draft.forgetNew();
    expect([draft.id, draft.needsCookie]).toEqual([null, false]);
  });

  it("leaves no cookie to be removed when it ends", () => {
    const draft = begun();
    draft.end();
    expect([draft.id, draft.ended]).toEqual([null, []]);
  });
});

describe("SAVED", () => {
  it("keeps what was changed while a commit was under way", () => {
    const draft = saved();
    draft.set("n", 2);
    const unsaved = draft.unsaved();
    draft.set("n", 3);
    draft.set("m", 1);
    draft.noteSaved(contentsOf({ n: 2 }, 2), unsaved);
    expect([draft.get("n"), draft.get("m"), [...(draft.unsaved()?.entries.keys() ?? [])]]).toEqual([3, 1, ["n", "m"]]);
  });

  it("sees an object that was changed in place, each time anew", () => {
    const draft = saved({ cart: [{ price: 1 }] });
    const cart = draft.get("cart") as { price: number }[];
    expect(draft.isModified).toBe(false);
    cart.push({ price: 2 });
    const unsaved = draft.unsaved();
    expect([draft.isModified, [...(unsaved?.entries.keys() ?? [])]]).toEqual([true, ["cart"]]);
    cart.push({ price: 3 });
    draft.noteSaved(contentsOf({ n: 1, cart: cart.slice(0, 2) }, 2), unsaved);
    expect(draft.isModified).toBe(true);
  });

  it("names itself when it ends, with the path of its cookie", () => {
    const draft = saved();
    draft.cookiePath = "/shop";
    draft.end();
    expect([draft.id, draft.ended]).toEqual([null, [{ id: ID, cookiePath: "/" }]]);
  });

  it("that is read anew has the new contents and none of its changes", () => {
    const draft = saved();
    draft.set("n", 2);
    draft.timeout = 5;
    draft.reload(contentsOf({ n: 7 }, 2));
    expect([draft.get("n"), draft.timeout, draft.isModified]).toEqual([7, 600, false]);
    draft.reload(undefined);
    expect([draft.id, draft.ended.length]).toEqual([null, 1]);
  });
});

describe("UNREADABLE", () => {
  it("has an id, and names itself when it ends", () => {
    const problem = new SessionError("ERR_UNREADABLE");
    const draft = new Draft({ id: ID, problem }, OPTIONS);
    expect([draft.id, draft.problem, draft.isUnsaved]).toEqual([ID, problem, false]);
    draft.end();
    expect([draft.id, draft.problem, draft.ended]).toEqual([null, undefined, [{ id: ID, cookiePath: "/" }]]);
  });
});

describe("a part that failed", () => {
  it("is taken back: keys, objects and properties, but not an end", () => {
    const draft = saved({ cart: [1] });
    const cart = draft.get("cart") as number[];
    const before = draft.remember();
    cart.push(2);
    draft.set("n", 9);
    draft.timeout = 5;
    draft.prefix = "other";
    draft.restore(before);
    expect([draft.get("cart"), draft.get("n"), draft.timeout, draft.prefix]).toEqual([[1], 1, 600, "web"]);
    draft.end();
    draft.restore(before);
    expect(draft.id).toBeNull();
  });
});
