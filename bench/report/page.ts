// What the folder of results shows first: the goals in one picture, and then each case with its charts. Tables stand in latest.md.

import type { Row } from "../row.ts";
import { goalCells, groupsOf, limitCells, sizeChangesText } from "./columns.ts";
import { readable } from "./goal-chart.ts";
import { limitSection, machineText } from "./markdown.ts";
import { type Chart, chartsOf, questionOf } from "./measures.ts";
import type { Result } from "./result.ts";

export function pageOf(result: Result): string {
  const charts = chartsOf(result.rows);
  const names = [...new Set(charts.map((chart) => chart.case))];
  return [
    "# What `npm run bench` has found",
    "",
    machineText(result),
    "",
    "Blue is ours, grey is what others use for the same. A dashed bar is a floor: what this machine can do at all of that kind, without sessions; » means",
    "that it reaches beyond the picture. `tmpfs` keeps files in memory, `AOF` makes Redis keep what it acknowledges. Latencies and CPU stand in",
    "[the tables](latest.md).",
    "",
    "![Goals reached and missed](goals.svg)",
    ...names.flatMap((name) =>
      sectionOf(
        name,
        charts.filter((chart) => chart.case === name),
        result,
      ),
    ),
    ...limitsOfRun(result),
    "",
  ].join("\n");
}

function limitsOfRun({ rows }: Result): string[] {
  const limits = limitCells(rows);
  return limits.length === 0 ? [] : ["", ...limitSection(limits)];
}

function sectionOf(name: string, charts: readonly Chart[], { goals, rows }: Result): string[] {
  const question = questionOf(name);
  const own = goals.filter((goal) => goal.case === name).map(goalCells);
  const list = own.map(
    ([, text = "", reached = "", verdict = "", beside = ""]) =>
      `* ${readable(text)}: **${readable(reached)}**, ${verdict === "ok" ? "✓" : verdict.toLowerCase()}${beside && ` (${beside})`}`,
  );
  return [
    "",
    `## ${name}`,
    "",
    ...(question === ""
      ? []
      : [[`${question}.`, sizesOf(rows.filter((row) => row.case === name))].join(" ").trim(), ""]),
    charts.map(({ title, about, file }) => `![${title}, ${about}](${file}.svg)`).join("\n\n"),
    ...(list.length === 0 ? [] : ["", ...list]),
  ];
}

/** All tables of a case have the same changes. */
function sizesOf(rows: readonly Row[]): string {
  const [first] = groupsOf(rows).values();
  return sizeChangesText(first ?? []);
}
