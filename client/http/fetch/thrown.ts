// Redirects that a handler throws, as frameworks have it, so that a cookie can go with them. Anything else that is thrown is no answer.

/** The Response that the framework would make of what was thrown, undefined where it makes none or one that is not known here. */
export function redirectOf(thrown: unknown): Response | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  // SvelteKit: { status, location }.
  if ("status" in thrown && "location" in thrown) return redirect(thrown.status, thrown.location);
  if (!("digest" in thrown) || typeof thrown.digest !== "string") return undefined;
  // Next.js: NEXT_REDIRECT;replace;/next;307;
  const [, location, status] = /^NEXT_REDIRECT;\w*;(.*);(\d{3});?$/s.exec(thrown.digest) ?? [];
  return redirect(Number(status), location);
}

/** Not by `instanceof`: servers put a Response of their own in the place of Node's. */
export function isResponse(value: unknown): value is Response {
  return typeof value === "object" && value !== null && ["headers", "body", "status"].every((name) => name in value);
}

function redirect(status: unknown, location: unknown): Response | undefined {
  const isRedirect = typeof status === "number" && status >= 300 && status < 400;
  if (!isRedirect || typeof location !== "string") return undefined;
  return new Response(null, { status, headers: { Location: location } });
}
