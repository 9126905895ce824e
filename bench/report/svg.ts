// The few elements that charts are made of, their escaping, and one style for light and dark pages. A chart brings its ground with it, because
// the page around it may be light where the reader's system is dark. Loads nothing.

const STYLE = `
  .ground { fill: #ffffff; stroke: #d8dee4; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 15px; }
  .soft { fill: #57606a; font-size: 12px; }
  .strong { font-weight: 600; }
  .peer { fill: #8c959f; }
  .ours { fill: #0969da; }
  .floor { fill: #f6f8fa; stroke: #8c959f; stroke-dasharray: 3 3; }
  .met { fill: #1a7f37; }
  .missed { fill: #bc4c00; }
  .axis { stroke: #d8dee4; }
  .goal { stroke: #24292f; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .soft { fill: #9198a1; }
    .peer { fill: #6e7681; }
    .ours { fill: #4493f8; }
    .floor { fill: #161b22; stroke: #6e7681; }
    .met { fill: #3fb950; }
    .missed { fill: #f0883e; }
    .axis { stroke: #30363d; }
    .goal { stroke: #e6edf3; }
  }`;

/** Of an element; a number has one decimal place. */
export type Attributes = Readonly<Record<string, string | number>>;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** @param label what the picture is, for those who do not see it. */
export function drawing({ width, height }: Size, label: string, elements: readonly string[]): string {
  const box = { viewBox: `0 0 ${width} ${height}`, width, height };
  const ground = element("rect", { class: "ground", x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 10 });
  return `<svg xmlns="http://www.w3.org/2000/svg" ${attributesOf({ ...box, role: "img", "aria-label": label })}>
<style>${STYLE}
</style>
${[ground, ...elements].join("\n")}
</svg>
`;
}

export function element(name: string, attributes: Attributes): string {
  return `<${name} ${attributesOf(attributes)}/>`;
}

export function textAt(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return `<text ${attributesOf({ x, y, ...attributes })}>${escaped(content)}</text>`;
}

/** Long numbers in a text, with their thousands set apart: 1000000 files -> 1,000,000 files. */
export function grouped(text: string): string {
  return text.replace(/\d{5,}/g, (digits) => Number(digits).toLocaleString("en"));
}

function attributesOf(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(
      ([name, value]) =>
        `${name}="${escaped(typeof value === "number" ? String(Math.round(value * 10) / 10) : value)}"`,
    )
    .join(" ");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
