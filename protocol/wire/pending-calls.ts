// The calls that wait for their answers, found by number. Knows nothing of sockets.
//
// Numbers are used again, so that a place in a list finds a call: a map whose entries come and go keeps a worker's garbage alive.

import type { CallOf, OperationName } from "./operations.ts";

export class PendingCall {
  readonly name: OperationName;
  readonly request: CallOf<OperationName>;
  /** What whoever made the call waits for. */
  readonly answer: Promise<unknown>;
  resolve: (response: unknown) => void = ignore;
  reject: (error: Error) => void = ignore;
  /** Above 0, and no other call that waits has it. */
  number = 0;
  /** Counts the calls in the order in which they were made. */
  order = 0;

  constructor(name: OperationName, request: CallOf<OperationName>) {
    this.name = name;
    this.request = request;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

function ignore(): void {
  // Never called: the promise puts its own functions here as soon as it is made.
}

export class PendingCalls {
  readonly #places: (PendingCall | undefined)[] = [];
  readonly #free: number[] = [];
  #made = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Keeps a call and gives it its number. */
  add(call: PendingCall): void {
    call.number = this.#free.pop() ?? this.#places.length + 1;
    call.order = ++this.#made;
    this.#places[call.number - 1] = call;
    this.#size += 1;
  }

  /** The call of a number, which waits no longer; undefined when none has it. */
  take(number: number): PendingCall | undefined {
    const call = this.#places[number - 1];
    if (call === undefined) return undefined;
    this.#places[number - 1] = undefined;
    this.#free.push(number);
    this.#size -= 1;
    return call;
  }

  /** In the order in which they were made. */
  inOrder(): PendingCall[] {
    return this.#places.filter((call) => call !== undefined).sort((one, other) => one.order - other.order);
  }
}
