// Messages by the names of their fields: in the order of the table, whatever the order of the object, and in the bytes of the fields themselves.

import { describe, expect, it } from "vitest";
import { SessionError } from "../../../protocol/errors.ts";
import { type Field, FrameWriter, LENGTH_BYTES, readMessage } from "../../../protocol/wire/frame.ts";
import {
  failureOf,
  isFailure,
  olderVersion,
  readAnswer,
  readRequest,
  writeAnswer,
  writeCall,
  writeFailure,
} from "../../../protocol/wire/message.ts";
import { OPERATIONS, PROTOCOL_VERSION, type State } from "../../../protocol/wire/operations.ts";

const SID = "10.0.0.1:000000000000000000000001";
const STATE: State = { image: Buffer.from("x"), startupMs: 1.5, mtimeMs: 2.5, size: 3, ino: 4, kind: 2 };

function written(write: (writer: FrameWriter) => void): Buffer {
  const writer = new FrameWriter();
  write(writer);
  return writer.take();
}

function fieldsOf(write: (writer: FrameWriter) => void): unknown[] {
  return readMessage(written(write).subarray(LENGTH_BYTES));
}

function pushed(...fields: readonly Field[]): Buffer {
  return written((writer) => writer.push(...fields));
}

describe("a call", () => {
  it("is the bytes of its fields in the order of the table", () => {
    const request = { options: null, delta: Buffer.from("d"), base: 0, sequence: 9, sid: SID };
    const { number } = OPERATIONS.commit;
    const bytes = written((writer) => writeCall(writer, { number: 5, name: "commit", request }));
    expect(bytes).toEqual(pushed(5, number, SID, 9, 0, Buffer.from("d"), null));
  });

  it("leaves out a last field that is undefined", () => {
    const touch = (held: number[] | undefined): Buffer =>
      written((writer) => writeCall(writer, { number: 1, name: "touch", request: { sid: SID, base: 0, held } }));
    expect(touch(undefined)).toEqual(pushed(1, OPERATIONS.touch.number, SID, 0));
    expect(touch([7])).toEqual(pushed(1, OPERATIONS.touch.number, SID, 0, [7]));
  });

  it("is read as what was sent, and what was left out as nil", () => {
    const request = { sid: SID, leaseMs: 5, known: 1.5 };
    const fields = fieldsOf((writer) => writeCall(writer, { number: 1, name: "lease", request }));
    expect(readRequest("lease", fields)).toEqual({ ...request, held: null, isOptimistic: null });
  });
});

describe("an answer", () => {
  it("is read as what was sent", () => {
    const fields = fieldsOf((writer) => writeAnswer(writer, { number: 3, name: "lease" }, { fence: 8, ...STATE }));
    expect(isFailure(fields)).toBe(false);
    expect(readAnswer("lease", fields)).toEqual({ fence: 8, ...STATE, head: null, isUnverified: null });
  });

  it("of another form is no answer", () => {
    const fields = fieldsOf((writer) => writer.push(3, 0, "one"));
    expect(() => readAnswer("release", fields)).toThrow(expect.objectContaining({ code: "ERR_PROTOCOL" }));
  });
});

describe("a failure", () => {
  it("is thrown in place of an answer, with the text that was sent and no advice twice", () => {
    const error = new SessionError("ERR_ID_TAKEN");
    const fields = fieldsOf((writer) => writeFailure(writer, 3, error));
    expect(fields).toHaveLength(4);
    expect(() => readAnswer("commit", fields)).toThrow(
      expect.objectContaining({ code: "ERR_ID_TAKEN", message: error.message }),
    );
  });

  it("of a code that is not known counts as one that nobody expects", () => {
    expect(failureOf([3, 1, "ERR_OF_TOMORROW", "text"])).toMatchObject({ code: "ERR_INTERNAL", message: "text" });
    expect(failureOf([3, 1])).toMatchObject({ code: "ERR_INTERNAL" });
  });

  it("tells which version refuses, and only then", () => {
    const fields = fieldsOf((writer) => writeFailure(writer, 0, new SessionError("ERR_PROTOCOL_VERSION")));
    expect(fields[4]).toBe(PROTOCOL_VERSION);
    expect(olderVersion(fields)).toBeUndefined();
    expect(olderVersion([0, 1, "ERR_PROTOCOL_VERSION", "", PROTOCOL_VERSION - 1])).toBe(PROTOCOL_VERSION - 1);
    expect(olderVersion([0, 1, "ERR_PROTOCOL", "", 0])).toBeUndefined();
  });
});
