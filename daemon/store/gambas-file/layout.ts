// Names in the file system. Pure.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { isSessionId, prefixOf } from "../../../protocol/session-id.ts";

/** Where everything of one root lies. */
export class Places {
  readonly sessions: string;
  /** Our own directory for what is being written, so that `session/` holds nothing Gambas' `Unique` could meet. */
  readonly twins: string;

  constructor(root: string) {
    this.sessions = join(root, "session");
    this.twins = join(root, "sessiond.twins");
  }

  session(id: string): string {
    return `${this.sessions}/${id}`;
  }

  lock(id: string): string {
    return `${this.sessions}/${id}.lock`;
  }

  /** One twin per session. The prefix is hashed, since an id may be longer than what is left of a file name. */
  twin(id: string): string {
    const prefix = prefixOf(id);
    const mark = createHash("sha256").update(prefix).digest("base64url").slice(0, 22);
    return `${this.twins}/${id.slice(prefix.length + 1)}-${mark}`;
  }
}

/** The id a name in `session/` stands for, if it is a session. */
export function idOfName(name: string): string | undefined {
  return isSessionId(name) ? name : undefined;
}
