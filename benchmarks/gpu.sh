#!/usr/bin/env bash
# Verify and measure this checkout on this machine's GPU: benchmarks/gpu.sh [FOLDER]. Most of its time it builds kernels.
# Needs: pip install -e '.[test,bench]'. Leaves the tests' report and one JSON file for each suite in the folder.
set -u
cd "$(dirname "$0")/.."
out=${1:-gpu-results}
mkdir -p "$out"
failed=0
run() {
  echo "== $*"
  "$@" || { failed=1; echo "== FAILED: $*"; }
}

nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
jobs=$(($(nproc) < 15 ? $(nproc) : 15))
run python3 -m pytest --mode gpu -m "device and not native and not heavy" -n $jobs -q --junitxml "$out/tests.xml"
run python3 -m pytest --mode gpu --heavy tests/test_programs.py -n $jobs -q --junitxml "$out/programs.xml"
for suite in targets peers area partitions batch sizes per_sample scaling dtypes memory host build; do
  run python3 -m benchmarks.run --suite $suite --backend triton --quick --out "$out/$suite.json"
done
if python3 -c 'import torchvision' 2> /dev/null; then
  run python3 -m benchmarks.training --model resnet50 --crops two --out "$out/training-resnet50-two.json"
fi
run python3 -m benchmarks.training --model vit_small --crops multi --batch 64 --out "$out/training-vit_small-multi.json"
run python3 -m benchmarks.report --plots "$out/plots" "$out"/*.json
if command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck; do
    run compute-sanitizer --error-exitcode 1 --tool $tool python3 -m degrade doctor
  done
fi
exit $failed
