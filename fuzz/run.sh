#!/usr/bin/env bash
# Builds the fuzz targets with stable Rust and runs them one after the other; `make fuzz` calls it.
#
#   fuzz/run.sh [build|run|merge] [TARGET…]      all targets if none is named
#
# FUZZ_SECONDS is the time for each target (default 60), FUZZ_JOBS how many run at a time (default 1). What is found
# to be new is kept below fuzz/target/corpus, what breaks something below fuzz/target/artifacts. `merge` makes
# fuzz/corpus anew from itself and the former: as few files as reach what all of them reach.
set -euo pipefail
cd "$(dirname "$0")"
todo=${1:-run}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || for file in fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done

# A target of its own even where it is this machine's: then build scripts are not instrumented.
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(-Cpasses=sancov-module)
for argument in level=4 inline-8bit-counters pc-table trace-compares; do
  coverage+=("-Cllvm-args=-sanitizer-coverage-$argument")
done
build() {
  local bins=()
  for target in "${targets[@]}"; do bins+=(--bin "$target"); done
  RUSTFLAGS="${coverage[*]} --cfg fuzzing" cargo build --locked --release --target "$host" "${bins[@]}"
}
binaries=target/$host/release

run() {
  local target=$1
  mkdir -p "target/corpus/$target" "target/artifacts/$target" target/logs
  if "$binaries/$target" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=25 -rss_limit_mb=1024 -max_len=16384 \
    -print_final_stats=1 -dict="dictionaries/$target.dict" -artifact_prefix="target/artifacts/$target/" \
    "target/corpus/$target" "corpus/$target" >"target/logs/$target" 2>&1
  then
    echo "$target: $(grep -E '^#[0-9]+\s+DONE' "target/logs/$target" | tail -1)"
  else
    # The input is in the log's last lines; once mended it belongs below fuzz/findings.
    tail -40 "target/logs/$target"
    echo "$target: broken; see fuzz/target/logs/$target" >&2
    return 1
  fi
}

# By what is reached alone, not also by how often: first few enough for the second step, which finds the fewest.
merge() {
  local target=$1 new=target/merged/$1
  local options=(-use_counters=0 -timeout=25 -rss_limit_mb=1024 -max_len=4096)
  rm -rf "$new"
  mkdir -p "$new/many" "$new/few" "target/corpus/$target"
  "$binaries/$target" -merge=1 "${options[@]}" "$new/many" "corpus/$target" "target/corpus/$target" \
    >"target/logs/$target.merge" 2>&1
  "$binaries/$target" -set_cover_merge=1 "${options[@]}" "$new/few" "$new/many" >>"target/logs/$target.merge" 2>&1
  # Rare depths that only a long input reaches are left to the fuzzer: the repository stays small.
  find "$new/few" -type f -size +1023c -delete
  rm -rf "corpus/$target"
  mv "$new/few" "corpus/$target"
  rm -rf "$new"
  echo "$target: $(find "corpus/$target" -type f | wc -l) files, $(du -sb "corpus/$target" | cut -f1) bytes"
}

build
case $todo in
  build) ;;
  run)
    failed=0
    for target in "${targets[@]}"; do
      while [ "$(jobs -rp | wc -l)" -ge "${FUZZ_JOBS:-1}" ]; do wait -n || failed=1; done
      run "$target" &
    done
    while [ -n "$(jobs -rp)" ]; do wait -n || failed=1; done
    wait || failed=1
    exit "$failed"
    ;;
  merge) for target in "${targets[@]}"; do merge "$target"; done ;;
  *) echo "fuzz/run.sh [build|run|merge] [TARGET…]" >&2; exit 2 ;;
esac
