// What a process has one of, however often this package is loaded: two copies of it, two bundles, a server and the pages that it shows. The copy
// that is loaded first makes it, and the others find it. Of two versions neither knows what the other has there: the second refuses to be loaded.

import "./node-version.ts";
import { fileURLToPath } from "node:url";
import { SessionError } from "../protocol/errors.ts";
import { VERSION } from "../protocol/version.ts";

const NAME = Symbol.for("gambas-session");

interface Holder {
  readonly [NAME]?: ProcessWide;
}

interface ProcessWide {
  readonly version: string;
  /** The file of the copy that was loaded first. */
  readonly place: string;
  readonly things: Map<string, unknown>;
}

const { things } = claim(globalThis as Holder, placeOf(import.meta.url));

/** @throws SessionError ERR_TWO_VERSIONS, with both of them and where they lie. */
function claim(holder: Holder, place: string): ProcessWide {
  const first = holder[NAME];
  if (first === undefined) {
    const value: ProcessWide = { version: VERSION, place, things: new Map() };
    Object.defineProperty(holder, NAME, { value });
    return value;
  }
  if (first.version === VERSION) return first;
  const what = `gambas-session ${first.version} is loaded already, from ${first.place}, so ${VERSION} from ${place} is not.`;
  throw new SessionError("ERR_TWO_VERSIONS", what);
}

/** A bundle need not have a URL. */
function placeOf(url: unknown): string {
  if (typeof url !== "string") return "a bundle";
  return url.startsWith("file:") ? fileURLToPath(url) : url;
}

/** To be called when a module is loaded: what it returns never changes. */
export function onePerProcess<T>(name: string, make: () => T): T {
  if (!things.has(name)) things.set(name, make());
  return things.get(name) as T;
}
