// A house whose daemon is that of the process, for the static Session. What the tests of its members share.
import { afterAll, beforeAll } from "vitest";
import { connect } from "../../client/connect.ts";
import { Session } from "../../client/static/session.ts";
import { SessionError } from "../../protocol/errors.ts";
import { SessionHouse } from "./session-house.ts";

export const ID = /^[^:]*(?::[^:]*)*:[0-9A-F]{24}$/;
export const MEMBERS = [
  "Id",
  "Keys",
  "Modified",
  "Path",
  "Prefix",
  "Size",
  "Timeout",
  "Type",
  "Unique",
  "CookiePath",
  "CookieMaxAge",
  "Abandon",
  "Regenerate",
  "Exist",
  "Load",
  "Save",
  "get",
  "set",
  "delete",
  "Transaction",
  "Run",
  "TypeOf",
];

export let house: SessionHouse;

/** Opens the house before the tests of a file, and closes it afterwards. */
export function openHouse(): void {
  beforeAll(async () => {
    house = await SessionHouse.open({ maxSessionBytes: 4_000_000 });
    await connect(house.options);
  });
  afterAll(() => house.close());
}

/** A saved session with these entries. */
export async function makeSession(entries: Record<string, unknown>): Promise<string> {
  return Session.Run({ remoteAddress: "10.0.0.1" }, () => {
    for (const [key, value] of Object.entries(entries)) Session.set(key, value);
    return idNow();
  });
}

export function idNow(): string {
  const id = Session.Id;
  if (id === null) throw new Error("no session here");
  return id;
}

export async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SessionError) return error.code;
    throw error;
  }
  return "no error";
}
