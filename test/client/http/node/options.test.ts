// Options of session() that cannot work.
import { describe, expect, it } from "vitest";
import { session } from "../../../../client/http/node/middleware.ts";
import type { SessionOptions } from "../../../../client/options.ts";
import { house, openSite } from "../../../support/http/session-site.ts";

openSite();

describe("session() refuses by name", () => {
  it.each<SessionOptions>([
    { prefix: 5 as unknown as string },
    { unique: "x" as unknown as boolean },
    { onError: 5 as unknown as () => void },
    { waitMs: -1 },
    { cacheBytes: Number.NaN },
  ])("the option %o", (options) => {
    const [name = ""] = Object.keys(options);
    expect(() => session({ ...house.options, ...options })).toThrow(name);
  });
});
