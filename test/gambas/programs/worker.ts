// A Node worker beside Gambas programs: the package by its name, functions that a test or a storm calls.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Client, connect, Session, type SessionOptions, session } from "gambas-session";
import { serveCalls } from "../../support/processes.ts";
import { pack, unpack } from "../packed.ts";
import { perform, type Step } from "./steps.ts";

let connecting: Promise<Client> | undefined;

function client(): Promise<Client> {
  connecting ??= connect({ idleExitMs: 10_000, ...JSON.parse(process.env.CONNECT_OPTIONS ?? "{}") });
  return connecting;
}

/** Transactions that a test ends, by name. */
const gates = new Map<string, () => void>();

function gate(name: string): Promise<void> {
  return new Promise((open) => gates.set(name, open));
}

function count(key: string): number {
  return (Session.get(key) as number | undefined) ?? 0;
}

/** What a loop of reads found. */
export interface Reads {
  readonly done: number;
  /** There was no session. */
  readonly lost: number;
  /** There was one without the key. */
  readonly empty: number;
  /** The value went back to an earlier one. */
  readonly older: number;
}

serveCalls({
  async status() {
    return (await client()).status();
  },

  /** One request without HTTP. */
  async run(id: string | null, packed: string, remoteAddress = "10.0.0.1") {
    await client();
    return pack(await Session.Run({ id, remoteAddress }, () => perform(unpack<Step[]>(packed))));
  },

  /** Such transactions, one after the other: each adds 1 to the key. Resolves to how many were acknowledged. */
  async add(id: string, key: string, times: number) {
    await client();
    for (let done = 0; done < times; done++) {
      await Session.Run({ id }, () => Session.Transaction(() => Session.set(key, count(key) + 1)));
    }
    return times;
  },

  /** Plain commits, each of a key of its own. */
  async setMany(id: string, prefix: string, times: number) {
    await client();
    for (let done = 0; done < times; done++) await Session.Run({ id }, () => Session.set(`${prefix}${done}`, done));
    return times;
  },

  /** Looks at the session over and over, each time as a request of its own. */
  async look(id: string, key: string, times: number): Promise<Reads> {
    const [reads, opener] = [{ done: 0, lost: 0, empty: 0, older: 0 }, await client()];
    let last = Number.NEGATIVE_INFINITY;
    for (let done = 0; done < times; done++) {
      const value = await (done % 2 === 0 ? lookByOpen(opener, id, key) : lookByRun(id, key));
      if (value === undefined) reads.empty += 1;
      else if (value === null) reads.lost += 1;
      else if ((value as number) < last) reads.older += 1;
      else last = value as number;
      reads.done += 1;
    }
    return reads;
  },

  /** Begins a transaction that adds to the key and then waits for `open`; resolves to what each run of it found there. */
  async addBehindGate(id: string, key: string, name: string) {
    await client();
    const found: number[] = [];
    await Session.Run({ id }, () =>
      Session.Transaction(
        async () => {
          found.push(count(key));
          Session.set(key, count(key) + 1);
          process.send?.({ inside: name, run: found.length });
          if (found.length === 1) await gate(name);
        },
        { leaseMs: 30_000 },
      ),
    );
    return found;
  },
  open(name: string) {
    gates.get(name)?.();
  },

  /** A node:http server with the middleware; `POST /` with packed steps performs them. Resolves to its port. */
  async listen(options: SessionOptions) {
    const bind = session({ idleExitMs: 10_000, ...options });
    const server = createServer((req, res) => {
      bind(req, res, async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of req) chunks.push(chunk as Buffer);
        res.end(pack(await perform(unpack<Step[]>(Buffer.concat(chunks).toString()))));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
});

/** null: there is no session. */
async function lookByOpen(opener: Client, id: string, key: string): Promise<unknown> {
  const opened = await opener.open(id);
  return opened === undefined ? null : opened.get(key);
}

async function lookByRun(id: string, key: string): Promise<unknown> {
  return Session.Run({ id }, () => (Session.Id === null ? null : Session.get(key)));
}
