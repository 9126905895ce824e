// Where a socket is bound before it has its name: a folder beside it that nobody else may enter. Owns what these folders are called, and removes those
// of daemons that were killed meanwhile.

import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MAX_SOCKET_PATH_BYTES } from "../../protocol/places.ts";

const MODE = 0o700;
/** Three digits of this base tell sockets of one directory apart, and daemons: a name must be short, for the path of a socket is. */
const BASE = 36;
const DIGITS = 3;
const NUMBERS = BASE ** DIGITS;

/** Servers of this process that have begun to listen: of two in one directory each has a folder of its own. */
let begun = 0;

export class Birthplace {
  readonly #folder: string;
  /** The path to bind; undefined where it would be longer than any system takes. */
  readonly path: string | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
    const path = join(folder, "s");
    this.path = Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES ? path : undefined;
  }

  /** Only for the one daemon that has been elected: what others have left beside this socket has no owner any more. */
  static of(socket: string): Birthplace {
    try {
      removeLeft(socket);
    } catch {
      // Whatever the system error: it keeps nobody from listening, and an empty folder is all that stays.
    }
    const nth = begun++;
    const own = `${beginningOf(socket)}${digitsOf(process.pid)}${nth === 0 ? "" : `-${nth}`}`;
    const place = new Birthplace(join(dirname(socket), own));
    if (place.path !== undefined) mkdirSync(place.#folder, { mode: MODE });
    return place;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function removeLeft(socket: string): void {
  const directory = dirname(socket);
  const beginning = beginningOf(socket);
  const form = new RegExp(`^[0-9a-z]{${DIGITS}}(?:-\\d+)?$`);
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(beginning) || !form.test(name.slice(beginning.length))) continue;
    const path = join(directory, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true && stat.uid === process.getuid?.()) rmSync(path, { recursive: true, force: true });
  }
}

function beginningOf(socket: string): string {
  return `.${digitsOf(createHash("sha256").update(basename(socket)).digest().readUInt32BE())}`;
}

function digitsOf(number: number): string {
  return (number % NUMBERS).toString(BASE).padStart(DIGITS, "0");
}
