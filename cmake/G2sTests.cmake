# One ctest entry per test file, so that a failure names its family and long files run side by side. Test cases with [long] in their name
# become an entry of their own with the label `long`, which `make test` leaves out.

function(g2s_add_test_entry name)
  add_test(NAME ${name} COMMAND g2s_tests --no-intro=true --no-path-filenames=true ${ARGN} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  set_tests_properties(${name} PROPERTIES
    # A filter that matches nothing is a mistake, not a success.
    FAIL_REGULAR_EXPRESSION "test cases: *0 [|]")
  if(G2S_SANITIZE)
    # Tests ask for more memory than there is.
    set_property(TEST ${name} PROPERTY ENVIRONMENT "ASAN_OPTIONS=allocator_may_return_null=1")
  endif()
endfunction()

# kernels/conv/conv.test.cpp -> kernels/conv, engine/tensor.test.cpp -> engine/tensor
function(g2s_test_name out file)
  string(REGEX REPLACE "\\.test\\.cpp$" "" name ${file})
  get_filename_component(folder ${name} DIRECTORY)
  get_filename_component(last ${name} NAME)
  if(folder MATCHES "/${last}$")
    set(name ${folder})
  endif()
  set(${out} ${name} PARENT_SCOPE)
endfunction()

# Files whose every case is an entry of its own: together they would take over a minute.
set(G2S_ENTRY_PER_CASE tests/trace tests/cli/cli tests/cli/jobs tests/cli/names)

# tests/trace.test.cpp: "one iteration of each step in f32" -> tests/trace/one_iteration_of_each_step_in_f32
function(g2s_add_entry_per_case name file cases)
  string(REPLACE ";" "," cases "${cases}")
  string(REGEX MATCHALL "TEST_CASE\\(\"[^\"]*\"" cases "${cases}")
  foreach(case ${cases})
    string(REGEX REPLACE "^TEST_CASE\\(\"([^\"]*)\"$" "\\1" title "${case}")
    string(REGEX REPLACE "[^A-Za-z0-9 ]" "*" filter "${title}")  # a comma would begin another filter
    string(REGEX REPLACE "[^A-Za-z0-9]+" "_" entry "${title}")
    string(SUBSTRING "${entry}" 0 60 entry)
    g2s_add_test_entry(${name}/${entry} --source-file=*/${file} "--test-case=${filter}")
  endforeach()
endfunction()

function(g2s_register_tests)
  foreach(path ${ARGN})
    file(RELATIVE_PATH file ${PROJECT_SOURCE_DIR} ${path})
    if(NOT file MATCHES "\\.test\\.cpp$")
      continue()
    endif()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    g2s_test_name(name ${file})
    file(STRINGS ${path} cases REGEX "TEST_CASE")
    set(long_cases ${cases})
    list(FILTER cases EXCLUDE REGEX "\\[long\\]|no_test_device")
    list(FILTER long_cases INCLUDE REGEX "\\[long\\]")
    list(FILTER long_cases EXCLUDE REGEX "no_test_device")
    if(file MATCHES "^(tests/device_|models/mobilestylegan)")
      g2s_add_emulated_file(${name} ${file})
    endif()
    if(file MATCHES "^(.*)\\.test\\.cpp$" AND CMAKE_MATCH_1 IN_LIST G2S_ENTRY_PER_CASE)
      g2s_add_entry_per_case(${name} ${file} "${cases}")
    elseif(cases)
      g2s_add_test_entry(${name} --source-file=*/${file} --test-case-exclude=*[long]*)
    endif()
    if(name MATCHES "^kernels/")
      g2s_add_emulated_entry(${name})
    endif()
    if(long_cases)
      g2s_add_test_entry(${name}_long --source-file=*/${file} --test-case=*[long]*)
      set_tests_properties(${name}_long PROPERTIES LABELS long)
    endif()
  endforeach()
endfunction()

function(g2s_emulated_test name)
  set(environment G2S_TEST_DEVICE=cuda ${ARGN})
  if(G2S_SANITIZE)
    list(APPEND environment ASAN_OPTIONS=allocator_may_return_null=1)
  endif()
  set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "test cases: *0 [|]" ENVIRONMENT "${environment}")
endfunction()

