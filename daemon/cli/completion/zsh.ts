// Completion for zsh, by its own _arguments.

import type { CommandWords, FlagWords, Hint, Words } from "./words.ts";

export function zshScript({ commands, flags, flagsWithValue }: Words): string {
  const valueFlags = flagsWithValue.map(({ name }) => `--${name}`).join("|");
  return `#compdef gambas-sessiond
# Completion of gambas-sessiond for zsh. In ~/.zshrc, behind compinit: source <(gambas-sessiond completion zsh)
# Or in a file _gambas-sessiond of a directory of $fpath.

_gambas-sessiond() {
  local command="" i
  for ((i = 2; i < CURRENT; i++)); do
    case "$words[i-1]" in
      (${valueFlags}) continue ;;
    esac
    case "$words[i]" in
      (${commands.map(({ name }) => name).join("|")}) command="$words[i]"; break ;;
    esac
  done
  case "$command" in
${commands.map((command) => `    (${command.name}) ${argumentsOf(command)} ;;`).join("\n")}
    (*) ${["_arguments", ...flags.map(flagSpec), "'1:command:_gambas-sessiond-commands'"].join(" \\\n      ")} ;;
  esac
}

_gambas-sessiond-commands() {
  local -a commands=(
${commands.map(({ name, meaning }) => `    ${quoted(`${name}:${meaning}`)}`).join("\n")}
  )
  _describe command commands
}

if [[ "$funcstack[1]" == _gambas-sessiond ]]; then
  _gambas-sessiond "$@"
else
  compdef _gambas-sessiond gambas-sessiond
fi
`;
}

/** The name of the command is the first operand. Where nothing can be offered, zsh would say so instead of completing a flag. */
function argumentsOf({ name, flags, operand }: CommandWords): string {
  const rest =
    operand === undefined || operand.hint.kind === "unknown"
      ? []
      : [quoted(`*:${operand.name}:${actionOf(operand.hint)}`)];
  return ["_arguments", ...flags.map(flagSpec), quoted(`1: :(${name})`), ...rest].join(" \\\n      ");
}

function flagSpec({ name, meaning, value }: FlagWords): string {
  const text = `[${meaning.replace(/[[\]\\]/g, "\\$&")}]`;
  if (name === "help") return `'(-h --help)'{-h,--help}${quoted(text)}`;
  if (value === undefined) return quoted(`--${name}${text}`);
  return quoted(`--${name}=${text}:${value.name}:${actionOf(value.hint)}`);
}

function actionOf(hint: Hint): string {
  if (hint.kind === "words") return `(${hint.words.join(" ")})`;
  return { files: "_files", directories: "_directories", unknown: " " }[hint.kind];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
