// The error table and its one class.

import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode, isErrorCode, SessionError } from "../../protocol/errors.ts";
import { sourcesOf } from "../support/sources.ts";

const codes = Object.keys(ERRORS) as ErrorCode[];

describe.each(codes)("%s", (code) => {
  it("says what happened and what to do, in sentences", () => {
    const { text, remedy } = ERRORS[code];
    expect(code).toMatch(/^ERR(?:_[A-Z]+)+$/);
    expect(text).toMatch(/^[A-Z].*\.$/);
    expect(remedy).toMatch(/^[A-Z].*\.$/);
  });

  it("is thrown somewhere", () => {
    const sources = [...sourcesOf("protocol"), ...sourcesOf("client"), ...sourcesOf("daemon")];
    const isUsed = sources.some(({ name, text }) => name !== "protocol/errors" && text.includes(`"${code}"`));
    expect(isUsed).toBe(true);
  });
});

describe("a SessionError", () => {
  it("says the table's text and remedy", () => {
    const error = new SessionError("ERR_BAD_ID");
    expect(error.message).toBe(`${ERRORS.ERR_BAD_ID.text} ${ERRORS.ERR_BAD_ID.remedy}`);
    expect([error.name, error.code, error instanceof Error]).toEqual(["SessionError", "ERR_BAD_ID", true]);
  });

  it("says what happened here instead of the general text, and keeps the cause", () => {
    const cause = new Error("ENOSPC");
    const error = new SessionError("ERR_STORE", "The file of session a could not be written.", { cause });
    expect(error.message).toBe(`The file of session a could not be written. ${ERRORS.ERR_STORE.remedy}`);
    expect(error.cause).toBe(cause);
  });

  it("adds no remedy to a message that says what is allowed", () => {
    const what = "The option spawn must be true or false, not 5.";
    expect(new SessionError("ERR_BAD_OPTION", what).message).toBe(what);
  });

  it("says what to do here instead of the general remedy, and none where what happened says it", () => {
    const what = "No daemon answers.";
    expect(new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy: "Start it." }).message).toBe(`${what} Start it.`);
    expect(new SessionError("ERR_DAEMON_UNAVAILABLE", what, { remedy: "" })).toMatchObject({ message: what, what });
  });

  it("knows whether the same call may succeed later", () => {
    expect(new SessionError("ERR_SESSION_BUSY").isRetryable).toBe(true);
    expect(new SessionError("ERR_SESSION_GONE").isRetryable).toBe(false);
  });
});

describe("a code from the other side", () => {
  it.each(codes)("is known: %s", (code) => {
    expect(isErrorCode(code)).toBe(true);
  });

  it.each(["ERR_NEW", "", "toString", "__proto__", "constructor", null, undefined, 1])("is unknown: %j", (code) => {
    expect(isErrorCode(code)).toBe(false);
  });
});
