// The index of the shelf: finds the place of a record by the hash of its session's id. Open-addressing tables of pairs
// (hash, place), 8 bytes a slot. The index holds neither ids nor records: it asks the shelf to tell equal hashes apart.
//
// There are many small tables instead of a large one, and each grows and shrinks alone: so no call ever waits for a
// million entries to move.

const TABLES = 256;
const FIRST_CAPACITY = 8;
/** The place of a session without a record, and the slot of a hash without an entry. */
export const NOWHERE = -1;

/** Linear probing; the entries behind a removed one move up. A slot holds its place plus one: 0 is an empty slot. */
class Table {
  slots = new Uint32Array(2 * FIRST_CAPACITY);
  #count = 0;

  /** The next slot from `slot` on that holds `hash`, or NOWHERE. */
  next(hash: number, slot: number): number {
    const slots = this.slots;
    const mask = slots.length / 2 - 1;
    for (let at = slot & mask; slots[2 * at + 1] !== 0; at = (at + 1) & mask) if (slots[2 * at] === hash) return at;
    return NOWHERE;
  }

  add(hash: number, place: number): void {
    this.#count += 1;
    const capacity = this.slots.length / 2;
    if (4 * this.#count > 3 * capacity) this.#resize(2 * capacity);
    insert(this.slots, hash, place + 1);
  }

  remove(slot: number): void {
    const slots = this.slots;
    const mask = slots.length / 2 - 1;
    let hole = slot;
    for (let at = (slot + 1) & mask; slots[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = (slots[2 * at] ?? 0) & mask;
      // The probing from this entry's home to its slot does not pass the hole, so the entry stays.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[2 * hole] = slots[2 * at] ?? 0;
      slots[2 * hole + 1] = slots[2 * at + 1] ?? 0;
      hole = at;
    }
    slots[2 * hole + 1] = 0;
    this.#count -= 1;
    const capacity = slots.length / 2;
    if (capacity > FIRST_CAPACITY && 8 * this.#count < capacity) this.#resize(capacity / 2);
  }

  #resize(capacity: number): void {
    const old = this.slots;
    this.slots = new Uint32Array(2 * capacity);
    for (let at = 0; at < old.length; at += 2) {
      const kept = old[at + 1] ?? 0;
      if (kept !== 0) insert(this.slots, old[at] ?? 0, kept);
    }
  }
}

function insert(slots: Uint32Array, hash: number, kept: number): void {
  const mask = slots.length / 2 - 1;
  let at = hash & mask;
  while (slots[2 * at + 1] !== 0) at = (at + 1) & mask;
  slots[2 * at] = hash;
  slots[2 * at + 1] = kept;
}

export class ShelfIndex {
  readonly #tables: readonly Table[] = Array.from({ length: TABLES }, () => new Table());
  readonly #isAt: (place: number, id: string) => boolean;
  #count = 0;
  #bytes: number = TABLES * 8 * FIRST_CAPACITY;

  /** @param isAt whether the record at a place is that of the session with this id. */
  constructor(isAt: (place: number, id: string) => boolean) {
    this.#isAt = isAt;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  find(hash: number, id: string): number {
    const table = this.#tableOf(hash);
    for (let slot = table.next(hash, hash); slot !== NOWHERE; slot = table.next(hash, slot + 1)) {
      const place = placeIn(table, slot);
      if (this.#isAt(place, id)) return place;
    }
    return NOWHERE;
  }

  /** Adds the place of a session that has none yet. A place is below 2^32 - 1, since a slot holds it plus one. */
  add(hash: number, place: number): void {
    const table = this.#tableOf(hash);
    const before = table.slots.byteLength;
    table.add(hash, place);
    this.#bytes += table.slots.byteLength - before;
    this.#count += 1;
  }

  move(hash: number, from: number, to: number): void {
    const table = this.#tableOf(hash);
    table.slots[2 * slotOf(table, hash, from) + 1] = to + 1;
  }

  remove(hash: number, place: number): void {
    const table = this.#tableOf(hash);
    const before = table.slots.byteLength;
    table.remove(slotOf(table, hash, place));
    this.#bytes += table.slots.byteLength - before;
    this.#count -= 1;
  }

  /** The upper bits of a hash choose its table; the table uses the lower bits for the slot. */
  #tableOf(hash: number): Table {
    const table = this.#tables[hash >>> 24];
    if (table === undefined) throw new RangeError(`${hash} is no hash of 32 bits`);
    return table;
  }
}

function placeIn(table: Table, slot: number): number {
  return (table.slots[2 * slot + 1] ?? 0) - 1;
}

/** The slot of a pair, which must be in the table. */
function slotOf(table: Table, hash: number, place: number): number {
  let slot = table.next(hash, hash);
  while (slot !== NOWHERE && placeIn(table, slot) !== place) slot = table.next(hash, slot + 1);
  if (slot === NOWHERE) throw new RangeError(`nothing of hash ${hash} is at ${place}`);
  return slot;
}
