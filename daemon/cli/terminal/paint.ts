// Colours, for whoever looks at a terminal and has not asked to be spared them (NO_COLOR).

export type Paint = "plain" | "strong" | "dim" | "good" | "fair" | "bad" | "graph";

const CODES: Readonly<Record<Exclude<Paint, "plain">, number>> = {
  ...{ strong: 1, dim: 2 },
  ...{ good: 32, fair: 33, bad: 31, graph: 36 },
};

export type Painter = (paint: Paint, text: string) => string;

export function painterFor({ stdout, env }: Pick<NodeJS.Process, "stdout" | "env">): Painter {
  const isWanted = stdout.isTTY === true && areColoursWanted(env) && env.TERM !== "dumb";
  return (paint, text) => (isWanted ? painted(paint, text) : text);
}

export function areColoursWanted({ NO_COLOR = "" }: NodeJS.ProcessEnv): boolean {
  return NO_COLOR === "";
}

export function painted(paint: Paint, text: string): string {
  return paint === "plain" ? text : `\x1b[${CODES[paint]}m${text}\x1b[0m`;
}
