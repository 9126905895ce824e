// Completion for bash, from 3.2 (that of macOS) on.

import type { CommandWords, Hint, Words } from "./words.ts";

export function bashScript({ commands, flags, flagsWithValue }: Words): string {
  const names = commands.map(({ name }) => name);
  const valueFlags = flagsWithValue.map(({ name }) => `--${name}`).join("|");
  return `# Completion of gambas-sessiond for bash. In ~/.bashrc: eval "$(gambas-sessiond completion bash)"
_gambas_sessiond() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command="" flags="" i
  local IFS=$'\\n'
  COMPREPLY=()
  # bash takes --flag=value apart.
  if [[ $cur == "=" ]]; then
    cur=""
  elif [[ $prev == "=" ]]; then
    prev="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i-1]}" in
      ${valueFlags}|=) continue ;;
    esac
    case "\${COMP_WORDS[i]}" in
      ${names.join("|")}) command="\${COMP_WORDS[i]}"; break ;;
    esac
  done
  case "$prev" in
${flagsWithValue.map(({ name, value }) => `    --${name}) ${replies(value.hint)}; return ;;`).join("\n")}
  esac
  case "$command" in
${commands.map((command) => `    ${command.name}) flags=${listOf(flagNames(command))} ;;`).join("\n")}
    *) flags=${listOf(flagNames({ flags }))} ;;
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
    return
  fi
  case "$command" in
${commands.map(({ name, operand }) => `    ${name}) ${operand === undefined ? ":" : replies(operand.hint)} ;;`).join("\n")}
    *) ${replies({ kind: "words", words: names })} ;;
  esac
}
complete -F _gambas_sessiond gambas-sessiond
`;
}

function flagNames({ flags }: Pick<CommandWords, "flags">): readonly string[] {
  return flags.flatMap(({ name }) => (name === "help" ? ["-h", "--help"] : [`--${name}`]));
}

function replies(hint: Hint): string {
  switch (hint.kind) {
    case "words":
      return `COMPREPLY=($(compgen -W ${listOf(hint.words)} -- "$cur"))`;
    case "files":
      return `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))`;
    case "directories":
      return `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur"))`;
    default:
      return ":";
  }
}

/** One a line: so the function takes words apart. */
function listOf(words: readonly string[]): string {
  return `$'${words.join("\\n")}'`;
}
