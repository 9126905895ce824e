// What a command says on standard output: whole to a slow reader, and quietly over where the reader has gone (`... | head`).

/** Resolves once more may be said: to false where nobody reads any more. */
export type Say = (text: string) => Promise<boolean>;

/** Listens once, however often a reader is waited for: there may be a million lines. */
export function openOutput(stream: NodeJS.WritableStream): Say {
  let isRead = true;
  let waiting: (() => void)[] = [];
  const goOn = (): void => {
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve();
  };
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // The reader of the pipe has gone. Anything else is a failure, a full disk say.
    if (error.code !== "EPIPE") throw error;
    isRead = false;
    goOn();
  });
  stream.on("drain", goOn);
  stream.on("close", () => {
    isRead = false;
    goOn();
  });
  return async (text) => {
    // An error of `write` is told a turn of the event loop later.
    if (isRead && !stream.write(text)) await new Promise<void>((resolve) => waiting.push(resolve));
    return isRead;
  };
}

/** Prints a JSON array as it grows, an element a line. */
export class JsonList {
  readonly #say: Say;
  #count = 0;

  constructor(say: Say) {
    this.#say = say;
  }

  add(element: unknown): Promise<boolean> {
    this.#count += 1;
    return this.#say(`${this.#count === 1 ? "[\n" : ",\n"}${JSON.stringify(element)}`);
  }

  end(): Promise<boolean> {
    return this.#say(this.#count === 0 ? "[]\n" : "\n]\n");
  }
}
