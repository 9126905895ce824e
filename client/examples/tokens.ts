// Tokens in the forms that kill processes: such a form is taken only from a page of this session, of this run, at this address. The other
// forms need none: the session's cookie is SameSite=Lax, so that no other site's form comes with a session.

import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Refusal } from "./form.ts";

/** A name of somebody else's that leads to this machine is no address of ours. */
const OUR_HOST = /^(?:127\.0\.0\.1|localhost)(?::\d+)?$/;

/** Empty where there is no session yet. Only who knows the key of this run can make one. */
export function tokenOf(id: string | null): string {
  const { TOKEN_KEY } = process.env;
  return id === null || !TOKEN_KEY ? "" : createHmac("sha256", TOKEN_KEY).update(id).digest("hex");
}

/** @throws Refusal 403. */
export function checkToken(req: IncomingMessage, form: URLSearchParams, id: string | null): void {
  const [sent, right] = [Buffer.from(form.get("token") ?? ""), Buffer.from(tokenOf(id))];
  const isRight = right.length > 0 && sent.length === right.length && timingSafeEqual(sent, right);
  if (!isRight || !OUR_HOST.test(req.headers.host ?? ""))
    throw new Refusal(403, "This is taken only from a page of this session. Load the page and press the button there.");
}
