// The error table: every error that crosses a boundary is a row here. Knows nothing of sockets, files or sessions.

interface ErrorRow {
  /** What happened, when the place that throws has nothing more exact to say. */
  readonly text: string;
  /** What to do about it. */
  readonly remedy: string;
  /** True when the same call may succeed later without anything being changed by the caller. */
  readonly isRetryable?: boolean;
  /** True when the place that throws says what is allowed, too: then the remedy would only repeat that it has. */
  readonly isSelfContained?: boolean;
}

export const ERRORS = {
  ERR_NO_SESSION_CONTEXT: {
    text: "Session was used outside a request.",
    remedy:
      "Put the missing line before whatever uses it: app.use(session()) for Express, connect and NestJS, await app.register(gambasSession) for Fastify, app.use(gambasSession()) for Koa and Hono, withSession(handler) for handlers of Request and Response. Outside of requests use Session.Run(options, fn).",
  },
  ERR_HEADERS_SENT: {
    text: "A session cannot be created after the response headers have been sent, because its cookie could not be.",
    remedy:
      "Write to the session before the first res.write(), res.end() or res.flushHeaders(), or in an HTTP request before.",
  },
  ERR_BAD_KEY: {
    text: "This is not a key a session can hold.",
    remedy:
      "Use a non-empty string of well-formed Unicode of at most 65 535 bytes; a string-index key may not be the name of a Session member.",
  },
  ERR_BAD_VALUE: {
    text: "This value cannot be stored in a Gambas session.",
    remedy: "Store booleans, numbers, strings, dates, buffers, arrays, plain objects or Maps of these.",
  },
  ERR_NOT_SAVED: {
    text: "A session was changed when nobody would save the change any more.",
    remedy:
      "Change it before res.end(), or before the transaction or Run is over; or call Session.Save() after the change.",
  },
  ERR_STALE_OBJECT: {
    text: "An object of the session was changed that is no longer what the session holds; the change was not saved.",
    remedy:
      "Read the key again after a transaction, Load() or Modified = false, and change what you get; or change it in the transaction.",
  },
  ERR_BAD_OPTION: {
    text: "An option or property has a value that is not allowed.",
    remedy: "Correct the value; the message names what is allowed.",
    isSelfContained: true,
  },
  ERR_BAD_ADDRESS: {
    text: "A trusted proxy names no address that can be read.",
    remedy:
      "Let the proxy write the client's address there, or give new sessions a prefix that does not need it. Until then each gets one of its own.",
  },
  ERR_BAD_ID: {
    text: "This is not a session id.",
    remedy: "A session id is <prefix>:<24 upper-case hex digits>.",
  },
  ERR_ID_TAKEN: {
    text: "A session with this id exists already, or existed a short time ago.",
    remedy: "Draw another id.",
  },
  ERR_UNREADABLE: {
    text: "The stored session, or one value in it, cannot be read.",
    remedy:
      "It is left as it is. Look at what is stored (as a rule the file session/<id> below the root), restore it, or abandon the session.",
  },
  ERR_SESSION_GONE: {
    text: "The session was abandoned, has expired or was replaced; nothing was written.",
    remedy: "Start a new session: the next request without the cookie does.",
  },
  ERR_SESSION_BUSY: {
    text: "Another program has held the lock of the session for too long; nothing was written.",
    remedy:
      "Do what the message says, or find that program (of a session file it holds the lock <id>.lock), then try again.",
    isRetryable: true,
  },
  ERR_LEASE_LOST: {
    text: "The transaction outlived its lease, or the daemon that granted it ended; nothing of it was written.",
    remedy: "Run it again; keep transactions short or ask for a longer lease.",
    isRetryable: true,
  },
  ERR_DEADLOCK: {
    text: "Two transactions wait for each other's session; this call was refused, and the other transaction goes on.",
    remedy:
      "Run it again; to avoid it, take the sessions in the same order everywhere, or wait for no other session inside a transaction.",
    isRetryable: true,
  },
  ERR_CONFLICT: {
    text: "Another program kept changing the session during the transaction; nothing of it was written.",
    remedy: "Run it again when the other program is quieter.",
    isRetryable: true,
  },
  ERR_TOO_LARGE: {
    text: "The session would become larger than the limit; nothing was written.",
    remedy: "Keep large data elsewhere and its name in the session, or raise maxSessionBytes.",
  },
  ERR_STORE: {
    text: "The session could not be read from the store, or not written to it; nothing that was acknowledged is lost.",
    remedy:
      "Look at the error in the message. With files it is space, quota, permissions or open files; with Redis the server or the network, and gambas-sessiond doctor --type redis looks at them.",
    isRetryable: true,
  },
  ERR_BAD_ROOT: {
    text: "The root directory cannot be trusted or used.",
    remedy:
      "The root must be a real directory that belongs to the user who runs the program, on a file system of Linux.",
  },
  ERR_BAD_REDIS: {
    text: "The Redis server does not let sessions be kept as they are promised.",
    remedy: "Change it on that server as the message says, or name another one in the option redis.",
  },
  ERR_SOCKET_PATH: {
    text: "The path of the daemon's socket cannot be used.",
    remedy: "Choose another socket path, or a shorter root.",
  },
  ERR_DAEMON_UNAVAILABLE: {
    text: "No daemon answers on the socket.",
    remedy: "Start gambas-sessiond, or connect without spawn: false. A write that was under way may have been done.",
    isRetryable: true,
  },
  ERR_DAEMON_RUNNING: {
    text: "Another daemon already serves this root.",
    remedy: "Use that one, or stop it first.",
  },
  ERR_PROTOCOL_VERSION: {
    text: "Client and daemon speak different versions of the protocol.",
    remedy: "Install the same version of gambas-session on both sides and restart the older one.",
  },
  ERR_PROTOCOL: {
    text: "The other side of the socket broke the protocol.",
    remedy: "Connect with gambas-session of the same version; see protocol/PROTOCOL.md.",
  },
  ERR_OVERLOADED: {
    text: "Too much is waiting already; this was not accepted.",
    remedy: "Send less at once, or try again later.",
    isRetryable: true,
  },
  ERR_CLOSED: {
    text: "The client was closed.",
    remedy: "Call connect() again.",
  },
  ERR_TWO_VERSIONS: {
    text: "Two versions of gambas-session are loaded side by side.",
    remedy:
      "Let everybody have the same one: `npm ls gambas-session` shows who asks for which, and `npm dedupe` removes what need not be there.",
  },
  ERR_INTERNAL: {
    text: "The daemon failed in a way it did not expect; nothing that was acknowledged is lost.",
    remedy: "Report it with the daemon's log.",
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERRORS, code);
}

