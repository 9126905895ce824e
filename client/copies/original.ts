// One stored object of some contents, for which many requests may ask. A request can change an object in place, so each
// gets an object of its own: the first request a decoded one, later requests copies of a template, which take a
// fraction of the time of decoding. Templates are for speed only: without them `get-warm` takes 6.2 instead of 5.2 us.

import { Decoder, decodeScanned, type Origins } from "../../protocol/value/value.ts";

/** The memory that all templates of this process may take. The templates made last are kept. */
export const MAX_TEMPLATE_BYTES: number = 24 * 1024 * 1024;
/**
 * Memory of a template besides its containers and the stored bytes: decoded text takes about as much as stored text.
 */
const OVERHEAD_BYTES = 256;
/** An array or an object with its link, and each of its members. */
const CONTAINER_BYTES = 112;
const [ELEMENT_BYTES, PROPERTY_BYTES] = [8, 24];

type Container = unknown[] | Record<string, unknown>;

/**
 * From a container to a member that is a container itself. Both are named by the decoder's numbers, which begin at 1.
 */
interface Link {
  readonly parent: number;
  readonly key: string | number;
  readonly child: number;
}

const NONE: never[] = [];

export class Original {
  /** The serialisation of the object: self-contained, and scanned without error before. */
  readonly bytes: Buffer;
  #wasAsked = false;
  /** null: no template of this object is possible. */
  #template: Template | null | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** A new object with the stored value. Throws ERR_UNREADABLE for a value that JavaScript cannot show. */
  copy(origins: Origins): unknown {
    const template = this.#usable();
    if (template) return template.copy(this.bytes, origins);
    this.#wasAsked = true;
    return decodeScanned(this.bytes, 0, origins);
  }

  /**
   * A template is made at the second request: for an object that is wanted once it would take more time than it saves.
   */
  #usable(): Template | null | undefined {
    const template = this.#template;
    if (template?.isForgotten) {
      this.#template = undefined;
      this.#wasAsked = false;
    } else if (template === undefined && this.#wasAsked) this.#template = templateOf(this.bytes);
    return this.#template;
  }
}

/** The decoded containers of one object, never handed out. A copy of the object is a copy of each, linked anew. */
class Template {
  readonly size: number;
  /** By the decoder's number; index 0 is unused. */
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
      // The copy has the key already, even an own "__proto__", so this assignment never calls a setter.
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

/**
 * null for a value with a Date or a Buffer, which a request could change in place too, and for a value that is too
 * large.
 */
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

/** The templates made last, oldest first: a cache of the process, on which nothing but the speed of copying depends. */
const templates = new Set<Template>();
let templateBytes = 0;

/** For tests: forgets all templates, as if no object had been copied before. */
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
