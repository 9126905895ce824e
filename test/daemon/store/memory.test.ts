import { MemoryStore } from "../../../daemon/store/memory/store.ts";
import { describeStore } from "./conformance.ts";

describeStore("memory", { open: () => new MemoryStore(), close: (store) => store.close() });
