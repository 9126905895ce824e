// Refuses a Node that is too old, whichever export is loaded.

import { checkNode } from "../protocol/node-version.ts";

checkNode(process.versions.node);
