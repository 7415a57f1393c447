#!/usr/bin/env bash
# Builds the fuzz targets with stable Rust and runs them one after the other; `make fuzz` calls it.
#
#   fuzz/run.sh [build|run|minimize] [TARGET…]   all targets if none is named
#
# FUZZ_SECONDS is the time for each target (default 60), FUZZ_JOBS how many run at a time (default 1). The corpus, what
# reaches new code, grows below fuzz/target/corpus (FUZZ_CORPUS=DIR: elsewhere); it is not part of the repository. An
# input that breaks something is written to fuzz/target/artifacts. `minimize` removes corpus files that reach nothing new.
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
corpus=${FUZZ_CORPUS:-target/corpus}

run() {
  local target=$1 seeds=()
  mkdir -p "$corpus/$target" "target/artifacts/$target" target/logs
  # What once broke something is a good place to start from.
  [ ! -d "findings/$target" ] || seeds+=("findings/$target")
  if "$binaries/$target" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=25 -rss_limit_mb=1024 -max_len=16384 \
    -print_final_stats=1 -dict="dictionaries/$target.dict" -artifact_prefix="target/artifacts/$target/" \
    "$corpus/$target" "${seeds[@]}" >"target/logs/$target" 2>&1
  then
    echo "$target: $(grep -E '^#[0-9]+\s+DONE' "target/logs/$target" | tail -1)"
  else
    # The input is in the log's last lines; once the fault is mended, the input belongs below fuzz/findings.
    tail -40 "target/logs/$target"
    echo "$target: failed; see fuzz/target/logs/$target" >&2
    return 1
  fi
}

minimize() {
  local target=$1 few
  mkdir -p "$corpus/$target" target/logs
  few=$(mktemp -d "$corpus/$target.XXXXXX")
  "$binaries/$target" -merge=1 -timeout=25 -rss_limit_mb=1024 "$few" "$corpus/$target" >"target/logs/$target.merge" 2>&1
  rm -rf "${corpus:?}/$target"
  mv "$few" "$corpus/$target"
  echo "$target: $(find "$corpus/$target" -type f | wc -l) files, $(du -sb "$corpus/$target" | cut -f1) bytes"
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
  minimize) for target in "${targets[@]}"; do minimize "$target"; done ;;
  *) echo "fuzz/run.sh [build|run|minimize] [TARGET…]" >&2; exit 2 ;;
esac
