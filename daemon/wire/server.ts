// The Unix socket: takes connections, writes the answers of one turn of the event loop when the turn ends, drains on stop.

import { chmodSync, lstatSync, renameSync, statSync } from "node:fs";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { SessionError } from "../../protocol/errors.ts";
import { OPERATOR } from "../../protocol/wire/wire.ts";
import { isSystemError, removeFile } from "../files/files.ts";
import { Birthplace } from "./birthplace.ts";
import { Connection, type ConnectionEvents } from "./connection.ts";
import type { TurnEnd } from "./turn-end.ts";

/** What a server tells of its connections, and where their frames go. */
export interface ServerEvents {
  receive(connection: Connection, frame: Buffer): void;
  noteClosed(connection: Connection): void;
  noteCut(connection: Connection, reason: string): void;
  /** Somebody could not be let in; others may be. */
  noteRefused(error: Error): void;
  /** Connections are kept for what has arrived. */
  noteLeaving(): void;
}

export interface ServerOptions {
  readonly socket: string;
  readonly maxFrameBytes: number;
}

/** How often each connection is looked at: often enough that nobody holds a place for long without a hello. */
const LOOK_MS = 5_000;
/** Connections that have not said hello yet, more than all workers of a machine make at once: beyond these the oldest is closed. */
const MAX_STRANGERS = 512;
/** For a worker that does not read its answers: as long as it is waited for, no other daemon can begin. */
const LAST_WORDS_MS = 1_000;

const SOCKET_MODE = 0o600;

export class Server implements ConnectionEvents {
  readonly #options: ServerOptions;
  readonly #events: ServerEvents;
  readonly #turnEnd: TurnEnd;
  readonly #net: NetServer;
  readonly #connections = new Set<Connection>();
  readonly #unsent = new Set<Connection>();
  /** Those that had not said hello when they were last looked at, oldest first. */
  readonly #strangers = new Set<Connection>();
  #lookout: NodeJS.Timeout | undefined;
  #socketIno = 0;

  constructor(options: ServerOptions, events: ServerEvents, turnEnd: TurnEnd) {
    this.#options = options;
    this.#events = events;
    this.#turnEnd = turnEnd;
    this.#net = createServer((socket) => this.#accept(socket));
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** The connections of workers, and what they wait for together. Counts. An operator who asks is no worker. */
  get load(): { readonly connections: number; readonly waitingCalls: number; readonly waitingBytes: number } {
    let [connections, waitingCalls, waitingBytes] = [0, 0, 0];
    for (const connection of this.#connections) {
      if (connection.client === OPERATOR) continue;
      connections += 1;
      waitingCalls += connection.waitingCalls;
      waitingBytes += connection.waitingBytes;
    }
    return { connections, waitingCalls, waitingBytes };
  }

  /** False when the socket's name has gone to somebody else, or is gone: then nobody new finds us. */
  get isStillNamed(): boolean {
    return statSync(this.#options.socket, { throwIfNoEntry: false })?.ino === this.#socketIno;
  }

  /**
   * Listens in a folder of its own first, where nobody else comes in, and takes the real name in one step: a socket has its mode before it can be found, and a
   * daemon that leaves cannot unlink ours. The umask, which would give it that mode too, is that of the whole process, and a worker thread may not set it.
   */
  async listen(): Promise<void> {
    const { socket } = this.#options;
    checkMayReplace(socket);
    const birthplace = Birthplace.of(socket);
    const { path } = birthplace;
    try {
      if (path === undefined) removeFile(socket);
      await listenOn(this.#net, path ?? socket);
      if (path !== undefined) renameSync(path, socket);
    } catch (error) {
      throw isNoPlace(error) ? noSockets(socket, error) : error;
    } finally {
      birthplace.remove();
    }
    this.#net.on("error", (error) => this.#events.noteRefused(error));
    this.#socketIno = statSync(socket).ino;
    this.#lookout = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Sends the answers of this turn of the event loop: one write a connection. */
  flush(): void {
    for (const connection of this.#unsent) connection.flush();
    this.#unsent.clear();
  }

  /** Takes no new connection and gives the name back. Connections stay until `close`, for the answers to what has arrived. */
  stopListening(): void {
    this.#events.noteLeaving();
    try {
      if (this.isStillNamed) removeFile(this.#options.socket);
    } finally {
      this.#net.close();
    }
  }

  /** Sends the answers there are and closes every connection; resolves when all are closed. A worker that does not read them in time asks again. */
  async close(): Promise<void> {
    this.flush();
    const open = [...this.#connections];
    const closed = open.map((connection) => new Promise<void>((resolve) => connection.onceClosed(resolve)));
    for (const connection of open) connection.destroySoon();
    clearInterval(this.#lookout);
    const patience = setTimeout(() => {
      for (const connection of open) connection.destroy();
    }, LAST_WORDS_MS);
    await Promise.all(closed);
    clearTimeout(patience);
  }

  /** For a daemon that must not answer any more. */
  destroy(): void {
    clearInterval(this.#lookout);
    for (const connection of this.#connections) connection.destroy();
    this.#net.close();
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#options.maxFrameBytes, this);
    this.#connections.add(connection);
    this.#strangers.add(connection);
    if (this.#strangers.size > MAX_STRANGERS) this.#makeRoom();
  }

  // -- what a connection tells

  receive(connection: Connection, frame: Buffer): void {
    this.#events.receive(connection, frame);
  }

  noteClosed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#strangers.delete(connection);
    this.#events.noteClosed(connection);
  }

  noteUnsent(connection: Connection): void {
    this.#unsent.add(connection);
    this.#turnEnd.requestSend();
  }

  noteCut(connection: Connection, reason: string): void {
    this.#events.noteCut(connection, reason);
  }

  #makeRoom(): void {
    for (const connection of this.#strangers) if (connection.client !== undefined) this.#strangers.delete(connection);
    const [oldest] = this.#strangers;
    if (this.#strangers.size > MAX_STRANGERS) oldest?.cut("too many say no hello");
  }

  #look(): void {
    for (const connection of this.#connections) connection.look();
  }
}

/** A socket that somebody left, or an empty file. Anything else is no place for one. */
function checkMayReplace(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined || stat.isSocket() || (stat.isFile() && stat.size === 0)) return;
  throw new SessionError("ERR_SOCKET_PATH", `${path} is no socket; it was left as it is.`);
}

/** The errors of bind where there can be no sockets: on file systems made for Windows, some of FUSE. */
function isNoPlace(error: unknown): boolean {
  return isSystemError(error, "EPERM", "EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "ENXIO");
}

function noSockets(socket: string, error: unknown): SessionError {
  const what = `The file system of ${dirname(socket)} takes no sockets (${String(error)}): the daemon and its workers need one elsewhere, by --socket, the option socket, or GAMBAS_SESSION_SOCKET.`;
  return new SessionError("ERR_SOCKET_PATH", what, { cause: error });
}

function listenOn(server: NetServer, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // A worker of node:cluster would leave it to the primary.
    server.listen({ path, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
    // It is bound by now, or "error" tells why not.
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) chmodSync(path, SOCKET_MODE);
  });
}
