// What a link in a test is made with.

import type { LinkOptions } from "../../../daemon/redis/link/link.ts";
import { Log } from "../../../daemon/report/report.ts";

/** Patient where a test does not say otherwise: what is slow must not look broken. */
export function linkOptions(url: string, others: Partial<LinkOptions> = {}): LinkOptions {
  return {
    url,
    keyPrefixes: ["gs:", "gs!"],
    waitMs: 30_000,
    answerMs: 10_000,
    acceptEviction: false,
    acceptLoss: false,
    log: new Log("silent"),
    ...others,
  };
}
