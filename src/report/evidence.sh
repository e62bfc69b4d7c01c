#!/bin/sh
# Checks the evidence in this folder with ssh-keygen and sha256sum. Exit 0: all of it holds.
# OpenSSH 8.2 or newer. Nothing here is written; nothing here calls crosscheck.
set -eu
LC_ALL=C
export LC_ALL
fail() { echo "FAILED: $*" >&2; exit 1; }
field() { sed -n "s/^$2: //p" "$1"; }

# The lines hang together: each one's prev is the hash of the one before.
before=
number=
while IFS= read -r line; do
    prev=$(printf '%s\n' "$line" | sed -n 's/^{"v":1,"seq":[0-9]*,"prev":"\([0-9a-f]*\)".*/\1/p')
    seq=$(printf '%s\n' "$line" | sed -n 's/^{"v":1,"seq":\([0-9]*\),.*/\1/p')
    [ -n "$prev" ] && [ -n "$seq" ] || fail "lines.jsonl holds something that is no line"
    [ -z "$before" ] || [ "$prev" = "$before" ] || fail "line $seq does not follow from the one before"
    [ -z "$number" ] || [ "$seq" -eq $((number + 1)) ] || fail "line $seq stands after line $number"
    before=$(printf '%s\n' "$line" | sha256sum | sed 's/ .*//')
    number=$seq
done < lines.jsonl

read -r step < step
approved=
keys=
while read -r name who time; do
    [ -f "$name.stmt" ] && [ -f "$name.sig" ] || fail "$name is not whole"
    told=$(ssh-keygen -Y verify -f allowed_signers -I "$who" -n crosscheck-approve -s "$name.sig" \
        -Overify-time="$time" < "$name.stmt" 2>&1) || fail "$name: $told"
    key=$(printf '%s\n' "$told" | sed -n 's/.* key \(SHA256:[^ ]*\)$/\1/p')
    # What was signed names its author, their key, this step, and a line that is here.
    [ "$(field "$name.stmt" approver)" = "$who" ] || fail "$name is somebody else's statement"
    [ "$(field "$name.stmt" approver-key)" = "$key" ] || fail "$name names another key"
    [ "$(field "$name.stmt" step)" = "$step" ] || fail "$name is about another step"
    asked=$(field "$name.stmt" request-seq)
    line=$(grep "^{\"v\":1,\"seq\":$asked," lines.jsonl) || fail "$name answers line $asked, which is not here"
    hash=$(printf '%s\n' "$line" | sha256sum | sed 's/ .*//')
    [ "sha256:$hash" = "$(field "$name.stmt" request-hash)" ] || fail "$name answers another line $asked"
    # The digest is that of what the line says would run.
    verdict=$(field "$name.stmt" verdict)
    case $verdict in approve | object | withdraw)
        covers=$(printf '%s\n' "$line" | sed 's/.*"covers":\({.*}\)}}}$/\1/')
        proposer=$(printf '%s\n' "$line" | sed 's/^{"v":1,"seq":[0-9]*,"prev":"[0-9a-f]*","at":"[^"]*","by":"\([^"]*\)".*/\1/')
        digest=$(printf '%s' "$covers" | sha256sum | sed 's/ .*//')
        [ "sha256:$digest" = "$(field "$name.stmt" digest)" ] || fail "$name is about another digest"
        [ "$(field "$name.stmt" proposer)" = "$proposer" ] || fail "$name names another proposer" ;;
    esac
    # A word that is not in the session's own lines was never given there.
    said=$(sed ':a;N;$!ba;s/\n/\\n/g' "$name.stmt")
    grep -qF -e "\"statement\":\"$said\\n\"" lines.jsonl || fail "$name stands in no line of the session"
    echo "holds: $who signed $verdict of $step with $key"
    if [ "$verdict" = approve ]; then
        [ "$who" != "$proposer" ] || fail "$who approved their own step"
        approved="$approved$asked $who
"
        keys="$keys$asked $key
"
    fi
done < index

# Somewhere one request has its quorum: so many different people, with so many different keys, as its line asks for.
for asked in $(printf '%s' "$approved" | sed 's/ .*//' | sort -u); do
    needed=$(grep "^{\"v\":1,\"seq\":$asked," lines.jsonl | sed 's/.*[^\\]"checks":\([0-9][0-9]*\).*/\1/')
    people=$(printf '%s' "$approved" | grep "^$asked " | sort -u | wc -l)
    held=$(printf '%s' "$keys" | grep "^$asked " | sort -u | wc -l)
    if [ "$people" -ge "$needed" ] && [ "$held" -ge "$needed" ]; then
        echo "QUORUM: $people people with $held keys approved line $asked; $needed were needed"
        exit 0
    fi
done
fail "no request has as many approvals, of different people with different keys, as it needed"
