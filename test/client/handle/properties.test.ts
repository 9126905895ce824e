// What a request has chosen for its session, apart from any session.
import { expect, it } from "vitest";
import {
  choose,
  chosenAfter,
  chosenNames,
  chosenSince,
  NOTHING_CHOSEN,
  propertiesOf,
} from "../../../client/handle/properties.ts";

const chosen = choose(NOTHING_CHOSEN, { timeoutSeconds: 60, cookiePath: "/shop" });

it("a choice that is taken back leaves nothing chosen", () => {
  const unique = choose(NOTHING_CHOSEN, { isUnique: true });
  expect(unique).not.toBe(NOTHING_CHOSEN);
  expect(choose(unique, { isUnique: false })).toBe(NOTHING_CHOSEN);
});

it("what a commit has carried is chosen no more, and what was chosen meanwhile still is", () => {
  const sent = { properties: propertiesOf(chosen, undefined), isUnique: false };
  expect(chosenSince(chosen, sent)).toBe(NOTHING_CHOSEN);
  const meanwhile = choose(chosen, { timeoutSeconds: 90, isUnique: true });
  expect(chosenSince(meanwhile, sent)).toEqual({ ...NOTHING_CHOSEN, timeoutSeconds: 90, isUnique: true });
  expect(chosenSince(meanwhile, { ...sent, isUnique: true })).toEqual({ ...NOTHING_CHOSEN, timeoutSeconds: 90 });
});

it("any save is the one that was asked for by Modified = true", () => {
  const forced = choose(NOTHING_CHOSEN, { isForced: true });
  expect(chosenSince(forced, { properties: {}, isUnique: false })).toBe(NOTHING_CHOSEN);
});

it("a new session is sent with its life time, and with a path only where there is one", () => {
  expect(propertiesOf(NOTHING_CHOSEN, { seconds: 600, path: "" })).toEqual({ timeoutSeconds: 600 });
  expect(propertiesOf(NOTHING_CHOSEN, { seconds: 600, path: "/" })).toEqual({ timeoutSeconds: 600, cookiePath: "/" });
  expect(propertiesOf(chosen, { seconds: 600, path: "/" })).toEqual({ timeoutSeconds: 60, cookiePath: "/shop" });
});

it("an existing session is sent with what was chosen, be it an empty path", () => {
  expect(propertiesOf(NOTHING_CHOSEN, undefined)).toEqual({});
  expect(propertiesOf(choose(NOTHING_CHOSEN, { cookiePath: "" }), undefined)).toEqual({ cookiePath: "" });
});

it("a transaction adds its choices to those before it, but not that it was to be saved", () => {
  const before = choose(NOTHING_CHOSEN, { cookiePath: "/shop" });
  const inner = choose(NOTHING_CHOSEN, { timeoutSeconds: 5, isForced: true });
  expect(chosenAfter(before, inner)).toEqual({ ...NOTHING_CHOSEN, timeoutSeconds: 5, cookiePath: "/shop" });
  expect(chosenAfter(before, NOTHING_CHOSEN)).toBe(before);
});

it("is told by the names of the static Session", () => {
  expect(chosenNames(choose(chosen, { isUnique: true, isForced: true }))).toEqual([
    "Timeout",
    "CookiePath",
    "Unique",
    "Modified",
  ]);
});
