// How an exact increment is done on a session that connect-redis keeps: the stores offer none, so it goes through the client itself.

import type { Held, Subject } from "./contender.ts";

/** Keeps the life time, as a change of a session does not end it. */
export const INCREMENT_SCRIPT: string = `
local session = cjson.decode(redis.call("GET", KEYS[1]))
session.n = session.n + 1
redis.call("SET", KEYS[1], cjson.encode(session), "KEEPTTL")
return session.n`;

/** The subject with another way to hold a session. */
export function withIncrement(subject: Subject, hold: (id: string) => Promise<Held>): Subject {
  return {
    create: (values) => subject.create(values),
    get: (id) => subject.get(id),
    hold,
    counter: (id) => subject.counter?.(id) ?? Promise.resolve(Number.NaN),
    close: () => subject.close(),
  };
}
