// A behaviour of express-session as a sentence, and a function that shows it with an application of any kind.
import type { Application, Place } from "../kinds.ts";

export type Open = (application?: Application) => Promise<Place>;
export type Case = readonly [sentence: string, show: (open: Open) => Promise<void>];
