// What this daemon knows of one session's value in Redis, and how well.
//
//   UNKNOWN  never asked for                   UNKNOWN -> CURRENT: an answer came, and no push for the key since it was asked
//   CURRENT  a change would have been pushed   CURRENT -> STALE: a push came, or the connection broke
//   STALE    was there once                    STALE   -> CURRENT: as from UNKNOWN; the bytes travel only if the version is another one
//
// Even a current copy answers no reader before a barrier (`sessions.ts`): a push may be on its way.

import { isExpired } from "../../../protocol/image/image.ts";
import type { Contents } from "../../memory/cache.ts";
import { contentsOf } from "../../memory/cache.ts";
import {
  isVersion,
  NO_MARKS,
  NO_VERSION,
  nameOf,
  readValue,
  type Stored,
  SUMMARY_BYTES,
  unreadable,
  VERSION_BYTES,
  withSummary,
} from "../value/value.ts";

export class Copy {
  readonly #id: string;
  readonly #maxSessionBytes: number;
  readonly #show: (version: number) => void;
  #stored: Stored | undefined;
  #contents: Contents | undefined;
  #state: "unknown" | "current" | "stale" = "unknown";
  /** A push came since the call under way was made. */
  #isDirty = false;

  /** @param show told of the version that is the present one, by its number, whenever that changes; 0: none is known to be. */
  constructor(id: string, maxSessionBytes: number, show: (version: number) => void) {
    this.#id = id;
    this.#maxSessionBytes = maxSessionBytes;
    this.#show = show;
  }

  get stored(): Stored | undefined {
    return this.#stored;
  }

  get isCurrent(): boolean {
    return this.#state === "current";
  }

  get isUnknown(): boolean {
    return this.#state === "unknown";
  }

  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** Of the value; what has no version is not there. */
  get version(): Buffer {
    return this.#stored?.version ?? NO_VERSION;
  }

  get marks(): Buffer {
    return this.#stored?.marks ?? NO_MARKS;
  }

  get bytes(): number {
    return this.#contents?.image.length ?? 0;
  }

  /** Of a session, also of one whose time is over. */
  get contents(): Contents | undefined {
    return this.#contents;
  }

  /** Of a session whose time is not over. */
  contentsAt(nowMs: number): Contents | undefined {
    return this.#contents !== undefined && !isExpired(this.#contents.image, nowMs) ? this.#contents : undefined;
  }

  /** There is one, and its time is over. */
  isExpiredAt(nowMs: number): boolean {
    return this.#contents !== undefined && isExpired(this.#contents.image, nowMs);
  }

  /** Before each call whose answer is adopted. */
  begin(): void {
    this.#isDirty = false;
  }

  noteStale(): void {
    this.#isDirty = true;
    if (this.#state === "current") this.#state = "stale";
    this.#show(0);
  }

  /**
   * What a script answered: a value, the summary of the one that is known, or nothing.
   *
   * @throws SessionError ERR_UNREADABLE.
   */
  adopt(answer: Buffer): void {
    if (answer.length === 0) this.#keep(undefined);
    else if (!isVersion(this.#stored?.version, answer.subarray(0, VERSION_BYTES))) this.#adoptValue(answer);
    else if (this.#stored?.kind === "session" && answer.length === SUMMARY_BYTES) {
      this.#keep(withSummary(this.#stored, answer));
    } else this.#keep(this.#stored);
  }

  /** Ours, which is stored. */
  adoptOwn(stored: Stored): void {
    this.#keep(stored);
  }

  /** Nothing is known any more. */
  forget(): void {
    this.#keep(undefined);
    this.#state = "unknown";
    this.#show(0);
  }

  /** The answer is a view of what arrived, which is kept no longer than its call. */
  #adoptValue(answer: Buffer): void {
    const stored = readValue(this.#id, Buffer.from(answer));
    const bytes = stored.kind === "session" ? stored.image.length : 0;
    if (bytes > this.#maxSessionBytes) {
      throw unreadable(
        this.#id,
        `it has ${bytes} bytes, and at most ${this.#maxSessionBytes} are read (maxSessionBytes)`,
      );
    }
    this.#keep(stored);
  }

  #keep(stored: Stored | undefined): void {
    const before = this.#contents?.image;
    this.#stored = stored;
    this.#state = this.#isDirty ? "stale" : "current";
    if (stored?.kind !== "session") this.#contents = undefined;
    else if (before === undefined || stored.image !== before) this.#contents = asContents(stored.image, stored.version);
    this.#show(this.isCurrent ? (this.#contents?.revision.mtimeMs ?? 0) : 0);
  }
}

/** Two versions of the same image are two: every version is of one commit. A stamp leaves the version as it is. */
export function asContents(image: Buffer, version: Buffer): Contents {
  const mtimeMs = nameOf(version);
  const revision = { ino: 0, size: image.length, mtimeMs };
  return contentsOf({ image, revision, isFleeting: false, changedMs: 0 }, [mtimeMs]);
}
