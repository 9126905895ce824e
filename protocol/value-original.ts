// One stored object that many may ask for. It can be changed in place, so each of them gets an object of its own.

import { decodeScanned } from "./value-decode.ts";
import type { Origins } from "./value-origins.ts";

export class Original {
  /** Self-contained, and scanned before. */
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** An object of its own, as it is stored. Throws ERR_UNREADABLE for what JavaScript cannot show. */
  copy(origins: Origins): unknown {
    return decodeScanned(this.bytes, 0, origins);
  }
}
