// The picture that `top` draws: it fits every screen, and says with letters and colours no more than the terminal takes.

import { describe, expect, test } from "vitest";
import { lookOf, rendered } from "../../../../daemon/cli/live/drawing.ts";
import { pictureOf, type Seen } from "../../../../daemon/cli/live/picture.ts";
import type { Figures, Rates, Sight } from "../../../../daemon/cli/live/watcher.ts";

const PLAIN = { colours: "none", letters: "ascii" } as const;
const RICH = { colours: "many", letters: "unicode" } as const;

const figures: Figures = {
  ...{ version: "1.2.3", pid: 4711, root: "/var/lib/app/sessions", uptimeSeconds: 7_300 },
  ...{ connections: 4, waitingCalls: 3, waitingTurns: 1, sessionsCached: 12_345, sessionsOnDisk: null },
  ...{ bytesCached: 16_777_216, cacheBytes: 67_108_864, memoryBytes: 123_000_000 },
  ...{ opens: 1, commits: 1, touches: 1, leases: 1, errors: {} },
  window: {
    ...{ ms: 2_000, cpuMs: 1_400 },
    openMicros: { count: 0 },
    commitMicros: { count: 9, p50: 120, p99: 1_234 },
    leaseMicros: { count: 9, p50: 80, p99: 56_789 },
    mostUsed: [],
  },
};

const mostUsed = Array.from({ length: 40 }, (_, at) => ({
  id: `192.0.2.${at}:0123456789ABCDEF01234567`,
  ...{ opens: 1.25, commits: 4_000 - at, touches: 0, transactions: 0 },
}));

const interval: Sight = {
  ...{ kind: "interval", figures, mostUsed, cpuShare: 0.7 },
  rates: { opens: 0, commits: 12_345.6, touches: 1, transactions: 3.21, errors: 0 },
};

function seen(sight: Seen["sight"], look: Seen["look"] = PLAIN): Seen {
  const history = Array.from({ length: 100 }, (_, at): Rates | undefined => {
    return at === 98 ? undefined : { opens: 0, commits: at * at, touches: 0, transactions: 1, errors: 0 };
  });
  return { sight, history, everyMs: 2_000, atMs: new Date(2026, 0, 2, 3, 4, 5).getTime(), look };
}

function textOf(what: Seen, columns: number, rows: number): string[] {
  return pictureOf(what, { columns, rows }).lines.map((line) => rendered(line, columns, what.look));
}

