// The command `show`: what is in a session, asked of the daemon, or read from a file or a database. The one place of this folder tree that decodes
// values: it runs in the process of an operator, and no daemon loads it.

import { readFileSync, type Stats, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { SessionError } from "../../../protocol/errors.ts";
import {
  type Dialect,
  decodeAll,
  dialectOf,
  expiryOf,
  imageOfFile,
  layoutOf,
  startupMs,
  timeoutSeconds,
  typeOf,
} from "../../../protocol/image/image.ts";
import { isSessionId } from "../../../protocol/session-id.ts";
import { Origins } from "../../../protocol/value/value.ts";
import { KIND } from "../../../protocol/wire/wire.ts";
import { type Config, resolveConfig, TYPES } from "../../config.ts";
import { Conversation } from "../../peer/peer.ts";
import type { Errand } from "../terminal/errand.ts";
import { bytesText, dateText, spanText } from "../terminal/figures.ts";
import { NotThere, noDaemonOn } from "../terminal/refusals.ts";
import { Plain, textOf } from "./plain.ts";

/** The first bytes of a SQLite database, and the end of its name. */
const DATABASE = Buffer.from("SQLite format 3\0");
const OF_DATABASE = ".db";
/** More than an application can want to keep in a session, and as much as an operator's process can show. */
const MAX_BYTES = 128 * 1024 * 1024;

/** A session as it was found. */
interface Found {
  /** Its id, or the file it was read from. */
  readonly name: string;
  readonly bytes: number;
  readonly image: Buffer;
  /** Undefined: each value has one of its own. */
  readonly dialect: Dialect | undefined;
}

interface ShownKey {
  readonly key: string;
  readonly type: string | undefined;
  /** Left out where only types are asked for, and where it cannot be shown. */
  readonly value?: unknown;
  readonly problem?: string;
}

export async function show(errand: Errand, what: "values" | "types"): Promise<boolean> {
  const [name = ""] = errand.operands;
  const found = isSessionId(name) ? await foundById(errand, name) : await stored(name, resolve(name));
  const keys = keysOf(found.image, what);
  const text = errand.form === "json" ? jsonOf(found, keys) : textOfSession(found, keys, Date.now());
  await errand.say(`${text}\n`);
  return true;
}

/** The daemon knows best; where none runs, what is stored is the truth. */
async function foundById({ options }: Errand, id: string): Promise<Found> {
  const config = resolveConfig(options);
  const { fileName, hasDialect } = TYPES[config.type];
  const daemon = await Conversation.begin(config);
  if (daemon === undefined) {
    const path = fileName && join(config.root, "session", fileName(id));
    if (path !== undefined && lookAt(path) !== undefined) return stored(path, id);
    throw ofOtherType(config, id) ?? noDaemonOn(config);
  }
  try {
    const { kind, size, image } = await daemon.call("open", { sid: id, known: 0 });
    if (kind === KIND.absent || image === null) throw new NotThere(`There is no session ${id} ${placeOf(config)}.`);
    const bytes = Buffer.from(image);
    return { name: id, bytes: size, image: bytes, dialect: hasDialect ? dialectOf(bytes) : undefined };
  } finally {
    daemon.close();
  }
}

/** A site of another type than was asked for has it. */
function ofOtherType({ root, type }: Config, id: string): NotThere | undefined {
  const other = Object.entries(TYPES).find(
    ([name, { fileName }]) => name !== type && fileName && lookAt(join(root, "session", fileName(id))) !== undefined,
  );
  if (other === undefined) return undefined;
  return new NotThere(
    `There is no session ${id} of type ${type} in ${root}, but one of type ${other[0]}: --type ${other[0]}.`,
  );
}

function placeOf({ root, type }: Config): string {
  return TYPES[type].isInFiles ? `in ${root}` : `of type ${type}`;
}

/** @throws SessionError ERR_UNREADABLE with the place that is damaged, ERR_STORE; NotThere. */
async function stored(path: string, name: string): Promise<Found> {
  const stat = lookAt(path);
  if (stat === undefined) throw new NotThere(`${JSON.stringify(path)} is no session id, and there is no such file.`);
  if (!stat.isFile()) throw unreadable(path, "this is no file of a session.");
  if (stat.size > MAX_BYTES)
    throw unreadable(path, `it has ${stat.size} bytes, and at most ${MAX_BYTES} can be shown.`);
  if (path.endsWith(OF_DATABASE)) return databaseNamed(path, name);
  const image = contentOf(path);
  if (image.subarray(0, DATABASE.length).equals(DATABASE)) return databaseNamed(path, name);
  try {
    imageOfFile(image);
    return { name, bytes: stat.size, image, dialect: dialectOf(image) };
  } catch (error) {
    if (error instanceof SessionError) throw unreadable(path, error.what);
    throw error;
  }
}

async function databaseNamed(path: string, name: string): Promise<Found> {
  const { readDatabase } = await import("../../store/gambas-sqlite/opening.ts");
  return { ...(await readDatabase(name, path, MAX_BYTES)), name, dialect: undefined };
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SessionError("ERR_STORE", `${path} cannot be read: ${String(error)}.`, { cause: error });
  }
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new SessionError("ERR_STORE", `${path} cannot be looked at: ${String(error)}.`, { cause: error });
  }
}

