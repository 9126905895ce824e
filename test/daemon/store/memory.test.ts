import { MemoryStore } from "../../../daemon/store/memory.ts";
import { describeStore } from "./conformance.ts";

describeStore("memory", { open: () => new MemoryStore(), close: (store) => store.close() });
