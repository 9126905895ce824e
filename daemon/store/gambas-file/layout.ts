// The paths of all files of a root: sessions, their lock files and their twins. Pure.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { prefixOf } from "../../../protocol/session-id.ts";

/** The places of one root. */
export class Places {
  readonly sessions: string;
  readonly #twinsBeside: string;
  readonly #twinsInside: string;
  #areTwinsInside = false;

  constructor(root: string) {
    this.sessions = join(root, "session");
    this.#twinsBeside = join(root, "sessiond.twins");
    this.#twinsInside = join(this.sessions, ".sessiond.twins");
  }

  /** The daemon's directory for twins: among the sessions Gambas' `Unique` could meet them. */
  get twins(): string {
    return this.#areTwinsInside ? this.#twinsInside : this.#twinsBeside;
  }

  /** Both directories in which a daemon, this one or an earlier one, may have had twins. */
  get allTwins(): readonly [string, string] {
    return [this.#twinsBeside, this.#twinsInside];
  }

  /**
   * Puts the twins into a directory inside `session/`: where `session/` is a mount of its own, a rename cannot cross
   * its border. Gambas' `Unique` does not meet this directory: its patterns have a colon, and the name has none.
   */
  moveTwinsInside(): void {
    this.#areTwinsInside = true;
  }

  session(id: string): string {
    return `${this.sessions}/${id}`;
  }

  lock(id: string): string {
    return `${this.sessions}/${id}.lock`;
  }

  /**
   * The path of a session's only twin. The prefix of the id, which may be long, is hashed: an id may fill a file name.
   */
  twin(id: string, directory: string = this.twins): string {
    const prefix = prefixOf(id);
    const mark = createHash("sha256").update(prefix).digest("base64url").slice(0, 22);
    return `${directory}/${id.slice(prefix.length + 1)}-${mark}`;
  }
}
