// How far a run is and how long it will still take: by what each case took when it was last recorded, at the pace of this run, else by what this
// run has taken so far.

/** Of each case by its name. */
export type Seconds = Readonly<Record<string, number>>;

const MINUTE = 60;

export class Course {
  readonly #names: readonly string[];
  readonly #before: Seconds;
  readonly #taken = new Map<string, number>();

  constructor(names: readonly string[], before: Seconds) {
    this.#names = names;
    this.#before = before;
  }

  note(name: string, seconds: number): void {
    this.#taken.set(name, seconds);
  }

  get taken(): Seconds {
    return Object.fromEntries(this.#taken);
  }

  /** Seconds; undefined while nothing is known. */
  get left(): number | undefined {
    const guesses = this.#names.filter((name) => !this.#taken.has(name)).map((name) => this.#guess(name));
    return guesses.reduce<number | undefined>(
      (sum, guess) => (sum === undefined || guess === undefined ? undefined : sum + guess),
      0,
    );
  }

  /** For people: `case 3 of 12, about 4 min left`. */
  get text(): string {
    const { left } = this;
    const place = `case ${Math.min(this.#taken.size + 1, this.#names.length)} of ${this.#names.length}`;
    if (left === undefined) return `${place}, time left unknown`;
    return `${place}, about ${left < 2 * MINUTE ? `${Math.ceil(left)} s` : `${Math.round(left / MINUTE)} min`} left`;
  }

  #guess(name: string): number | undefined {
    const before = this.#before[name];
    const taken = [...this.#taken];
    const known = taken.filter(([one]) => this.#before[one] !== undefined);
    if (before !== undefined) {
      const [now, then] = [
        sumOf(known.map(([, seconds]) => seconds)),
        sumOf(known.map(([one]) => this.#before[one] ?? 0)),
      ];
      return then > 0 ? (before * now) / then : before;
    }
    return taken.length === 0 ? undefined : sumOf(taken.map(([, seconds]) => seconds)) / taken.length;
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
