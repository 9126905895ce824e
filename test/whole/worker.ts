// A worker as an application has it: the package by its name, functions that tests call. Runs under fork and under node:cluster.

import { type Client, connect, Session } from "gambas-session";
import { serveCalls } from "../support/processes.ts";

let connecting: Promise<Client> | undefined;
let begun: Promise<unknown> = Promise.resolve();
let goOn: () => void = () => undefined;

function client(): Promise<Client> {
  connecting ??= connect();
  return connecting;
}

serveCalls({
  async hello() {
    await client();
    return process.pid;
  },
  async daemonPid() {
    return (await (await client()).status()).pid;
  },
  async create(values: Record<string, unknown>) {
    return Session.Run({ remoteAddress: "10.0.0.1" }, async () => {
      for (const [key, value] of Object.entries(values)) Session.set(key, value);
      await Session.Save();
      return Session.Id;
    });
  },
  async get(id: string, key: string) {
    return Session.Run({ id }, () => Session.get(key) ?? null);
  },
  async set(id: string, key: string, value: unknown) {
    return Session.Run({ id }, () => Session.set(key, value));
  },
  async add(id: string, key: string, times: number) {
    for (let count = 0; count < times; count++) {
      await Session.Run({ id }, () =>
        Session.Transaction(() => Session.set(key, ((Session.get(key) as number | undefined) ?? 0) + 1)),
      );
    }
  },
  /** Begins a transaction, sets the key in it, and never ends. Answers once it is alone on the session. */
  async holdTurn(id: string, key: string, leaseMs: number) {
    await client();
    return new Promise((resolve, reject) => {
      const forEver = new Promise<void>(() => undefined);
      Session.Run({ id }, () =>
        Session.Transaction(
          () => {
            Session.set(key, "never committed");
            resolve(process.pid);
            return forEver;
          },
          { leaseMs },
        ),
      ).catch(reject);
    });
  },
  /** The same, but ends when `finish` is called, which resolves to the code of its error, or null. */
  async begin(id: string, key: string, leaseMs: number) {
    await client();
    return new Promise((resolve, reject) => {
      const told = new Promise<void>((tell) => {
        goOn = tell;
      });
      const fn = async (): Promise<void> => {
        resolve(process.pid);
        await told;
        Session.set(key, "committed late");
      };
      begun = Session.Run({ id }, () => Session.Transaction(fn, { leaseMs }));
      begun.catch(reject);
    });
  },
  async finish() {
    goOn();
    return begun.then(
      () => null,
      (error: { code: string }) => error.code,
    );
  },
  async exists(id: string) {
    return Session.Run({ id }, () => Session.Id !== null);
  },
  async abandon(id: string) {
    await Session.Run({ id }, () => Session.Abandon());
  },
});
