// A Lua script that Redis keeps: sent whole once, and named by its digest from then on.

import { createHash } from "node:crypto";

export class Script {
  readonly text: string;
  readonly digest: string;

  /** @param text written for Redis 6.2 on; keys in KEYS alone, so that a cluster and a user's rights know them. */
  constructor(text: string) {
    this.text = text;
    this.digest = createHash("sha1").update(text).digest("hex");
  }
}
