// The page of `npm start` and real Gambas programs on one session: what the page has stored Gambas reads, and the page shows what Gambas wrote.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { databaseName } from "../../protocol/session-id.ts";
import { readyUrl } from "../support/example.ts";
import { describeDatabases } from "../support/gambas/databases.ts";
import { describeGambas, GambasHouse } from "../support/gambas/gambas.ts";
import { repository } from "../support/repository.ts";

const EXAMPLE = join(repository, "dist/client/examples/cluster.js");

interface SessionJson {
  readonly id: string;
  readonly path: string;
  readonly keys: Readonly<Record<string, { readonly type: string; readonly value: unknown }>>;
}

/** The page and Gambas programs with sessions of one type. */
function describePage(type: "file" | "sqlite"): void {
  let house: GambasHouse;
  let example: ChildProcess;
  let url: string;

  beforeAll(async () => {
    house = await GambasHouse.open();
    const env = { PORT: "0", TYPE: type, GAMBAS_SESSION_ROOT: undefined, GAMBAS_SESSION_SOCKET: undefined };
    example = house.startNode(EXAMPLE, [], { env, stdio: ["ignore", "pipe", "ignore"] });
    url = await readyUrl(example.stdout as Readable);
  });

  afterAll(async () => {
    const ended = once(example, "exit");
    example.kill("SIGTERM");
    await ended;
    await house.close();
  });

  it("and Gambas read what the other wrote, under either name of the cookie", async () => {
    const ask = (path: string, cookie: string, init: RequestInit = {}): Promise<Response> =>
      fetch(new URL(path, url), { redirect: "manual", ...init, headers: { cookie } });
    const [line] = (await ask("/", "")).headers.getSetCookie();
    const cookie = line?.split(";", 1)[0] ?? "";
    const id = cookie.slice("SESSION=".length);
    await ask("/cart", cookie, { method: "POST", body: new URLSearchParams({ dish: "pan", change: "1" }) });
    await ask("/sign-in", cookie, { method: "POST", body: new URLSearchParams({ name: "María" }) });

    const [, ...answers] = await house.oracle(
      [
        ["write", "Type", type],
        ["get", "visits"],
        ["get", "user"],
        ["get", "cart"],
        ["put", [["note", { type: "String", value: "from Gambas" }]]],
      ],
      { cookie: id },
    );
    expect(answers[0]?.value).toEqual({ type: "Integer", value: 1 });
    expect(answers[1]?.value).toEqual({ type: "String", value: "María" });
    expect(answers[2]?.value).toMatchObject({
      type: "Collection",
      value: [["pan", { type: "Integer", value: 1 }]],
    });

    const shown = (await (await ask("/session.json", `GBSESSIONID=${id}`)).json()) as SessionJson;
    expect(shown.path).toBe(`${house.root}/session/${type === "file" ? id : databaseName(id)}`);
    expect(shown.keys.note).toEqual({ type: "String", value: "from Gambas" });
    expect(await (await ask("/", cookie)).text()).toContain("from Gambas");
  });
}

describeGambas("the page of npm start", () => describePage("file"));
describeDatabases("the page of TYPE=sqlite npm start", () => describePage("sqlite"));
