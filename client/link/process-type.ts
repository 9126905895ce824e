// The type of the sessions of this process: what clients have that name none. Decided once, by the first of them that looks for its daemon, since
// sessions of another type are other sessions.

import { SessionError } from "../../protocol/errors.ts";
import { findType } from "../../protocol/places.ts";
import type { SessionType, TypeName } from "../../protocol/types.ts";
import { onePerProcess } from "../process-wide.ts";

interface Choice {
  chosen: TypeName | undefined;
  isDecided: boolean;
}

const choice: Choice = onePerProcess("type", () => ({ chosen: undefined, isDecided: false }));

/** @throws SessionError ERR_BAD_OPTION where the environment names a type that there is not. */
export function typeOfProcess(): TypeName {
  return choice.chosen ?? findType({}, process.env);
}

/** For a client that is about to look for its daemon. */
export function decideType(): TypeName {
  choice.chosen = typeOfProcess();
  choice.isDecided = true;
  return choice.chosen;
}

/** @throws SessionError ERR_BAD_OPTION once another one is decided. */
export function chooseType(type: SessionType): void {
  if (type !== choice.chosen && choice.isDecided) throw typeIsDecided(type, typeOfProcess());
  choice.chosen = type;
}

export function typeIsDecided(wanted: SessionType, type: string): SessionError {
  const what = `Session.Type cannot become "${wanted}": sessions of type "${type}" are in use already. Set it before the first session is used, or say it by the option type.`;
  return new SessionError("ERR_BAD_OPTION", what);
}