function unreadable(path: string, why: string): SessionError {
  return new SessionError("ERR_UNREADABLE", `${path}: ${why}`);
}

function keysOf(image: Buffer, what: "values" | "types"): readonly ShownKey[] {
  const layout = layoutOf(image);
  const typed = layout.entries.keys().map((key) => ({ key, type: typeOf(image, layout, key) }));
  if (what === "types") return typed;
  const decoded = decodeAll(image, layout, new Origins());
  const plain = new Plain();
  return typed.map(({ key, type }) => {
    const { value, error } = decoded.get(key) ?? { value: undefined };
    return error === undefined ? { key, type, value: plain.of(value, key) } : { key, type, problem: error.what };
  });
}

function jsonOf({ name, bytes, image, dialect }: Found, keys: readonly ShownKey[]): string {
  return JSON.stringify({ name, bytes, dialect, ...datesOf(image), timeoutSeconds: timeoutSeconds(image), keys });
}

function datesOf(image: Buffer): { readonly lastUsed: Date; readonly expires: Date | null } {
  const saved = startupMs(image);
  return { lastUsed: new Date(saved), expires: expiryOf(saved, timeoutSeconds(image)) };
}

const WRITERS: Readonly<Record<Dialect, string>> = {
  "3.18": ", as Gambas up to 3.18 writes",
  "3.19": ", as Gambas 3.19 and later write",
};

function textOfSession({ name, bytes, image, dialect }: Found, keys: readonly ShownKey[], nowMs: number): string {
  const { lastUsed, expires } = datesOf(image);
  const head = [
    name,
    `  bytes      ${bytesText(bytes)}${dialect === undefined ? "" : WRITERS[dialect]}`,
    `  last use   ${dateText(lastUsed, nowMs)}`,
    `  expires    ${dateText(expires, nowMs)}`,
    `  life time  ${spanText(timeoutSeconds(image))}`,
    `  keys       ${keys.length}`,
  ];
  const names = keys.map(({ key }) => textOf(key).slice(1, -1));
  const widths = [names, keys.map(({ type }) => type ?? "")].map((texts) =>
    Math.max(0, ...texts.map(({ length }) => length)),
  );
  const rows = keys.map(({ type = "", value, problem }, index) => {
    const shown = problem === undefined ? (value === undefined ? "" : textOf(value)) : `(${problem})`;
    return `  ${(names[index] ?? "").padEnd(widths[0] ?? 0)}  ${type.padEnd(widths[1] ?? 0)}  ${shown}`.trimEnd();
  });
  return [...head, ...(rows.length > 0 ? ["", ...rows] : [])].join("\n");
}
