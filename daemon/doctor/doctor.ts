// The door to the doctor, who looks at everything that a daemon and its sessions need, and says what was found with what to do about it. Treats
// nothing: looks change nothing, and what is to be changed is up to whoever reads it.

import { isCode } from "../../protocol/errors.ts";
import type { Places } from "../../protocol/places.ts";
import { type DaemonOptions, resolveConfig } from "../config.ts";
import { type Finding, findingsIn } from "./checks/checks.ts";
import { type Around, lookAround } from "./looks/looks.ts";

export type { Finding, Remedy, State } from "./checks/checks.ts";

export interface Examination extends Places {
  readonly findings: readonly Finding[];
}

/** @throws SessionError ERR_BAD_OPTION. */
export async function examine(options: DaemonOptions): Promise<Examination> {
  const { places, tooLong, redis } = placesOf(options);
  const facts = await lookAround({ places, tooLong, redis });
  return { ...places, findings: findingsIn(facts) };
}

/** A socket's path that no system takes is a finding, and keeps nobody from looking at the rest. */
function placesOf(options: DaemonOptions): Around {
  try {
    const { root, socket, type, redis } = resolveConfig(options);
    return { places: { root, socket, type }, tooLong: undefined, redis };
  } catch (error) {
    if (!isCode(error, "ERR_SOCKET_PATH")) throw error;
    const { root, socket, type, redis } = resolveConfig({ ...options, socket: "/" });
    return { places: { root, socket, type }, tooLong: error.what, redis };
  }
}
