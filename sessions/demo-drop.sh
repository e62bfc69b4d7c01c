# Drops an index: first the exports it was built from, one by one, then the index itself.
# Running it again finishes what was cut short.
set -eu
index=$1
for file in exports/*.csv; do
    [ -e "$file" ] || continue
    rm -- "$file"
    echo "deleted $file"
    sleep 0.1
done
rm -f -- "$index.index"
echo "deleted $index.index; nothing of it is left"
