// The cookie of a browser that has a session of express-session.

import { createHmac } from "node:crypto";

/** What stands behind `connect.sid=`, as express-session and its cookie-signature write it. */
export function signedCookie(sid: string, secret: string): string {
  const signature = createHmac("sha256", secret).update(sid).digest("base64").replace(/=+$/, "");
  return encodeURIComponent(`s:${sid}.${signature}`);
}
