// The version table: a file in which a daemon says which version of each session is the present one, and until when that may be believed, for the
// workers of its machine that need not ask (type "redis", `coherence: { maxStaleMs }`). Pure; one process writes it, many read it, all with the byte
// order of their machine.
//
//    0  float64  until when what stands here holds, in ms of the machine's steady clock (`process.hrtime`)
//    8  float64  the same in ms of its wall clock: the steady one stands still while the machine sleeps
//   16  float64  how far the clock of the sessions is ahead of the steady one, in ms
//   32  float64  of each place: the number that names the present version (`mtimeMs` on the wire); 0: not known
//
// Sessions whose ids share a place drive each other out of it: their workers ask more often, and are never told wrong.

/** A power of two: more than a daemon has sessions in memory. */
const PLACES = 2 ** 17;
const FIRST_PLACE_AT = 32;
const PLACE_BYTES = 8;

export const VERSION_TABLE_BYTES: number = FIRST_PLACE_AT + PLACES * PLACE_BYTES;
export const VALIDITY_BYTES = 24;

/** The place of a session in bytes from the beginning. FNV-1a over the characters of its id. */
export function placeOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  return FIRST_PLACE_AT + ((hash >>> 0) & (PLACES - 1)) * PLACE_BYTES;
}

/** `process.hrtime()` in ms: the same for all processes of a machine. */
export function steadyMsOf([seconds, nanoseconds]: readonly [number, number]): number {
  return seconds * 1000 + nanoseconds / 1e6;
}
