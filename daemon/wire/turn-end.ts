// The end of one turn of the event loop: what many calls of the turn asked for happens once, in a fixed order.

export class TurnEnd {
  readonly #steps: readonly (() => void)[];
  #isDue = false;

  constructor(steps: readonly (() => void)[]) {
    this.#steps = steps;
  }

  request(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    this.#isDue = false;
    for (const step of this.#steps) step();
  }
}
