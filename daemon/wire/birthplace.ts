// Where a socket is bound before it has its name: a folder beside it that nobody else may enter. Owns what these folders are called, and removes those
// of daemons that were killed meanwhile. A socket may stand among the files of a user, and some folder there may be called alike, as .config is: what holds
// anything but such a socket is somebody else's, and stays as it is.

import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MAX_SOCKET_PATH_BYTES } from "../../protocol/places.ts";
import { isSystemError } from "../files/files.ts";

const MODE = 0o700;
/** Of the socket in its folder. */
const NAME = "s";
/** Three digits of this base tell sockets of one directory apart, and daemons: a name must be short, for the path of a socket is. */
const BASE = 36;
const DIGITS = 3;
const NUMBERS = BASE ** DIGITS;

/** Folders that this process has asked for: of two servers in one directory each has its own, and a name that is taken is nobody's. */
let begun = 0;

export class Birthplace {
  readonly #folder: string;
  /** The path to bind; undefined where it would be longer than any system takes. */
  readonly path: string | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
    const path = join(folder, NAME);
    this.path = Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES ? path : undefined;
  }

  /** Only for the one daemon that has been elected: what others have left beside this socket has no owner any more. */
  static of(socket: string): Birthplace {
    try {
      removeLeft(socket);
    } catch {
      // Whatever the system error: it keeps nobody from listening.
    }
    return Birthplace.#make(socket);
  }

  static #make(socket: string): Birthplace {
    const nth = begun++;
    const own = `${beginningOf(socket)}${digitsOf(process.pid)}${nth === 0 ? "" : `-${nth}`}`;
    const place = new Birthplace(join(dirname(socket), own));
    if (place.path === undefined) return place;
    try {
      mkdirSync(place.#folder, { mode: MODE });
      return place;
    } catch (error) {
      if (isSystemError(error, "EEXIST")) return Birthplace.#make(socket);
      throw error;
    }
  }

  remove(): void {
    if (this.path !== undefined) removeFolder(this.#folder);
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
    if (stat?.isDirectory() === true && stat.uid === process.getuid?.()) removeFolder(path);
  }
}

/** Nothing but what a daemon has left there. */
function removeFolder(folder: string): void {
  try {
    const names = readdirSync(folder);
    if (names.some((name) => name !== NAME)) return;
    const socket = join(folder, NAME);
    if (names.length > 0 && lstatSync(socket).isSocket()) rmSync(socket);
    rmdirSync(folder);
  } catch {
    // Whatever the system error, what is called as our socket and is none among them: it keeps nobody from listening, and the folder stays.
  }
}

function beginningOf(socket: string): string {
  return `.${digitsOf(createHash("sha256").update(basename(socket)).digest().readUInt32BE())}`;
}

function digitsOf(number: number): string {
  return (number % NUMBERS).toString(BASE).padStart(DIGITS, "0");
}
