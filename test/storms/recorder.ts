// What one worker did, in a file: a line before each operation begins and one after it ended, so that a worker which is killed leaves
// everything it knew. Times are of CLOCK_MONOTONIC, which all processes of a machine share.

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Attempt, Operation } from "../support/linearizability.ts";

export type Kind = "read" | "write" | "update" | "add" | "count";

/** One operation as it was recorded. */
export interface Recorded {
  readonly kind: Kind;
  /** `<session>/<key>` */
  readonly register: string;
  readonly by: string;
  readonly call: number;
  end: number;
  /** What a read or a count saw, or what a write writes. */
  value: string | number | null;
  readonly attempts: { readonly read: string | number | null; readonly written: string | number }[];
  /** The code of the error it failed with: then its outcome is unknown. */
  failure?: string;
  /** What that said. */
  reason?: string;
}

type Line =
  | readonly ["call", number, Kind, string, number, string | number | null]
  | readonly ["try", number, string | number | null, string | number]
  | readonly ["end", number, number, string | number | null]
  | readonly ["fail", number, number, string, string];

export class Recorder {
  readonly #fd: number;
  #last = 0;

  constructor(path: string) {
    this.#fd = openSync(path, "a", 0o600);
  }

  /** Returns the number of the operation. */
  called(kind: Kind, register: string, value: string | null = null): number {
    this.#last += 1;
    this.#write(["call", this.#last, kind, register, now(), value]);
    return this.#last;
  }

  tried(number: number, read: string | number | null, written: string | number): void {
    this.#write(["try", number, read, written]);
  }

  ended(number: number, value: string | number | null = null): void {
    this.#write(["end", number, now(), value]);
  }

  failed(number: number, error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    this.#write(["fail", number, now(), code ?? message, message]);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(line: Line): void {
    writeSync(this.#fd, `${JSON.stringify(line)}\n`);
  }
}

/** Nanoseconds. */
function now(): number {
  return Number(process.hrtime.bigint());
}

/** Reads what a recorder wrote. A last line without an end is what a kill left of it. */
export function readRecords(path: string, by: string): Recorded[] {
  const records = new Map<number, Recorded>();
  const lines = readFileSync(path, "utf8").split("\n");
  lines.pop();
  for (const text of lines) {
    const line = JSON.parse(text) as Line;
    const number = line[1];
    if (line[0] === "call") {
      const [, , kind, register, call, value] = line;
      const end = Number.POSITIVE_INFINITY;
      records.set(number, { kind, register, by: `${by}#${number}`, call, end, value, attempts: [] });
    } else {
      const record = records.get(number);
      if (record === undefined) throw new Error(`${path} has no call ${number}`);
      note(record, line);
    }
  }
  return [...records.values()];
}

function note(record: Recorded, line: Exclude<Line, readonly ["call", ...unknown[]]>): void {
  if (line[0] === "try") {
    record.attempts.push({ read: line[2], written: line[3] });
  } else if (line[0] === "fail") {
    record.failure = line[3];
    record.reason = line[4];
  } else {
    record.end = line[2];
    if (line[3] !== null) record.value = line[3];
  }
}

/** For the checker: the operations of each register. Reads without an end tell nothing. */
export function registersOf(records: readonly Recorded[]): Map<string, Operation[]> {
  const registers = new Map<string, Operation[]>();
  for (const record of records) {
    const operation = operationOf(record);
    if (operation === undefined) continue;
    const others = registers.get(record.register);
    if (others === undefined) registers.set(record.register, [operation]);
    else others.push(operation);
  }
  return registers;
}

function operationOf({ kind, by, call, end, value, attempts }: Recorded): Operation | undefined {
  if (kind === "read") {
    if (end === Number.POSITIVE_INFINITY) return undefined;
    return { type: "read", by, call, end, value: value === null ? undefined : String(value) };
  }
  if (kind === "write") return { type: "write", by, call, end, value: String(value) };
  if (kind !== "update") return undefined;
  return { type: "update", by, call, end, attempts: attempts.map(attemptOf) };
}

function attemptOf({ read, written }: Recorded["attempts"][number]): Attempt {
  return { read: read === null ? undefined : String(read), written: String(written) };
}
