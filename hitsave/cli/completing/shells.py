"""How shells ask for words, and how they are answered.

The script that `hitsave completion SHELL` prints runs `hitsave` with the variable ASKING set to the shell's name and
the words before the cursor as arguments, the last one being what is to be completed. Of bash these are the line up to
the cursor, since it breaks words also at `:` and `=`, and the characters at which it does so. The answer is a line for
each word: type, word and description, with tabs between them.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

#: The variable by which a script asks.
ASKING = "_HITSAVE_COMPLETE"

_BASH = """\
# Completion of hitsave for bash 4.4 or newer.
_hitsave() {
    local kind word text raw=
    local -a words=()
    COMPREPLY=()
    while IFS=$'\\t' read -r kind word text; do
        case $kind in
            file) compopt -o default; return ;;
            dir) compopt -o dirnames; return ;;
            path) compopt -o filenames; raw=1 ;;
            folder) compopt -o filenames -o nospace; raw=1 ;;
            partial) compopt -o nospace ;;
        esac
        words+=("$word")
    done < <(_HITSAVE_COMPLETE=bash "$1" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    for word in "${words[@]}"; do
        [[ -n $raw ]] || printf -v word %q "$word"
        COMPREPLY+=("$word")
    done
}
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)); then
    complete -o nosort -F _hitsave hitsave
fi
"""

_ZSH = """\
#compdef hitsave
# Completion of hitsave for zsh.
_hitsave() {
    local kind word text
    local -a told plain partial paths folders
    while IFS=$'\\t' read -r kind word text; do
        case $kind in
            file) _files; return ;;
            dir) _files -/; return ;;
            path) paths+=("$word") ;;
            folder) folders+=("$word") ;;
            partial) partial+=("$word") ;;
            *) if [[ -n $text ]]; then told+=("${word//:/\\\\:}:$text"); else plain+=("$word"); fi ;;
        esac
    done < <(_HITSAVE_COMPLETE=zsh "${(Q)words[1]}" "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#told )) && _describe -V hitsave told
    (( $#plain )) && compadd -a plain
    (( $#partial )) && compadd -S '' -a partial
    (( $#paths )) && compadd -f -a paths
    (( $#folders )) && compadd -f -S '' -a folders
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _hitsave "$@"
else
    compdef _hitsave hitsave
fi
"""

_FISH = """\
# Completion of hitsave for fish.
function __hitsave_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l word (string unescape -- $typed)
    or set word $typed
    for line in (env _HITSAVE_COMPLETE=fish $words "$word" 2>/dev/null)
        set -l parts (string split -m 2 \\t -- $line)
        switch $parts[1]
            case file
                __fish_complete_path "$word"
            case dir
                __fish_complete_directories "$word"
            case '*'
                printf '%s\\t%s\\n' $parts[2] "$parts[3]"
        end
    end
end
complete -c hitsave -f -k -a '(__hitsave_complete)'
"""

#: The script for each shell.
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def answer(table: click.Command, shell: str, arguments: Sequence[str]) -> None:
    """Print the words that can stand where a shell asks; none where anything goes wrong, since it shows no errors."""
    with contextlib.suppress(Exception):
        *before, word = _of_line(arguments[0]) if shell == "bash" else arguments
        items = _items(table, before, word)
        left_out = _broken_off(word, arguments[1]) if shell == "bash" else 0
        for item in items:
            if line := _line(item, left_out):
                sys.stdout.write(line)
    sys.stdout.flush()


def _items(table: click.Command, before: list[str], word: str) -> list[CompletionItem]:
    found = ShellComplete(table, {}, "hitsave", ASKING).get_completions(list(before), word)
    option, equals, value = word.partition("=")
    if option.startswith("--") and equals:  # Asked for `--option=value`, click gives values.
        for item in found:
            item.value = value if item.type in ("file", "dir") else f"{option}={item.value}"
    return found


def _line(item: CompletionItem, left_out: int) -> str:
    word = item.value[left_out:]
    try:
        word.encode()
    except UnicodeEncodeError:  # A name that is not UTF-8 cannot be typed.
        return ""
    if not word.isprintable():
        return ""
    text = " ".join((item.help or "").split())
    return f"{item.type}\t{word}\t{text}\n" if word or item.type in ("file", "dir") else ""


def _of_line(line: str) -> list[str]:
    """The words of a line after the command's, as far as it was typed; the last one may be empty."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words += lexer
    except ValueError:  # Within quotes, or after a backslash.
        words.append(lexer.token or "")
    else:
        if not line or (line[-1].isspace() and not line.endswith("\\ ")):
            words.append("")
    return words[1:]


def _broken_off(word: str, breaks: str) -> int:
    """How much of a word bash takes for words of their own."""
    return max((word.rfind(mark) + 1 for mark in ":=" if mark in breaks), default=0)
