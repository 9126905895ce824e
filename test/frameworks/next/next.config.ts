// Two builds beside each other: the package bundled, as Next.js does by itself, and left where it is installed.
import { dirname } from "node:path";

const { BUILD = "bundled" } = process.env;

export default {
  distDir: BUILD,
  serverExternalPackages: BUILD === "external" ? ["gambas-session"] : [],
  // What the pages of all frameworks are is beside this folder.
  turbopack: { root: dirname(dirname(dirname(import.meta.dirname))) },
};
