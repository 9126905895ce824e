// The command `status --watch`: what a daemon tells about itself, again and again. On a terminal in place, else one text or one line of JSON behind
// the other.

import { type Config, resolveConfig } from "../../config.ts";
import { Peer } from "../../peer/peer.ts";
import type { Errand } from "../terminal/errand.ts";
import { clockText } from "../terminal/figures.ts";
import { noDaemonOn } from "../terminal/refusals.ts";
import { statusText } from "../terminal/status-text.ts";
import { wrapped } from "../terminal/wrapping.ts";
import { piece, plainLine } from "./drawing.ts";
import { patient, type Rhythm, repeat, UNTIL_KILLED } from "./rhythm.ts";
import { type Picture, Screen, type Size, type Terminal, terminalOf } from "./screen.ts";

const INDENT = "  ";

/** @throws NoDaemon; SessionError ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION: where there is no daemon at the start. */
export async function watchStatus(errand: Errand, rhythm: Rhythm, terminal = terminalOf(process)): Promise<boolean> {
  const config = resolveConfig(errand.options);
  if (terminal !== undefined && errand.form === "text") await watchOnScreen(config, rhythm, terminal);
  else await watchInLines(config, rhythm, errand);
  return true;
}

async function watchOnScreen(config: Config, rhythm: Rhythm, terminal: Terminal): Promise<void> {
  const screen = new Screen(terminal);
  const look = patient(() => statusOf(config, screen.leaving));
  try {
    await repeat(rhythm, screen.leaving, async () => {
      const seen = await look();
      const text = seen.kind === "there" ? statusText(seen.json) : `${seen.why} Waiting for one.`;
      const foot = `${clockText(Date.now())}, every ${rhythm.everyMs / 1000} s, q leaves`;
      screen.show((size) => pictureOf(text, foot, size));
      return "goes on";
    });
  } finally {
    screen.close();
  }
}

function pictureOf(text: string, foot: string, { columns }: Size): Picture {
  const lines = text.split("\n").flatMap((line) => {
    const [first = ""] = wrapped(line, columns);
    const rest = line.slice(first.length).trimStart();
    const more = rest === "" ? [] : wrapped(rest, columns - INDENT.length);
    return [first, ...more.map((part) => `${INDENT}${part}`)];
  });
  return { lines: lines.map(plainLine), foot: [piece(foot, "dim")] };
}

async function watchInLines(config: Config, rhythm: Rhythm, { form, say }: Errand): Promise<void> {
  const look = patient(() => statusOf(config, UNTIL_KILLED));
  await repeat(rhythm, UNTIL_KILLED, async () => {
    const seen = await look();
    const text = seen.kind === "there" ? statusText(seen.json) : `${clockText(Date.now())}  ${seen.why}`;
    const json = seen.kind === "there" ? seen.json : JSON.stringify({ time: new Date(), problem: seen.why });
    return (await say(form === "json" ? `${json}\n` : `${text}\n\n`)) ? "goes on" : "over";
  });
}

interface There {
  readonly kind: "there";
  readonly json: string;
}

async function statusOf(config: Config, leaving: AbortSignal): Promise<There> {
  const json = await new Peer(config).status(leaving);
  if (json === undefined) throw noDaemonOn(config);
  return { kind: "there", json };
}
