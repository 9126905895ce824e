// What sessions hold in blocks that do not say it themselves.

import "gambas-session";

declare global {
  interface Line {
    readonly name: string;
    readonly price: number;
  }
}

declare module "gambas-session" {
  interface SessionData {
    cart?: Line[];
    user?: string;
    visits?: number;
  }
}