# tests/device_memory.test.cpp -> emulated/device_memory, long if all its cases are
function(g2s_add_emulated_file name file)
  get_filename_component(entry ${name} NAME)
  add_test(NAME emulated/${entry} COMMAND g2s_tests_emulated --no-intro=true --source-file=*/${file} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  g2s_emulated_test(emulated/${entry})
  file(STRINGS ${PROJECT_SOURCE_DIR}/${file} short_cases REGEX "TEST_CASE")
  list(FILTER short_cases EXCLUDE REGEX "\\[long\\]")
  if(NOT short_cases)
    set_tests_properties(emulated/${entry} PROPERTIES LABELS long)
  endif()
endfunction()

# The table of cases of a family once more, and its test cases "X: on the device", on the emulated device.
function(g2s_add_emulated_entry name)
  file(GLOB kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cu)
  file(GLOB cpu_kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.isa.cpp)
  get_filename_component(family ${name} NAME)
  # A family without kernels of its own is made of others.
  if(kernels OR (NOT cpu_kernels AND EXISTS ${PROJECT_SOURCE_DIR}/${name}/cases.json))
    add_test(NAME emulated/${name} COMMAND g2s_tests_emulated --no-intro=true --source-file=*/${name}/* "--test-case=${family},${family}:*table*of*cases*,${family}:*on*the*device*"
             WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
    g2s_emulated_test(emulated/${name})
  endif()
endfunction()

# tests/simt/lanes.test.cu -> emulated/lanes
function(g2s_register_emulator_tests)
  foreach(path ${ARGN})
    get_filename_component(name ${path} NAME)
    string(REPLACE ".test.cu" "" entry ${name})
    add_test(NAME emulated/${entry} COMMAND g2s_tests_emulated --no-intro=true --source-file=*/tests/simt/${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
    g2s_emulated_test(emulated/${entry})
  endforeach()
endfunction()

# Contexts and repeated work on the emulated device; once more on one that is as late as it may be. AddressSanitizer must not see that: it takes a block for
# gone when the host has let go of it, which then still waits for its work.
function(g2s_add_emulated_graph)
  set(run COMMAND g2s_tests_emulated --no-intro=true --source-file=*/tests/captured_graph.test.cpp WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  add_test(NAME emulated/captured_graph ${run})
  g2s_emulated_test(emulated/captured_graph)
  add_test(NAME emulated/context COMMAND g2s_tests_emulated --no-intro=true --source-file=*/tests/context.test.cpp WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  g2s_emulated_test(emulated/context)
  if(NOT G2S_SANITIZE MATCHES address)
    add_test(NAME emulated/captured_graph_late ${run})
    g2s_emulated_test(emulated/captured_graph_late G2S_SIMT_LATE=1)
  endif()
endfunction()

# The C interface on the emulated device.
function(g2s_add_emulated_c_api)
  foreach(name arrays context dlpack generator handles networks)
    add_test(NAME emulated/c_api/${name} COMMAND g2s_tests_emulated --no-intro=true --source-file=*/c_api/${name}.test.cpp
             WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
    g2s_emulated_test(emulated/c_api/${name})
  endforeach()
  set_tests_properties(emulated/c_api/networks PROPERTIES LABELS long)
endfunction()

# The method on the emulated device.
function(g2s_add_emulated_method)
  foreach(part "trace of the ellipsoids" "trace of the steps" "projection, prior and step 1" "steps 2 and 3" "losses are read" "fit is interrupted"
               "several threads" "not finite")
    string(REGEX REPLACE "[ ,]+" "_" name ${part})
    string(REPLACE "," "\\," filter ${part})  # a comma would begin another filter
    add_test(NAME emulated/${name} COMMAND g2s_tests_emulated --no-intro=true --source-file=*/tests/device.test.cpp "--test-case=*${filter}*" --test-case-exclude=*[long]*
             WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
    g2s_emulated_test(emulated/${name})
  endforeach()
  add_test(NAME emulated/fit_is_interrupted_long COMMAND g2s_tests_emulated --no-intro=true --source-file=*/tests/device.test.cpp --test-case=*[long]*
           WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  g2s_emulated_test(emulated/fit_is_interrupted_long)
  set_tests_properties(emulated/fit_is_interrupted_long PROPERTIES LABELS long)
  if(NOT G2S_SANITIZE MATCHES address)
    g2s_emulated_test(emulated/losses_are_read G2S_SIMT_LATE=1)
  endif()
endfunction()

# Ten seconds of a fuzz target from its corpus, a minute with the label `long`. Inputs that the fuzzer makes stay in the build folder.
function(g2s_add_fuzz_test name)
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_test(NAME fuzz/${name} COMMAND fuzz_${name} -max_total_time=10 -seed=1 ${corpus} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  add_test(NAME fuzz/${name}_long COMMAND fuzz_${name} -max_total_time=60 -seed=2 ${corpus} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
  set_tests_properties(fuzz/${name}_long PROPERTIES LABELS long)
endfunction()

# Completions in the shells that are here, and man pages.
function(g2s_register_shell_tests)
  set(folder ${PROJECT_SOURCE_DIR}/tests/shells)
  foreach(shell bash zsh fish)
    add_test(NAME shells/${shell} COMMAND sh ${folder}/completions.sh ${PROJECT_SOURCE_DIR} ${shell} ${PROJECT_BINARY_DIR}/share ${PROJECT_BINARY_DIR}/shells)
  endforeach()
  add_test(NAME shells/man COMMAND sh ${folder}/man.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/share)
  add_test(NAME shells/demo COMMAND sh ${folder}/demo.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/shells)
  set_tests_properties(shells/bash shells/zsh shells/fish shells/man shells/demo PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

# Files from public reports, where the shared data has them.
function(g2s_register_bugcases)
  add_test(NAME bugcases COMMAND sh ${PROJECT_SOURCE_DIR}/tests/bugcases.sh $<TARGET_FILE:gan2shape> $<TARGET_FILE:g2s_tests> ${PROJECT_SOURCE_DIR}/../shared
                                 ${PROJECT_BINARY_DIR}/bugcases WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
endfunction()

# Fits that are killed and gone on with: a few, and as many as it takes to believe it.
function(g2s_register_kill_and_resume)
  set(script sh ${PROJECT_SOURCE_DIR}/tests/kill_and_resume.sh $<TARGET_FILE:gan2shape> ${PROJECT_SOURCE_DIR}/assets/heads)
  add_test(NAME kill_and_resume COMMAND ${script} ${PROJECT_BINARY_DIR}/kill_and_resume 3)
  add_test(NAME kill_and_resume_long COMMAND ${script} ${PROJECT_BINARY_DIR}/kill_and_resume_long 50)
  set_tests_properties(kill_and_resume_long PROPERTIES LABELS long)
endfunction()

# No object that was compiled for one instruction set may offer the linker a symbol that other code could pick up.
function(g2s_register_symbol_test)
  find_program(NM_PROGRAM nm)
  find_program(CXXFILT_PROGRAM c++filt)
  if(NOT NM_PROGRAM OR NOT CXXFILT_PROGRAM OR G2S_SANITIZE)
    return()
  endif()
  set(script ${PROJECT_SOURCE_DIR}/tests/structure/isa_symbols.sh)
  foreach(variant base v3 v4 ${G2S_BF16_VARIANTS})
    if(TARGET g2s_kernels_${variant})
      add_test(NAME structure/symbols_${variant} COMMAND sh ${script} ${NM_PROGRAM} ${variant} $<TARGET_OBJECTS:g2s_kernels_${variant}>
               COMMAND_EXPAND_LISTS)
    endif()
  endforeach()
  add_library(g2s_leaky_symbols OBJECT ${PROJECT_SOURCE_DIR}/tests/structure/leaky_symbols.cc)
  add_test(NAME structure/symbols_finds_a_leak COMMAND sh ${script} ${NM_PROGRAM} v3 $<TARGET_OBJECTS:g2s_leaky_symbols>)
  set_tests_properties(structure/symbols_finds_a_leak PROPERTIES WILL_FAIL ON)
  set(exports sh ${PROJECT_SOURCE_DIR}/tests/structure/exports.sh ${NM_PROGRAM})
  add_test(NAME structure/exports_shared COMMAND ${exports} $<TARGET_FILE:libgan2shape> ${PROJECT_SOURCE_DIR}/include/gan2shape/gan2shape.h)
  add_test(NAME structure/exports_static COMMAND ${exports} ${PROJECT_BINARY_DIR}/lib/libgan2shape.a ${PROJECT_SOURCE_DIR}/include/gan2shape/gan2shape.h)
endfunction()

# The machine code of the matrix products, where there is a compiler and a disassembler for it.
function(g2s_register_sass_test)
  find_program(CUOBJDUMP_PROGRAM cuobjdump HINTS ${CUDAToolkit_BIN_DIR})
  find_program(NVDISASM_PROGRAM nvdisasm HINTS ${CUDAToolkit_BIN_DIR})
  find_package(Python3 COMPONENTS Interpreter)
  if(TARGET g2s_cuda AND CUOBJDUMP_PROGRAM AND NVDISASM_PROGRAM AND Python3_FOUND)
    add_test(NAME structure/sass COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/cuda_sass.py --cuobjdump ${CUOBJDUMP_PROGRAM}
                                         "$<FILTER:$<TARGET_OBJECTS:g2s_cuda>,INCLUDE,/(matmul|conv)\\.cu>" COMMAND_EXPAND_LISTS)
  endif()
endfunction()

# make gpu-1 to gpu-4 (tools/gpu), cut down, with the emulator in the place of the device.
function(g2s_register_device_day)
  find_package(Python3 COMPONENTS Interpreter)
  foreach(part suite sanitize speed fit)
    set(name device_day/${part})
    if(NOT Python3_FOUND OR NOT TARGET g2s_bench_emulated)
      add_test(NAME ${name} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/skipped.sh ${name} needs Python and the benchmarks)
      set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
      continue()
    endif()
    set(script ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/gpu/${part}.py)
    add_test(NAME ${name}_steps COMMAND ${script} --dry-run)
    set_tests_properties(${name}_steps PROPERTIES PASS_REGULAR_EXPRESSION "s at most: ")
    add_test(NAME ${name} COMMAND ${script} --emulated ${PROJECT_BINARY_DIR} --out ${PROJECT_BINARY_DIR}/device_day)
  endforeach()
  set_tests_properties(device_day/fit PROPERTIES LABELS long)  # minutes: a whole reconstruction, emulated
endfunction()

# The launches of one iteration at real sizes, and what a model makes of them.
function(g2s_register_cuda_model)
  find_package(Python3 COMPONENTS Interpreter)
  if(NOT Python3_FOUND OR NOT TARGET g2s_bench_emulated)
    foreach(name cuda/launches cuda/model)
      add_test(NAME ${name} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/skipped.sh ${name} needs Python and the benchmarks)
      set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
    endforeach()
    return()
  endif()
  add_test(NAME cuda/launches COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/cuda_launches.py --bench $<TARGET_FILE:g2s_bench_emulated> --check)
  add_test(NAME cuda/model COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/cuda_model.py --check)
endfunction()

# Tables of cases with the PTX that nvcc makes of the kernels, run by an interpreter of its own (tests/ptx).
function(g2s_register_ptx_tests)
  set(families elementwise bias_act reduce resample smooth matmul conv)
  set(long matmul)  # minutes to interpret
  if(NOT TARGET g2s_cuda)
    add_test(NAME ptx/kernels COMMAND sh ${PROJECT_SOURCE_DIR}/tests/skipped.sh ptx/kernels needs nvcc)
    set_tests_properties(ptx/kernels PROPERTIES SKIP_RETURN_CODE 77)
    return()
  endif()
  foreach(family ${families})
    set(source ${PROJECT_SOURCE_DIR}/kernels/${family}/${family}.cu)
    set(folder ${PROJECT_BINARY_DIR}/ptx/${family})
    add_test(NAME ptx/${family}_compile COMMAND sh ${PROJECT_SOURCE_DIR}/tests/ptx/compile.sh ${CMAKE_CUDA_COMPILER} ${source} ${folder} $<$<BOOL:${G2S_X86}>:-DG2S_HAVE_X86_ISA>
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMAND_EXPAND_LISTS)
    set_tests_properties(ptx/${family}_compile PROPERTIES FIXTURES_SETUP ptx_${family})
    add_test(NAME ptx/${family} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/ptx/run.sh $<TARGET_FILE:g2s_tests_emulated> ${family} ${folder})
    set_tests_properties(ptx/${family} PROPERTIES FIXTURES_REQUIRED ptx_${family} FAIL_REGULAR_EXPRESSION "test cases: *0 [|]")
    if(family STREQUAL elementwise)
      add_test(NAME ptx/${family}_divisions COMMAND sh ${PROJECT_SOURCE_DIR}/tests/ptx/divisions.sh ${folder}/${family}.ptx)
      set_tests_properties(ptx/${family}_divisions PROPERTIES FIXTURES_REQUIRED ptx_${family})
    endif()
    if(family STREQUAL conv)  # all would take minutes
      set_tests_properties(ptx/conv PROPERTIES ENVIRONMENT G2S_CASE=3x3_same_odd,4x4_stride2,channels_33_31,7x7_rgb_in)
    endif()
    if(family IN_LIST long)
      set_tests_properties(ptx/${family} ptx/${family}_compile PROPERTIES LABELS long)
    endif()
  endforeach()
endfunction()
