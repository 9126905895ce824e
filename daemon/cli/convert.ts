// The command `convert`: moves all sessions of a root to another type, and says how far it is and what became of them.

import { type Conversion, type Counts, convert as convertAll } from "../convert/convert.ts";
import type { Errand } from "./terminal/errand.ts";
import { countOf, countText } from "./terminal/figures.ts";
import { safeText } from "./terminal/safe-text.ts";

const PROGRESS_MS = 2_000;

export interface ConvertErrand extends Errand, Pick<Conversion, "from" | "to" | "does"> {
  /** For what is said while it goes on. */
  readonly tell: (line: string) => void;
}

/** Resolves to false where a session that can be used was left. @throws SessionError as `convert` of daemon/convert. */
export async function convert({ options, from, to, does, form, say, tell }: ConvertErrand): Promise<boolean> {
  let toldMs = performance.now();
  const counts = await convertAll({
    ...{ options, from, to, does },
    onProgress: ({ seen, moved }) => {
      if (performance.now() - toldMs < PROGRESS_MS) return;
      toldMs = performance.now();
      tell(`${countOf(seen, "session")} looked at, ${countText(moved)} ${does === "move" ? "moved" : "to move"} ...\n`);
    },
    onFailure: (id, error) => tell(`${safeText(id)} is left: ${error.what}\n`),
  });
  if (form === "json") await say(`${JSON.stringify({ from, to, does, ...counts })}\n`);
  else await say(textOf(counts, { from, to, does }));
  return counts.unreadable === 0 && counts.failed === 0;
}

/** What there is none of is not spoken of. */
function textOf(counts: Counts, { from, to, does }: Pick<Conversion, "from" | "to" | "does">): string {
  const rows: readonly (readonly [count: number, why: string])[] = [
    [counts.taken, `left: type ${to} has others under their ids`],
    [counts.ended, `left: they have ended in type ${to}`],
    [counts.over, "left: their time is over"],
    [counts.unreadable, "left: they cannot be read"],
    [counts.failed, "left: another program has them"],
  ];
  const [moved, go] = does === "move" ? ["moved", "went"] : ["would move", "would go"];
  const lines = [
    `${countOf(counts.seen, "session")} of type ${from} looked at, ${countText(counts.moved)} ${moved} to type ${to}.`,
    ...rows.filter(([count]) => count > 0).map(([count, why]) => `${countText(count)} ${why}.`),
    ...(counts.tombstones > 0 ? [`${countOf(counts.tombstones, "tombstone")} ${go} along.`] : []),
  ];
  return `${lines.join("\n")}\n`;
}