describe("the picture of top", () => {
  test("has rates, latencies, load and sessions on a screen of 80 columns and 24 rows", () => {
    expect(textOf(seen(interval), 80, 24)).toMatchInlineSnapshot(`
      [
        "gambas-sessiond 1.2.3  pid 4711  up 2 h                      every 2 s  03:04:05",
        "/var/lib/app/sessions",
        "",
        "               per s                                                 p50     p99",
        "commits       12,346  -==========++++++++*******#######@@@@@ @    120 us  1.2 ms",
        "opens              0  ...................................... .         -       -",
        "transactions     3.2  @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ @     80 us   57 ms",
        "",
        "cpu             70 %  #################################--------------  of a core",
        "cache          17 MB  ############-----------------------------------  of 67 MB",
        "waiting          3  errors/s         0  connections      4  memory      123 MB",
        "cached      12,345  on disk          -  turns due        1  touches/s      1.0",
        "",
        " COMMITS/s   OPENS/s  TRANS./s  SESSION",
        "     4,000       1.3         0  192.0.2.0:0123456789ABCDEF01234567",
        "     3,999       1.3         0  192.0.2.1:0123456789ABCDEF01234567",
        "     3,998       1.3         0  192.0.2.2:0123456789ABCDEF01234567",
        "     3,997       1.3         0  192.0.2.3:0123456789ABCDEF01234567",
        "     3,996       1.3         0  192.0.2.4:0123456789ABCDEF01234567",
        "     3,995       1.3         0  192.0.2.5:0123456789ABCDEF01234567",
        "     3,994       1.3         0  192.0.2.6:0123456789ABCDEF01234567",
        "     3,993       1.3         0  192.0.2.7:0123456789ABCDEF01234567",
        "     3,992       1.3         0  192.0.2.8:0123456789ABCDEF01234567",
      ]
    `);
  });

  test("has what matters on one of 40 columns and 12 rows", () => {
    expect(textOf(seen(interval), 40, 12)).toMatchInlineSnapshot(`
      [
        "gambas-sessiond 1.2.3  pid 4711  up 2 h",
        "               per s     p50     p99",
        "commits       12,346  120 us  1.2 ms",
        "opens              0       -       -",
        "transactions     3.2   80 us   57 ms",
        "cpu             70 %  #####--  of a core",
        "cache          17 MB  ##-----  of 67 MB",
        "waiting          3  errors/s         0",
        "  USES/s  SESSION",
        "   4,001  192.0.2.0:0123456789ABCDEF012~",
        "   4,000  192.0.2.1:0123456789ABCDEF012~",
      ]
    `);
  });

  test("says why nothing can be seen, and keeps the rest as it was", () => {
    const nobody = { kind: "nobody", why: "No daemon answers on /var/lib/app/sessions/sessiond.sock." } as const;
    expect(textOf(seen(nobody), 60, 24).slice(0, 9)).toMatchInlineSnapshot(`
      [
        "gambas-sessiond  no daemon                          03:04:05",
        "No daemon answers on /var/lib/app/sessions/sessiond.sock.",
        "Waiting for one.",
        "",
        "               per s                             p50     p99",
        "commits            -  ******#######@@@@@ @         -       -",
        "opens              -  .................. .         -       -",
        "transactions       -  @@@@@@@@@@@@@@@@@@ @         -       -",
        "",
      ]
    `);
  });

  test.each([RICH, PLAIN])("fits a screen of any size, with %j", (look) => {
    const sights: Seen["sight"][] = [interval, { kind: "first", figures }, { kind: "nobody", why: "w".repeat(200) }];
    for (const sight of sights) {
      for (const columns of [1, 2, 13, 20, 21, 29, 37, 40, 45, 55, 60, 79, 80, 132, 400]) {
        for (const rows of [1, 2, 3, 5, 8, 12, 16, 24, 60]) {
          const lines = textOf(seen(sight, look), columns, rows);
          expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
          // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours.
          for (const line of lines) expect([...line.replace(/\x1b\[\d+m/g, "")].length).toBeLessThanOrEqual(columns);
        }
      }
    }
  });

  test("obeys no id", () => {
    const evil = {
      ...interval,
      mostUsed: [{ ...mostUsed[0], id: "\u009b31m\u202e:0123456789ABCDEF01234567" }],
    } as Sight;
    const text = textOf(seen(evil), 120, 40).join("\n");
    expect(text).toContain("\\u009b31m\\u202e:0123456789ABCDEF01234567");
  });
});

test.each([
  [{ LANG: "en_US.UTF-8" }, RICH],
  [{ LANG: "C", NO_COLOR: "1" }, PLAIN],
  [
    { LC_ALL: "POSIX", LANG: "en_US.UTF-8", NO_COLOR: "" },
    { colours: "many", letters: "ascii" },
  ],
  [
    { LC_CTYPE: "C.utf8", NO_COLOR: "yes" },
    { colours: "none", letters: "unicode" },
  ],
])("a terminal with %j is drawn on with %j", (env, look) => {
  expect(lookOf(env)).toEqual(look);
});

test("a terminal without Unicode or colours gets neither", () => {
  for (const line of textOf(seen(interval), 80, 24)) expect(line).toMatch(/^[\x20-\x7e]*$/);
  expect(textOf(seen(interval, RICH), 80, 24).join("\n")).toMatch(/█.*░/);
});
