// The command `sweep`: has the daemon look at every session now, instead of after `sweepMs`, and says what became of them, or would.

import type { ResponseOf } from "../../../protocol/wire/wire.ts";
import type { Errand } from "../terminal/errand.ts";
import { countOf, countText } from "../terminal/figures.ts";
import { withDaemon } from "./asking.ts";

/** Resolves to false where a session could not be ended. */
export function sweep(errand: Errand, does: "end" | "look"): Promise<boolean> {
  return withDaemon(errand, async (daemon) => {
    const count = await daemon.call("sweep", { isDry: does === "look" });
    const kept = count.seen - count.ended - count.unreadable - count.failed;
    if (errand.form === "json") await errand.say(`${JSON.stringify({ ...count, kept, does })}\n`);
    else await errand.say(textOf({ ...count, kept }, does === "look" ? "would end" : "ended"));
    return count.failed === 0;
  });
}

interface Told extends ResponseOf<"sweep"> {
  readonly kept: number;
}

/** What a healthy root has none of is not spoken of. */
function textOf({ seen, ended, kept, unreadable, failed }: Told, fate: string): string {
  const stays = fate === "ended" ? "kept" : "would stay";
  const parts = [`${countText(ended)} ${fate}`, `${countText(kept)} ${stays}`];
  if (unreadable > 0) parts.push(`${countText(unreadable)} cannot be read and ${unreadable === 1 ? "is" : "are"} left`);
  if (failed > 0) parts.push(`${countText(failed)} could not be ended (the log says why)`);
  return `${countOf(seen, "session")} looked at: ${parts.join(", ")}.\n`;
}
