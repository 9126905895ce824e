// The codec of Gambas values: the one door to the files protocol/value-*.ts, which describe themselves.

export { decodeScalar, decodeScanned, decodeValue, MAX_DEPTH } from "./value-decode.ts";
export { type Encoded, encodeValue, type PreviousValue } from "./value-encode.ts";
export { isGambasObject } from "./value-kind.ts";
export { Original } from "./value-original.ts";
export { Origins } from "./value-origins.ts";
export { endOfValue, MAX_SCAN_DEPTH, newScan, type Scan, typeOfValue } from "./value-scan.ts";
export { AsciiCutter } from "./value-text.ts";
export { TypedValue, typed } from "./value-typed.ts";
