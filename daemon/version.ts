// Which version of the package this is.

import { createRequire } from "node:module";

const description: { readonly version: string } = createRequire(import.meta.url)("gambas-session/package.json");

export const VERSION: string = description.version;
