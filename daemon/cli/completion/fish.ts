// Completion for fish.

import type { FlagWords, Hint, Words } from "./words.ts";

const COMPLETE = "complete -c gambas-sessiond";
/** What the function of the script is asked where no command was named. */
const NO_COMMAND = "none";

export function fishScript({ commands, flags, flagsWithValue }: Words): string {
  const valueFlags = flagsWithValue.map(({ name }) => `--${name}`).join(" ");
  const names = commands.map(({ name }) => name).join(" ");
  const lines = [
    `${COMPLETE} -f`,
    ...commands.map(({ name, meaning }) => `${when(NO_COMMAND)} -a ${name} -d ${quoted(meaning)}`),
    ...flags.map((flag) => flagLine(NO_COMMAND, flag)),
    ...commands.flatMap(({ name, flags: own, operand }) => [
      ...own.map((flag) => flagLine(name, flag)),
      ...(operand === undefined || operand.hint.kind === "unknown" ? [] : [`${when(name)} ${valuesOf(operand.hint)}`]),
    ]),
  ];
  return `# Completion of gambas-sessiond for fish. In ~/.config/fish/config.fish: gambas-sessiond completion fish | source
function __gambas_sessiond_is
    set -l before ''
    for word in (commandline -opc)[2..-1]
        if not contains -- $before ${valueFlags}; and contains -- $word ${names}
            test $word = $argv[1]
            return
        end
        set before $word
    end
    test ${NO_COMMAND} = $argv[1]
end
${lines.join("\n")}
`;
}

function flagLine(command: string, { name, meaning, value }: FlagWords): string {
  const short = name === "help" ? " -s h" : "";
  const values = value === undefined ? "" : ` -r ${valuesOf(value.hint)}`;
  return `${when(command)}${short} -l ${name}${values} -d ${quoted(meaning)}`;
}

function when(command: string): string {
  return `${COMPLETE} -n '__gambas_sessiond_is ${command}'`;
}

function valuesOf(hint: Hint): string {
  if (hint.kind === "words") return `-f -a '${hint.words.join(" ")}'`;
  return { files: "-F", directories: "-f -a '(__fish_complete_directories)'", unknown: "-f" }[hint.kind];
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
