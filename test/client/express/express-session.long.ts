// The same cases with express-session: over our store, and over the one it brings, which shows that they ask for what it does.
import { showCases } from "./show.ts";

showCases(["store", "control"]);
