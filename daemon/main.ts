#!/usr/bin/env node
// The program gambas-sessiond. Whatever it does is a command of the command line.

import "./node-version.ts";

import { runCommandLine } from "./cli/command-line.ts";

process.exitCode = await runCommandLine(process.argv.slice(2));
