// gambas-session/store: `session({ store: new GambasStore(), secret, … })` of express-session.

export { GambasStore, GambasStore as default, type GambasStoreOptions } from "../express/store/store.ts";
