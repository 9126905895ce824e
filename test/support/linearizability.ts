// Whether what several processes saw of one register could have happened in some order, one operation after the other, each between its
// call and its end. Exact, and fast enough for hundreds of thousands of operations, because every write writes a value of its own: so it
// is known which write each read has read.
//
// The operations of one write and of those that read its value stand together in every possible order (a cluster), and an update, which
// reads and writes in one step, follows right behind the cluster it read from. So a write and the updates that build on it form a chain
// whose inner order is given. What is left to choose is the order of the chains. Chain X must stand before chain Y if some operation of X
// ended before some operation of Y was called. Two chains that must each stand before the other are a contradiction, and if there are no
// such two, there is no longer circle either: around a circle without such a pair the earliest ends would have to fall for ever.

/** Times are of one clock, in any unit. An operation whose `end` is Infinity may have happened or not. */
interface Interval {
  readonly call: number;
  readonly end: number;
  /** Shown in violations. */
  readonly by?: string;
}

export interface Read extends Interval {
  readonly type: "read";
  /** undefined: the register was empty, as it is in the beginning. */
  readonly value: string | undefined;
}

export interface Write extends Interval {
  readonly type: "write";
  readonly value: string;
}

/** Reads and writes in one step. */
export interface Update extends Interval {
  readonly type: "update";
  /** One that ended took effect by its last attempt, and by no other. One that did not end, by one of them or not at all. */
  readonly attempts: readonly Attempt[];
}

export interface Attempt {
  readonly read: string | undefined;
  readonly written: string;
}

export type Operation = Read | Write | Update;

interface Writer {
  readonly operation: Write | Update;
  readonly attempt: Attempt | undefined;
}

interface Chain {
  /** What must stand before what: one writer, its readers, the update that follows, and so on. */
  readonly groups: readonly (readonly Operation[])[];
  readonly firstEnd: number;
  readonly lastCall: number;
}

/** What is wrong with the history of one register, in words; nothing if it could have happened in some order. */
export function checkRegister(operations: readonly Operation[]): string[] {
  const register = new Register(operations);
  register.findEffective();
  if (register.violations.length > 0) return register.violations;
  const chains = register.chains();
  for (const chain of chains) checkInside(chain, register.violations);
  checkBetween(chains, register.violations);
  return register.violations;
}

class Register {
  readonly violations: string[] = [];
  readonly #operations: readonly Operation[];
  readonly #writers = new Map<string, Writer>();
  readonly #readers = new Map<string | undefined, Read[]>();
  /** Writers that took effect, by the value they wrote. */
  readonly #effective = new Map<string, Writer>();
  /** Value -> the update that read it and took effect. */
  readonly #followers = new Map<string | undefined, Writer>();

  constructor(operations: readonly Operation[]) {
    this.#operations = operations;
    for (const operation of operations) this.#note(operation);
  }

