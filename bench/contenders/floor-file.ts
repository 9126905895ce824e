// Floor of writing to the file system: new bytes into a twin that is kept open, then the exchange of the two names (ARCHITECTURE.md, "How a file is replaced"). No
// lock, no time stamp, no other process.

import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { swapSync } from "fs-native-extensions";
import { sizeOf, type Values } from "../session-values.ts";
import type { Entry, Held, Subject } from "./contender.ts";

class FileSubject implements Subject {
  readonly #directory: string;
  readonly #open: number[] = [];
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
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
    const bytes = readFileSync(path);
    let current = this.#opened(path);
    let other = this.#opened(twin);
    return {
      change() {
        writeSync(other, bytes, 0, bytes.length, 0);
        ftruncateSync(other, bytes.length);
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

export const floorFile: Entry = { open: async (places) => new FileSubject(places.directory) };
