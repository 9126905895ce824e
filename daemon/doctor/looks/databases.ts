// What the first bytes of a file tell of a database of SQLite: whether it is one at all, and whole. Opens none: that would make files beside it.

/** What of a file is looked at. */
export const HEAD_BYTES = 100;
const NAME = "SQLite format 3\0";
const PAGE_BYTES_AT = 16;
/** This size does not fit into its two bytes. */
const LARGEST_PAGE = 65_536;
const CHANGES_AT = 24;
const PAGES_AT = 28;
/** Of the changes that the number of pages is as of. */
const PAGES_OF_AT = 92;

/**
 * Why it is none that holds a session.
 *
 * @param hasLog what it lacks may be in there.
 */
export function problemOfDatabase(head: Buffer, size: number, hasLog: boolean): string | undefined {
  if (size === 0) return "it is empty";
  if (head.toString("latin1", 0, NAME.length) !== NAME) return "it is no database";
  if (head.length < HEAD_BYTES) return "it ends early";
  const pageBytes = head.readUInt16BE(PAGE_BYTES_AT);
  const bytes = head.readUInt32BE(PAGES_AT) * (pageBytes === 1 ? LARGEST_PAGE : pageBytes);
  const isKnown = head.readUInt32BE(CHANGES_AT) === head.readUInt32BE(PAGES_OF_AT);
  return isKnown && !hasLog && size < bytes ? `it ends early: ${size} of ${bytes} bytes` : undefined;
}
