// The backends that there are, held to the suite of their seam.

import { ENGINES } from "../../../daemon/engines.ts";
import { onStore } from "../../../daemon/local/local.ts";
import { ToyEngine } from "../../support/daemon/toy-engine.ts";
import { describeSqlite } from "../../support/sqlite.ts";
import { describeBackend } from "./backend-conformance.ts";

describeBackend("file", await ENGINES.file());
describeBackend("memory", await ENGINES.memory());
describeBackend(
  "a toy",
  onStore(() => new ToyEngine()),
);

const databases = await ENGINES.sqlite();
describeSqlite("in databases", () => describeBackend("sqlite", databases, () => ({ type: "sqlite" })));
