// Ids that a framework has encoded. Next.js and others write all cookies of a response anew when the application has set one by their own
// means, ours too: its colon becomes %3A, and so the browser sends it. Gambas decodes nothing, and session() of node:http needs not.

import { isSessionId } from "../../../protocol/session-id.ts";

const ENCODED = /=([^;=]*%3a[^;=]*)/gi;

/** The Cookie header, with every value that is an encoded id as the id itself. */
export function withPlainIds(header: string): string {
  return header.replace(ENCODED, (whole, value: string) => {
    const id = decoded(value);
    return id === undefined ? whole : `=${Buffer.from(id).toString("latin1")}`;
  });
}

function decoded(value: string): string | undefined {
  // An address with a zone has a percent sign of its own.
  if (isSessionId(value)) return undefined;
  try {
    const text = decodeURIComponent(value);
    return isSessionId(text) ? text : undefined;
  } catch {
    // No encoding of anything: URIError is all it can throw.
    return undefined;
  }
}
