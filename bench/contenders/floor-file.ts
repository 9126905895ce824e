// Floors of writing to the file system: new bytes into a twin that is kept open, then the exchange of the two names; or over the old bytes, in the
// file itself (daemon/store/gambas-file/README.md). No lock, no time stamp, no other process.

import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { swapSync } from "fs-native-extensions";
import { LONGER, sizeOf, type Values } from "../session-values.ts";
import type { Entry, Held, Subject } from "./contender.ts";

class FileSubject implements Subject {
  readonly #directory: string;
  readonly #isInPlace: boolean;
  readonly #open: number[] = [];
  #count = 0;

  constructor(directory: string, isInPlace: boolean) {
    this.#directory = directory;
    this.#isInPlace = isInPlace;
  }

  async create(values: Values): Promise<string> {
    const id = `file-${process.pid}-${this.#count++}`;
    writeFileSync(this.#path(id), JSON.stringify(values));
    writeFileSync(this.#twin(id), Buffer.alloc(sizeOf(values)));
    return id;
  }

  get(id: string): number {
    return Object.keys(JSON.parse(readFileSync(this.#path(id), "utf8"))).length;
  }

  async hold(id: string): Promise<Held> {
    const [path, twin] = [this.#path(id), this.#twin(id)];
    const short = readFileSync(path);
    const long = Buffer.concat([short, Buffer.from(LONGER)]);
    let current = this.#opened(path);
    if (this.#isInPlace) return { change: (_, isLong) => write(current, isLong ? long : short) };
    let other = this.#opened(twin);
    return {
      change(_, isLong) {
        write(other, isLong ? long : short);
        swapSync(twin, path);
        [current, other] = [other, current];
      },
    };
  }

  close(): void {
    for (const fd of this.#open) closeSync(fd);
  }

  #opened(path: string): number {
    const fd = openSync(path, "r+");
    this.#open.push(fd);
    return fd;
  }

  #path(id: string): string {
    return `${this.#directory}/${id}`;
  }

  #twin(id: string): string {
    return `${this.#directory}/twin-${id}`;
  }
}

function write(fd: number, bytes: Buffer): void {
  writeSync(fd, bytes, 0, bytes.length, 0);
  ftruncateSync(fd, bytes.length);
}

export const fileExchange: Entry = { open: async (places) => new FileSubject(places.directory, false) };
export const fileInPlace: Entry = { open: async (places) => new FileSubject(places.directory, true) };
