// Which keys a program can use, and which of those of a session it sees.

import { SessionError } from "../../protocol/errors.ts";
import { COOKIE_PATH_KEY, isLongKey, keyBytes, MAX_KEY_BYTES } from "../../protocol/image/image.ts";

export function isShown(key: string): boolean {
  return key !== COOKIE_PATH_KEY;
}

/** @throws SessionError ERR_BAD_KEY. */
export function checkKey(key: string): void {
  if (typeof key === "string" && key !== "" && key !== COOKIE_PATH_KEY) {
    // Any other text must stand for bytes.
    if (!key.isWellFormed()) keyBytes(key);
    if (isLongKey(key)) throw new SessionError("ERR_BAD_KEY", `A key has at most ${MAX_KEY_BYTES} bytes.`);
    return;
  }
  throw new SessionError("ERR_BAD_KEY", `${JSON.stringify(key)} is not a key a session can hold.`);
}
