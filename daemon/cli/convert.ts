// The command `convert`: moves all sessions of a root to another type, and says how far it is and what became of them.

import { type Conversion, type Counts, convert as convertAll } from "../convert/convert.ts";
import type { Errand } from "./terminal/errand.ts";
import { countOf, countText } from "./terminal/figures.ts";
import { safeText } from "./terminal/safe-text.ts";

const PROGRESS_MS = 2_000;

export interface ConvertErrand extends Errand, Pick<Conversion, "from" | "to" | "does" | "prefixes"> {
  /** For what is said while it goes on. */
  readonly tell: (line: string) => void;
}

/** Resolves to false where a session that can be used was left. @throws SessionError as `convert` of daemon/convert. */
export async function convert({ options, from, to, does, prefixes, form, say, tell }: ConvertErrand): Promise<boolean> {
  let toldMs = performance.now();
  const counts = await convertAll({
    ...{ options, from, to, does, prefixes },
    onProgress: ({ seen, moved }) => {
      if (performance.now() - toldMs < PROGRESS_MS) return;
      toldMs = performance.now();
      tell(`${countOf(seen, "session")} looked at, ${countText(moved)} ${does === "move" ? "moved" : "to move"} ...\n`);
    },
    onLeft: (id, why) => tell(`${safeText(id)} is left: ${why}\n`),
  });
  if (form === "json") await say(`${JSON.stringify({ from, to, does, ...counts })}\n`);
  else await say(textOf(counts, { from, to, does }));
  return [counts.unreadable, counts.failed, counts.unnamed, counts.alike].every((count) => count === 0);
}

/** What there is none of is not spoken of. */
function textOf(counts: Counts, { from, to, does }: Pick<Conversion, "from" | "to" | "does">): string {
  const rows: readonly (readonly [count: number, why: string])[] = [
    [counts.taken, `left: type ${to} has others under their ids`],
    [counts.ended, `left: they have ended in type ${to}`],
    [counts.over, "left: their time is over"],
    [counts.unreadable, "left: they cannot be read"],
    [counts.failed, "left: another program has them"],
    [counts.unnamed, `left: type ${from} does not know their ids. Say how those begin: --prefix FORM`],
    [counts.alike, `left: type ${to} would know them as one session with others. End those, or these`],
  ];
  const [moved, go] = does === "move" ? ["moved", "went"] : ["would move", "would go"];
  const lines = [
    `${countOf(counts.seen, "session")} of type ${from} looked at, ${countText(counts.moved)} ${moved} to type ${to}.`,
    ...(counts.asAddress > 0
      ? [`${countText(counts.asAddress)} of them ${go} by the address that their name shows: 10_0_0_1 is 10.0.0.1.`]
      : []),
    ...rows.filter(([count]) => count > 0).map(([count, why]) => `${countText(count)} ${why}.`),
    ...(counts.tombstones > 0 ? [`${countOf(counts.tombstones, "tombstone")} ${go} along.`] : []),
    ...(counts.tombstonesLeft > 0 ? [`${countOf(counts.tombstonesLeft, "tombstone")} left, for such a reason.`] : []),
  ];
  return `${lines.join("\n")}\n`;
}