  /** What ended took effect; of what did not end, that whose value somebody saw. */
  findEffective(): void {
    const seen: (string | undefined)[] = [...this.#readers.keys()];
    for (const operation of this.#operations) {
      if (operation.type === "read" || operation.end === Number.POSITIVE_INFINITY) continue;
      seen.push(operation.type === "write" ? operation.value : operation.attempts.at(-1)?.written);
    }
    while (seen.length > 0) {
      const value = seen.pop();
      if (value === undefined || this.#effective.has(value)) continue;
      const writer = this.#writers.get(value);
      if (writer === undefined) {
        this.violations.push(`${this.#readersOf(value)} read ${value}, which nobody wrote`);
        continue;
      }
      this.#takeEffect(value, writer);
      seen.push(writer.attempt?.read);
    }
  }

  chains(): Chain[] {
    const chains = [this.#chain(undefined)];
    for (const [value, writer] of this.#effective) if (writer.attempt === undefined) chains.push(this.#chain(value));
    const linked = chains.reduce((sum, { groups }) => sum + groups.length, 0);
    // Every effective writer is one group, every value with readers another one.
    const all = this.#effective.size + this.#readers.size;
    if (linked !== all) this.violations.push(`${all - linked} updates read each other's values in a circle`);
    return chains.filter(({ groups }) => groups.length > 0);
  }

  #note(operation: Operation): void {
    if (operation.type === "read") {
      const readers = this.#readers.get(operation.value);
      if (readers === undefined) this.#readers.set(operation.value, [operation]);
      else readers.push(operation);
    } else if (operation.type === "write") {
      this.#noteWriter(operation.value, { operation, attempt: undefined });
    } else {
      for (const attempt of operation.attempts) this.#noteWriter(attempt.written, { operation, attempt });
    }
  }

  #noteWriter(value: string, writer: Writer): void {
    if (this.#writers.has(value)) this.violations.push(`${value} was written twice: values must be unique`);
    this.#writers.set(value, writer);
  }

  #takeEffect(value: string, writer: Writer): void {
    this.#effective.set(value, writer);
    const { operation, attempt } = writer;
    if (operation.type !== "update" || attempt === undefined) return;
    const isLast = attempt === operation.attempts.at(-1);
    if (operation.end !== Number.POSITIVE_INFINITY && !isLast) {
      this.violations.push(`${describe(operation)} was run again, and yet its attempt to write ${value} took effect`);
    }
    const other = operation.attempts.find(({ written }) => written !== value && this.#effective.has(written));
    if (other !== undefined) this.violations.push(`${describe(operation)} took effect twice`);
    const follower = this.#followers.get(attempt.read);
    if (follower !== undefined) {
      const both = `${describe(follower.operation)} and ${describe(operation)}`;
      this.violations.push(`lost update: ${both} both took effect on ${attempt.read}`);
    }
    this.#followers.set(attempt.read, writer);
  }

  #chain(first: string | undefined): Chain {
    const groups: Operation[][] = [];
    const start = first === undefined ? undefined : this.#effective.get(first);
    if (start !== undefined) groups.push([start.operation]);
    for (let value = first; ; ) {
      const readers = this.#readers.get(value);
      if (readers !== undefined) groups.push(readers);
      const next = this.#followers.get(value);
      if (next?.attempt === undefined) break;
      groups.push([next.operation]);
      value = next.attempt.written;
    }
    let firstEnd = first === undefined ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    let lastCall = Number.NEGATIVE_INFINITY;
    for (const { call, end } of groups.flat()) {
      firstEnd = Math.min(firstEnd, end);
      lastCall = Math.max(lastCall, call);
    }
    return { groups, firstEnd, lastCall };
  }

  #readersOf(value: string): string {
    return (this.#readers.get(value) ?? []).map(describe).join(", ") || "somebody";
  }
}

/** No operation may have ended before one that must stand before it was called. */
function checkInside(chain: Chain, violations: string[]): void {
  let latest: Operation | undefined;
  for (const group of chain.groups) {
    for (const operation of group) {
      if (latest !== undefined && operation.end < latest.call) {
        violations.push(`${describe(operation)} ended before ${describe(latest)} was called, but comes after it`);
      }
    }
    for (const operation of group) if (latest === undefined || operation.call > latest.call) latest = operation;
  }
}

/** Whether two chains must each stand before the other. */
function checkBetween(chains: readonly Chain[], violations: string[]): void {
  // A chain stretches from its first end to its last call, if those are in this order: then no other may stand within that time.
  const long = chains.filter(({ firstEnd, lastCall }) => firstEnd < lastCall).sort((a, b) => a.firstEnd - b.firstEnd);
  for (const [index, chain] of long.entries()) {
    const next = long[index + 1];
    if (next !== undefined && next.firstEnd < chain.lastCall) violations.push(contradiction(chain, next));
  }
  // One reported overlap is enough: below, the stretches are taken to be disjoint.
  if (violations.length > 0) return;
  for (const chain of chains) {
    if (chain.firstEnd < chain.lastCall) continue;
    const around = lastBefore(long, chain.lastCall);
    if (around !== undefined && chain.firstEnd < around.lastCall) violations.push(contradiction(around, chain));
  }
}

/** The last chain whose first end lies before `time`. */
function lastBefore(chains: readonly Chain[], time: number): Chain | undefined {
  let [low, high] = [0, chains.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chains[middle]?.firstEnd ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return chains[low - 1];
}

function contradiction(a: Chain, b: Chain): string {
  return `${earliest(a)} ended before ${latest(b)} was called, and ${earliest(b)} before ${latest(a)}: stale read or write`;
}

function earliest({ groups, firstEnd }: Chain): string {
  const operation = groups.flat().find(({ end }) => end === firstEnd);
  return operation === undefined ? "the empty beginning" : describe(operation);
}

function latest({ groups, lastCall }: Chain): string {
  const operation = groups.flat().find(({ call }) => call === lastCall);
  return operation === undefined ? "the empty beginning" : describe(operation);
}

function describe(operation: Operation): string {
  const { call, end, by } = operation;
  const what = operation.type === "update" ? updated(operation) : `${operation.type} of ${operation.value}`;
  return `${what}${by === undefined ? "" : ` by ${by}`} [${call}, ${end}]`;
}

function updated({ attempts }: Update): string {
  return `update ${attempts.map(({ read, written }) => `${read} -> ${written}`).join(" / ")}`;
}
