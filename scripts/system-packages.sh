#!/usr/bin/env bash
# Installs what the tests use besides Python packages, where that is possible; says what is missing otherwise.
set -u
missing=()
command -v b3sum >/dev/null || missing+=(b3sum)
command -v git >/dev/null || missing+=(git)
PATH="$PATH:/usr/sbin" command -v sshd >/dev/null || missing+=(openssh-server)
command -v ssh-keygen >/dev/null || missing+=(openssh-client)
# Snapshots are mounted where the machine lets one; the library is libfuse.
command -v fusermount3 >/dev/null || command -v fusermount >/dev/null || missing+=(fuse3)
# Imports are tried on what the tools themselves make; DVC is installed by the test that uses it.
command -v git-lfs >/dev/null || missing+=(git-lfs)
command -v git-annex >/dev/null || missing+=(git-annex)
# Completion is tried in each shell that it is made for.
command -v zsh >/dev/null || missing+=(zsh)
command -v fish >/dev/null || missing+=(fish)
# Two servers share a database.
command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
# Azurite and s3rver, which stand for Azure and for a careless store, are installed by the tests that use them.
command -v npm >/dev/null || missing+=(npm)
# Pages are looked at with a real browser.
command -v chromium >/dev/null || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null 2>&1 && exit 0
fi
echo "not installed: ${missing[*]}; tests that use them are skipped (install them with your package manager)"
exit 0
