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
        for (const [sentence, show] of cases) {
          // What express-session loses it loses by chance, so nothing can be said of it.
          if (isException(kind, sentence) && kind === "control") continue;
          const test = isException(kind, sentence) ? it.fails : it;
          // An expected failure is none to be tried again.
          test(sentence, isException(kind, sentence) ? { retry: 0 } : {}, () => run(kind, house, show));
        }
      });
    }
  });
}

/** A sentence that does not hold for this kind. One of ours that holds after all fails its test: then it must go from the list. */
function isException(kind: KindName, sentence: string): boolean {
  return EXCEPTIONS[kind].some((exception) => exception.sentence === sentence);
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
