// All cases under some kinds of sessions.
import { afterAll, afterEach, beforeAll, beforeEach, describe, it, vi } from "vitest";
import { SessionHouse } from "../../support/session-house.ts";
import type { Case } from "./cases/case.ts";
import { COOKIES } from "./cases/cookies.ts";
import { METHODS } from "./cases/methods.ts";
import { OPTIONS } from "./cases/options.ts";
import { REQUESTS } from "./cases/requests.ts";
import { EXCEPTIONS } from "./exceptions.ts";
import { type KindName, Place } from "./kinds.ts";

export const CASES: readonly (readonly [group: string, cases: readonly Case[]])[] = [
  ["a request", REQUESTS],
  ["an option", OPTIONS],
  ["a method", METHODS],
  ["the cookie", COOKIES],
];

/** Sets up the tests of the file that calls it. */
export function showCases(kinds: readonly KindName[]): void {
  let house: SessionHouse;
  beforeAll(async () => {
    house = await SessionHouse.open();
  });
  afterAll(() => house.close());
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  describe.each(kinds)("%s", (kind) => {
    for (const [group, cases] of CASES) {
      describe(group, () => {
        for (const [sentence, show] of cases) testOf(kind, sentence)(sentence, () => run(kind, house, show));
      });
    }
  });
}

/** One of our exceptions that is none any more must go. What express-session loses it loses by chance. */
function testOf(kind: KindName, sentence: string): typeof it | typeof it.fails {
  if (EXCEPTIONS[kind].every((exception) => exception.sentence !== sentence)) return it;
  return kind === "control" ? it.skip : it.fails;
}

async function run(kind: KindName, house: SessionHouse, show: Case[1]): Promise<void> {
  const places: Place[] = [];
  try {
    await show(async (application = {}) => {
      const place = await Place.open(kind, house, application);
      places.push(place);
      return place;
    });
  } finally {
    await Promise.all(places.map((place) => place.close()));
  }
}
