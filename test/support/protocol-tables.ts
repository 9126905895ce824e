// The operation table and the error table as Markdown, for protocol/PROTOCOL.md, which a test compares with them.

import { ERRORS } from "../../protocol/errors.ts";
import { OPERATIONS } from "../../protocol/wire/operations.ts";

interface NamedShapes {
  readonly [field: string]: { readonly name: string };
}

/** One row per operation: what it means, what travels in which order, what it may answer instead. */
export function describeOperations(): string {
  const head = ["number", "operation", "since", "request", "response", "errors", "meaning"];
  const rows = Object.entries(OPERATIONS).map(([name, row]) => [
    String(row.number),
    code(name),
    String(row.since),
    fieldsOf(row.request),
    fieldsOf(row.response),
    row.errors.map(code).join(" "),
    row.meaning,
  ]);
  return table(head, rows);
}

/** One row per error: what happened, what to do, and whether the same call may succeed later. */
export function describeErrors(): string {
  const rows = Object.entries(ERRORS).map(([name, row]) => [
    code(name),
    row.text,
    row.remedy,
    "isRetryable" in row ? "yes" : "",
  ]);
  return table(["code", "what happened", "what to do", "may succeed later"], rows);
}

function fieldsOf(fields: NamedShapes): string {
  return Object.entries(fields)
    .map(([name, shape]) => code(`${name}: ${shape.name}`))
    .join(", ");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.map(cell).join(" | ")} |`).join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replace(/<(?=[a-z])/g, "\\<");
}

function code(text: string): string {
  return `\`${text}\``;
}
