// The door to the daemon's file operations: reading and writing whole files, opening the files of a session, the system
// calls that Node does not have, and telling the errors of the system apart.

export { isUnsupported, native, nativeProblem } from "./native.ts";
export { isOnlyOurs, makeTwin, type OpenFile, openToRead, openToStamp, openTwin, unreadable } from "./opening.ts";
export { isFull, isMissing, isOutOfDescriptors, isSystemError } from "./system-errors.ts";
export { closeDescriptor, readAll, removeFile, writeAll } from "./whole.ts";
