// The codec of Gambas values: the one door to the files protocol/value-*.ts, which describe themselves.

export { Decoder, decodeScalar, decodeScanned, decodeValue } from "./decode.ts";
export { type Encoded, encodeValue, type PreviousValue } from "./encode.ts";
export { isObjectTag, MAX_DEPTH } from "./format.ts";
export { isGambasObject, TypedValue, typed } from "./kind.ts";
export { Origins } from "./origins.ts";
export { endOfValue, MAX_SCAN_DEPTH, newScan, type Scan, typeOfValue } from "./scan.ts";
export { AsciiCutter } from "./text.ts";
