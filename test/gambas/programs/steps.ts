// What a test lets a Node program do with the session of a context, step by step: the counterpart of the oracle's commands.
import { Session, SessionError, typed } from "gambas-session";

/** `["set", key, value, type?]`, `["get", key]`, `["read", "Timeout"]` … */
export type Step = readonly [name: string, ...args: unknown[]];

/** One key as a Node program sees it. `problem` is the code of what was thrown instead of a value. */
export interface Shown {
  readonly key: string;
  readonly type: string | undefined;
  readonly value: unknown;
  readonly problem?: string;
}

type Action = (first: never, second: never, third: never) => unknown;

const actions: Readonly<Record<string, Action>> = {
  set: (key: string, value: unknown, type?: string) =>
    Session.set(key, type === undefined ? value : typed(type, value)),
  get: (key: string) => Session.get(key),
  delete: (key: string) => Session.delete(key),
  exist: (key: string) => Session.Exist(key),
  keys: () => Session.Keys,
  type: (key: string) => Session.TypeOf(key),
  dump: () => Session.Keys.map(shown),
  /** Changes a stored object or array in place. */
  poke: (key: string, place: string, value: unknown) =>
    void Object.assign(Session.get(key) as object, { [place]: value }),
  /** Puts the same object under another key. */
  share: (key: string, other: string) => Session.set(other, Session.get(key)),
  same: (key: string, other: string) => Session.get(key) === Session.get(other),
  read: (member: string) => Reflect.get(Session, member),
  write: (member: string, value: unknown) => Reflect.set(Session, member, value),
  save: () => Session.Save(),
  load: () => Session.Load(),
  abandon: () => Session.Abandon(),
  regenerate: () => Session.Regenerate(),
};

/** One answer per step. */
export async function perform(steps: readonly Step[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const [name, ...args] of steps) {
    const action = actions[name];
    if (action === undefined) throw new Error(`there is no step ${name}`);
    answers.push(await action(...(args as [never, never, never])));
  }
  return answers;
}

function shown(key: string): Shown {
  const type = Session.TypeOf(key);
  try {
    return { key, type, value: Session.get(key) };
  } catch (error) {
    if (error instanceof SessionError) return { key, type, value: undefined, problem: error.code };
    throw error;
  }
}
