// Which version of the package this is. A constant, since a bundle has no package.json beside it.

export const VERSION = "0.1.0";
