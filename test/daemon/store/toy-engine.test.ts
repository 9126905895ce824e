import { ToyEngine } from "../../support/daemon/toy-engine.ts";
import { describeStore } from "./conformance.ts";

describeStore("toy", { open: () => new ToyEngine(), close: (store) => store.close() });
