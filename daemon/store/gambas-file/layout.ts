// Names in the file system. Pure.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { prefixOf } from "../../../protocol/session-id.ts";

/** Where everything of one root lies. */
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

  /** Our own directory for twins, so that `session/` holds nothing Gambas' `Unique` could meet. */
  get twins(): string {
    return this.#areTwinsInside ? this.#twinsInside : this.#twinsBeside;
  }

  /** Wherever a daemon may have had them. */
  get allTwins(): readonly [string, string] {
    return [this.#twinsBeside, this.#twinsInside];
  }

  /** Where `session/` is a mount of its own no name can go from one to the other. Gambas' patterns have a colon, and this name has none. */
  moveTwinsInside(): void {
    this.#areTwinsInside = true;
  }

  session(id: string): string {
    return `${this.sessions}/${id}`;
  }

  lock(id: string): string {
    return `${this.sessions}/${id}.lock`;
  }

  /** One twin per session. The prefix is hashed, since an id may be longer than the rest of a file name. */
  twin(id: string, directory: string = this.twins): string {
    const prefix = prefixOf(id);
    const mark = createHash("sha256").update(prefix).digest("base64url").slice(0, 22);
    return `${directory}/${id.slice(prefix.length + 1)}-${mark}`;
  }
}
