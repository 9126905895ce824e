// The evidence that files and directories give of the Gambas programs that share the root: which run, which may have made a save, whether
// one has read our last revision. Knows the files that are kept open, and no contents.

import { fstatSync } from "node:fs";
import type { Dialect } from "../../../protocol/image/image.ts";
import type { OpenFile } from "../../files/files.ts";
import type { Log } from "../../report/report.ts";
import type { Attendance, Clock, ForeignPrograms, Revision, Saver } from "../store.ts";
import { type FileSystem, wasReadSinceStamp } from "./file-system.ts";
import type { HotSessions } from "./hot-sessions.ts";
import { DialectInUse, Presence } from "./programs/programs.ts";

interface EvidenceParts {
  readonly root: string;
  /** The directory of the sessions. */
  readonly sessions: string;
  readonly fileSystem: FileSystem;
  readonly hot: HotSessions;
  readonly gambas: "auto" | Dialect;
  readonly log: Pick<Log, "info">;
}

export class Evidence implements ForeignPrograms {
  readonly #fileSystem: FileSystem;
  readonly #hot: HotSessions;
  readonly #presence: Presence;
  readonly #dialect: DialectInUse;
  #attendance: Attendance | undefined;

  constructor({ root, sessions, fileSystem, hot, gambas, log }: EvidenceParts) {
    this.#fileSystem = fileSystem;
    this.#hot = hot;
    this.#presence = new Presence(root);
    this.#dialect = new DialectInUse({ setting: gambas, sessions, log });
  }

  look(clock: Clock): Attendance {
    this.#attendance = this.#presence.look(clock);
    return this.#attendance;
  }

  /** At the last look no program was there. */
  get isNobodyThere(): boolean {
    return this.#attendance?.isAnybodyThere === false;
  }

  whoReplaced(id: string, revision: Revision, clock: Clock): Saver {
    return this.#presence.whoSavedSince(this.#replacedMs(id, revision), clock);
  }

  /**
   * Our stamps set access and modification time alike, and with "relatime" the first read after that moves the access time (our own
   * reads ask it not to). The inode is still open here when its name has gone to another program's save.
   */
  wasRead(id: string, revision: Revision): boolean | undefined {
    const ours = this.#ours(id, revision);
    if (!this.#fileSystem.has("accessTimes") || ours === undefined) return undefined;
    return ours.wasRead || wasReadSinceStamp(ours.fd);
  }

  /** While our file is open here, no other file has its number. */
  isOurFile(id: string, revision: Revision): boolean {
    return this.#ours(id, revision) !== undefined;
  }

  noteSave(image: Buffer): void {
    this.#dialect.noteForeignSave(image);
  }

  get dialect(): Dialect {
    return this.#dialect.current;
  }

  get dialectInWords(): string {
    return this.#dialect.description;
  }

  /** The file we wrote last, if it is the one of this revision and still open. */
  #ours(id: string, revision: Revision): OpenFile | undefined {
    const current = this.#hot.get(id)?.current;
    return current?.ino === revision.ino ? current : undefined;
  }

  /** By when it had not been replaced yet: an open file without a name tells exactly, of others it is when they were written. */
  #replacedMs(id: string, revision: Revision): number {
    const ours = this.#ours(id, revision);
    if (ours === undefined) return revision.mtimeMs;
    const { nlink, ctimeMs } = fstatSync(ours.fd);
    return nlink === 0 ? ctimeMs : revision.mtimeMs;
  }
}
