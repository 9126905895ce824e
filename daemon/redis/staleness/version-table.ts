// The version table (protocol/version-table.ts), as its daemon writes it. Each daemon makes a file of its own: a predecessor that still runs writes into
// one that no worker of ours has open. It is written from end to end at first, so that no later write needs room on the disk.

import { closeSync, constants, openSync, renameSync, writeSync } from "node:fs";
import { placeOf, steadyMsOf, VALIDITY_BYTES, VERSION_TABLE_BYTES } from "../../../protocol/version-table.ts";
import { removeFile, writeAll } from "../../files/files.ts";

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
const MODE = 0o600;

export class VersionTable {
  readonly path: string;
  readonly #fd: number;
  readonly #place = new Float64Array(1);
  readonly #validity = new Float64Array(VALIDITY_BYTES / 8);
  #isOpen = true;

  /** @throws the system's error where it cannot be made. */
  constructor(path: string) {
    const made = `${path}.new`;
    this.path = path;
    this.#fd = openSync(made, FLAGS, MODE);
    try {
      writeAll(this.#fd, Buffer.alloc(VERSION_TABLE_BYTES));
      renameSync(made, path);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** @param version the number that names it; 0: not known. */
  show(id: string, version: number): void {
    if (!this.#isOpen) return;
    this.#place[0] = version;
    writeSync(this.#fd, this.#place, 0, 8, placeOf(id));
  }

  /**
   * What stands here holds until then.
   *
   * @param leftMs from now on.
   * @param nowMs the time by the clock of the sessions, in Unix ms.
   */
  holdFor(leftMs: number, nowMs: number): void {
    const steadyMs = steadyMsOf(process.hrtime());
    this.#write([steadyMs + leftMs, Date.now() + leftMs, nowMs - steadyMs]);
  }

  /** Nothing that stands here holds, and nothing stands here. */
  clear(): void {
    if (!this.#isOpen) return;
    this.#write([0, 0, 0]);
    writeAll(this.#fd, Buffer.alloc(VERSION_TABLE_BYTES));
  }

  close(isOurs: boolean): void {
    if (!this.#isOpen) return;
    this.#write([0, 0, 0]);
    this.#isOpen = false;
    closeSync(this.#fd);
    if (isOurs) removeFile(this.path);
  }

  #write(validity: readonly number[]): void {
    if (!this.#isOpen) return;
    this.#validity.set(validity);
    writeSync(this.#fd, this.#validity, 0, VALIDITY_BYTES, 0);
  }
}
