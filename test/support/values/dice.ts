// Random decisions out of a list that fast-check makes and shrinks: an exhausted list always says 0, the simplest choice.

import fc from "fast-check";

export class Dice {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** 0 .. sides - 1. */
  roll(sides: number): number {
    const number = this.#numbers[this.#next++] ?? 0;
    return number % sides;
  }

  /** True once in `sides`, never when the list is exhausted. */
  once(sides: number): boolean {
    return this.roll(sides) === sides - 1;
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.roll(choices.length)] as T;
  }

  get isExhausted(): boolean {
    return this.#next >= this.#numbers.length;
  }
}

/** What a Dice is made of; each run makes its own, since rolling uses it up. */
export const rolls: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 0xffff }), { maxLength: 120, size: "max" });
