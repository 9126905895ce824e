// The end of one turn of the event loop: what many calls of the turn asked for happens once. First the work that is due, then one write for
// each connection. Work that answers calls while it is being done needs no run of its own for them: their answers leave with this one.

interface Step {
  flush(): void;
}

export class TurnEnd {
  #work: Step | undefined;
  #send: Step | undefined;
  #isDue = false;
  #isWorking = false;

  /** Called once: what a run does, in this order. */
  begin(work: Step, send: Step): void {
    this.#work = work;
    this.#send = send;
  }

  requestWork(): void {
    this.#request();
  }

  requestSend(): void {
    if (!this.#isWorking) this.#request();
  }

  #request(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    this.#isDue = false;
    this.#isWorking = true;
    this.#work?.flush();
    this.#isWorking = false;
    this.#send?.flush();
  }
}
