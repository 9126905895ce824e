// Which server Sentinels hold for the master, by what each of them says. One that was cut off says what was true before, so neither the first answer
// counts nor the most frequent one, but that of the highest configuration epoch: with every failover there is a higher one, and only the Sentinel that
// carries it out, and whoever was told by it, has it.

/** A server as Sentinels call it: the same one may have an address here and a name there. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** What one Sentinel says. */
export interface View {
  readonly place: Place;
  readonly epoch: number;
  /** A replica was chosen to take its place, and is not known to have done so yet: what is written to it from now on may be lost. */
  readonly isBeingReplaced: boolean;
  /** How many Sentinels watch it, as far as this one knows. */
  readonly sentinels: number;
}

/** What counts. */
export interface Configuration {
  readonly epoch: number;
  /** The master by all the names that it has. */
  readonly places: readonly [Place, ...Place[]];
  readonly isBeingReplaced: boolean;
}

/** States of a failover in which its Sentinel is not elected to carry it out, and perhaps never will be. */
const UNDECIDED = ["none", "wait_start"];

/**
 * @param told the answer of SENTINEL MASTER.
 * @param named that of SENTINEL GET-MASTER-ADDR-BY-NAME, which was asked behind it: once a replica has been promoted the first says the new epoch,
 *   and for some time still the old address. In this order the address is never older than the epoch.
 * @returns undefined where the Sentinel watches no master of this name.
 */
export function viewOf(told: unknown, named: unknown): View | undefined {
  const fields = fieldsIn(told);
  const epoch = Number(fields.get("config-epoch") ?? Number.NaN);
  if (!Array.isArray(named) || Number.isNaN(epoch)) return undefined;
  const place = { host: String(named[0]), port: Number(named[1]) };
  const isUnchanged = isSame(place, { host: fields.get("ip") ?? "", port: Number(fields.get("port")) });
  const isDecided = !UNDECIDED.includes(fields.get("failover-state") ?? "none");
  return {
    place,
    epoch,
    isBeingReplaced: isUnchanged && isDecided,
    sentinels: 1 + Number(fields.get("num-other-sentinels") ?? 0),
  };
}

/** Undefined: nobody has said anything. */
export function newest(views: readonly View[]): Configuration | undefined {
  const epoch = Math.max(...views.map((view) => view.epoch));
  const [first, ...others] = views.filter((view) => view.epoch === epoch);
  if (first === undefined) return undefined;
  return {
    epoch,
    places: [first.place, ...others.map(({ place }) => place)],
    isBeingReplaced: [first, ...others].some(({ isBeingReplaced }) => isBeingReplaced),
  };
}

export function isSame(one: Place, other: Place): boolean {
  return one.host === other.host && one.port === other.port;
}

/** By RESP3 a map, in the shape that the client gives it; before that a list of names and values. */
function fieldsIn(told: unknown): ReadonlyMap<string, string> {
  const flat: readonly unknown[] = Array.isArray(told) ? told : Object.entries(told ?? {}).flat();
  const fields = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(String(flat[at]), String(flat[at + 1]));
  return fields;
}
