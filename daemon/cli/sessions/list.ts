// The command `list`: the sessions of a root in the order of their ids, a page at a time, so that the first are there at once.

import { expiryOf } from "../../../protocol/image/image.ts";
import { checkPrefix } from "../../../protocol/session-id.ts";
import type { ListedSession } from "../../../protocol/wire/wire.ts";
import type { Errand } from "../terminal/errand.ts";
import { bytesText, fromNow } from "../terminal/figures.ts";
import { JsonList } from "../terminal/output.ts";
import { safeText } from "../terminal/safe-text.ts";
import { pagesOf, withDaemon } from "./asking.ts";

/** Wide enough for every figure, so that columns stand still from page to page. The id is last: it may have any length. */
const WIDTHS = [9, 12, 12] as const;

export function list(errand: Errand): Promise<boolean> {
  const [prefix] = errand.operands;
  const exact = prefix === undefined ? null : checkPrefix(prefix);
  return withDaemon(errand, async (daemon) => {
    const print = errand.form === "json" ? printJson(errand) : printText(errand);
    for await (const page of pagesOf(daemon, exact)) if (!(await print(page))) return true;
    await print("end");
    return true;
  });
}

/** Resolves to false where nobody reads any more. */
type Print = (page: readonly ListedSession[] | "end") => Promise<boolean>;

function printJson({ say }: Errand): Print {
  const elements = new JsonList(say);
  return async (page) => {
    if (page === "end") return elements.end();
    let isRead = true;
    for (const { id, size, startupMs, timeoutSeconds } of page) {
      const dates = { lastUsed: new Date(startupMs), expires: expiryOf(startupMs, timeoutSeconds) };
      isRead = await elements.add({ id, bytes: size, ...dates });
    }
    return isRead;
  };
}

function printText({ say }: Errand): Print {
  let count = 0;
  return async (page) => {
    if (page === "end") return count > 0 || say("No sessions.\n");
    const head = count === 0 && page.length > 0 ? rowOf("BYTES", "LAST USE", "EXPIRES", "ID") : "";
    count += page.length;
    const nowMs = Date.now();
    return say(head + page.map((session) => lineOf(session, nowMs)).join(""));
  };
}

function lineOf({ id, size, startupMs, timeoutSeconds }: ListedSession, nowMs: number): string {
  const expires = fromNow(expiryOf(startupMs, timeoutSeconds), nowMs);
  return rowOf(bytesText(size), fromNow(new Date(Math.min(startupMs, nowMs)), nowMs), expires, safeText(id));
}

function rowOf(bytes: string, lastUse: string, expires: string, id: string): string {
  const columns = [bytes, lastUse, expires].map((text, index) => text.padStart(WIDTHS[index] ?? 0));
  return `${columns.join("  ")}  ${id}\n`;
}
