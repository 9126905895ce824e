// The system calls of the daemon, made visible: what a test puts in the place of node:fs, node:fs/promises and native.ts (with `vi.mock`)
// does the same as they do, but asks first whether the call is to happen. Knows nothing of sessions.

export interface SystemCall {
  readonly name: string;
  /** The path, as far as one is known; of an open file the one it was opened by. */
  readonly path: string;
  readonly args: readonly unknown[];
}

/**
 * What is to become of a call. "short": of a write only half is written. "skip": nothing is done, as if the process had ended before. A
 * function: it is done, and its result is what the function makes of it.
 */
type Decision = "do" | "short" | "skip" | NodeJS.ErrnoException | ((result: unknown) => unknown);

type Decide = (call: SystemCall) => Decision;
type Callable = (...args: never[]) => unknown;

const NAMES = [
  "chmodSync",
  "closeSync",
  "exchange",
  "fdatasync",
  "fdatasyncSync",
  "fstatSync",
  "fsync",
  "fsyncSync",
  "ftruncateSync",
  "futimesSync",
  "lstatSync",
  "mkdirSync",
  "openSync",
  "opendir",
  "readFileSync",
  "readSync",
  "readdirSync",
  "renameSync",
  "rmSync",
  "statSync",
  "tryLock",
  "unlinkSync",
  "unlock",
  "writeSync",
];

/** Those that change something that outlives the process. */
export const CHANGES: ReadonlySet<string> = new Set([
  "chmodSync",
  "exchange",
  "ftruncateSync",
  "futimesSync",
  "mkdirSync",
  "openSync",
  "renameSync",
  "rmSync",
  "unlinkSync",
  "writeSync",
]);

let decide: Decide | undefined;
const paths = new Map<number, string>();

/** Every call until `letThrough` is decided by `how`. */
export function intercept(how: Decide): void {
  decide = how;
}

export function letThrough(): void {
  decide = undefined;
}

/** Does what another program does meanwhile: it is not asked about. */
export function asAnotherProgram<T>(action: () => T): T {
  const kept = decide;
  decide = undefined;
  try {
    return action();
  } finally {
    decide = kept;
  }
}

export function failure(code: string, { name, path }: Pick<SystemCall, "name" | "path">): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: planted, ${name} '${path}'`), { code, syscall: name, path });
}

/** The module, with every function of it that is a system call asking first. */
export function observed<T extends object>(module: T): T {
  const copy: Record<string, unknown> = { ...(module as Record<string, unknown>) };
  for (const name of NAMES) {
    const original = copy[name];
    if (typeof original === "function") copy[name] = observedCall(name, original as Callable);
  }
  return copy as T;
}

function observedCall(name: string, original: Callable): (...args: readonly unknown[]) => unknown {
  return (...args) => {
    const call = { name, path: pathOf(args[0]), args };
    const decision = decide?.(call) ?? "do";
    const run = (): unknown => original(...(args as never[]));
    if (decision === "do") return noted(name, args, run());
    if (typeof decision === "function") return decision(run());
    if (decision === "short") return original(...(shortened(args) as never[]));
    if (decision === "skip") return isAsynchronous(name) ? answerLater(args, null) : undefined;
    // What could not be closed is closed all the same: so does Linux.
    if (name === "closeSync") run();
    if (!isAsynchronous(name)) throw decision;
    return answerLater(args, decision);
  };
}

function noted(name: string, args: readonly unknown[], result: unknown): unknown {
  if (name === "openSync") paths.set(Number(result), String(args[0]));
  return result;
}

function isAsynchronous(name: string): boolean {
  return name === "fsync" || name === "fdatasync" || name === "opendir";
}

function answerLater(args: readonly unknown[], error: Error | null): unknown {
  const callback = args.at(-1);
  if (typeof callback !== "function") return error === null ? Promise.resolve() : Promise.reject(error);
  setImmediate(() => callback(error));
  return undefined;
}

/** writeSync(fd, buffer, offset, length, position) with half the length, and 1 at least. */
function shortened(args: readonly unknown[]): readonly unknown[] {
  return args.map((arg, place) => (place === 3 && typeof arg === "number" ? Math.max(1, arg >> 1) : arg));
}

function pathOf(first: unknown): string {
  return typeof first === "number" ? (paths.get(first) ?? `fd ${first}`) : String(first);
}
