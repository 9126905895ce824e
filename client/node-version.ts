// Refuses a Node that is too old, by being imported before everything else.

import { checkNode } from "../protocol/node-version.ts";

checkNode(process.versions.node);
