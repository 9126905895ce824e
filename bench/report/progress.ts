// What the user sees while it runs: one line that changes on a terminal, a line for each thing done elsewhere.

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #began = performance.now();
  #shown = "";
  #place = "";

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** How far the run is, from now on. */
  reach(place: string): void {
    this.#place = place;
  }

  /** What is going on now. */
  show(text: string): void {
    if (!this.#stream.isTTY || text === this.#shown) return;
    this.#shown = text;
    const seconds = Math.round((performance.now() - this.#began) / 1000);
    this.#stream.write(
      `\r\x1b[K${`${seconds} s  ${this.#place && `${this.#place}  `}${text}`.slice(0, this.#stream.columns - 1)}`,
    );
  }

  /** A line that stays. */
  say(text: string): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  #clear(): void {
    if (this.#stream.isTTY && this.#shown !== "") this.#stream.write("\r\x1b[K");
    this.#shown = "";
  }
}
