// The picture of a run: every case has its chart, the bars are as long as what they stand for, and nothing that is drawn becomes markup.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BAR_ROOM, barChart } from "../../bench/report/bars.ts";
import { Course } from "../../bench/report/course.ts";
import { goalChart, timesTheGoal } from "../../bench/report/goal-chart.ts";
import type { Goal } from "../../bench/report/goals.ts";
import { chartsOf } from "../../bench/report/measures.ts";
import type { Result } from "../../bench/report/result.ts";
import { drawResults } from "../../bench/report/write.ts";
import type { Row } from "../../bench/row.ts";
import { repository } from "../support/repository.ts";

const recorded = JSON.parse(readFileSync(join(repository, "bench/results/latest.json"), "utf8")) as Result;

const RATES = { p50_us: 1, p99_us: 2, cpu_us_per_op: 3, server_cpu_us_per_op: null, lost: null };

function rowOf(contender: string, rate: number | null, more: Partial<Row> = {}): Row {
  return { case: "set", contender, procs: 4, concurrency: 16, size: 319, ops_per_s: rate, ...RATES, ...more };
}

function only<T>(values: readonly T[]): T {
  const [value] = values;
  if (value === undefined || values.length > 1) throw new Error(`${values.length} values instead of one`);
  return value;
}

/** Lengths of the bars, by what is written beside them. */
function lengthsOf(svg: string): Readonly<Record<string, number>> {
  const bars = svg.matchAll(/>([^<]*)<\/text>\n<rect class="(?:ours|peer|floor)"[^>]* width="([\d.]+)"/g);
  return Object.fromEntries([...bars].map(([, label = "", width]) => [label, Number(width)]));
}

test("every row that was recorded has a bar in a chart of its case", () => {
  const charts = chartsOf(recorded.rows);
  for (const row of recorded.rows) {
    const bars = charts.filter((chart) => chart.case === row.case).flatMap((chart) => chart.bars);
    expect(bars.map(({ label }) => label)).toContain(row.contender);
  }
  expect(new Set(charts.map(({ file }) => file)).size).toBe(charts.length);
});

test("a bar is as long as its value, and the longest takes all of the room", () => {
  const rows = [rowOf("gambas-session", 50), rowOf("b", 200), rowOf("c", 100), rowOf("d", 20)];
  const lengths = lengthsOf(barChart(only(chartsOf(rows))));
  const unit = BAR_ROOM / 200;
  expect(lengths).toEqual({ b: BAR_ROOM, c: 100 * unit, "gambas-session": 50 * unit, d: 20 * unit });
});

test("a floor far beyond the bars is cut off and says so; one that is near is not", () => {
  const near = rowOf("floor: near", 110, { is_floor: true });
  const far = rowOf("floor: far", 10_000, { is_floor: true });
  const rows = [rowOf("gambas-session", 100), near, far];
  const svg = barChart(only(chartsOf(rows)));
  expect(lengthsOf(svg)["floor: far"]).toBe(BAR_ROOM);
  expect(lengthsOf(svg)["floor: near"]).toBeCloseTo((BAR_ROOM * 110) / 150, 0);
  expect(svg).toContain("» 10.0 k/s");
  expect(svg).not.toContain("» 110/s");
});

test("what is beside a bar says the figure, how it compares with ours, and what was lost", () => {
  const rows = [rowOf("gambas-session", 100, { lost: 0 }), rowOf("peer", 250, { lost: 1234 })];
  const { bars } = only(chartsOf(rows));
  expect(bars.map(({ text }) => text)).toEqual(["250/s, 2.50 × ours, 1,234 LOST", "100/s, none lost"]);
});

test("a case that nobody has heard of is drawn as well: by rate, by memory, else by time", () => {
  const shape = { case: "novel" };
  const rate = chartsOf([rowOf("a", 5, shape)]);
  const memory = chartsOf([rowOf("a", null, { ...shape, resident_mb: 50, bytes_per_session: 400 })]);
  const time = chartsOf([rowOf("a", null, { ...shape, p50_us: 1500 })]);
  expect([rate, memory, time].map((charts) => charts.map(({ bars }) => bars[0]?.text))).toEqual([
    ["5/s"],
    ["50 MB", "400 bytes"],
    ["1.50 ms"],
  ]);
});

test("nothing in a chart becomes markup", () => {
  const name = '<script>&"';
  const chart = { ...only(chartsOf([rowOf(name, 1)])), title: name, question: name, about: name };
  const goal: Goal = { case: name, text: name, target: 1, reached: 2, isMet: true, unit: name };
  for (const svg of [barChart(chart), goalChart([goal])]) {
    expect(svg).not.toContain("<script");
    expect(svg).not.toContain('&"');
    expect(svg).toContain("&lt;script&gt;&amp;&quot;");
  }
});

test("a goal is twice as far to the right for twice the rate, and for half the time", () => {
  const goal = (target: number, reached: number | undefined, isMet: boolean | undefined): Goal => ({
    ...{ case: "c", text: "t", unit: "x" },
    ...{ target, reached, isMet },
  });
  expect(timesTheGoal(goal(2, 4, true))).toBe(2);
  expect(timesTheGoal(goal(300, 150, true))).toBe(2);
  expect(timesTheGoal(goal(2, 1, false))).toBe(0.5);
  expect(timesTheGoal(goal(300, 600, false))).toBe(0.5);
  expect(timesTheGoal(goal(0, 0, true))).toBeUndefined();
  expect(timesTheGoal(goal(2, undefined, undefined))).toBeUndefined();
  const places = [goal(1, 2, true), goal(1, 4, true)].map((one) => {
    const [, width] = /class="met"[^>]* width="([\d.]+)"/.exec(goalChart([one])) ?? [];
    return Number(width);
  });
  expect((places[1] ?? 0) / (places[0] ?? 1)).toBeCloseTo(2, 1);
});

// `npm run bench -- --draw` writes it.
test("the page that is recorded is the picture of the run that is recorded", () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-picture-"));
  try {
    drawResults(recorded, folder);
    const results = join(repository, "bench/results");
    for (const name of readdirSync(folder)) {
      expect(readFileSync(join(folder, name), "utf8"), name).toBe(readFileSync(join(results, name), "utf8"));
    }
    const page = readFileSync(join(folder, "README.md"), "utf8");
    const shown = [...page.matchAll(/\]\(([\w-]+\.svg)\)/g)].map(([, file]) => file);
    expect(shown.toSorted()).toEqual(
      readdirSync(folder)
        .filter((name) => name.endsWith(".svg"))
        .toSorted(),
    );
    for (const goal of recorded.goals) expect(page).toContain(`## ${goal.case}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("what is left is guessed by the last run at the pace of this one", () => {
  const course = new Course(["a", "b", "c"], { a: 10, b: 20, c: 100 });
  expect(course.text).toBe("case 1 of 3, about 2 min left");
  course.note("a", 20);
  expect([course.left, course.text]).toEqual([240, "case 2 of 3, about 4 min left"]);
  course.note("b", 20);
  expect(course.text).toBe("case 3 of 3, about 2 min left");
});

test("what is left is unknown at first where no run was recorded, and then what each case took so far", () => {
  const course = new Course(["a", "b", "c"], {});
  expect(course.text).toBe("case 1 of 3, time left unknown");
  course.note("a", 30);
  expect(course.text).toBe("case 2 of 3, about 60 s left");
});
