// Text that others chose, for a terminal: what it would obey, or show in another order than it is, becomes an escape that can be read.

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant.
const UNSHOWN = /[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export function safeText(text: string): string {
  return text.replace(UNSHOWN, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