const BRAND = Symbol.for("gambas-session.error");

/** The one error class of the package. `code` is a row of the error table; `message` says what happened to what, and what to do. */
export class SessionError extends Error {
  override readonly name = "SessionError";
  readonly code: ErrorCode;
  /** What happened, without the advice at the end of the message. */
  readonly what: string;

  /**
   * @param what replaces the general text of the table with what happened here, to which session, key or path.
   * @param options with what to do here, in place of the general remedy; "": what happened says it already.
   */
  constructor(code: ErrorCode, what?: string, options?: ErrorOptions & { readonly remedy?: string }) {
    const { text, remedy, isSelfContained }: ErrorRow = ERRORS[code];
    const general = what !== undefined && isSelfContained ? "" : remedy;
    super(`${what ?? text} ${options?.remedy ?? general}`.trimEnd(), options);
    this.code = code;
    this.what = what ?? text;
  }

  get isRetryable(): boolean {
    const row: ErrorRow = ERRORS[this.code];
    return row.isRetryable === true;
  }
}

/** ERR_SESSION_GONE of a session that goes on under another id. Not told which: whoever asks may be the one it was changed for. */
export class SucceededError extends SessionError {
  constructor(id: string) {
    super("ERR_SESSION_GONE", `Session ${id} goes on under another id; nothing was written.`);
  }
}

/** An error of another copy of the package is one as well: what fails may be the session of a request that a bundle beside this one handles. */
Object.defineProperty(SessionError.prototype, BRAND, { value: true });
Object.defineProperty(SessionError, Symbol.hasInstance, {
  value(this: unknown, thrown: unknown): boolean {
    if (this !== SessionError) return Function.prototype[Symbol.hasInstance].call(this, thrown);
    return typeof thrown === "object" && thrown !== null && BRAND in thrown;
  },
});

/** Whether something that was thrown is an error of one of these rows. */
export function isCode(error: unknown, ...codes: readonly ErrorCode[]): error is SessionError {
  return error instanceof SessionError && codes.includes(error.code);
}
