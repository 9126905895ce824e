// What the checks make of facts. Every row of their table is planted (plants.ts): a row without a plant fails a test here.

import { describe, expect, it } from "vitest";
import { CHECKS, type Facts, type Finding, findingsIn, type Keeping } from "../../../daemon/doctor/checks/checks.ts";
import { conf, HEALTHY, HOUR_MS, others, PLANTS, planted, sqlite, TOLD } from "./plants.ts";

/** Those that matter where sessions are kept so, each of which finds that all is well. */
function checksOf(...kept: readonly Keeping[]): readonly string[] {
  return CHECKS.filter(({ isOf }) => isOf === undefined || kept.includes(isOf)).map(({ name }) => `${name}/fine`);
}

function nameOf({ check, name }: Pick<Finding, "check" | "name">): string {
  return `${check}/${name}`;
}

describe("the checks", () => {
  it("find nothing on a healthy root, and say of each thing that it is well", () => {
    const findings = findingsIn(HEALTHY);
    expect(findings.map(nameOf)).toEqual(checksOf("files", "whole files"));
    expect(findings.every(({ state, remedy }) => state === "ok" && remedy === null)).toBe(true);
  });

  it("look at the server where sessions are in no files, and at nothing that matters to files alone", () => {
    const told = { ...TOLD, type: "redis" };
    const findings = findingsIn(planted({ places: { type: "redis" }, daemon: { kind: "answers", told } }));
    expect(findings.map(nameOf)).toEqual(checksOf("servers"));
    expect(findings.find(({ check }) => check === "redis")?.seen).toBe(
      "Redis 7.0.15 at redis://db:6379, master, noeviction, keeps its log, 1 replica",
    );
  });

  it("look at SQLite and the guard where sessions are in databases, and at nothing that matters to whole files alone", () => {
    const told = { ...TOLD, type: "sqlite" };
    const facts = planted({ places: { type: "sqlite" }, daemon: { kind: "answers", told }, others: { type: "file" } });
    const findings = findingsIn(facts);
    expect(findings.map(nameOf)).toEqual(checksOf("files", "databases"));
    const seen = new Map(findings.map((finding) => [finding.check, finding.seen]));
    expect(seen.get("sqlite")).toBe(
      "node:sqlite (Node 22.1.0, SQLite 3.51.0); the daemon's guard keeps saves of Gambas programs whole",
    );
    expect(seen.get("sessions")).toBe("1,204 sessions, all of them databases, as far as their heads tell");
    expect(seen.get("other type")).toBe("no sessions of type file are in this root");
  });

  it("go by the daemon where it has what this Node has not", () => {
    const lacks = { lacks: { why: "not here", command: undefined } };
    const told = { ...TOLD, type: "sqlite" };
    const facts = planted({ ...sqlite({ library: lacks, guard: lacks }), daemon: { kind: "answers", told } });
    expect(findingsIn(facts).find(({ check }) => check === "sqlite")).toMatchObject({
      state: "ok",
      seen: "this Node has none, the daemon's does; the daemon's guard keeps saves of Gambas programs whole",
    });
  });

  it.each([
    ["3.22.0", true],
    ["3.22.0.1", true],
    ["3.20.2", false],
    ["3.22.01", false],
    ["3.22.1", false],
    ["13.22.0", false],
  ])("know of Gambas %s whether its type sqlite is broken: %s", (version, isBroken) => {
    const gambas = { installed: [{ path: "/usr/bin/gbx3", version }] };
    const found = findingsIn(planted({ ...others(HOUR_MS), gambas })).map(nameOf);
    expect(found.includes("gambas/broken-sqlite")).toBe(isBroken);
    expect(findingsIn(planted({ gambas })).map(nameOf)).not.toContain("gambas/broken-sqlite");
  });

  it.each(Object.entries(PLANTS))("find %s, and say what to do", (name, [plant, seen, remedy]) => {
    const found = findingsIn(planted(plant)).find((finding) => nameOf(finding) === name);
    expect(found?.seen).toContain(seen);
    const said = found?.remedy === null ? null : `${found?.remedy.advice}\n${found?.remedy.command ?? ""}`;
    if (remedy === null) expect(said).toBeNull();
    else expect(said).toContain(remedy);
  });

  it("have no row that nothing was planted for", () => {
    const rows = CHECKS.flatMap((check) => check.rows.map(({ name }) => nameOf({ check: check.name, name })));
    expect(rows).toEqual(Object.keys(PLANTS));
  });

  it("have a remedy for every warning and problem", () => {
    const rows = CHECKS.flatMap(({ rows }) => rows);
    expect(rows.filter(({ state, remedy }) => state !== "note" && remedy === undefined)).toEqual([]);
  });

  it("say that all is well of nothing that is not", () => {
    for (const [name, [plant]] of Object.entries(PLANTS)) {
      const findings = findingsIn(planted(plant));
      const bad = findings.filter(({ state }) => state === "warning" || state === "problem").map(({ check }) => check);
      const fine = findings.filter(({ state }) => state === "ok").map(({ check }) => check);
      expect([name, fine.filter((check) => bad.includes(check))]).toEqual([name, []]);
    }
  });
});

describe("the cleaners of temporary files", () => {
  const foundWith = (cleaners: Partial<Facts["cleaners"]>, root = "/tmp/gambas.1000"): readonly string[] =>
    findingsIn(planted({ places: { root, socket: `${root}/s` }, cleaners }))
      .filter(({ check }) => check === "cleaners")
      .map(({ name }) => name);
  const TMP = "q /tmp 1777 root root 10d";

  it.each([
    [TMP, "systemd-tmpfiles"],
    ["d /tmp 1777 root root ~10d", "systemd-tmpfiles"],
    ["q /tmp 1777 root root -", "fine"],
    ["q /var/tmp 1777 root root 30d", "fine"],
    ["q /tm 1777 root root 30d", "fine"],
    [`${TMP}\nx /tmp/gambas.*`, "fine"],
    [`${TMP}\nx /tmp/gambas.*/session`, "fine"],
    [`${TMP}\nx /tmp/other.*`, "systemd-tmpfiles"],
    [`${TMP}\nd /tmp/gambas.1000 0700 - - -`, "fine"],
    [`# ${TMP}`, "fine"],
  ])("are understood where systemd-tmpfiles is told %j", (text, name) => {
    expect(foundWith(conf(text))).toEqual([name]);
  });

  it("do nothing by the settings of a systemd that does not run", () => {
    expect(foundWith({ ...conf(TMP), hasSystemd: false })).toEqual(["fine"]);
  });

  it.each([
    ["TMPREAPER_TIME=7d", "tmpreaper"],
    ["SHOWWARNING=true\nTMPREAPER_TIME=7d", "fine"],
    ["TMPREAPER_PROTECT_EXTRA='/tmp/gambas.*'", "fine"],
    ["TMPREAPER_PROTECT_EXTRA='/tmp/gambas.1000/*'", "fine"],
    ["TMPREAPER_DIRS='/var/tmp/.'", "fine"],
    ['/usr/sbin/tmpwatch "$flags" -x /tmp/.X11-unix 10d /tmp', "tmpreaper"],
    ['/usr/sbin/tmpwatch "$flags" -x /tmp/gambas.1000 10d /tmp', "fine"],
    ['/usr/sbin/tmpwatch "$flags" 30d /var/tmp', "fine"],
  ])("are understood where tmpreaper or tmpwatch is told %j", (text, name) => {
    expect(foundWith({ reapers: [{ path: "/etc/x", text }] })).toEqual([name]);
  });
});
