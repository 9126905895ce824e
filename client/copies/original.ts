// One stored object that many may ask for. It can be changed in place, so each of them gets an object of its own: the first one a
// decoded one, the others copies of a template, which take a fraction of decoding.

import { Decoder, decodeScanned, type Origins } from "../../protocol/value/value.ts";

/** Memory of all templates that are kept, at most: those made last. */
export const MAX_TEMPLATE_BYTES: number = 24 * 1024 * 1024;
/** Of a template. Text and large numbers take about as much memory as they take stored. */
const OVERHEAD_BYTES = 256;
/** An array or an object with its link, and each of its members. */
const CONTAINER_BYTES = 112;
const [ELEMENT_BYTES, PROPERTY_BYTES] = [8, 24];

type Container = unknown[] | Record<string, unknown>;

/** A member that is an object itself. Objects have the numbers of the decoder, from 1. */
interface Link {
  readonly parent: number;
  readonly key: string | number;
  readonly child: number;
}

const NONE: never[] = [];

export class Original {
  /** Self-contained, and scanned before. */
  readonly bytes: Buffer;
  #wasAsked = false;
  /** null: no template of this object is possible. */
  #template: Template | null | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** An object of its own, as it is stored. Throws ERR_UNREADABLE for what JavaScript cannot show. */
  copy(origins: Origins): unknown {
    const template = this.#usable();
    if (template) return template.copy(this.bytes, origins);
    this.#wasAsked = true;
    return decodeScanned(this.bytes, 0, origins);
  }

  /** An object that is asked for once gets no template: it would take more time than it saves. */
  #usable(): Template | null | undefined {
    const template = this.#template;
    if (template?.isForgotten) {
      this.#template = undefined;
      this.#wasAsked = false;
    } else if (template === undefined && this.#wasAsked) this.#template = templateOf(this.bytes);
    return this.#template;
  }
}

/** Decoded objects that are never handed out. A copy is made of each, and the links between them are set again between the copies. */
class Template {
  readonly size: number;
  /** By number; index 0 is unused. */
  #containers: readonly Container[];
  #links: readonly Link[];

  constructor(containers: readonly Container[], links: readonly Link[], size: number) {
    this.#containers = containers;
    this.#links = links;
    this.size = size;
  }

  copy(bytes: Buffer, origins: Origins): object {
    const containers = this.#containers;
    const copies: (Container | undefined)[] = [undefined];
    for (let number = 1; number < containers.length; number++) copies.push(copyOf(containers[number] as Container));
    for (const { parent, key, child } of this.#links) {
      // The place is there, "__proto__" too, so this never is anything but a store into it.
      (copies[parent] as Record<string | number, unknown>)[key] = copies[child];
    }
    origins.remember({ bytes, at: 0, objects: copies, loose: NONE, looseAts: NONE });
    return copies[1] as object;
  }

  forget(): void {
    this.#containers = NONE;
    this.#links = NONE;
  }

  get isForgotten(): boolean {
    return this.#containers === NONE;
  }
}

function copyOf(container: Container): Container {
  return Array.isArray(container) ? container.slice() : { ...container };
}

/** null for a value with a Date or a Buffer, which can be changed in place too, and for one that is too large. */
function templateOf(bytes: Buffer): Template | null {
  if (bytes.length > MAX_TEMPLATE_BYTES) return null;
  const decoder = new Decoder(bytes);
  decoder.decode(0, 1);
  const containers = decoder.objects as Container[];
  const links = linksOf(containers);
  const size = OVERHEAD_BYTES + bytes.length + bytesOf(containers);
  return links && size <= MAX_TEMPLATE_BYTES ? keepTemplate(new Template(containers, links, size)) : null;
}

function bytesOf(containers: readonly Container[]): number {
  let bytes = 0;
  for (const container of containers) {
    if (container === undefined) continue;
    bytes += CONTAINER_BYTES;
    if (Array.isArray(container)) bytes += ELEMENT_BYTES * container.length;
    else bytes += PROPERTY_BYTES * Object.keys(container).length;
  }
  return bytes;
}

function linksOf(containers: readonly Container[]): Link[] | null {
  if (containers.length === 1) return null;
  const numbers = new Map<unknown, number>(containers.map((container, number) => [container, number]));
  const links: Link[] = [];
  for (let parent = 1; parent < containers.length; parent++) {
    const container = containers[parent] as Container;
    if (Buffer.isBuffer(container)) return null;
    for (const [key, value] of Object.entries(container)) {
      if (typeof value !== "object" || value === null) continue;
      const child = numbers.get(value);
      if (child === undefined) return null;
      links.push({ parent, key: Array.isArray(container) ? Number(key) : key, child });
    }
  }
  return links;
}

/** The templates made last: a cache of the process. Which of them are kept decides how fast a copy is made, and nothing else. */
const templates = new Set<Template>();
let templateBytes = 0;

/** For tests: as if no object had been copied before. */
export function forgetTemplates(): void {
  for (const template of templates) template.forget();
  templates.clear();
  templateBytes = 0;
}

function keepTemplate(template: Template): Template {
  templates.add(template);
  templateBytes += template.size;
  for (const oldest of templates) {
    if (templateBytes <= MAX_TEMPLATE_BYTES) break;
    templates.delete(oldest);
    templateBytes -= oldest.size;
    oldest.forget();
  }
  return template;
}
