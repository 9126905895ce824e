// Colours, for whoever looks at a terminal and has not asked to be spared them (NO_COLOR).

export type Paint = "plain" | "strong" | "good" | "fair" | "bad";

const CODES: Readonly<Record<Exclude<Paint, "plain">, number>> = { strong: 1, good: 32, fair: 33, bad: 31 };

export type Painter = (paint: Paint, text: string) => string;

export function painterFor({ stdout, env }: Pick<NodeJS.Process, "stdout" | "env">): Painter {
  const isWanted = stdout.isTTY === true && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  return (paint, text) => (isWanted && paint !== "plain" ? `\x1b[${CODES[paint]}m${text}\x1b[0m` : text);
}
