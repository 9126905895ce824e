// What the page says of where its session is: in a file, in a database, or on a server that two hosts share. Pure.

/** The words of a type of sessions. */
export interface Words {
  /** Under the name of the bar. */
  readonly claim: string;
  readonly promise: string;
  /** What holds the session. */
  readonly holder: string;
  /** The line of a Gambas program that says the type; undefined: none can. */
  readonly gambas: string | undefined;
}

const WITH_GAMBAS = "Every worker sees what any other wrote, and so does a Gambas program.";

const FILE: Words = {
  claim: "Four workers, one session, one file.",
  promise: WITH_GAMBAS,
  holder: "file",
  gambas: 'Session.Type = "file"',
};
const WORDS: Readonly<Record<string, Words>> = {
  sqlite: {
    claim: "Four workers, one session, one database.",
    promise: WITH_GAMBAS,
    holder: "database",
    gambas: `Session.Type = "sqlite" ' as it is by default`,
  },
  redis: {
    claim: "Two hosts, four workers, one session in Redis.",
    promise: "Every worker sees what any other wrote, on either host.",
    holder: "session",
    gambas: undefined,
  },
};

/** @param type what `Session.Type` is. */
export function wordsOf(type: string): Words {
  return WORDS[type] ?? FILE;
}
