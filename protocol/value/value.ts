// The codec of Gambas values: the one door to the files of this folder.

export { Decoder, decodeScalar, decodeScanned, decodeValue } from "./decode.ts";
export { type Encoded, encodeValue } from "./encode.ts";
export { isObjectTag, MAX_DEPTH } from "./format.ts";
export { isGambasObject, isInstance, TypedValue, typed } from "./kind.ts";
export { Origins } from "./origins.ts";
export { endOfValue, MAX_SCAN_DEPTH, newScan, typeOfValue } from "./scan.ts";
export { AsciiCutter } from "./text.ts";
