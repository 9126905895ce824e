// Lists that several callers ask for at once, over a store that counts.
import { describe, expect, it } from "vitest";
import type { ListPage } from "../../../daemon/backend/backend.ts";
import { Listing } from "../../../daemon/survey/survey.ts";
import { newImage } from "../../../protocol/image/image.ts";

const COUNT = 200;
const NOW_MS = Date.UTC(2026, 0, 1);
const IMAGE = newImage({ nowMs: NOW_MS, timeoutSeconds: 60 });

/** A store of sessions with as many headers read in each turn of the event loop as `perTurn` says. */
function open(): { readonly listing: Listing; readonly perTurn: number[] } {
  const perTurn: number[] = [];
  let isCounting = false;
  const count = (): void => {
    if (!isCounting) {
      perTurn.push(0);
      isCounting = true;
      setImmediate(() => {
        isCounting = false;
      });
    }
    perTurn.push((perTurn.pop() ?? 0) + 1);
  };
  const store = {
    async *ids(): AsyncGenerator<string> {
      for (let n = 0; n < COUNT; n++) yield `a:${String(n).padStart(24, "0")}`;
    },
    header: (): Buffer => {
      count();
      return IMAGE;
    },
    sizeOf: () => IMAGE.length,
  };
  const log = { warn: () => undefined } as unknown as ConstructorParameters<typeof Listing>[0]["log"];
  return { listing: new Listing({ store, tombstones: new Set<string>(), log, now: () => NOW_MS }), perTurn };
}

function ask(listing: Listing, owner: object = {}): Promise<ListPage> {
  return new Promise((answer, fail) => {
    listing.list({ caller: { owner, client: "anna" }, after: "", prefix: null, limit: COUNT + 1, answer, fail });
  });
}

describe("lists", () => {
  it("keep other callers waiting for one slice, however many are asked for at once", async () => {
    const { listing, perTurn } = open();
    const pages = await Promise.all(Array.from({ length: 20 }, () => ask(listing)));
    for (const { sessions, next } of pages) expect([sessions.length, next]).toEqual([COUNT, null]);
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(64);
  });

  it("are not made for a connection that is closed", async () => {
    const { listing, perTurn } = open();
    const gone = {};
    const first = ask(listing);
    for (let n = 0; n < 20; n++) void ask(listing, gone);
    listing.forget(gone);
    await first;
    await ask(listing);
    expect(perTurn.reduce((sum, one) => sum + one)).toBe(2 * COUNT);
  });
});
