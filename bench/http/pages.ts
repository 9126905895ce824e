// The pages every site serves: they read and write the session and know nothing of who keeps it.

import type { ServerResponse } from "node:http";
import type { SiteSession } from "../contenders/contender.ts";
import { SIZES, type Values } from "../session-values.ts";

const FIRST_VISITS = 1000;

/** What a session that was logged in is like after so many changes by `/write`. */
export function visitsAfter(changes: number): Values {
  return { visits: FIRST_VISITS + changes };
}

export function pageAt(path: string, session: SiteSession, res: ServerResponse): void {
  if (path === "/login") logIn(session);
  else if (path === "/write") session.set("visits", Number(session.get("visits")) + 1);
  show(session, res);
}

function logIn(session: SiteSession): void {
  const values = SIZES.realistic;
  for (const key in values) session.set(key, values[key]);
  session.set("visits", visitsAfter(0).visits);
}

/** A page a logged-in user would see: four values of the session, as JSON. */
function show(session: SiteSession, res: ServerResponse): void {
  const [visits, user] = [session.get("visits"), session.get("user")];
  if (user === undefined) res.statusCode = 500;
  const page = { visits, user, name: session.get("name"), roles: session.get("roles") };
  const body = JSON.stringify(page);
  res.setHeader("Content-Type", "application/json");
  res.setHeader("Content-Length", Buffer.byteLength(body));
  res.end(body);
}
