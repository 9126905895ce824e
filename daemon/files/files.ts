// The door to what the daemon does with files: whole files, how the files of a session are opened, the system calls that Node does not have,
// and which error the system has reported.

export { isUnsupported, native, nativeProblem } from "./native.ts";
export { isOnlyOurs, makeTwin, type OpenFile, openToRead, openToStamp, openTwin, unreadable } from "./opening.ts";
export { isMissing, isSystemError } from "./system-errors.ts";
export { closeDescriptor, readAll, removeFile, writeAll } from "./whole.ts";
