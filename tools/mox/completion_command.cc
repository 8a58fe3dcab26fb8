// mox completion: scripts that complete command lines. What can stand there they read from --help, so no list is kept.
#include <cstdio>

#include "command.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

constexpr char kHelp[] =
    "Usage: mox completion [bash|zsh|fish]\n"
    "Prints a script that completes commands, options, their values, local and s3:// paths.\n\n"
    "  bash  eval \"$(mox completion bash)\" in ~/.bashrc\n"
    "  zsh   eval \"$(mox completion zsh)\" in ~/.zshrc\n"
    "  fish  mox completion fish > ~/.config/fish/completions/mox.fish\n";

// Of a word like --dtype=fl bash makes three (COMP_WORDBREAKS has =), zsh leaves it whole: the line is read instead.
constexpr char kBash[] = R"bash(
_mox_help() {  # of the command that the line begins with
  local first=$1 second=$2 help
  [[ -z $first || $first == -* ]] && { mox --help 2>/dev/null; return; }
  help=$(mox "$first" --help 2>/dev/null)
  if [[ -n $second && $second != -* ]] && grep -q "^  $second  " <<< "$help"; then
    mox "$first" "$second" --help 2>/dev/null
  else
    printf '%s\n' "$help"
  fi
}
_mox_commands() { sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  .*/\1/p'; }
_mox_options() { grep -oE '^ +(-[a-zA-Z],)?--[a-z_0-9-]+' | grep -oE -- '--[a-z_0-9-]+'; }
_mox_values() {  # of option $1
  local type
  type=$(grep -E -- "--$1 [A-Z]" | head -n 1)
  case $type in
    *" BOOLEAN"*) printf 'true\nfalse\n' ;;
    *" TEXT:{"*) type=${type#*\{}; echo "${type%%\}*}" | tr ',' '\n' ;;
  esac
}
_mox() {
  local line="${COMP_LINE:0:$COMP_POINT}" word name
  word="${line##* }"
  set -f; set -- ${line%"$word"}; set +f  # $2 and $3: the command
  local IFS=$'\n'
  COMPREPLY=()
  if [[ "$word" =~ ^(s3|obs)://[^/]+/ ]]; then
    while IFS= read -r name; do
      name="${word%/*}/$name"
      [[ "$name" == "$word"* ]] && COMPREPLY+=("${name#*:}")
    done < <(MOX_RETRY=1 MOX_CLIENT_TIMEOUT=3 mox file ls "${word%/*}/" 2>/dev/null)
    compopt -o nospace 2>/dev/null
  elif [[ $word == --*=* ]]; then
    name="${word%%=*}"
    COMPREPLY=($(compgen -W "$(_mox_help "$2" "$3" | _mox_values "${name#--}")" -- "${word#*=}"))
    [[ ${#COMPREPLY[@]} = 0 ]] && COMPREPLY=($(compgen -f -- "${word#*=}"))
    [[ -n $ZSH_VERSION ]] && COMPREPLY=("${COMPREPLY[@]/#/$name=}")
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$(_mox_help "$2" "$3" | _mox_options)" -- "$word"))
  else
    [[ $# -le 2 ]] && COMPREPLY=($(compgen -W "$(_mox_help "$2" | _mox_commands)" -- "$word"))
    [[ ${#COMPREPLY[@]} = 0 ]] && COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _mox mox
)bash";

constexpr char kZsh[] = "autoload -U +X bashcompinit && bashcompinit\n";

constexpr char kFish[] = R"fish(function __mox_help
    set -l words (commandline -opc)
    set -l command
    for word in $words[2..3]
        string match -q -- '-*' $word; and break
        set -a command $word
    end
    mox $command --help 2>/dev/null
end
function __mox_commands
    test (count (commandline -opc)) -le 2; or return
    __mox_help | sed -n '/^Commands:/,/^$/p' | string replace -rf '^  ([a-z]+)  +(.*)' '$1\t$2'
end
function __mox_options
    __mox_help | string replace -rf '^ +(?:-[a-zA-Z],)?(--[a-z_0-9-]+)(?: \S+)*  +(.*)' '$1\t$2'
end
function __mox_values
    set -l name (string replace -r '=.*' '' -- (commandline -ct))
    set -l line (__mox_help | string match -r -- "$name [A-Z].*")[1]
    if string match -q -- '* BOOLEAN*' $line
        printf '%s\n' $name=true $name=false
    else
        string replace -rf '.*TEXT:\{([^}]*)\}.*' '$1' -- $line | string split , | string replace -r -- '^' $name=
    end
end
# Files are offered where neither commands nor values are.
complete -c mox -f -n 'count (__mox_commands) >/dev/null' -a '(__mox_commands)'
complete -c mox -n 'string match -q -- "-*" (commandline -ct)' -a '(__mox_options)'
complete -c mox -f -n 'string match -q -- "--*=*" (commandline -ct); and count (__mox_values) >/dev/null' -a '(__mox_values)'
)fish";

}  // namespace

int run_completion(const std::vector<std::string>& args) {
  const std::string shell = args.empty() ? "bash" : args[0];
  if (shell == "--help" || shell == "-h") {
    std::fputs(kHelp, stdout);
    return kDone;
  }
  if (args.size() > 1 || (shell != "bash" && shell != "zsh" && shell != "fish"))
    throw InvalidArgumentError("unknown shell '" + (args.size() > 1 ? args[1] : shell) +
                               "', expected one of bash, zsh, fish");
  if (shell == "zsh") std::fputs(kZsh, stdout);
  std::fputs(shell == "fish" ? kFish : kBash, stdout);
  return kDone;
}

}  // namespace mox::cli
