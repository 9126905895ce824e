// The same cases with express-session and the store it brings: they ask for what it does.
import { showCases } from "./show.ts";

showCases(["control"]);
