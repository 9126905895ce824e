// Images and files in the dialect of the Gambas that the interop tests meet.
import { type Dialect, dialectOf, fileOfImage, imageOfFile } from "../../../protocol/image/image.ts";
import { isNewerGambas } from "./gambas-version.ts";

const ROOT_AT = 16;

/** What this Gambas writes. */
export const dialect: Dialect = isNewerGambas ? "3.19" : "3.18";

/** The image of a file, whose bytes stay as they are. */
export function imageIn(file: Uint8Array): Buffer {
  const image = Buffer.from(file);
  imageOfFile(image);
  return image;
}

/** The file that this Gambas would write for an image. */
export function asWritten(image: Buffer): Buffer {
  if (dialectOf(image) === dialect) return fileOfImage(image);
  const other = Buffer.from(image);
  other[ROOT_AT] = (other[ROOT_AT] ?? 0) + (isNewerGambas ? 1 : -1);
  return fileOfImage(other);
}

/** All that an image says but when it was saved, and in which dialect. */
export function bodyOf(image: Buffer): string {
  return image.toString("hex", 8, ROOT_AT) + image.toString("hex", ROOT_AT + 1);
}
