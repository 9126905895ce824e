// What users import, each export of the package in a few files in place of a hundred: Node takes about a millisecond for a file, and every worker takes
// it at each start (120 ms before, 40 ms so). Run by `npm run build`, on what the compiler has made.

import { readFileSync } from "node:fs";
import { basename } from "node:path";

const ENTRIES = "./dist/entries/";
const { exports } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const entries = Object.values(exports).filter((entry) => entry.default?.startsWith(ENTRIES));

export default {
  // By what package.json says of each: its declarations lie beside what is bundled.
  input: Object.fromEntries(
    entries.map((entry) => [basename(entry.default, ".js"), entry.types.replace(".d.ts", ".js")]),
  ),
  platform: "node",
  // Packages stay what they are: one of each in a process, whoever uses it.
  external: /^[^./]/,
  // It reads like the sources: who looks at the lines of a stack finds their names.
  optimization: { inlineConst: false },
  output: {
    dir: ENTRIES,
    cleanDir: true,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "shared/[name].js",
    codeSplitting: {
      groups: [{ name: "client", minShareCount: 2 }],
    },
  },
};
