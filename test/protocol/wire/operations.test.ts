// The operation table: what must hold of every row, and that the daemon has a handler for each.

import { describe, expect, it } from "vitest";
import { makeHandlers } from "../../../daemon/wire/handlers.ts";
import { ERRORS } from "../../../protocol/errors.ts";
import {
  KIND,
  OPERATIONS,
  type OperationName,
  operationName,
  PROTOCOL_VERSION,
} from "../../../protocol/wire/operations.ts";
import { sourcesOf } from "../../support/sources.ts";

const names = Object.keys(OPERATIONS) as OperationName[];
/** A message has at most 15 fields: its number and its operation or outcome come first. */
const MAX_FIELDS = 15 - 2;

describe.each(names)("the operation %s", (name) => {
  const row = OPERATIONS[name];

  it("is of a version that exists and says what it means", () => {
    expect(row.since).toBeGreaterThanOrEqual(1);
    expect(row.since).toBeLessThanOrEqual(PROTOCOL_VERSION);
    expect(row.meaning).toMatch(/^[A-Z].*\.$/);
  });

  it("answers errors of the table, each named once", () => {
    const codes: readonly string[] = row.errors;
    expect(codes.filter((code) => !Object.hasOwn(ERRORS, code))).toEqual([]);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it("fits into one frame both ways", () => {
    expect(Object.keys(row.request).length).toBeLessThanOrEqual(MAX_FIELDS);
    expect(Object.keys(row.response).length).toBeLessThanOrEqual(MAX_FIELDS);
  });

  it("is found by its number", () => {
    expect(operationName(row.number)).toBe(name);
  });

  it("has fields in an order that their names cannot change", () => {
    // Names that look like array indexes would come before all others, whatever their place in the table.
    const fields = [...Object.keys(row.request), ...Object.keys(row.response)];
    expect(fields.filter((field) => !/^[a-z][A-Za-z]*$/.test(field))).toEqual([]);
  });

  it("is called by somebody", () => {
    const callers = [...sourcesOf("client"), ...sourcesOf("daemon")].filter(
      ({ name }) => name !== "daemon/wire/handlers",
    );
    const isCalled = callers.some(({ text }) => text.includes(`"${name}"`) || text.includes(`OPERATIONS.${name}.`));
    expect(isCalled).toBe(true);
  });
});

describe("the table", () => {
  it("gives no number twice, and 0 to hello for ever", () => {
    expect(new Set(names.map((name) => OPERATIONS[name].number)).size).toBe(names.length);
    expect(OPERATIONS.hello.number).toBe(0);
    expect(Object.keys(OPERATIONS.hello.request)[0]).toBe("version");
  });

  it("has a handler for every row and none besides", () => {
    const handlers = makeHandlers({} as never);
    expect(Object.keys(handlers).sort()).toEqual([...names].sort());
  });

  it.each([-1, 0.5, 99, Number.NaN, "1", null, undefined, {}])("has no operation %j", (number) => {
    expect(operationName(number)).toBeUndefined();
  });

  it("has four kinds of states, numbered from 0", () => {
    expect(Object.values(KIND)).toEqual([0, 1, 2, 3]);
  });
});
